"""Cards that are lent for a day, losses that were told from afar, accounts that are closed.

Revision ID: 0049
Revises: 0048
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import BigSerial, UtcDateTime

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    op.create_table(
        "temporary_card",
        *(sa.Column(name, sa.Uuid, nullable=False) for name in ("card_id", "acts_for")),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("card_id"),
        *(sa.ForeignKeyConstraint([name], ["card.id"]) for name in ("card_id", "acts_for")),
        sa.CheckConstraint("card_id <> acts_for", name="acts_for"),
    )
    lent = sa.text("ended_at IS NULL")
    op.create_index(
        "ix_temporary_card_due_at", "temporary_card", ["due_at"], sqlite_where=lent, postgresql_where=lent
    )
    op.create_table(
        "loss_report",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("card_id", sa.Uuid, nullable=False),
        sa.Column("told_at", UtcDateTime, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("verified", sa.Boolean, nullable=False),
        sa.Column("told_to", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.CheckConstraint("channel IN ('phone', 'web', 'kiosk')", name="channel"),
    )
    op.create_index("ix_loss_report_card_id_told_at", "loss_report", ["card_id", "told_at"])
    op.create_table(
        "account_closing",
        sa.Column("cardholder_id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("why", "begun_by")),
        *(sa.Column(name, UtcDateTime, nullable=True) for name in ("told_at", "stopped_at", "ended_at")),
        sa.PrimaryKeyConstraint("cardholder_id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.CheckConstraint("why IN ('asked', 'deceased', 'dormant')", name="why"),
        sa.CheckConstraint("(why = 'dormant') = (told_at IS NOT NULL)", name="told"),
        sa.CheckConstraint("why = 'dormant' OR stopped_at IS NOT NULL", name="stopped"),
        sa.CheckConstraint("ended_at IS NULL OR stopped_at IS NOT NULL", name="ended"),
    )


def downgrade() -> None:
    for table in ("account_closing", "loss_report", "temporary_card"):
        op.drop_table(table)
