"""Which cards there are: lists for whoever issues them."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.cards.models import card
from cardservice.cards.states import CardState
from cardservice.ids import CardholderId, CardId

MAX_LISTED = 500  # ours


@dataclass(frozen=True, slots=True)
class ListedCard:
    """A card as a list says it."""

    id: CardId
    cardholder_id: CardholderId
    kind: str
    state: CardState
    expires_on: date


def list_cards(
    connection: Connection, holder: UUID | None = None, state: CardState | None = None
) -> list[ListedCard]:
    """Cards, the newest first and at most MAX_LISTED; of one holder, or in one state, or all."""
    wanted = select(card).order_by(card.c.created_at.desc(), card.c.id).limit(MAX_LISTED)
    if holder is not None:
        wanted = wanted.where(card.c.cardholder_id == holder)
    if state is not None:
        wanted = wanted.where(card.c.state == state)
    return [
        ListedCard(
            id=CardId(row.id),
            cardholder_id=CardholderId(row.cardholder_id),
            kind=row.kind,
            state=CardState(row.state),
            expires_on=row.expires_on,
        )
        for row in connection.execute(wanted)
    ]
