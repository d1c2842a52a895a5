"""What past days would have come to under a draft: sales priced, and days rated, again from what was stored.

A draft mostly begins later than the days that are asked about. They are then moved on by whole weeks, by the
clock on the wall, to where it holds: weekdays and times of day stay, bank holidays may be others. Nobody is
named, and nothing is posted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row, select

from cardservice.context import Context
from cardservice.ledger.models import ledger_transaction, transaction_details
from cardservice.ledger.statements import Period
from cardservice.rating.reading import read_taps, riders_between
from cardservice.services.rated import DayCharge, Rated, Span, StoredTap
from cardservice.services.seam import Ask, AskKind, Holder, LoadedTariff, Refusal, Service
from cardservice.tariffs.service import TariffVersion, tariff_in_force

# Ours: sales, and persons' weeks, that are looked at together unless said.
AT_MOST = 10_000
RATED = "a day of taps"
_NOBODY = UUID(int=0)
_DAY, _WEEK = timedelta(days=1), timedelta(weeks=1)
_SALES = ("request", "advice")


@dataclass(slots=True)
class Again:
    """Sales of one action, or days, as they were and as they would have been, in minor units."""

    count: int = 0
    before_minor: int = 0
    after_minor: int = 0
    dearer: int = 0
    cheaper: int = 0
    # Not sold by the draft, by its reasons.
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, before_minor: int, after: int | Refusal) -> None:
        """One more; what is refused is in neither sum."""
        if isinstance(after, Refusal):
            self.refused[after.reason] += 1
            return
        self.count += 1
        self.before_minor, self.after_minor = self.before_minor + before_minor, self.after_minor + after
        self.dearer += after > before_minor
        self.cheaper += after < before_minor


@dataclass(frozen=True, slots=True)
class Repriced:
    """What a period would have come to, by action; days of taps without the passes, before and after.

    `weeks`: how far the days were moved on. `erased`: sales and persons' weeks whose details are gone.
    `more`: there were more than were looked at.
    """

    weeks: int
    actions: Mapping[str, Again]
    erased: int
    more: bool


def reprice(
    context: Context,
    connection: Connection,
    service: Service,
    loaded: LoadedTariff,
    period: Period,
    at_most: int = AT_MOST,
) -> Repriced:
    """What the service's sales of these days, and its rated days, would have cost by a draft."""
    zone = ZoneInfo(context.scheme.timezone)
    begins, ends = (
        datetime.combine(day, time(), zone).astimezone(UTC) for day in (period.first, period.last + _DAY)
    )
    behind = loaded.valid_from - begins
    weeks = max(0, -(-behind // _WEEK))
    again = _Again(context, service, loaded, zone, weeks)
    rows = connection.execute(_sales(service, begins, ends, at_most + 1)).all()
    for row in rows[:at_most]:
        again.sale(row)
    more = len(rows) > at_most
    if isinstance(service, Rated):
        more |= again.days(connection, service, period, (begins, ends), at_most)
    return Repriced(weeks, again.actions, again.erased, more)


class _Again:
    """Past sales and days, one after the other."""

    def __init__(
        self, context: Context, service: Service, loaded: LoadedTariff, zone: ZoneInfo, weeks: int
    ) -> None:
        self._context, self._service, self._zone, self._weeks = context, service, zone, weeks
        self._version, self._tariff = loaded.version, service.prepare(loaded.content)
        self.actions: dict[str, Again] = {}
        self.erased = 0

    def sale(self, row: Row[Any]) -> None:
        """A sale by the draft's price; what only set money aside is none."""
        if row.details is None or row.answer is None or "seen" not in row.answer:
            self.erased += 1
            return
        kind, category = row.answer["seen"]["card"][:2]
        ask = Ask(
            service=self._service.name,
            action=row.action,
            kind=AskKind.REQUEST,
            currency=self._context.scheme.currency,
            details=self._moved(self._service.details_schema(row.action)().load(row.details)),
            occurred_at=self._later(row.occurred_at),
        )
        holder = Holder(cardholder_id=_NOBODY, card_kind=kind, category=category)
        price = self._service.quote(ask, holder, self._tariff)
        if isinstance(price, Refusal):
            self._of(row.action).add(row.amount_minor, price)
        elif not any(line.held for line in price.lines):
            self._of(row.action).add(row.amount_minor, price.amount_minor)

    def days(
        self,
        connection: Connection,
        service: Rated,
        period: Period,
        between: tuple[datetime, datetime],
        at_most: int,
    ) -> bool:
        """Each person's days by their taps; whether there were more than may be looked at."""
        looked_at = 0
        around = between[0] - _DAY, between[1] + _DAY
        riders = riders_between(connection, self._service.name, service.tap_actions, *around)
        spans = self._spans(connection, service, period)
        for rider in riders:
            for span in spans:
                if looked_at == at_most:
                    return True
                looked_at += 1
                where = (self._service.name, service.tap_actions, span.begins, span.ends)
                taps = read_taps(connection, (rider,), *where)[rider]
                if taps is None:
                    self.erased += 1
                    continue
                self._compare(service, taps, span, period)
        return False

    def _spans(self, connection: Connection, service: Rated, period: Period) -> list[Span]:
        found: dict[date, Span] = {}
        day = period.first
        while day <= period.last:
            noon = datetime.combine(day, time(12), self._zone).astimezone(UTC)
            version = tariff_in_force(connection, self._service.name, noon)
            if version is not None:
                of_day = service.spans(noon, self._context.tariffs.get(version))
                found |= {span.first_day: span for span in of_day if span.first_day <= day <= span.last_day}
            day += _DAY
        return [found[first] for first in sorted(found)]

    def _compare(self, service: Rated, taps: list[StoredTap], span: Span, period: Period) -> None:
        named = {version for tap in taps if (version := service.tariff_named(tap)) is not None}
        own = {
            version: self._context.tariffs.get(TariffVersion(self._service.name, version, span.begins))
            for version in named
        }
        # Without passes on either side: theirs are days of the calendar, which are not moved.
        before = _by_day(service.day_charges(taps, (), own, span))
        shift = self._weeks * _WEEK
        moved = Span(
            span.first_day + shift, span.last_day + shift, self._later(span.begins), self._later(span.ends)
        )
        later = [self._moved_tap(tap, named) for tap in taps]
        after = _by_day(service.day_charges(later, (), {self._version: self._tariff}, moved))
        for day, charged_minor in before.items():
            if period.first <= day <= period.last:
                self._of(RATED).add(charged_minor, after.get(day + shift, 0))

    def _moved_tap(self, tap: StoredTap, named: set[str]) -> StoredTap:
        inputs = {key: self._version if value in named else value for key, value in tap.inputs.items()}
        return replace(tap, occurred_at=self._later(tap.occurred_at), inputs=inputs)

    def _of(self, action: str) -> Again:
        return self.actions.setdefault(action, Again())

    def _moved(self, details: Mapping[str, object]) -> dict[str, object]:
        """Details whose days and moments are as much later."""
        return {name: self._moved_value(value) for name, value in details.items()}

    def _moved_value(self, value: object) -> object:
        if isinstance(value, datetime):
            return self._later(value)
        return value + self._weeks * _WEEK if isinstance(value, date) else value

    def _later(self, moment: datetime) -> datetime:
        wall = moment.astimezone(self._zone)
        return (wall + self._weeks * _WEEK).astimezone(UTC)


def _by_day(charges: Iterable[DayCharge]) -> dict[date, int]:
    return {each.travel_day: sum(share.amount_minor for share in each.shares) for each in charges}


def _sales(service: Service, begins: datetime, ends: datetime, at_most: int) -> Any:
    stored, kept = ledger_transaction.c, transaction_details.c
    taps = service.tap_actions if isinstance(service, Rated) else frozenset[str]()
    joined = ledger_transaction.outerjoin(
        transaction_details, (kept.payer_id == stored.payer_id) & (kept.transaction_id == stored.id)
    )
    return (
        select(stored.action, stored.occurred_at, stored.amount_minor, kept.details, kept.answer)
        .select_from(joined)
        .where(
            stored.service == service.name,
            stored.kind.in_(_SALES),
            stored.decision == "approved",
            stored.action.in_(set(service.actions) - taps),
            stored.amount_minor > 0,
            stored.occurred_at >= begins,
            stored.occurred_at < ends,
        )
        .order_by(stored.occurred_at, stored.id)
        .limit(at_most)
    )


def rows_of(found: Repriced) -> Iterator[tuple[str, Again]]:
    """By action, in one order."""
    yield from sorted(found.actions.items())
