"""Refused messages whose goods are gone, with their bytes; and how much each terminal had refused."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from cardservice.database import BigSerial, UtcDateTime, metadata

# By terminal, id and hash, and no key of the ledger: it takes no id. No foreign keys, as of security events.
quarantine = Table(
    "quarantine",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("terminal_id", Text, nullable=False),
    # The nil UUID where the message was too malformed to have one.
    Column("transaction_id", Uuid, nullable=False),
    # SHA-256 of what the card signed, or of the bytes where they could not be read.
    Column("body", LargeBinary, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("code", Text, nullable=False),
    Column("detail", Text, nullable=False),
    # An entry of a chunk (docs/api.md), encrypted (`sealing`): it tells where somebody was.
    Column("sealed", LargeBinary, nullable=False),
    Column("state", Text, CheckConstraint("state IN ('held', 'dismissed')", name="state"), nullable=False),
    Column("closed_at", UtcDateTime, nullable=True),
    Column("closed_by", Text, nullable=True),
    Column("closed_because", Text, nullable=True),
    # Under which cardholder's key (`cardholder_key`); NULL: of no known card, under the key-encryption key.
    Column("key_id", Uuid, nullable=True, index=True),
    UniqueConstraint("terminal_id", "transaction_id", "body"),
    CheckConstraint(
        "(state = 'held') = (closed_at IS NULL)"
        " AND (closed_at IS NULL) = (closed_by IS NULL)"
        " AND (closed_at IS NULL) = (closed_because IS NULL)",
        name="closed",
    ),
)
Index(None, quarantine.c.state, quarantine.c.at)

# One row for a terminal and a day, however much it sends: the rest is only counted.
refusal_tally = Table(
    "refusal_tally",
    metadata,
    Column("terminal_id", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("refused", BigInteger, nullable=False),
    # What quarantine had no room for.
    Column("not_kept", BigInteger, nullable=False),
)
