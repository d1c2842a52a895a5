"""From taps to journeys and what they cost: a function of which taps there are, not of how they came.

Taps come late and out of order, so a person's taps are rated together each time, in the order in which they
were made. A journey belongs to the travel day on which it was boarded. What is given as goodwill is no part
of it, and therefore stays.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from cardservice.services.transport.calendar import TravelDays, week_of


class TapKind(StrEnum):
    """Whether somebody boards or alights; in this order where both are of one moment."""

    IN = "in"
    OUT = "out"


class Basis(StrEnum):
    """By what a journey has its price, before any cap."""

    FARE = "fare"
    INCOMPLETE = "incomplete"
    # Both ends are known, and the fare table has no price between them.
    NO_FARE = "no_fare"
    # Part of a journey of several legs, by the feed's transfer or join rules
    TRANSFER = "transfer"
    HOPPER = "hopper"
    PASS = "pass"  # noqa: S105 - a ticket for a month
    CONCESSION = "concession"


@dataclass(frozen=True, slots=True, order=True)
class Tap:
    """A card at a validator; taps are ordered by when they were made."""

    moment: datetime
    kind: TapKind
    stop: str
    id: UUID
    # What prices it, and is the same whenever the tap is told.
    operator: str = field(default="", compare=False)
    category: str = field(default="", compare=False)
    route: str | None = field(default=None, compare=False)
    tariff: str = field(default="", compare=False)
    # Somebody goes with the holder, and rides on their concession.
    companion: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Cap:
    """The most that journeys of a day or a week cost; of one operator, or within areas, if it says so."""

    period: str
    amount_minor: int
    operator: str | None = None
    zones: frozenset[str] | None = None

    @property
    def scope(self) -> tuple[object, ...]:
        """What it adds up; the same for the same cap of another version of the tariff."""
        return self.period, self.operator, self.zones

    def bounds(self, ends: tuple[Tap, ...], areas_of: Callable[[str], Iterable[str]]) -> bool:
        """Whether a journey counts: with areas, one of which both ends are known to lie in them."""
        if self.operator not in (None, ends[0].operator):
            return False
        zones = self.zones
        if zones is None:
            return True
        return len(ends) == len(TapKind) and all(not zones.isdisjoint(areas_of(tap.stop)) for tap in ends)


@dataclass(frozen=True, slots=True)
class SingleMaximum:
    """The most that a journey of one of these travel days costs, both included."""

    first_day: date
    last_day: date
    amount_minor: int


def _nowhere(stop: str) -> tuple[str, ...]:
    del stop
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a day costs beside its fares. Amounts are in minor units.

    `passback`: who boards again at one stop sooner than that has tapped twice. `longest`: after that a
    journey is over, and its end is missing. `hopper`: what is boarded within that, from when the first of
    them was, costs nothing more, within a week. `change`: who boards again within that after alighting is on
    the same journey, within a week, whose legs are priced together.
    """

    days: TravelDays
    maximum_minor: int
    passback: timedelta
    longest: timedelta
    hopper: timedelta = timedelta(0)
    change: timedelta | None = None
    caps: tuple[Cap, ...] = ()
    single_maxima: tuple[SingleMaximum, ...] = ()
    areas_of: Callable[[str], Iterable[str]] = _nowhere

    def at_most(self, fare_minor: int, day: date) -> int:
        """The fare, or the dated maximum where that is less."""
        bounds = (each.amount_minor for each in self.single_maxima if each.first_day <= day <= each.last_day)
        return min((fare_minor, *bounds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What was ridden, what it would cost alone, and what is charged; without both ends the maximum."""

    travel_day: date
    taps: tuple[Tap, ...]
    basis: Basis
    fare_minor: int
    charged_minor: int
    # The cap that leaves less than the fare; of several the one that leaves least.
    capped_by: Cap | None = None

    @property
    def complete(self) -> bool:
        """Whether both ends are known."""
        return len(self.taps) == len(TapKind)


Fare = Callable[[Tap, Tap], int | None]
Ends = tuple[Tap, ...]


@dataclass(frozen=True, slots=True)
class LegFare:
    """What a leg adds to a journey of several; `changed`: by how it was changed to, not by its own fare."""

    amount_minor: int | None
    changed: bool = False


# The legs of one journey, each with both ends, and what each of them costs.
Together = Callable[[tuple[Ends, ...]], tuple[LegFare, ...]]
# By what a journey that was boarded so costs nothing, or None.
Free = Callable[[Tap], Basis | None]


def _never(boarded: Tap) -> None:
    del boarded


def rate(
    taps: Iterable[Tap],
    fare: Fare,
    rules: Rules | Callable[[Tap], Rules],
    free: Free = _never,
    together: Together | None = None,
) -> tuple[Journey, ...]:
    """The journeys of one person's taps; give those of whole weeks, so that the week's cap sees all.

    A tap that is there twice counts once. Of a journey whose fare is above the maximum the fare counts. The
    rules, and the fare, are those of the tap that a journey begins with.
    """
    rules_of = rules if callable(rules) else lambda _: rules
    paired = tuple(_paired(sorted(set(taps)), rules_of))
    known: dict[Ends, LegFare] = {}
    if together is not None:
        for legs in _journeys(paired, rules_of, free):
            known |= zip(legs, together(legs), strict=True)
    rater = _Rater(fare, free, known)
    return tuple(rater.journey(ends, rules_of(ends[0])) for ends in paired)


def _journeys(
    paired: tuple[Ends, ...], rules_of: Callable[[Tap], Rules], free: Free
) -> Iterator[tuple[Ends, ...]]:
    """Legs that are one journey; what is free, or lacks an end, is in none and parts what is around it."""
    legs: list[Ends] = []
    for ends in paired:
        rules = rules_of(ends[0])
        counts = len(ends) == len(TapKind) and rules.change is not None and free(ends[0]) is None
        if legs and not (counts and _goes_on(legs[-1], ends, rules)):
            yield tuple(legs)
            legs = []
        if counts:
            legs.append(ends)
    if legs:
        yield tuple(legs)


def _goes_on(before: Ends, ends: Ends, rules: Rules) -> bool:
    """Whether a leg is of the journey of the one before; a journey is priced by one table, for one person."""
    first, alighted, boarded = before[0], before[-1], ends[0]
    return (
        rules.change is not None
        and boarded.moment - alighted.moment <= rules.change
        and (first.tariff, first.category) == (boarded.tariff, boarded.category)
        and week_of(rules.days.day_of(first.moment)) == week_of(rules.days.day_of(boarded.moment))
    )


class _Rater:
    """What was charged so far, cap by cap; asked for journeys in the order in which they began."""

    def __init__(self, fare: Fare, free: Free, known: Mapping[Ends, LegFare]) -> None:
        self._fare, self._free, self._known = fare, free, known
        self._charged: Counter[tuple[object, ...]] = Counter()
        self._hopping: tuple[date, datetime] | None = None

    def journey(self, ends: tuple[Tap, ...], rules: Rules) -> Journey:
        day = rules.days.day_of(ends[0].moment)
        basis, fare_minor = self._alone(ends, rules, day)
        charged_minor, capped_by, counted = fare_minor, None, []
        for cap in rules.caps:
            if not cap.bounds(ends, rules.areas_of):
                continue
            key = (*cap.scope, day if cap.period == "day" else week_of(day))
            counted.append(key)
            left_minor = max(0, cap.amount_minor - self._charged[key])
            if left_minor < charged_minor:
                charged_minor, capped_by = left_minor, cap
        # Not one key twice, whatever a tariff says: a cap that is there twice counts once.
        for key in set(counted):
            self._charged[key] += charged_minor
        return Journey(
            travel_day=day,
            taps=ends,
            basis=basis,
            fare_minor=fare_minor,
            charged_minor=charged_minor,
            capped_by=capped_by,
        )

    def _alone(self, ends: tuple[Tap, ...], rules: Rules, day: date) -> tuple[Basis, int]:
        boarded = ends[0]
        if boarded.kind is TapKind.IN and (basis := self._free(boarded)) is not None:
            return basis, 0
        if len(ends) < len(TapKind):
            return Basis.INCOMPLETE, rules.at_most(rules.maximum_minor, day)
        week = week_of(day)
        if self._hopping is not None and self._hopping[0] == week and boarded.moment < self._hopping[1]:
            return Basis.HOPPER, 0
        self._hopping = week, boarded.moment + rules.hopper
        leg = self._known.get(ends)
        fare_minor = self._fare(ends[0], ends[1]) if leg is None else leg.amount_minor
        if fare_minor is None:
            return Basis.NO_FARE, rules.at_most(rules.maximum_minor, day)
        by = Basis.TRANSFER if leg is not None and leg.changed else Basis.FARE
        return by, rules.at_most(fare_minor, day)


def day_charges(journeys: Iterable[Journey]) -> dict[date, int]:
    """What each travel day should cost."""
    found: Counter[date] = Counter()
    for journey in journeys:
        found[journey.travel_day] += journey.charged_minor
    return dict(found)


def _paired(taps: Iterable[Tap], rules_of: Callable[[Tap], Rules]) -> Iterator[tuple[Tap, ...]]:
    """Each journey's taps, by when it began."""
    boarded: Tap | None = None
    for tap in taps:
        if boarded is not None:
            since, rules = tap.moment - boarded.moment, rules_of(boarded)
            if tap.kind is TapKind.OUT and since <= rules.longest:
                yield boarded, tap
                boarded = None
                continue
            if tap.kind is TapKind.IN and tap.stop == boarded.stop and since < rules.passback:
                continue
            yield (boarded,)
        boarded = tap if tap.kind is TapKind.IN else None
        if tap.kind is TapKind.OUT:
            yield (tap,)
    if boarded is not None:
        yield (boarded,)
