"""Who has begun a payment: what a terminal has begun it may look at, and another not.

Revision ID: 0057
Revises: 0051
"""

import sqlalchemy as sa
from alembic import op

revision = "0057"
down_revision = "0051"


def upgrade() -> None:
    op.add_column("payment_attempt", sa.Column("begun_by", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("payment_attempt", "begun_by")
