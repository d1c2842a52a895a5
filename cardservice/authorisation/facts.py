"""What a message is decided on, read so that whatever changes afterwards is noticed when it is posted."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.authorisation.messages import Message
from cardservice.cards.service import Card, find_card
from cardservice.context import Context
from cardservice.errors import Busy, CardNotInScheme
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.payers import payer_at, payers_of
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read, read_on
from cardservice.ledger.values import KnownTransaction, PayerView, ReadQuery, ReadResult


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
        before = _payers_now(context, message)
        [result] = read(context.database, [ReadQuery(before, tuple(ids))])
        facts = _facts(context, message, result)
        if set(facts.views) == set(_payers_now(context, message)):
            return facts


@contextmanager
def gathered_under_lock(
    context: Context, message: Message, ids: Sequence[TransactionId]
) -> Iterator[tuple[Connection, Facts]]:
    """The same, with the payers locked until the end of the transaction that is yielded. Raises Busy."""
    before = _payers_now(context, message)
    with locked(context.database, before) as connection:
        [result] = read_on(connection, [ReadQuery(before, tuple(ids))])
        facts = _facts(context, message, result)
        if before != _payers_now(context, message):
            raise Busy("the card's payer is being changed; send the same message again")
        yield connection, facts


def _facts(context: Context, message: Message, read_before: ReadResult) -> Facts:
    with context.database.reading() as connection:
        card = _card(connection, message)
        payer_id = payer_at(connection, card.cardholder_id, message.time)
    if payer_id is None or payer_id not in read_before.views:
        raise Busy("the card's payer is being changed; send the same message again")
    return Facts(context.now(), card, payer_id, read_before.views, read_before.known)


def _payers_now(context: Context, message: Message) -> tuple[PayerId, ...]:
    with context.database.reading() as connection:
        return payers_of(connection, _card(connection, message).cardholder_id)


def _card(connection: Connection, message: Message) -> Card:
    card = find_card(connection, message.card_id)
    if card is None:
        raise CardNotInScheme("the card that the message names is not of this scheme")
    return card
