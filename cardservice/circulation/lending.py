"""Lending, taking back and lending on: looked up, decided by the service's rules, and written down.

Each is one transaction of the database. The title is held first and then the member, so that of two who want
one copy the second finds it lent; the loan's key would refuse it, too.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection, Row, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.circulation import holds
from cardservice.circulation.errors import LendingRefused
from cardservice.circulation.fines import charge
from cardservice.circulation.members import borrower_of, locked_member, overwrite
from cardservice.circulation.models import copy, history, hold, lending_count, loan, member
from cardservice.circulation.stock import locked_copy
from cardservice.circulation.terms import TermsInForce, lending_service, terms_at, terms_of
from cardservice.context import Context
from cardservice.ids import CardholderId, new_random_id
from cardservice.services.lending import CopyView, Late, Lending, LoanView, Who
from cardservice.services.seam import Refusal

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
    context: Context, barcode: str, number: str, *, place: str, done: bool = False, renew: bool = False
) -> Given:
    """Lend a copy to a member; what is `done` is flagged, not refused; `renew`: what they have is lent on.

    Raises MemberUnknown, CopyUnknown, NoTerms and LendingRefused.
    """
    moment = context.now()
    with context.database.begin() as connection:
        found = locked_copy(connection, number)
        service, terms = lending_service(context.services), terms_at(context, connection, moment)
        holds.expire(context, connection, found.title_id, service.local_day(moment, terms.tariff))
        who = locked_member(connection, barcode)
        holder = CardholderId(who.cardholder_id)
        view = _view(connection, found, holder)
        if view.lent_to is Who.SELF and renew:
            return _renewed(context, connection, found, who, terms, moment)
        borrower = borrower_of(context, connection, who, terms, moment)
        decided = service.lend(borrower, view, moment, terms.tariff, done=done)
        if isinstance(decided, Refusal):
            raise LendingRefused(decided.reason, decided.message)
        _fetched(context, connection, found, holder)
        connection.execute(
            insert(loan).values(
                copy=number,
                cardholder_id=holder,
                item_class=found.item_class,
                terms=terms.version,
                lent_at=moment,
                due_on=decided.due_on,
                renewals=0,
            )
        )
        connection.execute(update(copy).where(copy.c.barcode == number).values(place=place))
        _count(service, connection, moment, place, who.category, found.item_class, terms, "lent")
        return Given(number, found.name, decided.due_on, flags=decided.flags)


def check_in(context: Context, number: str, *, place: str, returned_at: datetime | None = None) -> Returned:
    """Take a copy back: charge what is due, forget the loan, and keep the copy for whoever waits.

    Raises CopyUnknown and NoTerms.
    """
    moment = context.now()
    with context.database.begin() as connection:
        found = locked_copy(connection, number)
        service, terms = lending_service(context.services), terms_at(context, connection, moment)
        row = connection.execute(select(loan).where(loan.c.copy == number)).one_or_none()
        late = Late(days=0, fine_minor=0)
        if row is not None:
            barcode = select(member.c.barcode).where(member.c.cardholder_id == row.cardholder_id)
            who = locked_member(connection, str(connection.scalar(barcode)))
            at = _returned_at(returned_at, row.lent_at, moment)
            late = _charged(context, service, connection, row, who, at)
            if who.keeps_history:
                _remember(service, connection, found.name, row, at, terms)
            overwrite(connection)
            connection.execute(delete(loan).where(loan.c.copy == number))
        connection.execute(update(copy).where(copy.c.barcode == number).values(place=place))
        holds.expire(context, connection, found.title_id, service.local_day(moment, terms.tariff))
        holds.assign_next(context, connection, found.title_id)
        kept = connection.execute(select(hold.c.number).where(hold.c.copy == number)).first()
        return Returned(number, found.name, row is not None, kept is not None, found.branch, late)


def renew(context: Context, barcode: str, number: str) -> Given:
    """Lend a copy on. Raises MemberUnknown, CopyUnknown, NoTerms and LendingRefused."""
    moment = context.now()
    with context.database.begin() as connection:
        found = locked_copy(connection, number)
        terms = terms_at(context, connection, moment)
        who = locked_member(connection, barcode)
        return _renewed(context, connection, found, who, terms, moment)


def _renewed(
    context: Context,
    connection: Connection,
    found: Row[*tuple[object, ...]],
    who: Row[*tuple[object, ...]],
    terms: TermsInForce,
    moment: datetime,
) -> Given:
    """What is late is charged first: the days from then on are others."""
    service = lending_service(context.services)
    row = connection.execute(
        select(loan).where(loan.c.copy == found.barcode, loan.c.cardholder_id == who.cardholder_id)
    ).one_or_none()
    if row is None:
        raise LendingRefused("not_on_loan", "This is not on loan to you.")
    borrower = borrower_of(context, connection, who, terms, moment)
    wanted = holds.waiting_for(connection, found.title_id, CardholderId(who.cardholder_id))
    decided = service.renew(borrower, _loan_view(row), wanted, moment, terms.tariff)
    if isinstance(decided, Refusal):
        raise LendingRefused(decided.reason, decided.message)
    late = _charged(context, service, connection, row, who, moment)
    values = {"due_on": decided.due_on, "renewals": row.renewals + 1, "terms": terms.version}
    connection.execute(update(loan).where(loan.c.copy == found.barcode).values(values))
    _count(service, connection, moment, found.place, who.category, found.item_class, terms, "renewed")
    return Given(found.barcode, found.name, decided.due_on, renewed=True, fine_minor=late.fine_minor)


def _view(connection: Connection, found: Row[*tuple[object, ...]], holder: CardholderId) -> CopyView:
    lent = connection.scalar(select(loan.c.cardholder_id).where(loan.c.copy == found.barcode))
    kept = connection.scalar(select(hold.c.cardholder_id).where(hold.c.copy == found.barcode))
    return CopyView(
        item_class=found.item_class,
        withdrawn=found.withdrawn,
        lent_to=_who(lent, holder),
        kept_for=_who(kept, holder),
    )


def _who(whose: object, holder: CardholderId) -> Who:
    if whose is None:
        return Who.NOBODY
    return Who.SELF if whose == holder else Who.OTHER


def _fetched(
    context: Context, connection: Connection, found: Row[*tuple[object, ...]], holder: CardholderId
) -> None:
    """Whoever gets a copy waits no more, and whoever it was kept for waits on."""
    mine = hold.c.title_id == found.title_id, hold.c.cardholder_id == holder
    other = connection.scalar(select(hold.c.copy).where(*mine))
    connection.execute(delete(hold).where(*mine))
    holds.set_free(connection, found.barcode)
    if other is not None and other != found.barcode:
        holds.assign_next(context, connection, found.title_id)


def _loan_view(row: Row[*tuple[object, ...]]) -> LoanView:
    return LoanView(item_class=row.item_class, lent_at=row.lent_at, due_on=row.due_on, renewals=row.renewals)


def _returned_at(told: datetime | None, lent_at: datetime, moment: datetime) -> datetime:
    """The moment that counts: as a machine tells it, if that can be."""
    if told is None or not max(lent_at, moment - BACKDATED_AT_MOST) <= told <= moment:
        return moment
    return told


def _charged(
    context: Context,
    service: Lending,
    connection: Connection,
    row: Row[*tuple[object, ...]],
    who: Row[*tuple[object, ...]],
    moment: datetime,
) -> Late:
    late = service.late(who.category, _loan_view(row), moment, terms_of(context, connection, row.terms))
    charge(connection, service, CardholderId(who.cardholder_id), late, moment)
    return late


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
