"""Imports of pupils, and what each changed.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    op.create_table(
        "import_run",
        sa.Column("id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("school", "file")),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("joined", "changed", "departed")),
        sa.Column("undone_by", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_import_run_school_at", "import_run", ["school", "at"])
    op.create_table(
        "import_change",
        *(sa.Column(name, sa.Uuid, nullable=False) for name in ("run_id", "cardholder_id")),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("before", sa.LargeBinary, nullable=True),
        sa.PrimaryKeyConstraint("run_id", "cardholder_id"),
        sa.ForeignKeyConstraint(["run_id"], ["import_run.id"]),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.CheckConstraint("what IN ('joined', 'changed', 'left')", name="what"),
    )
    op.create_index("ix_import_change_cardholder_id", "import_change", ["cardholder_id"])


def downgrade() -> None:
    op.drop_table("import_change")
    op.drop_table("import_run")
