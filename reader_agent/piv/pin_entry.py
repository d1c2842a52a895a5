"""How a holder shows the PIN: typed at the computer, or on the reader's own keys, which no program sees."""

from collections.abc import Callable
from typing import Final, Protocol

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import CommandApdu, ResponseApdu
from reader_agent.errors import PinEntryFailed
from reader_agent.piv.session import PivSession
from reader_agent.transport import pin_pad

_EMPTY: Final = b"\xff" * piv.PIN_LENGTH
_SAYS: Final = {
    pin_pad.TIMED_OUT: "nobody typed a PIN on the reader in time",
    pin_pad.CANCELLED: "the PIN's entry was cancelled on the reader",
    pin_pad.NOT_THE_SAME: "the new PIN was typed differently the second time",
    pin_pad.BAD_LENGTH: "a PIN has six to eight digits",
}


class PinEntry(Protocol):
    """The seam. Both raise what PivSession.verify_pin does; PinEntryFailed where nobody has entered one."""

    def prepare(self) -> None:
        """Ask for what `verify` needs, before the card is taken from other programs."""
        ...

    def prepare_change(self) -> None:
        """Ask for what `change` needs, likewise."""
        ...

    def verify(self, session: PivSession) -> None:
        """Have the PIN shown to the card."""
        ...

    def change(self, session: PivSession) -> None:
        """Have the PIN replaced by another one."""
        ...


class Pad(Protocol):
    """A connection through a reader with keys (see PcscConnection)."""

    def enter_pin(self, command: bytes, *, is_change: bool) -> tuple[bytes, int]:
        """Have the reader fill a PIN into a command, and send it; what the card answers, or the reader."""
        ...


class TypedPin:
    """PINs that somebody types at the computer, or that come from a file."""

    def __init__(self, ask: Callable[[], str], ask_new: Callable[[], str] | None = None) -> None:
        self._ask, self._ask_new = ask, ask_new
        self._pin: str | None = None
        self._new: str | None = None

    def prepare(self) -> None:
        """See PinEntry."""
        self._pin = self._ask()

    def verify(self, session: PivSession) -> None:
        """See PinEntry."""
        session.verify_pin(_prepared(self._pin), session.pin_reference())

    def change(self, session: PivSession) -> None:
        """See PinEntry."""
        session.change_pin(_prepared(self._pin), _prepared(self._new), session.pin_reference())

    def prepare_change(self) -> None:
        """See PinEntry."""
        self.prepare()
        if self._ask_new is not None:
            self._new = self._ask_new()


class PadPin:
    """PINs that are typed on the reader. `tell` says to a person that it is their turn."""

    def __init__(self, pad: Pad, tell: Callable[[str], None]) -> None:
        self._pad, self._tell = pad, tell

    def prepare(self) -> None:
        """See PinEntry."""

    def prepare_change(self) -> None:
        """See PinEntry."""

    def verify(self, session: PivSession) -> None:
        """See PinEntry."""
        self._tell("Type the PIN on the reader.")
        session.verify_pin_by(lambda command: self._enter(command, _EMPTY, is_change=False))

    def change(self, session: PivSession) -> None:
        """See PinEntry."""
        self._tell("Type the PIN on the reader, then the new one twice.")
        session.change_pin_by(lambda command: self._enter(command, 2 * _EMPTY, is_change=True))

    def _enter(self, command: CommandApdu, data: bytes, *, is_change: bool) -> ResponseApdu:
        template = CommandApdu(command.cla, command.ins, command.p1, command.p2, data)
        response = ResponseApdu(*self._pad.enter_pin(template.encode(), is_change=is_change))
        if (says := _SAYS.get(response.sw)) is not None:
            raise PinEntryFailed(f"{says}; nothing was sent to the card")
        return response


def _prepared(pin: str | None) -> str:
    if pin is None:
        raise RuntimeError("a PIN is asked for before the card is taken")
    return pin
