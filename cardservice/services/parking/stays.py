"""A payer's stays and permits, as its counters tell of them.

The counter of a stay has its minutes, under the vehicle at the place and the minute at which it began; that
of a permit stands under the permit, the vehicle, and its first and last day.
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from cardservice.services.holds import is_hold, read_period
from cardservice.services.parking.schemas import LONGEST
from cardservice.services.seam import Counter, CounterUse, Holder, View

SERVICE = "parking"
# What is spent in a day, by the day; a payer can set a limit for it.
DAY_LIMIT = "parking.day"
SESSION, STOPPED, CARRIED, PERMIT = "parking.session", "parking.stopped", "parking.carried", "parking.permit"
# A visitor's stay, as a session's; how many there were in a year, by their kind; what a permit cost; its end.
VISIT, VISITS, PAID, ENDED = "parking.visit", "parking.visits", "parking.permit-paid", "parking.permit-ended"
# Nobody is asked to be gone within these of the end; at the beginning there is no such time.
GRACE = timedelta(minutes=10)
_DAY = timedelta(days=1)
# More than a tariff lets a permit have.
_MOST_MONTHS = 1_000
# By then a day is over in every time zone.
_ANY_DAY = timedelta(days=2)


class Counted(Protocol):
    """What stays and permits are read from: a payer's counters."""

    @property
    def counters(self) -> Sequence[Counter]: ...


@dataclass(frozen=True, slots=True)
class Stay:
    """A vehicle's time at a place that is paid for; `vehicle` stands for both."""

    vehicle: str
    begins: datetime
    minutes: int
    stopped: bool = False
    is_visit: bool = False

    @property
    def ends(self) -> datetime:
        """The moment until which it is paid."""
        return self.begins + timedelta(minutes=self.minutes)

    def is_good_at(self, moment: datetime) -> bool:
        """Whether the vehicle may stand there: within its time, or ten minutes beyond its end."""
        return not self.stopped and self.begins <= moment <= self.ends + GRACE


def whole_minute(moment: datetime) -> datetime:
    """The minute in which a moment lies, as it stands on a ticket."""
    return moment.astimezone(UTC).replace(second=0, microsecond=0)


def period_of(vehicle: str, begins: datetime) -> str:
    """Under which the counter of a stay stands."""
    return f"{vehicle}/{begins.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def stays_of(view: Counted, vehicle: str) -> tuple[Stay, ...]:
    """The stays of a vehicle at a place that this payer has paid for, the latest last."""
    return tuple(sorted(_stays_of(view, vehicle), key=lambda stay: stay.begins))


def _stays_of(view: Counted, vehicle: str) -> Iterator[Stay]:
    stopped = {counter.period for counter in view.counters if counter.rule == STOPPED and counter.used}
    for counter in view.counters:
        name, _, begins = counter.period.partition("/")
        if counter.rule in {SESSION, VISIT} and name == vehicle and counter.used:
            moment = datetime.fromisoformat(begins)
            yield Stay(vehicle, moment, counter.used, counter.period in stopped, counter.rule == VISIT)


def carried_at(view: View, place: str, holder: Holder | None) -> int:
    """How many minutes this person has left at a place that lets them be carried."""
    if holder is None:
        return 0
    wanted = (CARRIED, place, holder.cardholder_id)
    return sum(
        counter.used
        for counter in view.counters
        if (counter.rule, counter.period, counter.cardholder_id) == wanted
    )


def counted(rule: str, period: str, amount: int) -> tuple[CounterUse, ...]:
    """A counter's change, if it is one."""
    return (CounterUse(rule=rule, period=period, amount=amount),) if amount else ()


@dataclass(frozen=True, slots=True)
class HeldPermit:
    """A permit that a payer has for one or more vehicles, both days included."""

    permit: str
    vehicles: tuple[str, ...]
    first_day: date
    last_day: date

    @property
    def period(self) -> str:
        """Under which its counter stands."""
        return f"{self.permit}/{'+'.join(self.vehicles)}/{self.first_day}/{self.last_day}"


def permit_from(permit: str, vehicles: tuple[str, ...], day: date, months: int) -> HeldPermit:
    """A permit of so many months from a day on."""
    return HeldPermit(permit, vehicles, day, last_day_of(day, months))


def last_day_of(day: date, months: int) -> date:
    """The last of so many months from a day on; where a month has no such day, that month's end."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    length = calendar.monthrange(year, month)[1]
    return date(year, month, day.day) - _DAY if day.day <= length else date(year, month, length)


def whole_months_left(held: HeldPermit, day: date) -> tuple[int, int]:
    """Of the months of a permit, how many have not begun on a day, and how many it has in all."""
    months = next(
        count for count in range(1, _MOST_MONTHS) if last_day_of(held.first_day, count) >= held.last_day
    )
    return sum(last_day_of(held.first_day, gone) >= day for gone in range(1, months)), months


def permits_of(view: Counted, day: date) -> tuple[HeldPermit, ...]:
    """The permits that a payer has on a day."""
    # One that was changed to other vehicles and back stands under the same period twice.
    ended = {counter.period: counter.used for counter in view.counters if counter.rule == ENDED}
    found = []
    for counter in view.counters:
        if counter.rule == PERMIT and counter.used > ended.get(counter.period, 0):
            permit, vehicles, first, last = counter.period.split("/")
            held = HeldPermit(
                permit, tuple(vehicles.split("+")), date.fromisoformat(first), date.fromisoformat(last)
            )
            if held.first_day <= day <= held.last_day:
                found.append(held)
    return tuple(found)


def period_is_over(rule: str, period: str, moment: datetime) -> bool:
    """Whether what a counter is about has ended by a moment; minutes that are carried have no end.

    A stay's counter is over as many days after its begin as it can last.
    """
    if is_hold(rule):
        return read_period(period)[0].until <= moment
    if rule in {SESSION, STOPPED, VISIT}:
        begins = datetime.fromisoformat(period.partition("/")[2])
        return begins + LONGEST <= moment
    if rule in {DAY_LIMIT, PERMIT, PAID, ENDED, VISITS}:
        last_day = period.rpartition("/")[2]
        if rule == VISITS:
            last_day += "-12-31"
        return datetime.fromisoformat(last_day).replace(tzinfo=UTC) + _ANY_DAY <= moment
    return False
