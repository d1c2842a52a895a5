"""What lies in a terminal's outbox, as values."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class EntryKind(StrEnum):
    """What the entry tells the service."""

    # Asked before the goods are given, and may be declined
    REQUEST = "request"
    # Told afterwards, and always posted
    ADVICE = "advice"
    # A request of this terminal that shall not be charged
    ANNUL = "annul"


class EntryState(StrEnum):
    """Where the entry stands. What is in SETTLED waits for nothing, and goes after the retention period."""

    # Stored before the card signed: nothing of it has left the terminal
    PREPARED = "prepared"
    # Signed, perhaps sent, not answered
    OPEN = "open"
    # The service's signed answer is stored with it
    ANSWERED = "answered"
    # The service refused it for good: it took no id there
    REFUSED = "refused"
    # A request that nobody waits for any more; its annulment was stored with this state
    CLOSED = "closed"
    # Prepared, and never signed
    VOID = "void"


SETTLED = frozenset({EntryState.ANSWERED, EntryState.REFUSED, EntryState.CLOSED, EntryState.VOID})


@dataclass(frozen=True, slots=True)
class Draft:
    """A new entry. `message` is kept encrypted: the payload; once signed, the bytes of the HTTP body."""

    id: UUID
    kind: EntryKind
    # SHA-256 of the signed payload: what the service's answer must be about
    digest: bytes
    message: bytes
    # What an annulment annuls, or an advice replaces
    relates_to: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A stored entry, without what is encrypted of it."""

    id: UUID
    sequence: int
    kind: EntryKind
    state: EntryState
    created_at: datetime
    settled_at: datetime | None
    relates_to: UUID | None
    digest: bytes
    # The service's problem code, where it refused
    problem: str | None


@dataclass(frozen=True, slots=True, repr=False)
class EntryContent:
    """What is encrypted of an entry: the message as it is sent, and the answer as it came."""

    message: bytes
    answer: Mapping[str, Any] | None
