"""Terminals and the history of their states."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
)

from cardservice.database import BigSerial, JsonDocument, UtcDateTime, metadata
from cardservice.providers.models import provider

terminal = Table(
    "terminal",
    metadata,
    Column("id", Text, primary_key=True),
    Column("provider_id", Text, ForeignKey(provider.c.id), nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    # The most that it may give away while it cannot ask; NULL: it never serves offline.
    Column(
        "offline_limit_minor",
        BigInteger,
        CheckConstraint("offline_limit_minor >= 0", name="offline_limit_minor"),
        nullable=True,
    ),
    Column("created_at", UtcDateTime, nullable=False),
    # As its provider's, so that nothing more is read for a request
    Column("closed_from", UtcDateTime, nullable=True),
)

# The state as of a moment is that of the last row by (valid_from, id) that is not after it.
terminal_state = Table(
    "terminal_state",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("terminal_id", Text, ForeignKey(terminal.c.id), nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("state", Text, CheckConstraint("state IN ('active', 'revoked')", name="state"), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
)
Index(None, terminal_state.c.terminal_id, terminal_state.c.valid_from)

# Terminals that may enrol themselves by a one-time code, which is kept as a hash.
terminal_invitation = Table(
    "terminal_invitation",
    metadata,
    # Of a terminal that is not there yet
    Column("terminal_id", Text, primary_key=True),
    Column("provider_id", Text, ForeignKey(provider.c.id), nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("offline_limit_minor", BigInteger, nullable=True),
    # Whether it is registered already, and is to have another key
    Column("again", Boolean, nullable=False),
    Column("code_sha256", LargeBinary, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("attempts_left", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("used_at", UtcDateTime, nullable=True),
    # Of the key that has used it up
    Column("key_sha256", LargeBinary, nullable=True),
)

# What each said last of how it is: one row, written over.
terminal_health = Table(
    "terminal_health",
    metadata,
    Column("terminal_id", Text, ForeignKey(terminal.c.id), primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False),
    # How far its clock was ahead of the service's, the time on the way included
    Column("clock_ahead_ms", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    # Of what waits in its outbox the oldest; NULL: nothing waits.
    Column("oldest_waiting_at", UtcDateTime, nullable=True),
    Column("trust_fetched_at", UtcDateTime, nullable=True),
    # Of its revocation and status lists the one that ends first
    Column("lists_end_at", UtcDateTime, nullable=True),
    # Versions of what it may charge without the service, by service
    Column("tariffs", JsonDocument, nullable=False),
    Column("version", Text, nullable=False),
)

# What a terminal may do, from a moment on: an advice is judged by what held at its moment. The latest is the
# terminal's own row, too.
terminal_terms = Table(
    "terminal_terms",
    metadata,
    Column("id", BigSerial, Identity(), primary_key=True),
    Column("terminal_id", Text, ForeignKey(terminal.c.id), nullable=False),
    Column("valid_from", UtcDateTime, nullable=False),
    Column("recorded_at", UtcDateTime, nullable=False),
    Column("role", Text, nullable=False),
    Column(
        "offline_limit_minor",
        BigInteger,
        CheckConstraint("offline_limit_minor >= 0", name="offline_limit_minor"),
        nullable=True,
    ),
    Column("actor", Text, nullable=False),
)
Index(None, terminal_terms.c.terminal_id, terminal_terms.c.valid_from)
