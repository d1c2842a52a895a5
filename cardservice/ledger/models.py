"""The ledger's tables. Every key leads with the payer, so that all that a posting touches lies together.

A transaction is kept in three tables: what the finance period needs, under the payer's pseudonym; the card's
proof, encrypted under a key per cardholder; and details, which are erased when their retention ends.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement

from cardservice.cardholders.models import cardholder
from cardservice.database import JsonDocument, UtcDateTime, Xid8, metadata


class CurrentTransaction(ColumnElement[int]):
    """The running database transaction's number; 0 on SQLite, where rows are in the order of commits."""

    inherit_cache = True


compiles(CurrentTransaction, "postgresql")(lambda *_, **__: "pg_current_xact_id()")
compiles(CurrentTransaction, "sqlite")(lambda *_, **__: "0")


# With room on its page a row is changed in place, and its index is left alone (PostgreSQL, "HOT updates").
CHANGED_BY_SALES: dict[str, Any] = {"postgresql_with": {"fillfactor": 70}}

payer = Table(
    "payer",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, CheckConstraint("kind IN ('person', 'family')", name="kind"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

# The lock. Everything that a rule may look at changes only while this row is locked, and with its version.
payer_state = Table(
    "payer_state",
    metadata,
    Column("payer_id", Uuid, ForeignKey(payer.c.id), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    **CHANGED_BY_SALES,
)

cardholder_payer = Table(
    "cardholder_payer",
    metadata,
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), primary_key=True),
    Column("valid_from", UtcDateTime, primary_key=True),
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), nullable=False, index=True),
    Column("recorded_at", UtcDateTime, nullable=False),
    CheckConstraint("valid_from >= recorded_at", name="never_backdated"),
)

account = Table(
    "account",
    metadata,
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), primary_key=True),
    Column(
        "kind",
        Text,
        CheckConstraint("kind IN ('prepaid', 'arrears', 'card_value', 'points', 'reserved')", name="kind"),
        primary_key=True,
    ),
    # The value on a card names the card and its application; both are '' for every other kind.
    Column("card_id", Text, primary_key=True, server_default=""),
    Column("application", Text, primary_key=True, server_default=""),
    Column("unit", Text, nullable=False),
    # What the payer has; what the payer owes is negative.
    Column("balance", BigInteger, nullable=False, server_default=text("0")),
    Column("floor", BigInteger, nullable=True),
    CheckConstraint("floor IS NULL OR balance >= floor", name="floor"),
    CheckConstraint("(kind = 'arrears') = (floor IS NULL)", name="only_arrears_without_floor"),
    CheckConstraint("kind <> 'arrears' OR balance <= 0", name="arrears_are_owed"),
    # Points never become money: no account of money takes them, and none of points takes anything else.
    CheckConstraint("(kind = 'points') = (unit = 'points')", name="points_are_no_money"),
    CheckConstraint(
        "(kind = 'card_value') = (card_id <> '' AND application <> '')", name="card_value_names_card"
    ),
    **CHANGED_BY_SALES,
)

payer_limit = Table(
    "payer_limit",
    metadata,
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), primary_key=True),
    Column("id", Uuid, primary_key=True),
    # NULL: for every cardholder of the payer.
    Column("cardholder_id", Uuid, nullable=True),
    Column("rule", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
)

# What a limit is compared with: a family's limit adds up its cardholders' rows.
counter = Table(
    "counter",
    metadata,
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), primary_key=True),
    Column("cardholder_id", Uuid, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("used", BigInteger, CheckConstraint("used >= 0", name="used"), nullable=False),
    **CHANGED_BY_SALES,
)
# Of those that stand under something that can be looked for, such as a vehicle, and of no others.
_LOOKED_FOR = text("period LIKE '%/%'")
Index(
    "ix_counter_looked_for",
    counter.c.rule,
    counter.c.period,
    postgresql_where=_LOOKED_FOR,
    sqlite_where=_LOOKED_FOR,
    postgresql_ops={"period": "text_pattern_ops"},
)

# Statement, card and evidence, encrypted under the cardholder's key: destroying the key erases them. The rows
# are never changed, so they name the key and not whose it is.
transaction_proof = Table(
    "transaction_proof",
    metadata,
    Column("payer_id", Uuid, primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    Column("key_id", Uuid, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("ciphertext", LargeBinary, nullable=False),
    # On PostgreSQL its transaction has the same payer, whose state is looked for once (docs/adr/0059).
    ForeignKeyConstraint(["payer_id"], [payer_state.c.payer_id]).ddl_if(dialect="sqlite"),
)

# No foreign keys to terminals and providers: the hot path takes no lock outside the payer.
ledger_transaction = Table(
    "ledger_transaction",
    metadata,
    Column("payer_id", Uuid, ForeignKey(payer_state.c.payer_id), primary_key=True),
    Column("id", Uuid, primary_key=True),
    Column(
        "origin",
        Text,
        CheckConstraint("origin IN ('card', 'staff', 'payment', 'rating', 'system')", name="origin"),
        nullable=False,
    ),
    Column(
        "kind",
        Text,
        CheckConstraint(
            "kind IN ('request', 'advice', 'annul', 'tombstone', 'refund', 'goodwill', 'rating', 'topup',"
            " 'repayment', 'chargeback', 'carry_over')",
            name="kind",
        ),
        nullable=False,
    ),
    Column("terminal_id", Text, nullable=True),
    Column("sequence", BigInteger, nullable=True),
    Column("provider_id", Text, nullable=True),
    Column("service", Text, nullable=True),
    Column("action", Text, nullable=True),
    Column(
        "decision",
        Text,
        CheckConstraint("decision IN ('approved', 'declined', 'annulled', 'duplicate')", name="decision"),
        nullable=False,
    ),
    Column("reason", Text, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor >= 0", name="amount"), nullable=True),
    Column("unit", Text, nullable=False),
    Column("tariff_version", Text, nullable=True),
    Column("offline", Boolean, nullable=False),
    Column("flags", JsonDocument, nullable=False),
    Column("replaces", Uuid, nullable=True),
    Column("duplicate_of", Uuid, nullable=True),
    Column("annuls", Uuid, nullable=True),
    # SHA-256 of what was asked; a tombstone stands for an id whose request has not been seen.
    Column("body", LargeBinary, nullable=True),
    Column("occurred_at", UtcDateTime, nullable=False),
    Column("posted_at", UtcDateTime, nullable=False),
    # Ids and clocks are not in the order of commits; below the oldest running number, this is.
    Column("posted_xid", Xid8, nullable=False, server_default=CurrentTransaction()),
    Column("proof_of", Uuid, nullable=True),
    ForeignKeyConstraint(
        ["payer_id", "proof_of"], [transaction_proof.c.payer_id, transaction_proof.c.transaction_id]
    ),
    CheckConstraint("(origin = 'card') = (proof_of IS NOT NULL)", name="card_has_proof"),
    CheckConstraint("proof_of = id", name="proof_is_its_own"),
    CheckConstraint("(kind = 'tombstone') = (body IS NULL)", name="body"),
    CheckConstraint("kind <> 'tombstone' OR decision = 'annulled'", name="tombstone_is_annulled"),
    CheckConstraint("(decision = 'duplicate') = (duplicate_of IS NOT NULL)", name="duplicate_names_first"),
    CheckConstraint("(kind = 'annul') = (annuls IS NOT NULL)", name="annul_names_transaction"),
    CheckConstraint("(kind = 'rating') = (origin = 'rating')", name="rating_is_rated"),
    CheckConstraint(
        "kind NOT IN ('topup', 'repayment', 'chargeback') OR origin = 'payment'", name="payment_is_paid"
    ),
    CheckConstraint("kind NOT IN ('refund', 'goodwill', 'carry_over') OR origin = 'staff'", name="by_staff"),
)
# Not on SQLite, where rows are in the order of commits themselves.
Index("ix_ledger_transaction_posted_xid", ledger_transaction.c.posted_xid).ddl_if(dialect="postgresql")
_annuls, _duplicate_of = ledger_transaction.c.annuls, ledger_transaction.c.duplicate_of
Index(
    "ix_ledger_transaction_annuls",
    ledger_transaction.c.payer_id,
    _annuls,
    postgresql_where=_annuls.is_not(None),
    sqlite_where=_annuls.is_not(None),
)
Index(
    "ix_ledger_transaction_duplicate_of",
    ledger_transaction.c.payer_id,
    _duplicate_of,
    postgresql_where=_duplicate_of.is_not(None),
    sqlite_where=_duplicate_of.is_not(None),
)

transfer = Table(
    "transfer",
    metadata,
    Column("payer_id", Uuid, primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    Column("line", Integer, CheckConstraint("line > 0", name="line"), primary_key=True, autoincrement=False),
    Column("debit", Text, nullable=False),
    Column("credit", Text, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0", name="amount"), nullable=False),
    Column("unit", Text, nullable=False),
    Column("tax_code", Text, nullable=True),
    Column("tax_rate_bp", Integer, nullable=True),
    Column("net_minor", BigInteger, nullable=True),
    Column("tax_minor", BigInteger, nullable=True),
    Column("supplier", Text, nullable=True),
    Column("reverses_transaction", Uuid, nullable=True),
    Column("reverses_line", Integer, nullable=True),
    ForeignKeyConstraint(
        ["payer_id", "transaction_id"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]
    ),
    ForeignKeyConstraint(
        ["payer_id", "reverses_transaction", "reverses_line"],
        ["transfer.payer_id", "transfer.transaction_id", "transfer.line"],
    ),
    CheckConstraint("debit <> credit", name="two_accounts"),
    CheckConstraint("(net_minor IS NULL) = (tax_minor IS NULL)", name="net_and_tax"),
    CheckConstraint("net_minor + tax_minor = amount_minor", name="net_plus_tax"),
    CheckConstraint("(reverses_transaction IS NULL) = (reverses_line IS NULL)", name="reverses"),
)
_reverses = transfer.c.reverses_transaction
Index(
    "ix_transfer_reverses",
    transfer.c.payer_id,
    _reverses,
    transfer.c.reverses_line,
    postgresql_where=_reverses.is_not(None),
    sqlite_where=_reverses.is_not(None),
)

# Erased row by row when the retention of its class ends; the stored answer goes with it.
transaction_details = Table(
    "transaction_details",
    metadata,
    Column("payer_id", Uuid, primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    Column("retention_class", Text, nullable=False),
    Column("details", JsonDocument, nullable=True),
    Column("salt", LargeBinary, nullable=True),
    Column("answer", JsonDocument, nullable=True),
    ForeignKeyConstraint(
        ["payer_id", "transaction_id"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]
    ),
)

# Whose key it is stands here alone, and no longer once the cardholder was erased.
cardholder_key = Table(
    "cardholder_key",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("cardholder_id", Uuid, ForeignKey(cardholder.c.id), nullable=True, unique=True),
    # Which version of the key-encryption key it is wrapped under.
    Column("kek_version", Integer, nullable=False),
    Column("wrapped", LargeBinary, nullable=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("destroyed_at", UtcDateTime, nullable=True),
    CheckConstraint("(wrapped IS NULL) = (destroyed_at IS NOT NULL)", name="destroyed"),
    CheckConstraint("wrapped IS NULL OR cardholder_id IS NOT NULL", name="nobodys_is_destroyed"),
)

# What is told from a card that was erased when it, or a message of it, turns up: that it was. A hash, so that
# nobody who reads this knows the card; no date, so that it is not found by when anything else ended.
erased_card = Table(
    "erased_card",
    metadata,
    Column("card_sha256", LargeBinary, primary_key=True),
)
