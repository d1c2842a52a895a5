"""Applications, and the proofs that were seen; a card that is for a visit that is to come.

Revision ID: 0034
Revises: 0033
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    op.add_column("card", sa.Column("usable_from", sa.Date, nullable=True))
    op.create_table(
        "application",
        *(sa.Column(name, sa.Uuid, nullable=False) for name in ("id", "cardholder_id")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "state")),
        sa.Column("applied_at", UtcDateTime, nullable=False),
        *(sa.Column(name, sa.Date, nullable=True) for name in ("first_day", "last_day")),
        sa.Column("decided_at", UtcDateTime, nullable=True),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("reason", sa.LargeBinary, nullable=True),
        sa.Column("card_id", sa.Uuid, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.ForeignKeyConstraint(["card_id"], ["card.id"]),
        sa.UniqueConstraint("card_id"),
        sa.CheckConstraint("kind IN ('citizen', 'young-citizen', 'visitor')", name="kind"),
        sa.CheckConstraint("state IN ('open', 'approved', 'refused', 'withdrawn')", name="state"),
        sa.CheckConstraint(
            "(kind = 'visitor') = (first_day IS NOT NULL) AND (first_day IS NULL) = (last_day IS NULL)",
            name="visit",
        ),
        sa.CheckConstraint("last_day >= first_day", name="last_day"),
        sa.CheckConstraint(
            "(state = 'open') = (decided_at IS NULL) AND (decided_at IS NULL) = (decided_by IS NULL)",
            name="decided",
        ),
        sa.CheckConstraint("(state = 'approved') = (card_id IS NOT NULL)", name="approved"),
        sa.CheckConstraint("(state = 'refused') = (reason IS NOT NULL)", name="refused"),
    )
    op.create_index("ix_application_cardholder_id", "application", ["cardholder_id"])
    is_open = sa.text("state = 'open'")
    op.create_index(
        "ix_application_open",
        "application",
        ["cardholder_id", "kind"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "proof",
        *(sa.Column(name, sa.Uuid, nullable=False) for name in ("id", "cardholder_id")),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("seen_by", sa.Text, nullable=False),
        sa.Column("seen_at", UtcDateTime, nullable=False),
        sa.Column("review_on", sa.Date, nullable=True),
        sa.Column("ended_at", UtcDateTime, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["cardholder_id"], ["cardholder.id"]),
        sa.CheckConstraint("ended_at >= seen_at", name="ended_at"),
    )
    op.create_index("ix_proof_cardholder_id", "proof", ["cardholder_id"])
    op.create_index("ix_proof_review_on", "proof", ["review_on"])


def downgrade() -> None:
    op.drop_table("proof")
    op.drop_table("application")
    op.drop_column("card", "usable_from")
