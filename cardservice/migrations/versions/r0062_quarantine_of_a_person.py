"""Under whose key what lies in quarantine is encrypted: with the person's it goes with the person.

Revision ID: 0062
Revises: 0064
"""

import sqlalchemy as sa
from alembic import op

revision = "0062"
down_revision = "0064"


def upgrade() -> None:
    op.add_column("quarantine", sa.Column("key_id", sa.Uuid, nullable=True))
    op.create_index("ix_quarantine_key_id", "quarantine", ["key_id"])


def downgrade() -> None:
    # What is encrypted under persons' keys cannot be read by the program of before.
    op.drop_index("ix_quarantine_key_id", "quarantine")
    op.drop_column("quarantine", "key_id")
