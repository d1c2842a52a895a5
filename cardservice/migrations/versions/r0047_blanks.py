"""Stock of blank cards: places, deliveries, movements, and counts that are the movements' sums.

Revision ID: 0047
Revises: 0045
"""

from importlib.resources import files

import sqlalchemy as sa
from alembic import op

from cardservice.database import BigSerial, UtcDateTime

revision = "0047"
down_revision = "0045"

_WHY = "why IN ('delivered', 'moved', 'made', 'spoiled', 'counted')"
_ENDS = (
    "CASE why WHEN 'delivered' THEN source IS NULL AND target IS NOT NULL"
    " WHEN 'moved' THEN source IS NOT NULL AND target IS NOT NULL AND source <> target"
    " WHEN 'counted' THEN (source IS NULL) <> (target IS NULL)"
    " ELSE source IS NOT NULL AND target IS NULL END"
)
_STOCK = ["blank_stock.place_id", "blank_stock.product"]


def upgrade() -> None:
    op.create_table(
        "blank_place",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("id", "name")),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "blank_stock",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("place_id", "product")),
        *(sa.Column(name, sa.Integer, nullable=False, server_default="0") for name in ("count", "low_below")),
        sa.PrimaryKeyConstraint("place_id", "product"),
        sa.ForeignKeyConstraint(["place_id"], ["blank_place.id"]),
        *(sa.CheckConstraint(f"{name} >= 0", name=name) for name in ("count", "low_below")),
    )
    _deliveries_and_movements()
    _stocktakes()
    op.create_table(
        "blank_desk",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("terminal_id", "place_id", "product")),
        sa.PrimaryKeyConstraint("terminal_id"),
        sa.ForeignKeyConstraint(["terminal_id"], ["terminal.id"]),
        sa.ForeignKeyConstraint(["place_id", "product"], _STOCK),
    )
    file = files("cardservice.blanks").joinpath(f"stock_{op.get_bind().dialect.name}.sql")
    for statement in file.read_text().split("\n-- next\n"):
        op.get_bind().exec_driver_sql(statement, execution_options={"no_parameters": True})


def downgrade() -> None:
    for table in ("blank_desk", "blank_stocktake", "blank_movement", "blank_delivery", "blank_stock"):
        op.drop_table(table)
    op.drop_table("blank_place")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION count_blanks")
        op.execute("DROP FUNCTION check_blank_count")


def _deliveries_and_movements() -> None:
    op.create_table(
        "blank_delivery",
        sa.Column("id", sa.Uuid, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("supplier", "product", "note")),
        sa.Column("count", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=True) for name in ("first_number", "last_number")),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("received_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("count > 0", name="count"),
        sa.CheckConstraint("(first_number IS NULL) = (last_number IS NULL)", name="numbers"),
        sa.CheckConstraint("length(first_number) = length(last_number)", name="length"),
        sa.CheckConstraint("first_number <= last_number", name="range"),
    )
    op.create_table(
        "blank_movement",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        sa.Column("product", sa.Text, nullable=False),
        *(sa.Column(name, sa.Text, nullable=True) for name in ("source", "target")),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("delivery_id", sa.Uuid, nullable=True),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("moved_at", UtcDateTime, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["delivery_id"], ["blank_delivery.id"]),
        *(sa.ForeignKeyConstraint([name, "product"], _STOCK) for name in ("source", "target")),
        sa.CheckConstraint("count > 0", name="count"),
        sa.CheckConstraint(_WHY, name="why"),
        sa.CheckConstraint(_ENDS, name="ends"),
        sa.CheckConstraint("(why = 'delivered') = (delivery_id IS NOT NULL)", name="delivered"),
    )
    for end in ("source", "target"):
        op.create_index(f"ix_blank_movement_product_{end}", "blank_movement", ["product", end])


def _stocktakes() -> None:
    op.create_table(
        "blank_stocktake",
        sa.Column("id", BigSerial, sa.Identity(), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("place_id", "product")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("expected", "counted")),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("movement_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=True),
        sa.Column("counted_at", UtcDateTime, nullable=False),
        sa.Column("counted_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["place_id", "product"], _STOCK),
        sa.ForeignKeyConstraint(["movement_id"], ["blank_movement.id"]),
        sa.CheckConstraint("counted >= 0", name="counted"),
        sa.CheckConstraint("(expected = counted) = (movement_id IS NULL)", name="difference"),
    )
