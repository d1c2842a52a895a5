"""The management key of a card that is made: who has it may write to the card (SP 800-73-5 part 1, 3.3.2)."""

from reader_agent.errors import CardProofInvalid, CardRefused, ManagementKeyRefused
from reader_agent.piv.session import PivSession


def authenticate(session: PivSession, own_key: bytes, transport_key: bytes) -> bool:
    """Whether the card has its own management key already, or still its maker's.

    Raises ManagementKeyRefused.
    """
    if _accepts(session, own_key):
        return True
    if not _accepts(session, transport_key):
        raise ManagementKeyRefused
    return False


def replace_management_key(session: PivSession, key: bytes) -> None:
    """Give the card this key, for which the former one must have been shown."""
    session.set_management_key(key)
    # Proves that the card has it now: with a lost key nobody could ever write to the card again.
    session.authenticate_management(key)


def _accepts(session: PivSession, key: bytes) -> bool:
    try:
        session.authenticate_management(key)
    except (CardRefused, CardProofInvalid):
        return False
    return True
