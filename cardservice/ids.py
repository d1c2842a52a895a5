"""The service's identifiers: one type each, so that a card's id cannot be passed for its holder's."""

from hashlib import sha256
from typing import NewType
from uuid import UUID, uuid4

import uuid_utils

CardId = NewType("CardId", UUID)
CardholderId = NewType("CardholderId", UUID)
# Of the key that a cardholder's proofs are encrypted under: a pseudonym.
KeyId = NewType("KeyId", UUID)
PayerId = NewType("PayerId", UUID)
TransactionId = NewType("TransactionId", UUID)
TerminalId = NewType("TerminalId", str)
ProviderId = NewType("ProviderId", str)


def new_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562, 5.7): ids made later sort later, so that new rows lie side by side."""
    return UUID(bytes=uuid_utils.uuid7().bytes)


def new_random_id() -> UUID:
    """A fresh UUIDv4 (RFC 9562, 5.4), for what must not tell when it was made."""
    return uuid4()


def companion(first: UUID, purpose: bytes) -> UUID:
    """The id of what belongs to `first` and is made again with it: its time, the rest derived (UUIDv7)."""
    derived = first.bytes[:8] + sha256(purpose + first.bytes).digest()[:8]
    # RFC 9562, 4.1 and 4.2: variant and version stay where they are.
    return UUID(int=int.from_bytes(derived) & ~(0xC << 60) | 0x8 << 60)
