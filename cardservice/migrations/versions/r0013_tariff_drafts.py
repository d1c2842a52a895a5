"""Tariffs are drafted, and approved by a second person.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    with op.batch_alter_table("tariff") as batch:
        batch.add_column(sa.Column("approved_by", sa.Text, nullable=True))
        batch.add_column(sa.Column("one_person", sa.Boolean, nullable=True))
    # Whatever was loaded before, one person loaded.
    op.execute("UPDATE tariff SET one_person = true")
    with op.batch_alter_table("tariff") as batch:
        batch.alter_column("one_person", existing_type=sa.Boolean, nullable=False)
        batch.create_check_constraint(
            "two_people", "one_person OR (approved_by IS NOT NULL AND approved_by <> actor)"
        )
    _drafts()


def downgrade() -> None:
    op.drop_table("tariff_draft")
    with op.batch_alter_table("tariff") as batch:
        batch.drop_constraint("two_people", type_="check")
        for column in ("one_person", "approved_by"):
            batch.drop_column(column)


def _drafts() -> None:
    op.create_table(
        "tariff_draft",
        sa.Column("id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("service", "version")),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("content", "capacities", "report", "source")),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("drafted_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.Column("closed_by", sa.Text, nullable=True),
        sa.Column("closed_because", sa.Text, nullable=True),
        sa.Column("one_person", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("state IN ('open', 'approved', 'withdrawn')", name="state"),
        sa.CheckConstraint("(state = 'open') = (closed_by IS NULL)", name="closed_by"),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed_at"),
        sa.CheckConstraint("state <> 'approved' OR one_person OR closed_by <> author", name="two_people"),
    )
    op.create_index(
        "ix_tariff_draft_open",
        "tariff_draft",
        ["service", "version"],
        unique=True,
        sqlite_where=sa.text("state = 'open'"),
        postgresql_where=sa.text("state = 'open'"),
    )
