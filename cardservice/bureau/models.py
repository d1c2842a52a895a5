"""Bureaux that make cards, and which orders each of them has."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
)

from cardservice.cards.models import personalisation_order
from cardservice.database import UtcDateTime, metadata

bureau = Table(
    "bureau",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    # P-256, as uncompressed points: what its files are signed with, and what its orders are sealed for
    Column("signing_key", LargeBinary, nullable=False),
    Column("sealing_key", LargeBinary, nullable=False),
    # Where its blanks are counted, if they are ours
    Column("place_id", Text, nullable=True),
    Column("product", Text, nullable=True),
    CheckConstraint("(place_id IS NULL) = (product IS NULL)", name="blanks"),
    ForeignKeyConstraint(["place_id", "product"], ["blank_stock.place_id", "blank_stock.product"]),
)

bureau_batch = Table(
    "bureau_batch",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("bureau_id", Text, ForeignKey(bureau.c.id), nullable=False),
    Column(
        "send_to",
        Text,
        CheckConstraint("send_to IN ('holder', 'school', 'desk')", name="send_to"),
        nullable=False,
    ),
    Column("made_at", UtcDateTime, nullable=False),
    Column("made_by", Text, nullable=False),
)

# An order is with one bureau at most, once.
bureau_item = Table(
    "bureau_item",
    metadata,
    Column("order_id", Uuid, ForeignKey(personalisation_order.c.id), primary_key=True),
    Column("batch_id", Uuid, ForeignKey(bureau_batch.c.id), nullable=False),
    Column("number", Integer, CheckConstraint("number > 0", name="number"), nullable=False),
)
Index(None, bureau_item.c.batch_id, bureau_item.c.number, unique=True)
