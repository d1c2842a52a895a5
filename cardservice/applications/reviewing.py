"""Looking again at those who have cards: young citizens who have grown up, and cards that nothing backs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.applications.eligibility import CATEGORY_OF, CITIZEN, DECEASED, YOUNG, Visit, age_on, missing
from cardservice.applications.models import application
from cardservice.applications.proofs import known_of, known_of_many
from cardservice.applications.service import APPROVED, Deciding
from cardservice.cardholders.service import category_of, lock_cardholder, set_category
from cardservice.cards.life import suspend
from cardservice.cards.models import card
from cardservice.cards.personalisation import Delivery, order_card
from cardservice.cards.service import AUTHORITY
from cardservice.cards.states import CardState
from cardservice.context import Context
from cardservice.ids import CardholderId, CardId
from pki.authority import Authority

# A card that somebody has, or will have.
_THERE = ("ordered", "personalised", "dispatched", "active", "suspended")
# Ours: what the history of a card says that was suspended by a check.
NOT_BACKED = "eligibility is to be checked again"
# Ours: cards that are looked at in one transaction.
AT_ONCE = 200
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class NotBacked:
    """A card in use that would not be approved today."""

    # None: it was ordered without one
    application_id: UUID | None
    cardholder_id: CardholderId
    card_id: CardId
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InUse:
    """A card in use, and by what it was had."""

    card_id: CardId
    cardholder_id: CardholderId
    kind: str
    application_id: UUID | None
    visit: Visit | None


@dataclass(frozen=True, slots=True)
class Resting:
    """Which of the cards that nothing backs are to rest until somebody has looked; none by itself."""

    applied_for: bool = False
    # Those, too, that nobody applied for
    ordered: bool = False

    def holds_of(self, found: NotBacked) -> bool:
        """Whether this one is."""
        return self.applied_for and (self.ordered or found.application_id is not None)


@dataclass(frozen=True, slots=True)
class Young:
    """A young citizen's card whose holder is of age, or of whom nobody knows it."""

    card_id: CardId
    cardholder_id: CardholderId
    # None: nobody knows when they were born
    is_of_age: bool | None
    # The card that was ordered
    ordered: CardId | None


def check_some(
    context: Context, deciding: Deciding, after: UUID, resting: Resting, limit: int = AT_ONCE
) -> tuple[list[NotBacked], UUID | None]:
    """Look at the cards in use after one, some hundred: those that nothing backs, and after which it goes on.

    None: all were looked at. It is one transaction; looked at again, what rests is not found any more.
    """
    with context.database.begin() as connection:
        cards = cards_in_use(connection, after, limit)
        found = check_again(connection, deciding, cards)
        if resting.applied_for:
            authority = context.authority(AUTHORITY, connection)
            for each in filter(resting.holds_of, found):
                suspend_not_backed(connection, authority, each, deciding)
    return found, cards[-1].card_id if len(cards) == limit else None


def grow_some(
    context: Context, deciding: Deciding, after: UUID, delivery: Delivery | None, limit: int = AT_ONCE
) -> tuple[list[Young], UUID | None]:
    """Look at the young citizens' cards after one, some hundred, and make whoever is of age a citizen.

    Without a delivery it is only said who would be. Whoever is not of age is not told; the rest as above.
    """
    found = []
    with context.database.begin() as connection:
        cards = young_cards(connection, after, limit)
        for young, holder in cards:
            of_age = is_of_age(connection, deciding, holder)
            made = None
            if of_age and delivery is not None:
                made = grow_up(connection, deciding, young, holder, delivery)
            found.append(Young(young, holder, of_age, made))
    told = [each for each in found if each.is_of_age is not False]
    return told, cards[-1][0] if len(cards) == limit else None


def young_cards(connection: Connection, after: UUID, limit: int) -> Sequence[tuple[CardId, CardholderId]]:
    """Young citizens' cards after this one, of those for whom no citizen's is there or on its way."""
    other = card.alias()
    citizens = select(other.c.id).where(
        other.c.cardholder_id == card.c.cardholder_id, other.c.kind == CITIZEN, other.c.state.in_(_THERE)
    )
    rows = connection.execute(
        select(card.c.id, card.c.cardholder_id)
        .where(card.c.kind == YOUNG, card.c.state.in_(_THERE), card.c.id > after, ~citizens.exists())
        .order_by(card.c.id)
        .limit(limit)
    )
    return [(CardId(row.id), CardholderId(row.cardholder_id)) for row in rows]


def is_of_age(connection: Connection, deciding: Deciding, holder: CardholderId) -> bool | None:
    """Whether somebody is to have a citizen's card by now; None where nobody knows when they were born."""
    known = known_of(connection, deciding.kek, holder)
    if known.born_on is None:
        return None
    return age_on(known.born_on, deciding.today) >= deciding.ages.adult and DECEASED not in known.flags


def grow_up(
    connection: Connection, deciding: Deciding, young: CardId, holder: CardholderId, delivery: Delivery
) -> CardId | None:
    """Make somebody who is of age a citizen: their price category, and a card in place of the young one.

    That one can be used until then. A category other than the young one's, such as a pupil's, is left to who
    gave it. The card that was ordered; None where somebody else has ordered one meanwhile.
    """
    actor, moment = deciding.actor, deciding.moment
    lock_cardholder(connection, holder)
    own = card.c
    citizens = select(own.id).where(own.cardholder_id == holder, own.kind == CITIZEN, own.state.in_(_THERE))
    if connection.execute(citizens).first() is not None:
        return None
    if category_of(connection, holder) == CATEGORY_OF[YOUNG]:
        set_category(connection, holder, CATEGORY_OF[CITIZEN], actor=actor, moment=moment)
    return order_card(
        connection, holder, CITIZEN, delivery=delivery, replaces=young, actor=actor, moment=moment
    ).card_id


def cards_in_use(connection: Connection, after: UUID, limit: int) -> Sequence[InUse]:
    """The cards in use after this one, each with the application by which it was had, if there was one."""
    own = application.c
    rows = connection.execute(
        select(card.c.id, card.c.cardholder_id, card.c.kind, own.id.label("application_id"))
        .add_columns(own.first_day, own.last_day)
        .select_from(card.outerjoin(application, (own.card_id == card.c.id) & (own.state == APPROVED)))
        .where(card.c.state == CardState.ACTIVE, card.c.id > after)
        .order_by(card.c.id)
        .limit(limit)
    )
    return [
        InUse(
            CardId(row.id),
            CardholderId(row.cardholder_id),
            row.kind,
            row.application_id,
            None if row.first_day is None else Visit(row.first_day, row.last_day),
        )
        for row in rows
    ]


def check_again(connection: Connection, deciding: Deciding, cards: Sequence[InUse]) -> list[NotBacked]:
    """Those of some hundred cards that would not be approved today."""
    people = known_of_many(connection, deciding.kek, {each.cardholder_id for each in cards})
    found = []
    for each in cards:
        day = deciding.today
        reasons = missing(each.kind, people[each.cardholder_id], deciding.ages, day, each.visit)
        if reasons:
            found.append(NotBacked(each.application_id, each.cardholder_id, each.card_id, reasons))
    return found


def suspend_not_backed(
    connection: Connection, authority: Authority, found: NotBacked, deciding: Deciding
) -> None:
    """Let such a card rest until somebody has looked (`card release`). Raises StateChangeRefused."""
    actor, moment = deciding.actor, deciding.moment
    suspend(connection, authority, found.card_id, reason=NOT_BACKED, actor=actor, moment=moment)
