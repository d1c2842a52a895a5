"""Reads of records whose very kind tells something of a person.

Revision ID: 0045
Revises: 0044
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    op.create_table(
        "record_read",
        *(sa.Column(name, sa.Uuid, nullable=False) for name in ("id", "cardholder_id")),
        sa.Column("at", UtcDateTime, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("actor", "action")),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
    )
    for column in ("cardholder_id", "at"):
        op.create_index(f"ix_record_read_{column}", "record_read", [column])


def downgrade() -> None:
    op.drop_table("record_read")
