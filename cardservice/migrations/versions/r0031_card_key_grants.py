"""Which keys of the card's service applications a provider's terminals may have.

Revision ID: 0031
Revises: 0028
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0031"
down_revision = "0028"


def upgrade() -> None:
    op.create_table(
        "card_key_grant",
        sa.Column("provider_id", sa.Text, sa.ForeignKey("provider.id"), nullable=False),
        sa.Column("application", sa.Integer, nullable=False),
        sa.Column("key_number", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("valid_until", UtcDateTime, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("provider_id", "application", "key_number", "version", "valid_from"),
        sa.CheckConstraint("application BETWEEN 1 AND 16777215", name="application"),
        # Keys 0 and 3 are nobody's but the service's.
        sa.CheckConstraint("key_number IN (1, 2)", name="key_number"),
        sa.CheckConstraint("version BETWEEN 0 AND 255", name="version"),
        sa.CheckConstraint("valid_until >= valid_from", name="ends_after_it_begins"),
    )


def downgrade() -> None:
    op.drop_table("card_key_grant")
