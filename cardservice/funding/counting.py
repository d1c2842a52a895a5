"""What programmes have paid, for census and claims: totals without names, and the list that has them.

Both are reckoned from the counters that postings have raised and refunds have lowered: by person, programme
and day of the school. They are there for as long as the details of sales.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.audit.service import record
from cardservice.cardholders.accesses import note_reads
from cardservice.cardholders.service import names_of
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.funding.errors import NamesNotAllowed
from cardservice.funding.importing import programmes_of
from cardservice.funding.models import entitlement
from cardservice.ids import CardholderId
from cardservice.ledger.models import counter
from cardservice.services import retention_days
from cardservice.services.funded import Funded
from cardservice.services.seam import Service

# Ours: of fewer pupils than these nothing is told; as education statistics in England do.
SMALLEST = 5


@dataclass(frozen=True, slots=True)
class Count:
    """What a programme has paid; None: too few to be told.

    `served` are days on which a pupil had something, `pupils` those who had any.
    """

    programme: str
    funder: str
    nation: str
    served: int | None
    pupils: int | None
    amount_minor: int | None


@dataclass(frozen=True, slots=True)
class Paid:
    """What a programme has paid for a pupil on a day."""

    cardholder: UUID
    day: date
    amount_minor: int


def counts_between(
    context: Context, connection: Connection, service: Service, first: date, last: date
) -> tuple[Count, ...]:
    """A count for each programme from `first` to `last`, both included, and one for all together.

    The last is there where no small number can be reckoned from it. Raises OrderInvalid.
    """
    _require_kept(context, service, first, last)
    programmes = {each.key: each for each in programmes_of(context, connection, service)}
    found = {key: paid_between(connection, service, key, first, last) for key in sorted(programmes)}
    counts = [
        _count(key, programmes[key].funder, programmes[key].nation, paid) for key, paid in found.items()
    ]
    if all(count.pupils is not None for count in counts) and not _tells(found):
        everything = [each for paid in found.values() for each in paid]
        # One programme may add to another's meal: a pupil's day is one meal all the same.
        counts.append(_count("all", "", "", everything))
    return tuple(counts)


def _tells(found: Mapping[str, Sequence[Paid]]) -> bool:
    """Whether the sum of all, less what stands above it, is a number of few pupils.

    Less one programme it is those who have others alone; the programmes less the sum are those with several.
    """
    for of in (_pupils, _served):
        each = [of(paid) for paid in found.values()]
        together: set[object] = set().union(*each)
        differences = [len(together - one) for one in each]
        several = sum(len(one) for one in each) - len(together)
        if any(0 < number < SMALLEST for number in (*differences, several)):
            return True
    return False


def _pupils(paid: Sequence[Paid]) -> set[object]:
    return {each.cardholder for each in paid}


def _served(paid: Sequence[Paid]) -> set[object]:
    return {(each.cardholder, each.day) for each in paid}


def _count(key: str, funder: str, nation: str, paid: Sequence[Paid]) -> Count:
    pupils = len(_pupils(paid))
    if 0 < pupils < SMALLEST:
        return Count(key, funder, nation, None, None, None)
    return Count(key, funder, nation, len(_served(paid)), pupils, sum(each.amount_minor for each in paid))


def paid_between(
    connection: Connection, service: Service, programme: str, first: date, last: date
) -> tuple[Paid, ...]:
    """What a programme has paid and not got back, pupil by pupil and day by day."""
    if not isinstance(service, Funded):
        return ()
    own = counter.c
    rows = connection.execute(
        select(own.cardholder_id, own.period, own.used)
        .where(own.rule == service.programme_rule(programme), own.used > 0)
        .where(own.period.between(first.isoformat(), last.isoformat()))
    )
    sums: defaultdict[tuple[UUID, date], int] = defaultdict(int)
    for holder, period, used in rows:
        # Whoever changed payers in a day has been counted under both.
        sums[(holder, date.fromisoformat(period))] += used
    return tuple(Paid(holder, day, used) for (holder, day), used in sorted(sums.items()))


def _require_kept(context: Context, service: Service, first: date, last: date) -> None:
    if last < first:
        raise OrderInvalid("the last day is before the first")
    days = {**retention_days(context.services), **context.settings.retention_days}
    kept = min(days[action.retention_class] for action in service.actions.values())
    if first <= context.now().date() - timedelta(days=kept):
        raise OrderInvalid(f"what was counted {kept} days ago has been erased; count within that time")


@dataclass(frozen=True, slots=True)
class Named:
    """A line of the list with names."""

    cardholder: UUID
    name: str
    day: date
    amount_minor: int


def names_between(
    context: Context, service: Service, programme: str, first: date, last: date, *, actor: str
) -> tuple[Named, ...]:
    """Who had a meal that a programme paid towards. That it was asked is noted first, and for good.

    Raises NamesNotAllowed, which is noted, too, and OrderInvalid.
    """
    require_right(context, actor, "funding.names", programme, first=first.isoformat(), last=last.isoformat())
    _require_kept(context, service, first, last)
    with context.database.reading() as connection:
        if programme not in {each.key for each in programmes_of(context, connection, service)}:
            raise OrderInvalid(f"the tariff of {service.name} has no programme {programme[:40]!r}")
        paid = paid_between(connection, service, programme, first, last)
        named = _names(context, connection, {each.cardholder for each in paid})
    _note_reads(context, named, actor)
    return tuple(
        Named(each.cardholder, named.get(each.cardholder, ""), each.day, each.amount_minor) for each in paid
    )


@dataclass(frozen=True, slots=True)
class Due:
    """An entitlement that ends without a new check."""

    cardholder: UUID
    name: str
    programme: str
    review_on: date


def due_by(context: Context, service: Service, day: date, *, actor: str) -> tuple[Due, ...]:
    """Whose entitlements are to be checked again by a day. Raises NamesNotAllowed."""
    require_right(context, actor, "funding.due", service.name, day=day.isoformat())
    own = entitlement.c
    with context.database.reading() as connection:
        rows = connection.execute(
            select(own.cardholder_id, own.programme, own.first_day, own.review_on)
            .where(own.service == service.name)
            .order_by(own.cardholder_id, own.recorded_at, own.id)
        )
        latest = {(row.cardholder_id, row.programme): row for row in rows}
        due = [row for row in latest.values() if row.first_day < row.review_on <= day]
        named = _names(context, connection, {row.cardholder_id for row in due})
    _note_reads(context, named, actor)
    found = [
        Due(row.cardholder_id, named.get(row.cardholder_id, ""), row.programme, row.review_on) for row in due
    ]
    return tuple(sorted(found, key=lambda each: (each.review_on, each.programme, each.cardholder)))


def require_right(context: Context, actor: str, action: str, subject: str, **detail: str) -> None:
    """Note that somebody wants names, and whether they may. Raises NamesNotAllowed."""
    allowed = actor in context.settings.funding_names
    with context.database.begin() as connection:
        noted = action if allowed else f"{action}.refused"
        record(connection, actor, noted, subject, context.now(), **detail)
    if not allowed:
        raise NamesNotAllowed(actor)


def _note_reads(context: Context, named: Mapping[UUID, str], actor: str) -> None:
    with context.database.begin() as connection:
        people = {CardholderId(each) for each in named}
        note_reads(connection, people, "funding.names", actor=actor, moment=context.now())


def _names(context: Context, connection: Connection, holders: set[UUID]) -> dict[UUID, str]:
    people = names_of(connection, context.keys.cardholder_kek, {CardholderId(each) for each in holders})
    return {holder: name for holder, (name, _) in people.items()}
