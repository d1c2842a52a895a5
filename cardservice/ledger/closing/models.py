"""The tables of what follows the commit. One worker writes them; no posting ever touches them."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from cardservice.database import UtcDateTime, metadata
from cardservice.ledger.models import ledger_transaction

# A restore begins a new epoch: numbers that were given and lost are not given again.
ledger_epoch = Table(
    "ledger_epoch",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, CheckConstraint("epoch >= 0", name="epoch"), primary_key=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
)

# How far the worker has come. Its row is the worker's lock.
ledger_position = Table(
    "ledger_position",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
    # The last number given in this epoch
    Column("sequence", BigInteger, nullable=False),
    # What lies below has its number: of posted_xid on PostgreSQL, of rows on SQLite
    Column("posted_below", BigInteger, nullable=False),
    # The day on which the next entry settles at the earliest
    Column("open_day", Date, nullable=False),
    ForeignKeyConstraint(["shard", "epoch"], [ledger_epoch.c.shard, ledger_epoch.c.epoch]),
)

ledger_sequence = Table(
    "ledger_sequence",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column(
        "sequence",
        BigInteger,
        CheckConstraint("sequence > 0", name="sequence"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("payer_id", Uuid, nullable=False),
    Column("transaction_id", Uuid, nullable=False),
    Column("settled_on", Date, nullable=False),
    # It occurred before the day on which it settles.
    Column("late", Boolean, nullable=False),
    ForeignKeyConstraint(
        ["payer_id", "transaction_id"], [ledger_transaction.c.payer_id, ledger_transaction.c.id]
    ),
    UniqueConstraint("payer_id", "transaction_id"),
)
Index(
    "ix_ledger_sequence_payer_id_settled_on",
    ledger_sequence.c.payer_id,
    ledger_sequence.c.settled_on,
    ledger_sequence.c.epoch,
    ledger_sequence.c.sequence,
)
Index("ix_ledger_sequence_settled_on", ledger_sequence.c.settled_on)
# A transaction by its id alone. Here and not beside the transaction: no sale waits for this index.
Index("ix_ledger_sequence_transaction_id", ledger_sequence.c.transaction_id)

# Sums of the providers' and the scheme's accounts by the day of settlement; payers' accounts have rows.
account_rollup = Table(
    "account_rollup",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("account", Text, primary_key=True),
    Column("unit", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("debit_minor", BigInteger, CheckConstraint("debit_minor >= 0", name="debit"), nullable=False),
    Column("credit_minor", BigInteger, CheckConstraint("credit_minor >= 0", name="credit"), nullable=False),
)

day_seal = Table(
    "day_seal",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    # In the order of the chain, without gap
    Column(
        "number",
        BigInteger,
        CheckConstraint("number > 0", name="number"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("epoch", Integer, nullable=False),
    Column("day", Date, nullable=False),
    # The entries after this one, so many, are the leaves.
    Column("after_sequence", BigInteger, nullable=False),
    Column("size", BigInteger, CheckConstraint("size >= 0", name="size"), nullable=False),
    Column("root", LargeBinary, nullable=False),
    # The COSE_Sign1 that is published
    Column("signed", LargeBinary, nullable=False),
    Column("sealed_at", UtcDateTime, nullable=False),
    ForeignKeyConstraint(["shard", "epoch"], [ledger_epoch.c.shard, ledger_epoch.c.epoch]),
    UniqueConstraint("shard", "epoch", "day"),
)

# A leaf commits to an entry under a salt. Without it nobody can tell of what; the tree stays.
sealed_leaf = Table(
    "sealed_leaf",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=True),
    Column("hash", LargeBinary, nullable=False),
    Column("erased_at", UtcDateTime, nullable=True),
    # Of the details and the answer as they were sealed; None where there were none, or before revision 0015.
    Column("details_sha256", LargeBinary, nullable=True),
    # The service's signature that it has erased the salt itself
    Column("tombstone", LargeBinary, nullable=True),
    ForeignKeyConstraint(
        ["shard", "epoch", "sequence"],
        [ledger_sequence.c.shard, ledger_sequence.c.epoch, ledger_sequence.c.sequence],
    ),
    CheckConstraint("(salt IS NULL) = (erased_at IS NOT NULL)", name="erased"),
)
