"""Restores: what was lost, what came back, and from whom.

Revision ID: 0029
Revises: 0024
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import JsonDocument, UtcDateTime

revision = "0029"
down_revision = "0024"


def upgrade() -> None:
    op.create_table(
        "ledger_recovery",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("last_number", sa.BigInteger, nullable=False),
        sa.Column("lost_heads", JsonDocument, nullable=False),
        sa.Column("finished_at", UtcDateTime, nullable=True),
        sa.Column("finished_by", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sa.CheckConstraint("number > 0", name="number"),
        sa.CheckConstraint("(finished_at IS NULL) = (finished_by IS NULL)", name="finished"),
    )
    op.create_table(
        "recovered_message",
        sa.Column("recovery", sa.Integer, sa.ForeignKey("ledger_recovery.number"), nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("terminal_id", sa.Text, nullable=False),
        sa.Column("decision", sa.Text, nullable=False),
        sa.Column("answered_at", UtcDateTime, nullable=True),
        sa.Column("posted_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("recovery", "transaction_id"),
    )
    op.create_table(
        "recovery_terminal",
        sa.Column("recovery", sa.Integer, sa.ForeignKey("ledger_recovery.number"), nullable=False),
        sa.Column("terminal_id", sa.Text, nullable=False),
        sa.Column("told_at", UtcDateTime, nullable=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("recovery", "terminal_id"),
    )


def downgrade() -> None:
    for table in ("recovery_terminal", "recovered_message", "ledger_recovery"):
        op.drop_table(table)
