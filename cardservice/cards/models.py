"""Cards, the history of their states, and the orders to personalise them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)

from cardservice.cardholders.models import cardholder
from cardservice.database import BigSerial, UtcDateTime, metadata

_STATES = (
    "state IN ('stock', 'ordered', 'personalised', 'dispatched', 'active', 'suspended', 'lost',"
    " 'stolen', 'damaged', 'expired', 'withdrawn', 'revoked')"
)

# The id is the GUID in the card's CHUID (SP 800-73-5 part 1, 3.1.2).
card = Table(
    "card",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("expires_on", Date, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # The latest of its states. Triggers set it, and nothing else can.
    Column("state", Text, CheckConstraint(_STATES, name="state"), nullable=False, server_default="stock"),
    # The card whose place it takes when it comes into use.
    Column("replaces", Uuid, ForeignKey("card.id"), nullable=True),
    # It does not come into use before; of a visit that is to come.
    Column("usable_from", Date, nullable=True),
)
# Nobody has two cards of a kind in use.
_IN_USE = text("state IN ('active', 'suspended')")
Index(
    "ix_card_in_use",
    card.c.cardholder_id,
    card.c.kind,
    unique=True,
    sqlite_where=_IN_USE,
    postgresql_where=_IN_USE,
)

# Which state leads to which: `states.LEADS_TO`, for the triggers.
card_transition = Table(
    "card_transition",
    metadata,
    Column("state", Text, primary_key=True),
    Column("next", Text, primary_key=True),
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
        CheckConstraint(_STATES, name="state"),
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
    # Handed over at the desk, or sent and then activated by its holder.
    Column(
        "delivery",
        Text,
        CheckConstraint("delivery IN ('desk', 'post')", name="delivery"),
        nullable=False,
        server_default="desk",
    ),
)

# What the letter beside a card says, once it was sent; gone when the card is activated.
card_activation = Table(
    "card_activation",
    metadata,
    Column("card_id", Uuid, ForeignKey(card.c.id), primary_key=True),
    Column("code_mac", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column(
        "attempts_left",
        SmallInteger,
        CheckConstraint("attempts_left >= 0", name="attempts_left"),
        nullable=False,
    ),
)

# A card that is lent for a day, and the one that was left at home.
temporary_card = Table(
    "temporary_card",
    metadata,
    Column("card_id", Uuid, ForeignKey(card.c.id), primary_key=True),
    Column("acts_for", Uuid, ForeignKey(card.c.id), nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    # Taken back, or over
    Column("ended_at", UtcDateTime, nullable=True),
    CheckConstraint("card_id <> acts_for", name="acts_for"),
)
_LENT = temporary_card.c.ended_at.is_(None)
Index("ix_temporary_card_due_at", temporary_card.c.due_at, sqlite_where=_LENT, postgresql_where=_LENT)

# That somebody told that a card is lost, and whether they knew what its holder knows; never what they said.
loss_report = Table(
    "loss_report",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("card_id", Uuid, ForeignKey(card.c.id), nullable=False),
    Column("told_at", UtcDateTime, nullable=False),
    Column(
        "channel",
        Text,
        CheckConstraint("channel IN ('phone', 'web', 'kiosk')", name="channel"),
        nullable=False,
    ),
    Column("verified", Boolean, nullable=False),
    Column("told_to", Text, nullable=False),
)
Index(None, loss_report.c.card_id, loss_report.c.told_at)

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
