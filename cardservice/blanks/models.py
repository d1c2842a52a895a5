"""Where blank cards lie, what was delivered, and every movement; the counts are the movements' sums."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
)

from cardservice.database import BigSerial, UtcDateTime, metadata
from cardservice.terminals.models import terminal

_WHY = "why IN ('delivered', 'moved', 'made', 'spoiled', 'counted')"
# Each begins or ends outside, but what is moved: a delivery comes from there, what is used up goes there.
_ENDS = (
    "CASE why WHEN 'delivered' THEN source IS NULL AND target IS NOT NULL"
    " WHEN 'moved' THEN source IS NOT NULL AND target IS NOT NULL AND source <> target"
    " WHEN 'counted' THEN (source IS NULL) <> (target IS NULL)"
    " ELSE source IS NOT NULL AND target IS NULL END"
)

blank_place = Table(
    "blank_place",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
)

# What lies where. A trigger counts, on every movement, and nothing else does.
blank_stock = Table(
    "blank_stock",
    metadata,
    Column("place_id", Text, ForeignKey(blank_place.c.id), primary_key=True),
    # The kind of blank: what its supplier calls it
    Column("product", Text, primary_key=True),
    Column(
        "count",
        Integer,
        CheckConstraint("count >= 0", name="count"),
        nullable=False,
        server_default="0",
    ),
    # Below it somebody is to order more
    Column(
        "low_below",
        Integer,
        CheckConstraint("low_below >= 0", name="low_below"),
        nullable=False,
        server_default="0",
    ),
)

blank_delivery = Table(
    "blank_delivery",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("supplier", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("count", Integer, CheckConstraint("count > 0", name="count"), nullable=False),
    # As printed on the blanks, all of the same length, so that text is in their order; None: they have none
    Column("first_number", Text, nullable=True),
    Column("last_number", Text, nullable=True),
    Column("received_at", UtcDateTime, nullable=False),
    Column("received_by", Text, nullable=False),
    CheckConstraint("(first_number IS NULL) = (last_number IS NULL)", name="numbers"),
    CheckConstraint("length(first_number) = length(last_number)", name="length"),
    CheckConstraint("first_number <= last_number", name="range"),
)

# Never changed, never deleted.
blank_movement = Table(
    "blank_movement",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("product", Text, nullable=False),
    Column("source", Text, nullable=True),
    Column("target", Text, nullable=True),
    Column("count", Integer, CheckConstraint("count > 0", name="count"), nullable=False),
    Column("why", Text, CheckConstraint(_WHY, name="why"), nullable=False),
    Column("delivery_id", Uuid, ForeignKey(blank_delivery.c.id), nullable=True),
    Column("note", Text, nullable=False),
    Column("moved_at", UtcDateTime, nullable=False),
    Column("moved_by", Text, nullable=False),
    CheckConstraint(_ENDS, name="ends"),
    CheckConstraint("(why = 'delivered') = (delivery_id IS NOT NULL)", name="delivered"),
    ForeignKeyConstraint(["source", "product"], ["blank_stock.place_id", "blank_stock.product"]),
    ForeignKeyConstraint(["target", "product"], ["blank_stock.place_id", "blank_stock.product"]),
)
# What the counts are compared with.
Index(None, blank_movement.c.product, blank_movement.c.source)
Index(None, blank_movement.c.product, blank_movement.c.target)

# That somebody counted, also where nothing was missing.
blank_stocktake = Table(
    "blank_stocktake",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("place_id", Text, nullable=False),
    Column("product", Text, nullable=False),
    Column("expected", Integer, nullable=False),
    Column("counted", Integer, CheckConstraint("counted >= 0", name="counted"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("movement_id", BigInteger().with_variant(Integer, "sqlite"), nullable=True),
    Column("counted_at", UtcDateTime, nullable=False),
    Column("counted_by", Text, nullable=False),
    CheckConstraint("(expected = counted) = (movement_id IS NULL)", name="difference"),
    ForeignKeyConstraint(["place_id", "product"], ["blank_stock.place_id", "blank_stock.product"]),
    ForeignKeyConstraint(["movement_id"], ["blank_movement.id"]),
)

# Which blanks an issuing desk makes its cards of; of a desk without one nothing is counted.
blank_desk = Table(
    "blank_desk",
    metadata,
    Column("terminal_id", Text, ForeignKey(terminal.c.id), primary_key=True),
    Column("place_id", Text, nullable=False),
    Column("product", Text, nullable=False),
    ForeignKeyConstraint(["place_id", "product"], ["blank_stock.place_id", "blank_stock.product"]),
)
