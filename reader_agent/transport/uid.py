"""The UID of a contactless chip, which its reader tells: for who sees nothing else of a card.

It proves nothing, since anybody's chip can show any.
"""

from typing import Final

from reader_agent.cardspec.status import StatusWord
from reader_agent.transport.connection import CardConnection

# PC/SC part 3, 3.2.2.1.3: GET DATA, answered by the reader
_GET_UID: Final = bytes.fromhex("FFCA000000")
# ISO/IEC 14443-3:2018, 6.5.4: single, double and triple
UID_BYTES: Final = (4, 7, 10)
# The same, table 7: a single UID that begins so is drawn anew each time the card is powered.
_DRAWN: Final = b"\x08"


def read_uid(connection: CardConnection) -> bytes | None:
    """What the chip shows; None where no UID is told, as by a reader with contacts.

    There the card gets the command, and refuses it: FF is no class (ISO/IEC 7816-4:2020, 5.4.1). Raises
    CardRemoved, CardReset, CardSilent.
    """
    uid, status = connection.transmit(_GET_UID)
    return uid if status == StatusWord.SUCCESS and len(uid) in UID_BYTES else None


def is_kept(uid: bytes) -> bool:
    """Whether the chip shows the same UID the next time."""
    return len(uid) in UID_BYTES and not (len(uid) == UID_BYTES[0] and uid.startswith(_DRAWN))
