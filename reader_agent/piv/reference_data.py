"""PIN and PUK over a session (SP 800-73-5 part 2, 2.4, 3.2.1 to 3.2.3).

What can be no PIN never reaches the card, so that a slip of the finger costs no attempt. The commands carry
no Le: they have no answer but their status.
"""

from collections.abc import Callable
from typing import Final

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import CommandApdu, ResponseApdu
from reader_agent.cardspec.piv import Instruction, KeyReference
from reader_agent.cardspec.status import StatusWord, tries_left
from reader_agent.errors import CardRefused, ContactNeeded, PinBlocked, PinMalformed, PinWrong

Exchange = Callable[[CommandApdu], ResponseApdu]

PIN, PUK = "PIN", "PUK"
P1_FORGET: Final = 0xFF


def verify(exchange: Exchange, pin: str, reference: KeyReference) -> None:
    """Show the PIN (3.2.1). Raises PinMalformed, PinWrong, PinBlocked, ContactNeeded, CardRefused."""
    _require(exchange(_command(Instruction.VERIFY, reference, _pin(pin))), PIN, "take a PIN")


def verify_by(enter: Exchange, reference: KeyReference) -> None:
    """Show the PIN, which `enter` fills into the command's data; raises as `verify` does."""
    _require(enter(_command(Instruction.VERIFY, reference)), PIN, "take a PIN")


def change_by(enter: Exchange, reference: KeyReference) -> None:
    """Replace the PIN, with both filled in by `enter`; raises as `verify` does."""
    _require(enter(_command(Instruction.CHANGE_REFERENCE_DATA, reference)), PIN, "change its PIN")


def attempts_left(exchange: Exchange, reference: KeyReference) -> int | None:
    """How many attempts the PIN has, 0 if it is blocked; None if the card does not say.

    It does not once the PIN was verified: then it answers 9000 (3.2.1).
    """
    response = exchange(_command(Instruction.VERIFY, reference))
    if response.sw == StatusWord.AUTHENTICATION_METHOD_BLOCKED:
        return 0
    return tries_left(response.sw)


def forget(exchange: Exchange, reference: KeyReference) -> bool:
    """Have the card forget that the PIN was shown; whether it has. Cards before SP 800-73-4 cannot."""
    return exchange(CommandApdu(0x00, Instruction.VERIFY, P1_FORGET, reference)).sw == StatusWord.SUCCESS


def change_pin(exchange: Exchange, old: str, new: str, reference: KeyReference) -> None:
    """Replace the PIN by who knows it (3.2.2). Raises as `verify` does."""
    data = _pin(old) + _pin(new)
    _require(exchange(_command(Instruction.CHANGE_REFERENCE_DATA, reference, data)), PIN, "change its PIN")


def change_puk(exchange: Exchange, old: str, new: str) -> None:
    """Replace the PUK by who knows it (3.2.2). Raises as `verify` does."""
    data = _puk(old) + _puk(new)
    response = exchange(_command(Instruction.CHANGE_REFERENCE_DATA, KeyReference.PUK, data))
    _require(response, PUK, "change its PUK")


def unblock(exchange: Exchange, puk: str, new: str) -> None:
    """Set a new PIN by the PUK, with all its attempts (3.2.3). Raises as `verify` does."""
    data = _puk(puk) + _pin(new)
    response = exchange(_command(Instruction.RESET_RETRY_COUNTER, KeyReference.PIN, data))
    _require(response, PUK, "unblock its PIN")


def _command(instruction: Instruction, reference: KeyReference, data: bytes = b"") -> CommandApdu:
    return CommandApdu(0x00, instruction, 0x00, reference, data)


def _require(response: ResponseApdu, name: str, what: str) -> None:
    """Nothing if it succeeded; else the exception that its status word stands for."""
    if response.sw == StatusWord.SUCCESS:
        return
    left = tries_left(response.sw)
    if response.sw == StatusWord.AUTHENTICATION_METHOD_BLOCKED or left == 0:
        raise PinBlocked(name, response.sw)
    # 63 with anything else but Cx is how cards from before ISO/IEC 7816-4:2005 say it: they count in silence.
    if response.sw >> 8 == 0x63:
        raise PinWrong(name, response.sw, left)
    if response.sw == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
        raise ContactNeeded(what, response.sw)
    raise CardRefused(what, response.sw)


def _pin(pin: str) -> bytes:
    try:
        return piv.encode_pin(pin)
    except piv.PivDataError as error:
        raise PinMalformed(f"{error}; nothing was sent to the card") from error


def _puk(puk: str) -> bytes:
    try:
        return piv.encode_puk(puk)
    except piv.PivDataError as error:
        raise PinMalformed(f"{error}; nothing was sent to the card") from error
