"""Accounts of staff, what waits for a second person, and the links that chain the audit trail.

Revision ID: 0032
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import JsonDocument, UtcDateTime

revision = "0032"
down_revision = "0029"


def upgrade() -> None:
    _staff()
    _links()


def downgrade() -> None:
    for table in ("audit_head", "audit_link", "second_person", "staff_role", "staff"):
        op.drop_table(table)


def _staff() -> None:
    op.create_table(
        "staff",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("os_user", sa.Text, nullable=True, unique=True),
        sa.Column("provider_id", sa.Text, sa.ForeignKey("provider.id"), nullable=True),
        sa.Column("is_active", sa.Boolean, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "staff_role",
        sa.Column("staff_id", sa.Text, sa.ForeignKey("staff.id"), primary_key=True),
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("given_at", UtcDateTime, nullable=False),
        sa.Column("given_by", sa.Text, nullable=False),
    )
    op.create_table(
        "second_person",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("detail", JsonDocument, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.Column("asked_at", UtcDateTime, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("closed_by", sa.Text, nullable=True),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.CheckConstraint("state IN ('open', 'agreed', 'withdrawn')", name="state"),
        sa.CheckConstraint(
            "state <> 'agreed' OR (closed_by IS NOT NULL AND closed_by <> asked_by)", name="two_people"
        ),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    )


def _links() -> None:
    op.create_table(
        "audit_link",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("audit_id", sa.BigInteger, sa.ForeignKey("audit.id"), nullable=False, unique=True),
        sa.Column("salt", sa.LargeBinary, nullable=True),
        sa.Column("subject_sha256", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("id = 1", name="one"),
    )
    op.bulk_insert(head, [{"id": 1, "sequence": 0, "sha256": bytes(32)}])
