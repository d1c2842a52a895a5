"""Which cards there are: lists for whoever issues them."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, and_, or_, select

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
    connection: Connection,
    holder: UUID | None = None,
    state: CardState | None = None,
    *,
    after: UUID | None = None,
    limit: int = MAX_LISTED,
) -> list[ListedCard]:
    """Cards, the newest first and at most `limit`; of one holder, or in one state, or all; or after one."""
    wanted = select(card).order_by(card.c.created_at.desc(), card.c.id).limit(limit)
    if after is not None:
        made = select(card.c.created_at).where(card.c.id == after).scalar_subquery()
        wanted = wanted.where(
            or_(card.c.created_at < made, and_(card.c.created_at == made, card.c.id > after))
        )
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
