"""What staff sign in with over HTTP, their sessions, and answers to requests that may be sent again.

Revision ID: 0050
Revises: 0049
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    op.create_table(
        "staff_challenge",
        sa.Column("sha256", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "staff_session",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("staff_id", sa.Text, sa.ForeignKey("staff.id"), nullable=False),
        sa.Column("token_sha256", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=True),
        sa.Column("began_at", UtcDateTime, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("ends_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.Column("ended_by", sa.Text, nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended"),
    )
    op.create_index("ix_staff_session_staff_id_ends_at", "staff_session", ["staff_id", "ends_at"])
    op.create_table(
        "staff_passkey",
        sa.Column("credential_id", sa.LargeBinary, primary_key=True),
        sa.Column("id", sa.Uuid, nullable=False, unique=True),
        sa.Column("staff_id", sa.Text, sa.ForeignKey("staff.id"), nullable=False, index=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("attested", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("used_at", UtcDateTime, nullable=True),
    )
    op.create_table(
        "staff_password",
        sa.Column("staff_id", sa.Text, sa.ForeignKey("staff.id"), primary_key=True),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('pending', 'in_force')", name="state"),
            primary_key=True,
        ),
        sa.Column("argon2id", sa.Text, nullable=False),
        sa.Column("sealed_totp", sa.LargeBinary, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("wrong", sa.SmallInteger, nullable=False),
        sa.Column("locked_until", UtcDateTime, nullable=True),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    op.create_table(
        "staff_enrolment",
        sa.Column("staff_id", sa.Text, sa.ForeignKey("staff.id"), primary_key=True),
        sa.Column("first_mac", sa.LargeBinary, nullable=False),
        sa.Column("second_mac", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("attempts_left", sa.SmallInteger, nullable=False),
    )
    op.create_table(
        "staff_request",
        sa.Column("staff_id", sa.Text, sa.ForeignKey("staff.id"), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("request_sha256", sa.LargeBinary, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False, index=True),
    )


def downgrade() -> None:
    for name in (
        "staff_request",
        "staff_enrolment",
        "staff_password",
        "staff_passkey",
        "staff_session",
        "staff_challenge",
    ):
        op.drop_table(name)
