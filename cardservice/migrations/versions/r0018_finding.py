"""Counters that stand under something that can be looked for are found by it.

Revision ID: 0018
Revises: 0016
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"

_INDEX = "ix_counter_looked_for"


def upgrade() -> None:
    op.create_index(
        _INDEX,
        "counter",
        ["rule", "period"],
        postgresql_where=sa.text("period LIKE '%/%'"),
        sqlite_where=sa.text("period LIKE '%/%'"),
        # What a period begins with is looked for, in whatever order the database sorts words.
        postgresql_ops={"period": "text_pattern_ops"},
    )


def downgrade() -> None:
    op.drop_index(_INDEX, "counter")
