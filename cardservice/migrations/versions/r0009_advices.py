"""What advices need: terminals' terms with their dates, quarantine with its bytes and bounds.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import BigSerial, UtcDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    _terms()
    _quarantine()
    op.create_table(
        "refusal_tally",
        sa.Column("terminal_id", sa.Text, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("refused", sa.BigInteger, nullable=False),
        sa.Column("not_kept", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("terminal_id", "day"),
    )


def downgrade() -> None:
    for table in ("refusal_tally", "quarantine", "terminal_terms"):
        op.drop_table(table)


def _terms() -> None:
    op.create_table(
        "terminal_terms",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("terminal_id", sa.Text, nullable=False),
        sa.Column("valid_from", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("offline_limit_minor", sa.BigInteger, nullable=True),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminal.id"]),
        sa.CheckConstraint("offline_limit_minor >= 0", name="offline_limit_minor"),
    )
    op.create_index(
        "ix_terminal_terms_terminal_id_valid_from", "terminal_terms", ["terminal_id", "valid_from"]
    )
    # What a terminal may do had no date before: it holds from its registration on.
    op.execute(
        "INSERT INTO terminal_terms (terminal_id, valid_from, recorded_at, role, offline_limit_minor, actor)"
        " SELECT id, created_at, created_at, role, offline_limit_minor, 'migration' FROM terminal"
    )


def _quarantine() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("terminal_id", sa.Text, nullable=False),
        sa.Column("transaction_id", sa.Uuid, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("closed_at", UtcDateTime, nullable=True),
        sa.Column("closed_by", sa.Text, nullable=True),
        sa.Column("closed_because", sa.Text, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("terminal_id", "transaction_id", "body"),
        sa.CheckConstraint("state IN ('held', 'dismissed')", name="state"),
        sa.CheckConstraint(
            "(state = 'held') = (closed_at IS NULL)"
            " AND (closed_at IS NULL) = (closed_by IS NULL)"
            " AND (closed_at IS NULL) = (closed_because IS NULL)",
            name="closed",
        ),
    )
    op.create_index("ix_quarantine_state_at", "quarantine", ["state", "at"])
