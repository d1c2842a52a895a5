"""Terminals that may enrol themselves by a one-time code.

Revision ID: 0041
Revises: 0050
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0041"
down_revision = "0050"


def upgrade() -> None:
    op.create_table(
        "terminal_invitation",
        sa.Column("terminal_id", sa.Text, primary_key=True),
        sa.Column("provider_id", sa.Text, sa.ForeignKey("provider.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("offline_limit_minor", sa.BigInteger, nullable=True),
        sa.Column("again", sa.Boolean, nullable=False),
        sa.Column("code_sha256", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("attempts_left", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("used_at", UtcDateTime, nullable=True),
        sa.Column("key_sha256", sa.LargeBinary, nullable=True),
    )


def downgrade() -> None:
    op.drop_table("terminal_invitation")
