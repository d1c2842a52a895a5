"""Applications: somebody wants a card of a kind, and staff decide; approved, the card is ordered.

An applicant has a record from the application on, sealed and told to them like anybody's, and erased like
anybody's where nothing comes of it.
"""

from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from uuid import UUID

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from cardservice.applications.concessions import STATE_PENSION
from cardservice.applications.eligibility import (
    APPLICANT,
    CATEGORY_OF,
    LONGEST_VISIT,
    VISITOR,
    Ages,
    Visit,
    missing,
)
from cardservice.applications.errors import ApplicationClosed, ApplicationUnknown, NotEligible
from cardservice.applications.models import application
from cardservice.applications.proofs import known_of
from cardservice.audit.service import record
from cardservice.cardholders.details import Noting
from cardservice.cardholders.records import record_key
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import category_of, lock_cardholder, set_category
from cardservice.cards.personalisation import KINDS, Delivery, Order, order_card
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, CardId, new_id
from cardservice.ledger.key_ring import KeyRing

# Ours: characters of why an application is refused, and applications in one list.
MAX_REASON, MAX_LISTED = 200, 200
OPEN, APPROVED, REFUSED, WITHDRAWN = "open", "approved", "refused", "withdrawn"
STATES = (OPEN, APPROVED, REFUSED, WITHDRAWN)


@dataclass(frozen=True, slots=True, repr=False)
class Application:
    """Somebody's application for a card."""

    id: UUID
    cardholder_id: CardholderId
    kind: str
    state: str
    applied_at: datetime
    visit: Visit | None
    decided_at: datetime | None
    card_id: CardId | None
    # As it is kept, of one that was refused
    sealed_reason: bytes | None


@dataclass(frozen=True, slots=True)
class Deciding:
    """Who decides, when, and by which rules."""

    kek: KeyRing
    ages: Ages
    actor: str
    moment: datetime
    # Where the scheme's days begin and end (`Context.zone`)
    zone: tzinfo
    older_from: str = STATE_PENSION

    @property
    def today(self) -> date:
        """The scheme's day at that moment: by it ages and visits go."""
        return self.moment.astimezone(self.zone).date()

    def noting(self, holder: CardholderId) -> Noting:
        """The same, of a person."""
        return Noting(self.kek, holder, self.actor, self.moment, self.zone)


def apply_for(connection: Connection, noting: Noting, kind: str, visit: Visit | None = None) -> UUID:
    """Note that a person who has a record applies for a card.

    Raises OrderInvalid, and ApplicationClosed where they have applied for one of this kind.
    """
    if kind not in KINDS:
        raise OrderInvalid(f"{kind[:40]!r} is no kind of card; there are {', '.join(KINDS)}")
    _check_visit(kind, visit, noting.today)
    lock_cardholder(connection, noting.holder)
    own = application.c
    waiting = connection.scalar(
        select(own.id).where(own.cardholder_id == noting.holder, own.kind == kind, own.state == OPEN)
    )
    if waiting is not None:
        raise ApplicationClosed(f"application {waiting} of this person is open; decide that one")
    made = new_id()
    connection.execute(
        insert(application).values(
            id=made,
            cardholder_id=noting.holder,
            kind=kind,
            state=OPEN,
            applied_at=noting.moment,
            first_day=None if visit is None else visit.first_day,
            last_day=None if visit is None else visit.last_day,
        )
    )
    record(connection, noting.actor, "application.add", noting.holder, noting.moment, kind=kind)
    return made


def require_application(connection: Connection, application_id: UUID) -> Application:
    """The application of this identifier. Raises ApplicationUnknown."""
    return _found(connection, application_id, lock=False)


def list_applications(
    connection: Connection, state: str, *, after: UUID | None = None, limit: int = MAX_LISTED
) -> tuple[Application, ...]:
    """Those in a state, the one that waits longest first, at most `limit`; or after one; without names."""
    own = application.c
    wanted = select(application).where(own.state == state).order_by(own.applied_at, own.id).limit(limit)
    if after is not None:
        made = select(own.applied_at).where(own.id == after).scalar_subquery()
        wanted = wanted.where(or_(own.applied_at > made, and_(own.applied_at == made, own.id > after)))
    return tuple(_application(row) for row in connection.execute(wanted))


def objections(connection: Connection, deciding: Deciding, known: Application) -> tuple[str, ...]:
    """All that stands against an application now."""
    person = known_of(connection, deciding.kek, known.cardholder_id)
    return missing(known.kind, person, deciding.ages, deciding.today, known.visit)


def approve(
    connection: Connection,
    deciding: Deciding,
    application_id: UUID,
    *,
    category: str | None = None,
    delivery: Delivery = Delivery.DESK,
) -> Order:
    """Approve an application: the person is a cardholder with that, and the card is ordered.

    Prices go by `category`; without one, by that of the kind for who is new, and as before for who is not.
    Raises ApplicationUnknown, ApplicationClosed, NotEligible, and CardInUse where they have such a card.
    """
    known = _required_open(connection, application_id)
    if against := objections(connection, deciding, known):
        raise NotEligible(known.kind, against)
    wanted = category
    if wanted is None and category_of(connection, known.cardholder_id) == APPLICANT:
        wanted = CATEGORY_OF[known.kind]
    actor, moment = deciding.actor, deciding.moment
    if wanted is not None:
        set_category(connection, known.cardholder_id, wanted, actor=actor, moment=moment)
    order = order_card(
        connection,
        known.cardholder_id,
        known.kind,
        delivery=delivery,
        days=None if known.visit is None else (known.visit.first_day, known.visit.last_day),
        actor=actor,
        moment=moment,
    )
    _decide(connection, deciding, known, APPROVED, card_id=order.card_id)
    return order


def refuse(connection: Connection, deciding: Deciding, application_id: UUID, reason: str) -> None:
    """Refuse an application, in words that the person is told. Raises as `approve`, and OrderInvalid."""
    if not (1 <= len(reason) <= MAX_REASON and reason.isprintable()):
        raise OrderInvalid(f"say why in up to {MAX_REASON} characters on one line; the applicant is told")
    known = _required_open(connection, application_id)
    key = record_key(connection, deciding.kek, known.cardholder_id)
    _decide(connection, deciding, known, REFUSED, reason=key.seal(Field.REFUSAL, reason))


def withdraw(connection: Connection, deciding: Deciding, application_id: UUID) -> None:
    """Note that a person does not want the card any more. Raises ApplicationUnknown and ApplicationClosed."""
    _decide(connection, deciding, _required_open(connection, application_id), WITHDRAWN)


def reason_of(connection: Connection, kek: KeyRing, known: Application) -> str | None:
    """Why an application was refused."""
    if known.sealed_reason is None:
        return None
    reason: str = record_key(connection, kek, known.cardholder_id).open(Field.REFUSAL, known.sealed_reason)
    return reason


def applications_of(connection: Connection, holder: CardholderId) -> tuple[Application, ...]:
    """All of a person's, the earliest first."""
    rows = connection.execute(
        select(application).where(application.c.cardholder_id == holder).order_by(application.c.id)
    )
    return tuple(_application(row) for row in rows)


def _check_visit(kind: str, visit: Visit | None, today: date) -> None:
    if (kind == VISITOR) is (visit is None):
        raise OrderInvalid("a visitor's card has a first and a last day (--from, --until), no other has")
    if visit is None:
        return
    if not today <= visit.last_day or visit.last_day < visit.first_day:
        raise OrderInvalid(f"a visit from {visit.first_day} to {visit.last_day} is over, or none")
    if visit.last_day - visit.first_day >= LONGEST_VISIT:
        raise OrderInvalid(f"a visit lasts {LONGEST_VISIT.days} days at most; who stays longer lives here")


def _required_open(connection: Connection, application_id: UUID) -> Application:
    """Locked, so that two do not decide it."""
    known = _found(connection, application_id, lock=True)
    if known.state != OPEN:
        raise ApplicationClosed(f"application {known.id} was {known.state}; a new one can be made")
    return known


def _found(connection: Connection, application_id: UUID, *, lock: bool) -> Application:
    wanted = select(application).where(application.c.id == application_id)
    row = connection.execute(wanted.with_for_update() if lock else wanted).one_or_none()
    if row is None:
        raise ApplicationUnknown(application_id)
    return _application(row)


def _decide(
    connection: Connection, deciding: Deciding, known: Application, state: str, **values: object
) -> None:
    connection.execute(
        update(application)
        .where(application.c.id == known.id)
        .values(state=state, decided_at=deciding.moment, decided_by=deciding.actor, **values)
    )
    record(connection, deciding.actor, f"application.{state}", known.cardholder_id, deciding.moment)


def _application(row: Row[tuple[object, ...]]) -> Application:
    return Application(
        row.id,
        CardholderId(row.cardholder_id),
        row.kind,
        row.state,
        row.applied_at,
        None if row.first_day is None else Visit(row.first_day, row.last_day),
        row.decided_at,
        None if row.card_id is None else CardId(row.card_id),
        row.reason,
    )
