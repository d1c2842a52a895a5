"""Bureaux that make cards, and which orders each of them has.

Revision ID: 0048
Revises: 0047
"""

import sqlalchemy as sa
from alembic import op

from cardservice.database import UtcDateTime

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    op.create_table(
        "bureau",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "name")),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("signing_key", "sealing_key")),
        *(sa.Column(name, sa.Text, nullable=True) for name in ("place_id", "product")),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("(place_id IS NULL) = (product IS NULL)", name="blanks"),
        sa.ForeignKeyConstraint(["place_id", "product"], ["blank_stock.place_id", "blank_stock.product"]),
    )
    op.create_table(
        "bureau_batch",
        sa.Column("id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("bureau_id", "send_to")),
        sa.Column("made_at", UtcDateTime, nullable=False),
        sa.Column("made_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["bureau_id"], ["bureau.id"]),
        sa.CheckConstraint("send_to IN ('holder', 'school', 'desk')", name="send_to"),
    )
    op.create_table(
        "bureau_item",
        *(sa.Column(name, sa.Uuid, nullable=False) for name in ("order_id", "batch_id")),
        sa.Column("number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("order_id"),
        sa.ForeignKeyConstraint(["order_id"], ["personalisation_order.id"]),
        sa.ForeignKeyConstraint(["batch_id"], ["bureau_batch.id"]),
        sa.CheckConstraint("number > 0", name="number"),
    )
    op.create_index("ix_bureau_item_batch_id_number", "bureau_item", ["batch_id", "number"], unique=True)


def downgrade() -> None:
    for table in ("bureau_item", "bureau_batch", "bureau"):
        op.drop_table(table)
