"""The UIDs of cards, for the map from a UID to a place in the status list.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    # Cards that were made before have none: their UIDs were never told.
    op.create_table(
        "card_uid",
        sa.Column("card_id", sa.Uuid, sa.ForeignKey("card.id"), nullable=False),
        sa.Column("uid", sa.LargeBinary, nullable=False),
        sa.Column("status_index", sa.BigInteger, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("card_id"),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("ix_card_uid_recorded_at", "card_uid", ["recorded_at"])


def downgrade() -> None:
    op.drop_table("card_uid")
