"""What is known of restores: when, what was lost by the published heads, who has sent what again."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    Uuid,
)

from cardservice.database import JsonDocument, UtcDateTime, metadata

ledger_recovery = Table(
    "ledger_recovery",
    metadata,
    Column("number", Integer, CheckConstraint("number > 0", name="number"), primary_key=True),
    Column("began_at", UtcDateTime, nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    # The epoch of the ledger's sequence that began with it
    Column("epoch", Integer, nullable=False),
    # From when on terminals send again
    Column("since", UtcDateTime, nullable=False),
    # The last seal that the database had, 0 where it had none; the heads after it that had been published
    Column("last_number", BigInteger, nullable=False),
    Column("lost_heads", JsonDocument, nullable=False),
    Column("finished_at", UtcDateTime, nullable=True),
    Column("finished_by", Text, nullable=True),
    CheckConstraint("(finished_at IS NULL) = (finished_by IS NULL)", name="finished"),
)
# What came back. Of annulments and advices there is no signed answer, nor needs there to be.
recovered_message = Table(
    "recovered_message",
    metadata,
    Column("recovery", Integer, ForeignKey(ledger_recovery.c.number), primary_key=True),
    Column("transaction_id", Uuid, primary_key=True),
    Column("terminal_id", Text, nullable=False),
    Column("decision", Text, nullable=False),
    # When it had been answered before it was lost, as the service has signed
    Column("answered_at", UtcDateTime, nullable=True),
    Column("posted_at", UtcDateTime, nullable=False),
)

# Which terminals have sent again what they kept.
recovery_terminal = Table(
    "recovery_terminal",
    metadata,
    Column("recovery", Integer, ForeignKey(ledger_recovery.c.number), primary_key=True),
    Column("terminal_id", Text, primary_key=True),
    Column("told_at", UtcDateTime, nullable=False),
    Column("messages", BigInteger, nullable=False),
    # It has sent all that it kept.
    Column("complete", Boolean, nullable=False),
)
