"""A card that was begun becomes a blank one again: for a holder who has moved away, or a wrong order."""

from uuid import UUID

from reader_agent.agent import Agent
from reader_agent.cardspec.piv import CERTIFICATE_OF, WELL_KNOWN_TRANSPORT_PUK, ObjectId
from reader_agent.errors import CardDataMissing, PersonalisationFailed
from reader_agent.personalise.flow import give_up, require_own_or_blank
from reader_agent.personalise.management import authenticate, replace_management_key
from reader_agent.personalise.references import clear_references
from reader_agent.piv.session import PivSession
from reader_agent.transport.connection import CardConnection

# The identity at the very end: as long as it is there the card says whose it was, and this is done again.
_WRITTEN = (
    # First what makes it look whole
    ObjectId.CARD_AUTHENTICATION_CERTIFICATE,
    *(each for each in CERTIFICATE_OF.values() if each is not ObjectId.CARD_AUTHENTICATION_CERTIFICATE),
    *(ObjectId.SECURITY_OBJECT, ObjectId.FACIAL_IMAGE, ObjectId.PRINTED_INFORMATION, ObjectId.KEY_HISTORY),
)


def reset_card(
    agent: Agent,
    connection: CardConnection,
    order_id: UUID,
    transport_key: bytes,
    transport_puk: str = WELL_KNOWN_TRANSPORT_PUK,
) -> str:
    """Take the card of an open order back to what its maker delivered, and close the order; its state then.

    Its keys stay, since no command of the standard deletes one: their certificates are gone from the card,
    and revoked, and the next order has it make others. Raises AgentError; the same call goes on from there.
    """
    session = PivSession(connection)
    try:
        order = agent.client.personalisation_order(order_id)
        with session.exclusive():
            require_own_or_blank(session, order)
            has_own_key = authenticate(session, order.management_key, transport_key)
            for object_id in _WRITTEN:
                session.write(object_id, b"")
            clear_references(session, order.puk, transport_puk)
            if has_own_key:
                replace_management_key(session, transport_key)
            session.write(ObjectId.CHUID, b"")
            _require_blank(session)
    finally:
        session.close()
    # It is a blank again, and counts as one.
    return give_up(agent, order_id, spoiled=False)


def _require_blank(session: PivSession) -> None:
    """Raises PersonalisationFailed where the card still says whose it is, or looks whole."""
    for object_id in (ObjectId.CHUID, ObjectId.CARD_AUTHENTICATION_CERTIFICATE):
        try:
            session.read(object_id)
        except CardDataMissing:
            continue
        raise PersonalisationFailed("the card keeps what was to be deleted; do not use it again")
