"""What ratings, payments and resources keep beside the ledger's rows: mostly what may be there only once."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from cardservice.database import JsonDocument, UtcDateTime, metadata
from cardservice.ledger.models import ledger_transaction, payer_state

# A day's charge and which taps it is for; the newest revision says what the day should cost.
rating = Table(
    "rating",
    metadata,
    Column("payer_id", Uuid, primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    # The person's key, as in transaction_proof: erasing the person unlinks it.
    Column("key_id", Uuid, nullable=False),
    Column("service", Text, nullable=False),
    Column("travel_day", Date, nullable=False),
    Column("revision", Integer, CheckConstraint("revision > 0", name="revision"), nullable=False),
    # The revision before it; NULL for the first.
    Column("follows", Integer, nullable=True),
    Column(
        "should_be_minor", BigInteger, CheckConstraint("should_be_minor >= 0", name="amount"), nullable=False
    ),
    # The ids of the taps' transactions, in the order in which they were rated.
    Column("taps", JsonDocument, nullable=False),
    # It is inserted before its transaction, whose trigger looks for it.
    ForeignKeyConstraint(
        ["payer_id", "transaction_id"],
        [ledger_transaction.c.payer_id, ledger_transaction.c.id],
        deferrable=True,
        initially="DEFERRED",
    ),
    # Rated once: what two workers make of one day cannot both be charged.
    UniqueConstraint("payer_id", "key_id", "service", "travel_day", "revision", name="uq_rating_revision"),
    # No revision is left out, so that each difference starts where the one before it ended.
    ForeignKeyConstraint(
        ["payer_id", "key_id", "service", "travel_day", "follows"],
        [
            "rating.payer_id",
            "rating.key_id",
            "rating.service",
            "rating.travel_day",
            "rating.revision",
        ],
        name="fk_rating_follows",
    ),
    CheckConstraint("(revision = 1) = (follows IS NULL)", name="first_follows_nothing"),
    CheckConstraint("follows = revision - 1", name="follows_the_one_before"),
)

# By what a payment provider calls a payment, a refund or a dispute: posted once, however often it is told.
payment_reference = Table(
    "payment_reference",
    metadata,
    Column("provider", Text, primary_key=True),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('topup', 'repayment', 'chargeback')", name="kind"),
        primary_key=True,
    ),
    Column("reference", Text, CheckConstraint("reference <> ''", name="reference"), primary_key=True),
    Column("payer_id", Uuid, nullable=False),
    Column("transaction_id", Uuid, nullable=False),
    ForeignKeyConstraint(
        ["payer_id", "transaction_id"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]
    ),
)
Index("ix_payment_reference_transaction", payment_reference.c.payer_id, payment_reference.c.transaction_id)

# What there is only so much of: a copy of a book, a place of a session, a permit.
resource = Table(
    "resource",
    metadata,
    Column("service", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("capacity", BigInteger, CheckConstraint("capacity >= 0", name="capacity"), nullable=False),
    # What reservations hold of it that have not been released.
    Column("taken", BigInteger, nullable=False, server_default=text("0")),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("taken >= 0 AND taken <= capacity", name="taken"),
)

reservation = Table(
    "reservation",
    metadata,
    # Of the transaction that it is claimed for, which is posted only after that.
    Column("transaction_id", Uuid, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), nullable=False),
    Column("quantity", BigInteger, CheckConstraint("quantity > 0", name="quantity"), nullable=False),
    Column(
        "state",
        Text,
        CheckConstraint("state IN ('held', 'confirmed', 'released')", name="state"),
        nullable=False,
    ),
    Column("held_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["service", "key"], [resource.c.service, resource.c.key]),
)
Index(
    "ix_reservation_held",
    reservation.c.expires_at,
    postgresql_where=reservation.c.state == text("'held'"),
    sqlite_where=reservation.c.state == text("'held'"),
)
