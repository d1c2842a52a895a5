"""The seam between card sessions and whatever carries their bytes."""

from contextlib import AbstractContextManager
from typing import Protocol


class CardConnection(Protocol):
    """An open connection to one card.

    After any CardError but CardRefused it is of no more use: the card may be gone, or be another one.
    """

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """Send a command APDU; the response's data and its status word.

        Raises CardRemoved, CardReset, CardSilent.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Keep other programs off the card for the length of the block.

        What was selected before the block may not be selected any more: a block begins with a SELECT.
        """
        ...

    def close(self, *, reset: bool = False) -> None:
        """Let go of the card, and reset it if a PIN or key was used. Never raises; may be called twice."""
        ...
