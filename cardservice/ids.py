"""The service's identifiers: one type each, so that a card's id cannot be passed for its holder's."""

from typing import NewType
from uuid import UUID

import uuid_utils

CardId = NewType("CardId", UUID)
CardholderId = NewType("CardholderId", UUID)
PayerId = NewType("PayerId", UUID)
TransactionId = NewType("TransactionId", UUID)
TerminalId = NewType("TerminalId", str)
ProviderId = NewType("ProviderId", str)


def new_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562, 5.7): ids made later sort later, so that new rows lie side by side."""
    return UUID(bytes=uuid_utils.uuid7().bytes)
