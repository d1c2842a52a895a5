"""What a message is decided on, read so that whatever changes afterwards is noticed when it is posted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.authorisation.messages import Message
from cardservice.cards.service import Card, find_card
from cardservice.context import Context
from cardservice.errors import CardNotInScheme
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.payers import payer_at, payers_of
from cardservice.ledger.reading import read
from cardservice.ledger.values import KnownTransaction, PayerView, ReadQuery


@dataclass(frozen=True, slots=True)
class Facts:
    """The card, every payer that its holder has had, and what is known of the ids in question."""

    moment: datetime
    card: Card
    # Whose money it is at the message's time.
    payer_id: PayerId
    views: Mapping[PayerId, PayerView]
    known: Mapping[UUID, KnownTransaction]

    def also_under(self, payer_id: PayerId) -> tuple[tuple[PayerId, int], ...]:
        """The other payers with their versions: locked, and searched for the id, when it is posted."""
        return tuple((other, view.version) for other, view in self.views.items() if other != payer_id)


def gather(context: Context, message: Message, ids: Sequence[TransactionId]) -> Facts:
    """Read what the message is decided on. Raises CardNotInScheme.

    The payers' versions are read before all that moves them (the card's state, the holder's payer): a change
    in between makes the version too old, and the posting is refused and decided anew.
    """
    while True:
        with context.database.reading() as connection:
            before = _payers(connection, _card(connection, message))
        [result] = read(context.database, [ReadQuery(before, tuple(ids))])
        with context.database.reading() as connection:
            card = _card(connection, message)
            if _payers(connection, card) == before:
                payer_id = payer_at(connection, card.cardholder_id, message.time) or before[0]
                return Facts(context.now(), card, payer_id, result.views, result.known)


def _card(connection: Connection, message: Message) -> Card:
    card = find_card(connection, message.card_id)
    if card is None:
        raise CardNotInScheme("the card that the message names is not of this scheme")
    return card


def _payers(connection: Connection, card: Card) -> tuple[PayerId, ...]:
    return tuple(payers_of(connection, card.cardholder_id))
