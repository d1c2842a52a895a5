"""Who may act for a child, and who may not.

Revision ID: 0044
Revises: 0035
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0044"
down_revision = "0035"


def upgrade() -> None:
    op.create_table(
        "guardianship",
        *(sa.Column(name, sa.Uuid, nullable=False) for name in ("id", "child_id", "person_id")),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=True),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["child_id"], ["cardholder.id"]),
        sa.ForeignKeyConstraint(["person_id"], ["cardholder.id"]),
        sa.CheckConstraint("child_id <> person_id", name="person"),
        sa.CheckConstraint("last_day >= first_day", name="last_day"),
    )
    for column in ("child_id", "person_id"):
        op.create_index(f"ix_guardianship_{column}", "guardianship", [column])


def downgrade() -> None:
    op.drop_table("guardianship")
