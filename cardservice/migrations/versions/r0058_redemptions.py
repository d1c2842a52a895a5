"""How much was to be given back: asked for again with its id it is that, and nothing that came in since.

Revision ID: 0058
Revises: 0062
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0058"
down_revision = "0062"


def upgrade() -> None:
    op.create_table(
        "redemption",
        sa.Column("id", sa.Uuid, nullable=False),
        sa.Column("payer_id", sa.Uuid, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.CheckConstraint("amount_minor > 0", name="amount"),
        sa.ForeignKeyConstraint(["payer_id"], ["payer_state.payer_id"]),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    op.drop_table("redemption")
