"""From commands of any length to the short APDUs that every reader and card can carry, and back."""

from reader_agent.cardspec.apdu import (
    CLA_CHAINING,
    INS_GET_RESPONSE,
    MAX_SHORT_DATA,
    MAX_SHORT_NE,
    CommandApdu,
    ResponseApdu,
)
from reader_agent.cardspec.status import StatusWord
from reader_agent.errors import CardDataMalformed
from reader_agent.transport.connection import CardConnection

# A PIV data object has at most some 12 KB (SP 800-73-5 part 1, table 7); a card that goes on is faulty.
MAX_RESPONSE_BYTES = 65_536


def exchange(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    """The whole response to a command. Raises CardError.

    Long data goes out by command chaining (ISO/IEC 7816-4:2020, 5.3.3), long responses are fetched by GET
    RESPONSE (5.3.4). Extended length is never used: not every reader carries it.
    """
    for part in _chain(command):
        response = _transmit(connection, part)
        if response.sw != StatusWord.SUCCESS and part.is_chained:
            return response
    data = response.data
    while response.sw >> 8 == 0x61:
        le = response.sw & 0xFF or MAX_SHORT_NE
        response = _transmit(connection, CommandApdu(0x00, INS_GET_RESPONSE, 0x00, 0x00, le=le))
        data += response.data
        if len(data) > MAX_RESPONSE_BYTES:
            raise CardDataMalformed("the card's answer does not end; take it away")
    return ResponseApdu(data, response.sw)


def _chain(command: CommandApdu) -> list[CommandApdu]:
    parts = [
        command.data[start : start + MAX_SHORT_DATA] for start in range(0, len(command.data), MAX_SHORT_DATA)
    ] or [b""]
    chained = command.cla | CLA_CHAINING
    return [
        *(CommandApdu(chained, command.ins, command.p1, command.p2, part) for part in parts[:-1]),
        CommandApdu(command.cla, command.ins, command.p1, command.p2, parts[-1], command.le),
    ]


def _transmit(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    response = ResponseApdu(*connection.transmit(command.encode()))
    if response.sw >> 8 == 0x6C:
        # ISO/IEC 7816-4:2020, 5.6: wrong Le, SW2 says which one is right; the same command again
        exact = CommandApdu(
            command.cla, command.ins, command.p1, command.p2, command.data, response.sw & 0xFF or MAX_SHORT_NE
        )
        return ResponseApdu(*connection.transmit(exact.encode()))
    return response
