"""How far the worker has come that charges days from their taps.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "rating_position",
        sa.Column("service", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("service"),
        sa.CheckConstraint("sequence >= 0", name="sequence"),
    )


def downgrade() -> None:
    op.drop_table("rating_position")
