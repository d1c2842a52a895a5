"""From commands of any length to the short APDUs that every reader and card can carry, and back."""

from reader_agent.cardspec import chaining
from reader_agent.cardspec.apdu import CommandApdu, ResponseApdu
from reader_agent.cardspec.status import StatusWord
from reader_agent.errors import CardDataMalformed
from reader_agent.transport.connection import CardConnection

# A PIV data object has some 12 KB at most (SP 800-73-5 part 1, appendix A, table 8); who goes on is faulty.
MAX_RESPONSE_BYTES = 65_536
# Ours: more than the longest object in pieces of 32 bytes, as a stingy card hands it out.
MAX_RESPONSES = 512


def exchange(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    """The whole response to a command. Raises CardError.

    Long data goes out by command chaining (ISO/IEC 7816-4:2020, 5.3.3), long responses are fetched by GET
    RESPONSE (5.3.4). Extended length is never used: not every reader carries it.
    """
    *first, last = chaining.split(command)
    for piece in first:
        refused = _transmit(connection, piece)
        if refused.sw != StatusWord.SUCCESS:
            return refused
    return _fetch_all(connection, _transmit(connection, last))


def _fetch_all(connection: CardConnection, response: ResponseApdu) -> ResponseApdu:
    data = response.data
    for _ in range(MAX_RESPONSES):
        fetch = chaining.get_response(response.sw)
        if fetch is None:
            return ResponseApdu(data, response.sw)
        response = _transmit(connection, fetch)
        data += response.data
        if len(data) > MAX_RESPONSE_BYTES:
            break
    raise CardDataMalformed("the card's answer does not end; take it away")


def _transmit(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    response = ResponseApdu(*connection.transmit(command.encode()))
    exact = chaining.with_exact_length(command, response.sw)
    return response if exact is None else ResponseApdu(*connection.transmit(exact.encode()))
