"""Long commands and answers in short APDUs: chaining and GET RESPONSE (ISO/IEC 7816-4:2020, 5.3.3, 5.3.4).

Short APDUs are what every reader and card carries; extended length is not. And what T=0 makes of an APDU
(ISO/IEC 7816-3:2006, 12.2). Nothing is sent here.
"""

from reader_agent.cardspec.apdu import (
    CLA_CHAINING,
    CLA_INTERINDUSTRY,
    INS_GET_RESPONSE,
    MAX_SHORT_DATA,
    MAX_SHORT_NE,
    ApduError,
    CommandApdu,
)
from reader_agent.cardspec.status import bytes_waiting, exact_length

_HEADER_LENGTH = 4


def split(command: CommandApdu) -> tuple[CommandApdu, ...]:
    """The command in as many pieces as its data need, at least one; each fits a short APDU.

    All but the last have the chaining bit and no Le, since their answer is a status word alone. Raises
    ApduError for a class that cannot be chained (5.4.1: interindustry only), and for an Le over 256.
    """
    if len(command.data) > MAX_SHORT_DATA and command.cla & 0x80:
        raise ApduError("a command of a proprietary class cannot be chained")
    if (command.le or 0) > MAX_SHORT_NE:
        raise ApduError("a short command asks for 256 bytes at most; GET RESPONSE brings the rest")
    starts = range(0, max(len(command.data), 1), MAX_SHORT_DATA)
    pieces = [command.data[start : start + MAX_SHORT_DATA] for start in starts]
    chained = command.cla | CLA_CHAINING
    return (
        *(CommandApdu(chained, command.ins, command.p1, command.p2, piece) for piece in pieces[:-1]),
        CommandApdu(command.cla, command.ins, command.p1, command.p2, pieces[-1], command.le),
    )


def as_t0(raw: bytes) -> bytes:
    """The bytes of a short command as they go out by T=0, which has one length field for both directions.

    Without data and Le that field is 00; with both Le is left out, and 61xx tells what waits. What is no
    short command is left as it is, for the card to refuse.
    """
    if len(raw) == _HEADER_LENGTH:
        return raw + b"\x00"
    has_data_and_le = (
        len(raw) > _HEADER_LENGTH + 1
        and raw[_HEADER_LENGTH]
        and (len(raw) == _HEADER_LENGTH + 1 + raw[_HEADER_LENGTH] + 1)
    )
    return raw[:-1] if has_data_and_le else raw


def get_response(sw: int) -> CommandApdu | None:
    """The command that fetches what 61xx says is waiting; None for any other status word."""
    if (waiting := bytes_waiting(sw)) is None:
        return None
    return CommandApdu(CLA_INTERINDUSTRY, INS_GET_RESPONSE, 0x00, 0x00, le=waiting)


def with_exact_length(command: CommandApdu, sw: int) -> CommandApdu | None:
    """The same command with the Le that 6Cxx says is right (5.6); None for any other status word."""
    if (length := exact_length(sw)) is None:
        return None
    return CommandApdu(command.cla, command.ins, command.p1, command.p2, command.data, length)
