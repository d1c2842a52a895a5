"""From taps to journeys and what they cost: a function of which taps there are, not of how they came.

Taps come late and out of order, so a person's taps are rated together each time, in the order in which they
were made. A journey belongs to the travel day on which it was boarded. What is given as goodwill is no part
of it, and therefore stays.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from cardservice.services.transport.calendar import TravelDays, week_of


class TapKind(StrEnum):
    """Whether somebody boards or alights; in this order where both are of one moment."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True, order=True)
class Tap:
    """A card at a validator; taps are ordered by when they were made."""

    moment: datetime
    kind: TapKind
    stop: str
    id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a day costs beside its fares. Amounts are in minor units; a cap of None is none.

    `passback`: who boards again at one stop sooner than that has tapped twice. `longest`: after that a
    journey is over, and its end is missing. `hopper`: what is boarded within that, from when the first of
    them was, costs nothing more.
    """

    days: TravelDays
    maximum_minor: int
    passback: timedelta
    longest: timedelta
    hopper: timedelta = timedelta(0)
    day_cap_minor: int | None = None
    week_cap_minor: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What was ridden, what it would cost alone, and what is charged; without both ends the maximum."""

    travel_day: date
    taps: tuple[Tap, ...]
    fare_minor: int
    charged_minor: int

    @property
    def complete(self) -> bool:
        """Whether both ends are known."""
        return len(self.taps) == len(TapKind)


def rate(taps: Iterable[Tap], fare: Callable[[Tap, Tap], int], rules: Rules) -> tuple[Journey, ...]:
    """The journeys of one person's taps; give those of whole weeks, so that the week's cap sees all.

    A tap that is there twice counts once. Of a journey whose fare is above the maximum the fare counts.
    """
    by_day: Counter[date] = Counter()
    by_week: Counter[date] = Counter()
    hopping_until: datetime | None = None
    journeys = []
    for ends in _paired(sorted(set(taps)), rules):
        boarded = ends[0].moment
        day = rules.days.day_of(boarded)
        fare_minor = rules.maximum_minor
        if len(ends) == len(TapKind):
            fare_minor = fare(*ends)
            if hopping_until is not None and boarded < hopping_until:
                fare_minor = 0
            else:
                hopping_until = boarded + rules.hopper
        charged_minor = min(
            fare_minor,
            _left(rules.day_cap_minor, by_day[day], fare_minor),
            _left(rules.week_cap_minor, by_week[week_of(day)], fare_minor),
        )
        by_day[day] += charged_minor
        by_week[week_of(day)] += charged_minor
        journeys.append(
            Journey(travel_day=day, taps=ends, fare_minor=fare_minor, charged_minor=charged_minor)
        )
    return tuple(journeys)


def day_charges(journeys: Iterable[Journey]) -> dict[date, int]:
    """What each travel day should cost."""
    found: Counter[date] = Counter()
    for journey in journeys:
        found[journey.travel_day] += journey.charged_minor
    return dict(found)


def _left(cap_minor: int | None, charged_minor: int, otherwise: int) -> int:
    return otherwise if cap_minor is None else max(0, cap_minor - charged_minor)


def _paired(taps: Iterable[Tap], rules: Rules) -> Iterator[tuple[Tap, ...]]:
    """Each journey's taps, by when it began."""
    boarded: Tap | None = None
    for tap in taps:
        since = tap.moment - boarded.moment if boarded is not None else timedelta.max
        if boarded is not None and tap.kind is TapKind.OUT and since <= rules.longest:
            yield boarded, tap
            boarded = None
            continue
        if (
            boarded is not None
            and tap.kind is TapKind.IN
            and tap.stop == boarded.stop
            and since < rules.passback
        ):
            continue
        if boarded is not None:
            yield (boarded,)
        boarded = tap if tap.kind is TapKind.IN else None
        if tap.kind is TapKind.OUT:
            yield (tap,)
    if boarded is not None:
        yield (boarded,)
