"""How each terminal is, as it said last.

Revision ID: 0033
Revises: 0032
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import JsonDocument, UtcDateTime

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    op.create_table(
        "terminal_health",
        sa.Column("terminal_id", sa.Text, sa.ForeignKey("terminal.id"), primary_key=True),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("clock_ahead_ms", sa.BigInteger, nullable=False),
        sa.Column("waiting", sa.BigInteger, nullable=False),
        sa.Column("oldest_waiting_at", UtcDateTime, nullable=True),
        sa.Column("trust_fetched_at", UtcDateTime, nullable=True),
        sa.Column("lists_end_at", UtcDateTime, nullable=True),
        sa.Column("tariffs", JsonDocument, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("terminal_health")
