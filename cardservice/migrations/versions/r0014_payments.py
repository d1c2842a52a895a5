"""Payments through a provider: attempts, refunds, disputes, settlements, and what needs a person.

Revision ID: 0014
Revises: 0013
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import BigSerial, UtcDateTime

revision = "0014"
down_revision = "0013"

TABLES = (
    "payment_attempt",
    "payment_refund",
    "payment_dispute",
    "payment_provider",
    "settlement_file",
    "settlement_line",
    "payout",
    "payment_matter",
)


def upgrade() -> None:
    _attempts()
    _settlements()
    _people()
    source = files("cardservice.payments").joinpath(f"keeping_{op.get_bind().dialect.name}.sql")
    for statement in source.read_text().split("\n-- next\n"):
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION keep_payment_attempt")


def _attempts() -> None:
    op.create_table(
        "payment_attempt",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("arrears_percent", sa.Integer, nullable=False),
        sa.Column("provider_payment", sa.Text, nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("begun_at", UtcDateTime, nullable=False),
        sa.Column("check_at", UtcDateTime, nullable=True),
        sa.Column("posted_as", sa.Uuid, nullable=True),
        sa.CheckConstraint("(state = 'success') = (posted_as IS NOT NULL)", name="captured_is_posted"),
        sa.CheckConstraint("posted_as = id", name="posted_as_itself"),
        sa.CheckConstraint("posted_as IS NULL OR provider_payment IS NOT NULL", name="posted_has_name"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("arrears_percent BETWEEN 1 AND 100", name="percent"),
        sa.CheckConstraint(
            "state IN ('wanted', 'created', 'started', 'submitted', 'capturable', 'success', 'failed',"
            " 'cancelled', 'error')",
            name="state",
        ),
        sa.ForeignKeyConstraint(
            ["payer_id", "posted_as"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider", "provider_payment"),
    )
    op.create_index("ix_payment_attempt_check_at", "payment_attempt", ["check_at"], unique=False)
    op.create_table(
        "payment_refund",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("attempt_id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("provider_refund", sa.Text, nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("begun_at", UtcDateTime, nullable=False),
        sa.Column("check_at", UtcDateTime, nullable=True),
        sa.Column("returned_as", sa.Uuid, nullable=True),
        sa.CheckConstraint("(state = 'error') = (returned_as IS NOT NULL)", name="failed_is_returned"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("state IN ('wanted', 'submitted', 'success', 'error')", name="state"),
        sa.ForeignKeyConstraint(["attempt_id"], ["payment_attempt.id"]),
        sa.ForeignKeyConstraint(["payer_id", "id"], ["ledger_transaction.payer_id", "ledger_transaction.id"]),
        sa.ForeignKeyConstraint(
            ["payer_id", "returned_as"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("provider", "provider_refund"),
    )
    op.create_index("ix_payment_refund_check_at", "payment_refund", ["check_at"], unique=False)
    op.create_index(
        "uq_payment_refund_wanted",
        "payment_refund",
        ["attempt_id"],
        unique=True,
        postgresql_where=sa.text("state = 'wanted'"),
        sqlite_where=sa.text("state = 'wanted'"),
    )
    op.create_table(
        "payment_dispute",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("provider_dispute", sa.Text, nullable=False),
        sa.Column("attempt_id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("posted_as", sa.Uuid, nullable=True),
        sa.Column("posted_minor", sa.BigInteger, server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("posted_as IS NULL OR state = 'lost'", name="lost_is_posted"),
        sa.CheckConstraint("(posted_minor > 0) = (posted_as IS NOT NULL)", name="posted_is_named"),
        sa.CheckConstraint("posted_minor BETWEEN 0 AND amount_minor", name="posted"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.CheckConstraint("state IN ('needs_response', 'under_review', 'lost', 'won')", name="state"),
        sa.ForeignKeyConstraint(["attempt_id"], ["payment_attempt.id"]),
        sa.ForeignKeyConstraint(
            ["payer_id", "posted_as"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
        sa.PrimaryKeyConstraint("provider", "provider_dispute"),
    )
    op.create_table(
        "payment_provider",
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("disputes_check_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("provider"),
    )


def _settlements() -> None:
    op.create_table(
        "settlement_file",
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("lines", sa.Integer, nullable=False),
        sa.Column("loaded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_table(
        "settlement_line",
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("line", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("settled_on", sa.Date, nullable=False),
        sa.Column("gross_minor", sa.BigInteger, nullable=False),
        sa.Column("fee_minor", sa.BigInteger, nullable=False),
        sa.Column("unit", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.CheckConstraint("gross_minor <> 0 AND (kind = 'payment') = (gross_minor > 0)", name="direction"),
        sa.CheckConstraint("kind IN ('payment', 'refund', 'dispute')", name="kind"),
        sa.CheckConstraint("fee_minor >= 0", name="fee"),
        sa.CheckConstraint("state IN ('matched', 'unknown', 'differs', 'repeated')", name="state"),
        sa.ForeignKeyConstraint(["sha256"], ["settlement_file.sha256"]),
        sa.PrimaryKeyConstraint("sha256", "line"),
    )
    op.create_index(
        "ix_settlement_line_open",
        "settlement_line",
        ["provider", "reference"],
        unique=False,
        postgresql_where=sa.text("state != 'matched'"),
        sqlite_where=sa.text("state != 'matched'"),
    )
    op.create_index(
        "uq_settlement_line_matched",
        "settlement_line",
        ["provider", "kind", "reference"],
        unique=True,
        postgresql_where=sa.text("state = 'matched'"),
        sqlite_where=sa.text("state = 'matched'"),
    )


def _people() -> None:
    op.create_table(
        "payout",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("approved_by", sa.Text, nullable=True),
        sa.Column("posted_as", sa.Uuid, nullable=True),
        sa.CheckConstraint("(posted_as IS NULL) = (approved_by IS NULL)", name="approved_is_posted"),
        sa.CheckConstraint("approved_by <> asked_by", name="two_people"),
        sa.CheckConstraint("posted_as = id", name="posted_as_itself"),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.ForeignKeyConstraint(
            ["payer_id", "posted_as"], ["ledger_transaction.payer_id", "ledger_transaction.id"]
        ),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "payment_matter",
        sa.Column("number", BigSerial, sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.Column("closed_by", sa.Text, nullable=True),
        sa.Column("closed_because", sa.Text, nullable=True),
        sa.CheckConstraint("(closed_at IS NULL) = (closed_because IS NULL)", name="closed_because"),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("kind", "subject"),
    )
