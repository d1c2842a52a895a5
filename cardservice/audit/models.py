"""What staff did, and what was refused before it could take a transaction's id."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

from cardservice.database import BigSerial, JsonDocument, UtcDateTime, metadata

audit = Table(
    "audit",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("detail", JsonDocument, nullable=False),
)

# Chains the entries, each with the one before it (`chain`).
audit_link = Table(
    "audit_link",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("audit_id", BigInteger, ForeignKey(audit.c.id), nullable=False, unique=True),
    # Gone when the person is erased whom the entry was about.
    Column("salt", LargeBinary, nullable=True),
    Column("subject_sha256", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
)

# One row: where the chain ends. Who lengthens it holds it.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, CheckConstraint("id = 1", name="one"), primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
)

# No foreign keys: the terminal may be unknown, and the transaction was posted to nobody.
security_event = Table(
    "security_event",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("code", Text, nullable=False),
    Column("terminal_id", Text, nullable=True),
    Column("transaction_id", Uuid, nullable=True),
    Column("body", LargeBinary, nullable=True),
    Column("quarantined", Boolean, nullable=False),
    Column("detail", JsonDocument, nullable=False),
)
Index(None, security_event.c.terminal_id, security_event.c.at)
