"""Passes: bought once, held as a counter of the payer's, and asked about at every ride.

One that begins with its first ride begins on the first travel day, from that of its purchase on, on which its
holder boards, whatever is heard of first: the days on which somebody has boarded are counted for everybody.
"""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from cardservice.services.seam import Counter, CounterUse
from cardservice.services.transport.tariff import Pass, Tariff

RULE = "transport.pass"
# How often somebody has boarded on a travel day: by taps, and by rides with a pass where nobody taps.
BOARDED, RIDDEN = "transport.boarded", "transport.ridden"
_RIDE = "ride"


@dataclass(frozen=True, slots=True)
class FirstRide:
    """That a pass begins with a ride: within so many days of its purchase, or else when they are over."""

    bought: date
    within_days: int
    days: int | None
    months: int | None
    # The first day, from that of the purchase on, on which its holder has boarded; None: on none yet.
    day: date | None = None

    @property
    def latest(self) -> date:
        """The day on which it begins without a ride."""
        return self.bought + timedelta(days=self.within_days)

    @property
    def last_day(self) -> date:
        """The last day on which it holds, as far as is known."""
        return _last(min(self.day or self.latest, self.latest), self.days, self.months)


@dataclass(frozen=True, slots=True)
class HeldPass:
    """A pass that somebody has, from when on and until its last travel day; of one that waits the latest."""

    product: str
    begins: datetime
    last_day: date
    first_ride: FirstRide | None = None

    @property
    def use(self) -> CounterUse:
        """As it is counted: the period names what it is and when."""
        ends, by = self.last_day.isoformat(), self.first_ride
        if by is not None:
            # Not by the day, which is not known yet: by how long it holds once it has begun.
            ends = f"{_RIDE}+{by.bought}+{by.within_days}+{by.days or 0}+{by.months or 0}"
        return CounterUse(rule=RULE, period=f"{self.product}/{self.begins.isoformat()}/{ends}", amount=1)


def pass_from(product: str, sold: Pass, tariff: Tariff, moment: datetime, chosen: date | None) -> HeldPass:
    """The pass that is bought at `moment`; from the beginning of the chosen day, or from now on."""
    assert tariff.travel is not None  # noqa: S101 - who asks has looked
    days = tariff.travel.rules.days
    first = chosen or days.day_of(moment)
    begins = moment if chosen is None else max(moment, days.begins(chosen))
    if sold.first_ride_days is not None:
        by = FirstRide(first, sold.first_ride_days, sold.days, sold.months)
        return HeldPass(product, begins, by.last_day, by)
    return HeldPass(product, begins, _last(first, sold.days, sold.months))


def _last(first: date, days: int | None, months: int | None) -> date:
    return first + timedelta(days=days - 1) if days else _before_months(first, months or 1)


def _before_months(first: date, months: int) -> date:
    """The day before the same day so many months on; where that month has no such day, its last day."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    length = calendar.monthrange(year, month + 1)[1]
    if first.day > length:
        return date(year, month + 1, length)
    return date(year, month + 1, first.day) - timedelta(days=1)


def held(counters: Iterable[Counter]) -> tuple[HeldPass, ...]:
    """The passes that somebody's counters hold."""
    known = list(counters)
    found = [_held(each.period) for each in known if each.rule == RULE and each.used > 0]
    if any(each.first_ride for each in found):
        boarded = sorted(
            date.fromisoformat(each.period) for each in known if each.rule in {BOARDED, RIDDEN} and each.used
        )
        found = [_begun(each, boarded) for each in found]
    return tuple(sorted(found, key=lambda each: (each.last_day, each.product)))


def _held(period: str) -> HeldPass:
    product, begins, ends = period.rsplit("/", 2)
    moment = datetime.fromisoformat(begins)
    if not ends.startswith(f"{_RIDE}+"):
        return HeldPass(product, moment, date.fromisoformat(ends))
    _, bought, *lengths = ends.split("+")
    within, days, months = map(int, lengths)
    by = FirstRide(date.fromisoformat(bought), within, days or None, months or None)
    return HeldPass(product, moment, by.last_day, by)


def _begun(found: HeldPass, boarded: list[date]) -> HeldPass:
    """With the day on which it has begun, of a pass that waits for a ride."""
    if found.first_ride is None:
        return found
    bought = found.first_ride.bought
    by = replace(found.first_ride, day=next((day for day in boarded if day >= bought), None))
    return replace(found, first_ride=by, last_day=by.last_day)


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
