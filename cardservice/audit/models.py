"""What staff did, and what was refused before it could take a transaction's id."""

from sqlalchemy import Boolean, Column, Identity, Index, LargeBinary, Table, Text, Uuid

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
