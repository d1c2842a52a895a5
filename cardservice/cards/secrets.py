"""What only the issuer knows of a card and tells a desk: each time it is told, that is written down."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cards.service import find_card
from cardservice.cards.states import CardState
from cardservice.errors import CardNotInScheme, CardUnusable
from cardservice.keys import ServiceKeys

# A suspended card may be unblocked: its holder has asked for a rest, and comes back. Others are over, or not
# in anybody's hands yet.
_UNBLOCKED = frozenset({CardState.ACTIVE, CardState.SUSPENDED})


def tell_puk(
    connection: Connection, keys: ServiceKeys, card_id: UUID, *, actor: str, moment: datetime
) -> str:
    """The PUK of a card that is in its holder's hands. Raises CardNotInScheme and CardUnusable."""
    card = find_card(connection, card_id)
    if card is None:
        raise CardNotInScheme("the card is not of this scheme")
    if (state := card.state_at(moment)) not in _UNBLOCKED:
        raise CardUnusable("card_not_active", f"this card is {state}; its PIN is set no more")
    record(connection, actor, "card.puk", card.id, moment)
    return keys.puk(card.id)
