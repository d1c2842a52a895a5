"""Cards for a day, of who has left theirs at home: lent at a desk, in use until a time, and taken back.

It is a card of its own, of the kind `temporary`, and of its holder like any other: money, passes and loans
are the holder's. The card that was left at home rests meanwhile, so that no two of them are in use; it goes
on when the other is over, unless somebody has told more of it by then.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from cardservice.cards.errors import LendingRefused
from cardservice.cards.life import release, report, suspend
from cardservice.cards.models import temporary_card
from cardservice.cards.service import find_card, require_card
from cardservice.cards.states import LEADS_TO, CardState
from cardservice.ids import CardId
from pki.authority import Authority

TEMPORARY = "temporary"
# Ours: over a weekend, and no longer; who has lost theirs gets another one.
LONGEST = timedelta(days=4)
_LEFT_AT_HOME = "left at home: "


@dataclass(frozen=True, slots=True)
class Lent:
    """A card that was lent."""

    card: CardId
    acts_for: CardId
    due_at: datetime
    ended_at: datetime | None


def note_lending(
    connection: Connection, card_id: CardId, acts_for: UUID, due_at: datetime, moment: datetime
) -> None:
    """Note that a card that was ordered acts for another until a time. Raises LendingRefused, CardUnknown."""
    forgotten = require_card(connection, acts_for)
    if forgotten.state is not CardState.ACTIVE or forgotten.kind == TEMPORARY:
        raise LendingRefused(
            f"card {forgotten.id} is {forgotten.state}, of the kind {forgotten.kind}; a card is lent for one"
            " that is active"
        )
    if not moment < due_at <= moment + LONGEST:
        raise LendingRefused(f"a card is lent until a time within {LONGEST.days} days from now")
    connection.execute(
        insert(temporary_card).values(card_id=card_id, acts_for=forgotten.id, due_at=due_at, ended_at=None)
    )


def begin(
    connection: Connection, authority: Authority, card_id: CardId, *, actor: str, moment: datetime
) -> None:
    """A card came into use: the one that it acts for rests from now on. Of another card, nothing."""
    lent = find_lent(connection, card_id)
    if lent is None or require_card(connection, lent.acts_for).state is not CardState.ACTIVE:
        return
    reason = f"{_LEFT_AT_HOME}{card_id}"
    suspend(connection, authority, lent.acts_for, reason=reason, actor=actor, moment=moment)


def take_back(
    connection: Connection, authority: Authority, card_id: UUID, *, actor: str, moment: datetime
) -> Lent:
    """End a lending, whether its card came back or its time is over; it is revoked with that.

    The card that it acted for goes on, if it rests for no other reason. Raises LendingRefused.
    """
    lent = find_lent(connection, card_id)
    if lent is None or lent.ended_at is not None:
        raise LendingRefused(f"card {card_id} is not lent to anybody")
    known = require_card(connection, lent.card)
    if CardState.WITHDRAWN in LEADS_TO[known.state]:
        withdrawn = CardState.WITHDRAWN
        report(connection, authority, lent.card, withdrawn, reason="taken back", actor=actor, moment=moment)
    own = temporary_card.c
    connection.execute(update(temporary_card).where(own.card_id == lent.card).values(ended_at=moment))
    forgotten = find_card(connection, lent.acts_for)
    resting = forgotten is not None and forgotten.state is CardState.SUSPENDED
    if forgotten is not None and resting and forgotten.states[-1].reason == f"{_LEFT_AT_HOME}{lent.card}":
        release(connection, authority, forgotten.id, reason="found again", actor=actor, moment=moment)
    return lent


def due(connection: Connection, moment: datetime, limit: int) -> list[CardId]:
    """Lent cards whose time is over, at most `limit`."""
    own = temporary_card.c
    wanted = select(own.card_id).where(own.ended_at.is_(None), own.due_at <= moment).order_by(own.card_id)
    return [CardId(each) for each in connection.scalars(wanted.limit(limit))]


def lent_now(connection: Connection) -> list[Lent]:
    """What is lent, the most urgent first."""
    own = temporary_card.c
    rows = connection.execute(select(temporary_card).where(own.ended_at.is_(None)).order_by(own.due_at))
    return [Lent(CardId(row.card_id), CardId(row.acts_for), row.due_at, None) for row in rows]


def find_lent(connection: Connection, card_id: UUID) -> Lent | None:
    """What is known of a card's lending; None of one that was never lent."""
    row = connection.execute(select(temporary_card).where(temporary_card.c.card_id == card_id)).one_or_none()
    return None if row is None else Lent(CardId(row.card_id), CardId(row.acts_for), row.due_at, row.ended_at)
