"""What a message is decided on, read so that whatever changes afterwards is noticed when it is posted.

Everything is read as of one moment (`reading.py`), so that no payer's version is newer than what it stands
for. Whoever changes any of it changes the version in the same database transaction: a posting that was
decided on the old state finds another version under the lock, and is refused and decided anew. The records of
known ids are read after that: they are later than the version, never earlier, and a version that is too old
is noticed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.authorisation.found import Found, Wanted
from cardservice.authorisation.reading import read_for_messages, read_for_messages_on
from cardservice.cards.service import Card
from cardservice.context import Context
from cardservice.errors import Busy, CardNotInScheme, Erased
from cardservice.ids import PayerId
from cardservice.ledger.erasing import is_erased_card
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read_known
from cardservice.ledger.values import KnownTransaction, PayerView


@dataclass(frozen=True, slots=True)
class Facts:
    """The card, every payer that its holder has had, and what is known of the ids in question."""

    moment: datetime
    card: Card
    # Whose money it is at the message's time.
    payer_id: PayerId
    views: Mapping[PayerId, PayerView]
    known: Mapping[UUID, KnownTransaction]
    # What the checks of the proof, the rules and the evidence look at.
    found: Found

    def also_under(self, payer_id: PayerId) -> tuple[tuple[PayerId, int], ...]:
        """The other payers with their versions: locked, and searched for the id, when it is posted."""
        return tuple((other, view.version) for other, view in self.views.items() if other != payer_id)


def facts_of(
    context: Context, wanted: Wanted | None, found: Found, connection: Connection | None = None
) -> Facts:
    """What was found, as facts; `connection`: of whoever holds the payers' locks.

    `wanted` is None where neither an id in question is known nor the card is missing.

    Raises CardNotInScheme, Erased, and Busy where the card has no payer yet.
    """
    if found.card is None:
        if wanted is not None:
            _refuse_erased(context, wanted, connection)
        raise CardNotInScheme("the card that the message names is not of this scheme")
    if found.payer_id is None or found.payer_id not in found.views:
        raise Busy("the card's payer is being changed; send the same message again")
    known: Mapping[UUID, KnownTransaction] = {}
    if wanted is not None and found.known:
        known = _known(context, wanted, found, connection)
    return Facts(context.now(), found.card, found.payer_id, found.views, known, found)


def _refuse_erased(context: Context, wanted: Wanted, connection: Connection | None) -> None:
    """Whether a card that is not there was of somebody who was erased, and its transactions with them."""
    if connection is None:
        with context.database.reading() as reading:
            erased = is_erased_card(reading, wanted.card_id)
    else:
        erased = is_erased_card(connection, wanted.card_id)
    if erased:
        raise Erased("the card's holder was erased; whatever its id, nothing of this card is taken any more")


@contextmanager
def gathered_under_lock(context: Context, wanted: Wanted) -> Iterator[tuple[Connection, Facts]]:
    """The facts, with the payers locked until the end of the transaction that is yielded. Raises Busy."""
    [before] = read_for_messages(context.database, [wanted])
    with locked(context.database, tuple(before.views)) as connection:
        [found] = read_for_messages_on(connection, [wanted])
        if set(found.views) != set(before.views):
            raise Busy("the card's payer is being changed; send the same message again")
        yield connection, facts_of(context, wanted, found, connection)


def _known(
    context: Context, wanted: Wanted, found: Found, connection: Connection | None
) -> Mapping[UUID, KnownTransaction]:
    if connection is None:
        with context.database.reading() as reading:
            records = read_known(reading, tuple(found.views), wanted.ids)
    else:
        records = read_known(connection, tuple(found.views), wanted.ids)
    return {record.id: record for record in records}
