"""The UID of a card that is made: told by the reader that it is made on, or by one without contact."""

from collections.abc import Callable
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from reader_agent.cardspec.piv import KeyReference
from reader_agent.errors import CardOfAnotherOrder, PersonalisationFailed, UidMissing
from reader_agent.personalise.card_keys import challenge
from reader_agent.piv.session import PivSession
from reader_agent.transport.connection import CardConnection
from reader_agent.transport.uid import is_kept, read_uid

# Has the card that was made held to a contactless reader, and connects to it. Raises CardError, ReaderError.
HoldCard = Callable[[], CardConnection]


def kept_uid(connection: CardConnection, given: bytes | None) -> bytes | None:
    """What this reader tells of its card, if that is always the same; what was given where it tells nothing.

    Raises PersonalisationFailed where both are there and differ.
    """
    told = read_uid(connection)
    if told is None or not is_kept(told):
        return given
    if given not in (None, told):
        raise PersonalisationFailed(
            "the card shows another UID than the one given; leave --uid out: the reader tells it"
        )
    return told


def uid_without_contact(hold: HoldCard, card: UUID, public_key: ec.EllipticCurvePublicKey) -> bytes:
    """The UID of the card with this identity and this key 9E, which proves that it is the one.

    Raises CardOfAnotherOrder, CardProofInvalid, UidMissing.
    """
    connection = hold()
    session = PivSession(connection)
    try:
        with session.exclusive():
            if (found := session.guid()) != card:
                raise CardOfAnotherOrder(found)
            challenge(session, KeyReference.CARD_AUTHENTICATION, public_key, "")
            uid = read_uid(connection)
    finally:
        session.close()
    if uid is None or not is_kept(uid):
        raise UidMissing("this reader tells no UID that lasts; use a contactless one, or no --uid-reader")
    return uid
