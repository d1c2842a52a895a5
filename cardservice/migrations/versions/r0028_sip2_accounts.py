"""Accounts that machines log in with over SIP2.

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import JsonDocument, UtcDateTime

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    op.create_table(
        "sip2_account",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("name", "password", "institution", "place")),
        sa.Column("profile", JsonDocument, nullable=False),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("sip2_account")
