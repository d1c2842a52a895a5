"""Cards, the history of their states, and the orders to personalise them."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    Uuid,
)

from cardservice.cardholders.models import cardholder
from cardservice.database import BigSerial, UtcDateTime, metadata

# The id is the GUID in the card's CHUID (SP 800-73-5 part 1, 3.1.2).
card = Table(
    "card",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# The state as of a moment is that of the last row by (valid_from, id) that is not after it.
card_state = Table(
    "card_state",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("card_id", Uuid, ForeignKey(card.c.id), nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint(
            "state IN ('stock', 'ordered', 'personalised', 'dispatched', 'active', 'suspended', 'lost',"
            " 'stolen', 'damaged', 'expired', 'withdrawn', 'revoked')",
            name="state",
        ),
        nullable=False,
    ),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
)
Index(None, card_state.c.card_id, card_state.c.valid_from)

personalisation_order = Table(
    "personalisation_order",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("card_id", Uuid, ForeignKey(card.c.id), nullable=False, unique=True),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('open', 'certified', 'done', 'failed')", name="state"),
        nullable=False,
    ),
    Column("created_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

# What a card says of itself to a terminal that sees no certificate; of the cards whose desk could read it.
card_uid = Table(
    "card_uid",
    metadata,
    Column("card_id", Uuid, ForeignKey(card.c.id), primary_key=True),
    Column("uid", LargeBinary, nullable=False, unique=True),
    # The card's place in the status list, as its certificates name it
    Column("status_index", BigInteger, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False, index=True),
)
