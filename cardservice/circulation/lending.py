"""Lending, taking back and lending on: looked up, decided by the service's rules, and written down.

Each is done within one transaction of the caller's. The title is held first and then the member, so that of
two who want one copy the second finds it lent; the loan's key would refuse it, too. What was read before a
row is held may be old: what decides is read after that, by one statement.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import (
    Connection,
    Date,
    Row,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.cardholders.models import cardholder
from cardservice.circulation import holds
from cardservice.circulation.errors import LendingRefused
from cardservice.circulation.fines import charge
from cardservice.circulation.members import locked_member, overwrite
from cardservice.circulation.models import copy, history, hold, lending_count, loan, member
from cardservice.circulation.standing import CopyState, Standing, standing_of
from cardservice.circulation.stock import locked_copy, locked_pair
from cardservice.circulation.terms import TermsInForce, lending_service, terms_named, terms_of
from cardservice.context import Context
from cardservice.database import UtcDateTime
from cardservice.ids import CardholderId, new_random_id
from cardservice.services.lending import Late, Lending, LoanView, Who
from cardservice.services.seam import Refusal
from cardservice.tariffs.service import version_in_force

# Ours: a machine that was without a connection may tell of a return so late.
BACKDATED_AT_MOST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Given:
    """Something is lent, or lent on: what, and until when. `fine_minor` was charged for the time before."""

    copy: str
    title: str
    due_on: date
    renewed: bool = False
    fine_minor: int = 0
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Returned:
    """Something is back: whether it was on loan, whether somebody waits for it, and where it belongs."""

    copy: str
    title: str
    was_lent: bool
    kept: bool
    home: str
    late: Late


def check_out(
    context: Context,
    connection: Connection,
    barcode: str,
    number: str,
    *,
    place: str,
    done: bool = False,
    renew: bool = False,
) -> Given:
    """Lend a copy to a member; what is `done` is flagged, not refused; `renew`: what they have is lent on.

    Raises MemberUnknown, CopyUnknown, NoTerms and LendingRefused; nothing of the loan is written then.
    """
    moment = context.now()
    found = locked_pair(connection, barcode, number)
    service, holder = lending_service(context.services), CardholderId(found.cardholder_id)
    standing = standing_of(context, connection, found, moment, number)
    if holds.expire_if_due(context, connection, found.title_id, _copy(standing).kept_until, standing.terms):
        standing = standing_of(context, connection, found, moment, number)
    view, terms = _copy(standing).view, standing.terms
    if view.lent_to is Who.SELF and renew:
        return _renewed(context, connection, found, number, standing, moment)
    decided = service.lend(standing.borrower, view, moment, terms.tariff, done=done)
    if isinstance(decided, Refusal):
        raise LendingRefused(decided.reason, decided.message)
    if found.title_id in standing.held or view.kept_for is not Who.NOBODY:
        _fetched(context, connection, found.title_id, number, holder)
    connection.execute(
        _NEW_LOAN,
        {
            "copy": number,
            "cardholder_id": holder,
            "item_class": found.item_class,
            "terms": terms.version,
            "lent_at": moment,
            "due_on": decided.due_on,
            "renewals": 0,
        },
    )
    _move(connection, number, _copy(standing).place, place)
    _count(service, connection, moment, place, found.category, found.item_class, terms, "lent")
    return Given(number, found.name, decided.due_on, flags=decided.flags)


def check_in(
    context: Context,
    connection: Connection,
    number: str,
    *,
    place: str,
    returned_at: datetime | None = None,
) -> Returned:
    """Take a copy back: charge what is due, forget the loan, and keep the copy for whoever waits.

    Raises CopyUnknown and NoTerms.
    """
    moment = context.now()
    found = locked_copy(connection, number)
    service = lending_service(context.services)
    state = connection.execute(_BACK, {"copy": number, "service": service.name, "moment": moment}).one()
    terms = terms_named(context, state.version)
    late = Late(days=0, fine_minor=0)
    if state.cardholder_id is not None:
        at = _returned_at(returned_at, state.lent_at, moment)
        lent_under = _lent_under(context, connection, state.terms, terms)
        late = _charged(context, connection, state, _loan_view(state), lent_under, at)
        # Whether they want it kept is asked again under their row: they may just have forgotten all of it.
        if state.keeps_history and locked_member(connection, state.barcode).keeps_history:
            _remember(service, connection, found.name, state, at, terms)
        overwrite(connection)
        connection.execute(delete(loan).where(loan.c.copy == number))
    _move(connection, number, state.place, place)
    kept = state.kept is not None
    gone = holds.expire_if_due(context, connection, found.title_id, state.kept_in_vain, terms)
    if gone or state.waiting is not None:
        holds.assign_next(context, connection, found.title_id)
        kept = connection.execute(select(hold.c.number).where(hold.c.copy == number)).first() is not None
    was_lent = state.cardholder_id is not None
    return Returned(number, found.name, was_lent, kept, state.branch, late)


def renew(context: Context, connection: Connection, barcode: str, number: str) -> Given:
    """Lend a copy on. Raises MemberUnknown, CopyUnknown, NoTerms and LendingRefused, as `check_out`."""
    moment = context.now()
    found = locked_pair(connection, barcode, number)
    standing = standing_of(context, connection, found, moment, number)
    return _renewed(context, connection, found, number, standing, moment)


def _renewed(
    context: Context,
    connection: Connection,
    found: Row[*tuple[object, ...]],
    number: str,
    standing: Standing,
    moment: datetime,
) -> Given:
    """What is late is charged first: the days from then on are others."""
    service, state, terms = lending_service(context.services), _copy(standing), standing.terms
    if state.loan is None:
        raise LendingRefused("not_on_loan", "This is not on loan to you.")
    decided = service.renew(standing.borrower, state.loan, state.wanted, moment, terms.tariff)
    if isinstance(decided, Refusal):
        raise LendingRefused(decided.reason, decided.message)
    lent_under = _lent_under(context, connection, state.loan_terms, terms)
    late = _charged(context, connection, found, state.loan, lent_under, moment)
    values = {"due_on": decided.due_on, "renewals": state.loan.renewals + 1, "terms": terms.version}
    connection.execute(update(loan).where(loan.c.copy == number).values(values))
    _count(service, connection, moment, state.place, found.category, found.item_class, terms, "renewed")
    return Given(number, found.name, decided.due_on, renewed=True, fine_minor=late.fine_minor)


def _copy(standing: Standing) -> CopyState:
    if standing.copy is None:
        raise TypeError("a copy was not asked about")
    return standing.copy


def _fetched(
    context: Context, connection: Connection, title_id: str, number: str, holder: CardholderId
) -> None:
    """Whoever gets a copy waits no more, and whoever it was kept for waits on."""
    mine = hold.c.title_id == title_id, hold.c.cardholder_id == holder
    other = connection.scalar(select(hold.c.copy).where(*mine))
    connection.execute(delete(hold).where(*mine))
    holds.set_free(connection, number)
    if other is not None and other != number:
        holds.assign_next(context, connection, title_id)


def _move(connection: Connection, number: str, from_place: str, to_place: str) -> None:
    """A copy is where it was lent or brought back."""
    if from_place != to_place:
        connection.execute(update(copy).where(copy.c.barcode == number).values(place=to_place))


def _loan_view(row: Row[*tuple[object, ...]]) -> LoanView:
    return LoanView(item_class=row.item_class, lent_at=row.lent_at, due_on=row.due_on, renewals=row.renewals)


def _returned_at(told: datetime | None, lent_at: datetime, moment: datetime) -> datetime:
    """The moment that counts: as a machine tells it, if that can be."""
    if told is None or not max(lent_at, moment - BACKDATED_AT_MOST) <= told <= moment:
        return moment
    return told


def _charged(
    context: Context,
    connection: Connection,
    who: Row[*tuple[object, ...]],
    lent: LoanView,
    lent_under: object,
    moment: datetime,
) -> Late:
    service = lending_service(context.services)
    late = service.late(who.category, lent, moment, lent_under)
    charge(connection, service, CardholderId(who.cardholder_id), late, moment)
    return late


def _lent_under(context: Context, connection: Connection, version: str, now: TermsInForce) -> object:
    """The terms that a loan was made under, which mostly are those of now."""
    return now.tariff if version == now.version else terms_of(context, connection, version)


def _remember(
    service: Lending,
    connection: Connection,
    name: str,
    row: Row[*tuple[object, ...]],
    at: datetime,
    terms: TermsInForce,
) -> None:
    connection.execute(
        insert(history).values(
            id=new_random_id(),
            cardholder_id=row.cardholder_id,
            title=name,
            lent_on=service.local_day(row.lent_at, terms.tariff),
            returned_on=service.local_day(at, terms.tariff),
        )
    )


def _count(
    service: Lending,
    connection: Connection,
    moment: datetime,
    place: str,
    category: str,
    item_class: str,
    terms: TermsInForce,
    what: str,
) -> None:
    """One more in a month, of nobody."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = dialect.insert(lending_count).values(
        month=service.local_day(moment, terms.tariff).isoformat()[:7],
        branch=place,
        item_class=item_class,
        member_class=service.member_class(category, terms.tariff) or "",
        what=what,
        count=1,
    )
    key = [lending_count.c[name] for name in ("month", "branch", "item_class", "member_class", "what")]
    connection.execute(
        new.on_conflict_do_update(index_elements=key, set_={"count": lending_count.c.count + 1})
    )


# Built once, as those of `standing`.
_NEW_LOAN = insert(loan)
_BACK = (
    select(
        version_in_force(bindparam("service", type_=Text()), bindparam("moment", type_=UtcDateTime())).label(
            "version"
        ),
        copy.c.branch,
        copy.c.place,
        loan.c.cardholder_id,
        loan.c.item_class,
        loan.c.terms,
        loan.c.lent_at,
        loan.c.due_on,
        loan.c.renewals,
        member.c.barcode,
        member.c.keeps_history,
        cardholder.c.category,
        select(hold.c.number).where(hold.c.copy == copy.c.barcode).scalar_subquery().label("kept"),
        select(func.min(hold.c.number))
        .where(hold.c.title_id == copy.c.title_id, hold.c.copy.is_(None))
        .scalar_subquery()
        .label("waiting"),
        select(func.min(hold.c.kept_until, type_=Date()))
        .where(hold.c.title_id == copy.c.title_id)
        .scalar_subquery()
        .label("kept_in_vain"),
    )
    .select_from(
        copy.outerjoin(loan, loan.c.copy == copy.c.barcode)
        .outerjoin(member, member.c.cardholder_id == loan.c.cardholder_id)
        .outerjoin(cardholder, cardholder.c.id == loan.c.cardholder_id)
    )
    .where(copy.c.barcode == bindparam("copy", type_=Text()))
)
