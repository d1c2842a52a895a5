"""The annul notice: a terminal's own word that a request of its own shall not be charged.

No card signs it, for the card may have gone; the terminal's request signature is what makes it its own.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pki.errors import StatementMalformed
from pki.statements import fields
from pki.statements.cbor import deterministic

# Ours: beside the kinds of a transaction statement, of which a card never signs this one
KIND_ANNUL = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnulNotice:
    """Made only if every field is in range; else StatementMalformed."""

    scheme: str
    id: UUID
    terminal: str
    sequence: int
    card: UUID
    # The id of the request
    annuls: UUID
    # In UTC, cut to the millisecond
    time: datetime

    def __post_init__(self) -> None:
        fields.identifier("scheme", self.scheme)
        fields.identifier("terminal", self.terminal)
        fields.integer("sequence", self.sequence)
        for name in ("id", "card", "annuls"):
            if not isinstance(getattr(self, name), UUID):
                raise StatementMalformed(f"{name} is not a UUID")
        if self.annuls == self.id:
            raise StatementMalformed("a notice cannot annul itself")
        object.__setattr__(self, "time", fields.moment("time", self.time))

    def payload(self) -> bytes:
        """The notice's bytes; its keys are those of a transaction statement, and 17 for what it annuls."""
        return deterministic(
            {
                1: self.scheme,
                2: self.id.bytes,
                3: self.terminal,
                4: self.sequence,
                5: self.card.bytes,
                6: KIND_ANNUL,
                14: fields.milliseconds(self.time),
                17: self.annuls.bytes,
            }
        )

    @property
    def body(self) -> bytes:
        """SHA-256 of the payload: two notices with one id are the same if and only if this is."""
        return hashlib.sha256(self.payload()).digest()
