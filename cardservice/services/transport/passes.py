"""Passes: bought once, held as a counter of the payer's, and asked about at every ride."""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cardservice.services.seam import Counter, CounterUse
from cardservice.services.transport.tariff import Pass, Tariff

RULE = "transport.pass"


@dataclass(frozen=True, slots=True)
class HeldPass:
    """A pass that somebody has, from when on and until its last travel day."""

    product: str
    begins: datetime
    last_day: date

    @property
    def use(self) -> CounterUse:
        """As it is counted: the period names what it is and when."""
        period = f"{self.product}/{self.begins.isoformat()}/{self.last_day.isoformat()}"
        return CounterUse(rule=RULE, period=period, amount=1)


def pass_from(product: str, sold: Pass, tariff: Tariff, moment: datetime, chosen: date | None) -> HeldPass:
    """The pass that is bought at `moment`; from the beginning of the chosen day, or from now on."""
    assert tariff.travel is not None  # noqa: S101 - who asks has looked
    days = tariff.travel.rules.days
    first = chosen or days.day_of(moment)
    begins = moment if chosen is None else max(moment, days.begins(chosen))
    last = first + timedelta(days=sold.days - 1) if sold.days else _before_months(first, sold.months or 1)
    return HeldPass(product, begins, last)


def _before_months(first: date, months: int) -> date:
    """The day before the same day so many months on; where that month has no such day, its last day."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    length = calendar.monthrange(year, month + 1)[1]
    if first.day > length:
        return date(year, month + 1, length)
    return date(year, month + 1, first.day) - timedelta(days=1)


def held(counters: Iterable[Counter]) -> tuple[HeldPass, ...]:
    """The passes that somebody's counters hold."""
    found = []
    for counter in counters:
        if counter.rule == RULE and counter.used > 0:
            product, begins, last_day = counter.period.rsplit("/", 2)
            found.append(HeldPass(product, datetime.fromisoformat(begins), date.fromisoformat(last_day)))
    return tuple(sorted(found, key=lambda each: (each.last_day, each.product)))


def covering(
    passes: Iterable[HeldPass], tariff: Tariff, moment: datetime, stops: Iterable[str]
) -> HeldPass | None:
    """The pass that is good for a ride between (or from) these stops; None: none is."""
    if tariff.travel is None:
        return None
    day = tariff.travel.rules.days.day_of(moment)
    areas = [set(tariff.places[stop].areas) for stop in stops if stop in tariff.places]
    for each in passes:
        sold = tariff.passes.get(each.product)
        if sold is None or not (each.begins <= moment and day <= each.last_day):
            continue
        if sold.zones is None or all(not sold.zones.isdisjoint(area) for area in areas):
            return each
    return None
