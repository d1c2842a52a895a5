"""How somebody stands with the library, and a copy with them: each read by one statement.

A machine waits for its answer, and a statement costs more than what it reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Date,
    Row,
    Select,
    Text,
    Uuid,
    bindparam,
    func,
    literal_column,
    select,
    true,
    union_all,
)

from cardservice.circulation.models import copy, hold, loan, title
from cardservice.circulation.system import OnLoan, Waiting
from cardservice.circulation.terms import TermsInForce, lending_service, terms_named
from cardservice.context import Context
from cardservice.database import UtcDateTime
from cardservice.ids import CardholderId
from cardservice.ledger.event_models import resource
from cardservice.ledger.limits import SWITCHED_OFF
from cardservice.ledger.models import cardholder_payer, payer_limit
from cardservice.services.lending import Borrower, CopyView, LoanView, Who
from cardservice.tariffs.service import version_in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyState:
    """A copy as whoever asks for it finds it, and its title's queue."""

    place: str
    view: CopyView
    # The loan, where it is theirs, and the terms that it was made under.
    loan: LoanView | None
    loan_terms: str
    # How many others wait for the title without a copy; the first day on which one is kept in vain.
    wanted: int
    kept_until: date | None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Standing:
    """A member as of one moment."""

    terms: TermsInForce
    borrower: Borrower
    on_loan: tuple[OnLoan, ...]
    waiting: tuple[Waiting, ...]
    # What they wait for, by title, with the copy that is kept for them.
    held: Mapping[str, str | None]
    # Where one was asked about
    copy: CopyState | None = None


def standing_of(
    context: Context,
    connection: Connection,
    found: Row[*tuple[object, ...]],
    moment: datetime,
    number: str | None = None,
) -> Standing:
    """How a member stands now, and the copy of this `number`, which is there. Raises NoTerms."""
    service, holder = lending_service(context.services), CardholderId(found.cardholder_id)
    asked = {
        "holder": holder,
        "service": service.name,
        "fines": service.fines_key(holder),
        "moment": moment,
        **({} if number is None else {"copy": number}),
    }
    rows = connection.execute(_MEMBER if number is None else _MEMBER_AND_COPY, asked).all()
    state = rows[0]
    terms = terms_named(context, state.version)
    today = service.local_day(moment, terms.tariff)
    loans = sorted((row for row in rows if row.kind == _LOAN), key=lambda row: (row.day, row.copy))
    holds = sorted((row for row in rows if row.kind == _HOLD), key=lambda row: row.number)
    return Standing(
        terms=terms,
        borrower=Borrower(
            category=found.category,
            on_loan=tuple(sorted(row.item_class for row in loans)),
            overdue=sum(row.day < today for row in loans),
            owed_minor=state.owed_minor or 0,
            holds=len(holds),
            barred=found.barred_by is not None,
            off=state.switch == SWITCHED_OFF,
        ),
        on_loan=tuple(
            OnLoan(copy=row.copy, title=row.name, due_on=row.day, overdue=row.day < today) for row in loans
        ),
        waiting=tuple(Waiting(title=row.name, copy=row.copy, kept_until=row.day) for row in holds),
        held={row.title_id: row.copy for row in holds},
        copy=None if number is None else _copy_state(state, holder),
    )


def _copy_state(state: Row[*tuple[Any, ...]], holder: CardholderId) -> CopyState:
    theirs = state.lent_to == holder
    return CopyState(
        place=state.place,
        view=CopyView(
            item_class=state.copy_class,
            withdrawn=state.withdrawn,
            lent_to=_who(state.lent_to, holder),
            kept_for=_who(state.kept_for, holder),
        ),
        loan=LoanView(
            item_class=state.loan_class,
            lent_at=state.lent_at,
            due_on=state.due_on,
            renewals=state.renewals,
        )
        if theirs
        else None,
        loan_terms=state.terms if theirs else "",
        wanted=state.wanted,
        kept_until=state.kept_in_vain,
    )


def _who(whose: object, holder: CardholderId) -> Who:
    if whose is None:
        return Who.NOBODY
    return Who.SELF if whose == holder else Who.OTHER


# The statements are built once: SQLAlchemy takes as long to build one as the database to answer it.
_LOAN, _HOLD = "loan", "hold"
_HOLDER, _SERVICE = bindparam("holder", type_=Uuid()), bindparam("service", type_=Text())
_MOMENT = bindparam("moment", type_=UtcDateTime())
# Of the holder's payers alone, which is where their limits lie.
_PAYERS = select(cardholder_payer.c.payer_id).where(cardholder_payer.c.cardholder_id == _HOLDER)
_OF_MEMBER = (
    version_in_force(_SERVICE, _MOMENT).label("version"),
    select(resource.c.capacity - resource.c.taken)
    .where(resource.c.service == _SERVICE, resource.c.key == bindparam("fines", type_=Text()))
    .scalar_subquery()
    .label("owed_minor"),
    # As `ledger.limits.is_switched_off` finds it.
    select(payer_limit.c.amount_minor)
    .where(payer_limit.c.payer_id.in_(_PAYERS), payer_limit.c.valid_from <= _MOMENT)
    .where(payer_limit.c.cardholder_id == _HOLDER, payer_limit.c.rule == _SERVICE)
    .order_by(payer_limit.c.valid_from.desc(), payer_limit.c.recorded_at.desc(), payer_limit.c.id.desc())
    .limit(1)
    .scalar_subquery()
    .label("switch"),
)
_OF_COPY = (
    copy.c.place,
    copy.c.withdrawn,
    title.c.item_class.label("copy_class"),
    loan.c.cardholder_id.label("lent_to"),
    loan.c.item_class.label("loan_class"),
    loan.c.lent_at,
    loan.c.due_on,
    loan.c.renewals,
    loan.c.terms,
    select(hold.c.cardholder_id).where(hold.c.copy == copy.c.barcode).scalar_subquery().label("kept_for"),
    select(func.count())
    .select_from(hold)
    .where(hold.c.title_id == copy.c.title_id, hold.c.copy.is_(None), hold.c.cardholder_id != _HOLDER)
    .scalar_subquery()
    .label("wanted"),
    select(func.min(hold.c.kept_until, type_=Date()))
    .where(hold.c.title_id == copy.c.title_id)
    .scalar_subquery()
    .label("kept_in_vain"),
)
_THINGS = union_all(
    select(
        literal_column(f"'{_LOAN}'", Text()).label("kind"),
        loan.c.copy,
        title.c.name,
        loan.c.due_on.label("day"),
        loan.c.item_class,
        literal_column("0").label("number"),
        title.c.id.label("title_id"),
    )
    .select_from(loan.join(copy, copy.c.barcode == loan.c.copy).join(title, title.c.id == copy.c.title_id))
    .where(loan.c.cardholder_id == _HOLDER),
    select(
        literal_column(f"'{_HOLD}'", Text()),
        hold.c.copy,
        title.c.name,
        hold.c.kept_until,
        title.c.item_class,
        hold.c.number,
        title.c.id,
    )
    .select_from(hold.join(title, title.c.id == hold.c.title_id))
    .where(hold.c.cardholder_id == _HOLDER),
).subquery("things")


def _with_things(state: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """A row for each thing that the member has or waits for; one without any where there is none."""
    stands = state.subquery("state")
    return select(stands, _THINGS).select_from(stands.outerjoin(_THINGS, true()))


_MEMBER = _with_things(select(*_OF_MEMBER))
_MEMBER_AND_COPY = _with_things(
    select(*_OF_MEMBER, *_OF_COPY)
    .select_from(
        copy.join(title, title.c.id == copy.c.title_id).outerjoin(loan, loan.c.copy == copy.c.barcode)
    )
    .where(copy.c.barcode == bindparam("copy", type_=Text()))
)
