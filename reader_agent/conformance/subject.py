"""What is examined: a card behind a connection, and what a check can say of it."""

from dataclasses import dataclass

from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import KeyReference
from reader_agent.piv.session import PivSession
from reader_agent.transport.connection import CardConnection


class Failed(Exception):
    """The card does something else than its standard says."""


class Skipped(Exception):
    """This cannot be looked at here: a key is not there, the PIN was not given, the card has no contact."""


@dataclass(slots=True)
class Subject:
    """A card, selected afresh for each check."""

    connection: CardConnection
    session: PivSession
    # None: whatever wants the PIN is left out
    pin: str | None

    def send(self, command: CommandApdu | bytes) -> tuple[bytes, int]:
        """One command, exactly; data and status."""
        raw = command if isinstance(command, bytes) else command.encode()
        return self.connection.transmit(raw)

    def show_pin(self) -> None:
        """Raises Skipped without one."""
        if self.pin is None:
            raise Skipped("give the PIN with --pin-file")
        pin, self.pin = self.pin, None
        self.session.verify_pin(pin, self.session.pin_reference())
        # Only now: a wrong one is not shown a second time.
        self.pin = pin

    @property
    def has_contact(self) -> bool:
        """Whether the card talks about its PIN here: without contact it does not."""
        return self.session.pin_attempts() is not None


def expect(status: int, *wanted: int) -> None:
    """Raises Failed unless the status is one of these."""
    if status not in wanted:
        raise Failed(f"status {status:04X} instead of {' or '.join(f'{each:04X}' for each in wanted)}")


def name_of(key: KeyReference) -> str:
    """As people write it."""
    return f"{key:02X}"
