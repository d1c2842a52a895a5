"""Lending: members, titles and copies, loans, queues, fines, and counts of nobody.

Revision ID: 0027
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import BigSerial, UtcDateTime

revision = "0027"
down_revision = "0022"

_TABLES = (
    *("lending_count", "lending_history", "lending_payment", "lending_fine", "lending_hold", "lending_loan"),
    *("lending_copy", "lending_title", "lending_member"),
)


def upgrade() -> None:
    op.create_table(
        "lending_member",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("barcode", sa.Text, nullable=False),
        sa.Column("pin", sa.Text, nullable=True),
        sa.Column("wrong_pins", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("locked_until", UtcDateTime, nullable=True),
        sa.Column("keeps_history", sa.Boolean, nullable=False),
        sa.Column("barred_by", sa.Text, nullable=True),
        sa.Column("joined_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("cardholder_id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.UniqueConstraint("barcode"),
    )
    op.create_table(
        "lending_title",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "name", "author", "item_class")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "lending_copy",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("barcode", "title_id", "branch", "place")),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("barcode"),
        sa.ForeignKeyConstraint(["title_id"], ["lending_title.id"]),
    )
    op.create_index("ix_lending_copy_title_id", "lending_copy", ["title_id"])
    _loans()
    _money()
    op.create_table(
        "lending_count",
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("month", "branch", "item_class", "member_class", "what")
        ),
        sa.Column("count", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("month", "branch", "item_class", "member_class", "what"),
        sa.CheckConstraint("what IN ('lent', 'renewed')", name="what"),
        sa.CheckConstraint("count > 0", name="count"),
    )


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)


def _of_member() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["cardholder_id"], ["lending_member.cardholder_id"])


def _loans() -> None:
    op.create_table(
        "lending_loan",
        sa.Column("copy", sa.Text, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("item_class", "terms")),
        sa.Column("lent_at", UtcDateTime, nullable=False),
        sa.Column("due_on", sa.Date, nullable=False),
        sa.Column("renewals", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("copy"),
        sa.ForeignKeyConstraint(["copy"], ["lending_copy.barcode"]),
        _of_member(),
        sa.CheckConstraint("renewals >= 0", name="renewals"),
    )
    op.create_index("ix_lending_loan_cardholder_id", "lending_loan", ["cardholder_id"])
    op.create_table(
        "lending_hold",
        sa.Column("number", BigSerial, sa.Identity(), nullable=False),
        sa.Column("title_id", sa.Text, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("placed_at", UtcDateTime, nullable=False),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("copy", sa.Text, nullable=True),
        sa.Column("kept_until", sa.Date, nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.ForeignKeyConstraint(["title_id"], ["lending_title.id"]),
        sa.ForeignKeyConstraint(["copy"], ["lending_copy.barcode"]),
        _of_member(),
        sa.UniqueConstraint("title_id", "cardholder_id"),
        sa.UniqueConstraint("copy"),
        sa.CheckConstraint("(copy IS NULL) = (kept_until IS NULL)", name="kept"),
    )
    op.create_index("ix_lending_hold_cardholder_id", "lending_hold", ["cardholder_id"])
    op.create_index("ix_lending_hold_queue", "lending_hold", ["title_id", "number"])
    op.create_table(
        "lending_history",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        *(sa.Column(name, sa.Date, nullable=False) for name in ("lent_on", "returned_on")),
        sa.PrimaryKeyConstraint("id"),
        _of_member(),
    )
    op.create_index("ix_lending_history_cardholder_id", "lending_history", ["cardholder_id"])


def _money() -> None:
    op.create_table(
        "lending_fine",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("days_late", sa.Integer, nullable=False),
        sa.Column("charged_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        _of_member(),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
    )
    op.create_index("ix_lending_fine_cardholder_id", "lending_fine", ["cardholder_id"])
    op.create_table(
        "lending_payment",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("method", "taken_by")),
        sa.Column("reference", sa.Text, nullable=True),
        sa.Column("paid_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        _of_member(),
        sa.UniqueConstraint("taken_by", "reference"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("method IN ('cash', 'card', 'other', 'waived')", name="method"),
    )
    op.create_index("ix_lending_payment_cardholder_id", "lending_payment", ["cardholder_id"])
