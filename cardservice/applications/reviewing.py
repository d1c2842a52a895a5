"""Looking again at those who have cards: young citizens who have grown up, and cards that nothing backs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.applications.eligibility import CATEGORY_OF, CITIZEN, DECEASED, YOUNG, age_on
from cardservice.applications.models import application
from cardservice.applications.proofs import known_of
from cardservice.applications.service import APPROVED, Deciding, objections, require_application
from cardservice.cardholders.service import category_of, lock_cardholder, set_category
from cardservice.cards.life import suspend
from cardservice.cards.models import card
from cardservice.cards.personalisation import Delivery, order_card
from cardservice.cards.states import CardState
from cardservice.ids import CardholderId, CardId
from pki.authority import Authority

# A card that somebody has, or will have.
_THERE = ("ordered", "personalised", "dispatched", "active", "suspended")
# Ours: what the history of a card says that was suspended by a check.
NOT_BACKED = "eligibility is to be checked again"


@dataclass(frozen=True, slots=True)
class NotBacked:
    """A card in use that would not be approved today."""

    application_id: UUID
    cardholder_id: CardholderId
    card_id: CardId
    reasons: tuple[str, ...]


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
    return (
        age_on(known.born_on, deciding.moment.date()) >= deciding.ages.adult and DECEASED not in known.flags
    )


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


def cards_in_use(connection: Connection, after: UUID, limit: int) -> Sequence[UUID]:
    """The approved applications after this one whose card is in use."""
    own = application.c
    return connection.scalars(
        select(own.id)
        .join(card, card.c.id == own.card_id)
        .where(own.state == APPROVED, card.c.state == CardState.ACTIVE, own.id > after)
        .order_by(own.id)
        .limit(limit)
    ).all()


def check_again(connection: Connection, deciding: Deciding, application_id: UUID) -> NotBacked | None:
    """The card of an approved application, if it would not be approved today."""
    known = require_application(connection, application_id)
    reasons = objections(connection, deciding, known)
    if not reasons or known.card_id is None:
        return None
    return NotBacked(known.id, known.cardholder_id, known.card_id, reasons)


def suspend_not_backed(
    connection: Connection, authority: Authority, found: NotBacked, deciding: Deciding
) -> None:
    """Let such a card rest until somebody has looked (`card release`). Raises StateChangeRefused."""
    actor, moment = deciding.actor, deciding.moment
    suspend(connection, authority, found.card_id, reason=NOT_BACKED, actor=actor, moment=moment)
