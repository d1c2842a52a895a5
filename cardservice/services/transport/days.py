"""What a person's travel days should cost, from their taps and passes: why they were charged, tap by tap."""

from bisect import bisect
from collections import Counter as Sums
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from cardservice.services.rated import DayCharge, DayShare, FreeRides, Span, StoredTap
from cardservice.services.seam import Counter, Refusal
from cardservice.services.transport.calendar import TravelDays, week_of
from cardservice.services.transport.concessions import Boarding
from cardservice.services.transport.journeys import Basis, Ends, Journey, LegFare, Rules, Tap, TapKind, rate
from cardservice.services.transport.legs import RiddenLeg, price_legs
from cardservice.services.transport.passes import HeldPass, covering, held
from cardservice.services.transport.rules import fare_between
from cardservice.services.transport.taps import TAP_IN
from cardservice.services.transport.tariff import AHEAD, DAYS, Pass, Tariff, Travel

# Ours: a journey is over within half of it, so that what a week's taps belong to is seen whole.
_AROUND = timedelta(days=1)
_WEEK = timedelta(days=7)
_DAY = timedelta(days=1)
_WEEKS_IN_MEMORY = 1_024


def spans(
    moment: datetime, days: TravelDays, reach: tuple[timedelta, timedelta] | None = None
) -> tuple[Span, ...]:
    """The weeks whose price something at `moment` can change: its own, and its neighbour close by.

    And those between two times after it, where it bears on these, too.
    """
    mondays = {week_of(days.day_of(moment + around)) for around in (-_AROUND, timedelta(0), _AROUND)}
    if reach is not None:
        day, last = week_of(days.day_of(moment + reach[0])), days.day_of(moment + reach[1])
        while day <= last:
            mondays.add(day)
            day += _WEEK
    return tuple(_week(days, monday) for monday in sorted(mondays))


@lru_cache(maxsize=_WEEKS_IN_MEMORY)
def _week(days: TravelDays, monday: date) -> Span:
    return Span(
        monday, monday + _WEEK - _DAY, days.begins(monday) - _AROUND, days.begins(monday + _WEEK) + _AROUND
    )


def reach_of(tariff: Tariff, *, bought: bool) -> tuple[timedelta, timedelta] | None:
    """How long afterwards a pass that is bought, or one that a ride begins, changes what days cost."""
    found = [_reach(each) for each in tariff.passes.values() if bought or each.first_ride_days is not None]
    if not found:
        return None
    begins = timedelta(0) if bought else min(first for first, _ in found)
    return begins, max(last for _, last in found)


def _reach(sold: Pass) -> tuple[timedelta, timedelta]:
    # Ours: no month is longer than 31 days, nor shorter than 28.
    shortest, longest = (sold.days or each * (sold.months or 1) for each in (28, 31))
    waits = sold.first_ride_days or (AHEAD.days if sold.chosen else 0)
    return timedelta(days=shortest - 1), timedelta(days=longest + waits + 1)


def days_of(
    taps: Sequence[StoredTap], counters: Sequence[Counter], tariffs: Mapping[str, Tariff], span: Span
) -> tuple[DayCharge, ...]:
    """What each day of the span should cost."""
    priced = _Pricing(tariffs, held(counters))
    own = [_tap(each) for each in taps if priced.knows(str(each.inputs.get("tariff_version")))]
    journeys = rate(own, priced.fare, priced.rules, priced.free, priced.together)
    by_day: dict[date, list[Journey]] = {}
    for journey in journeys:
        if span.first_day <= journey.travel_day <= span.last_day:
            by_day.setdefault(journey.travel_day, []).append(journey)
    again = _passed_back(own, journeys)
    return tuple(
        replace(_charge(each, again, priced), free_rides=priced.free_rides(each)) for each in by_day.values()
    )


def _passed_back(taps: Sequence[Tap], journeys: Sequence[Journey]) -> Mapping[Tap, tuple[Tap, ...]]:
    """Taps that are in no journey, by the first tap of the one that they were passed back in."""
    used = {tap for journey in journeys for tap in journey.taps}
    begun = sorted(journey.taps[0] for journey in journeys)
    found: dict[Tap, tuple[Tap, ...]] = {}
    for tap in sorted(set(taps) - used):
        first = begun[bisect(begun, tap) - 1]
        found[first] = (*found.get(first, ()), tap)
    return found


class _Pricing:
    """How taps are priced: each journey by the tariff that its first tap was decided by."""

    def __init__(self, tariffs: Mapping[str, Tariff], passes: tuple[HeldPass, ...]) -> None:
        self._tariffs = tariffs
        self._travel: dict[str, Travel] = {
            version: tariff.travel for version, tariff in tariffs.items() if tariff.travel is not None
        }
        self._passes = passes

    def knows(self, version: str) -> bool:
        """Whether taps are charged by this version."""
        return version in self._travel

    def rules(self, tap: Tap) -> Rules:
        return self._travel[tap.tariff].rules

    def fare(self, start: Tap, end: Tap) -> int | None:
        tariff, ends, times = self._tariffs[start.tariff], (start.stop, end.stop), (start.moment, end.moment)

        def find() -> int | None:
            found = fare_between(tariff, ends, start.route, start.category, times)
            return None if isinstance(found, Refusal) else found.amount_minor

        # All that a fare depends on: of the times no more than their timeframes.
        frames = tuple(map(tariff.timeframes.at, times))
        return tariff.cost((*ends, start.route, start.category, *frames), find)

    def together(self, journey: tuple[Ends, ...]) -> tuple[LegFare, ...]:
        first = journey[0][0]
        legs = [
            RiddenLeg(start.stop, end.stop, start.route, start.moment, end.moment) for start, end in journey
        ]
        return price_legs(self._tariffs[first.tariff], legs, first.category)

    def free(self, boarded: Tap) -> Basis | None:
        if covering(self._passes, self._tariffs[boarded.tariff], boarded.moment, (boarded.stop,)):
            return Basis.PASS
        # Beyond the calendar nobody knows: it is charged, and the tap has its flag.
        paid_by = self._travel[boarded.tariff].payer_for(self._boarding(boarded))
        return None if paid_by is None else Basis.CONCESSION

    def tax_code(self, boarded: Tap) -> str | None:
        """Under which code a journey is taxed that begins so."""
        tax = self._tariffs[boarded.tariff].taxes.on(DAYS, boarded.category)
        return None if tax is None else tax.code

    def _boarding(self, boarded: Tap) -> Boarding:
        place = self._tariffs[boarded.tariff].places.get(boarded.stop)
        areas = () if place is None else place.areas
        return Boarding(boarded.moment, boarded.category, boarded.route, areas)

    def free_rides(self, journeys: Sequence[Journey]) -> tuple[FreeRides, ...]:
        """What authorities pay for: who has a pass rides by the pass, and whoever goes along does not."""
        sums: Sums[tuple[str, str, str]] = Sums()
        for boarded, basis in ((journey.taps[0], journey.basis) for journey in journeys):
            travel, boarding = self._travel[boarded.tariff], self._boarding(boarded)
            paid_by = [
                travel.payer_for(boarding) if basis is Basis.CONCESSION else None,
                travel.payer_for_companion(boarding) if boarded.companion else None,
            ]
            for authority in paid_by:
                if authority is not None:
                    sums[authority, boarded.operator, boarded.tariff] += 1
        return tuple(FreeRides(*key, count) for key, count in sorted(sums.items()))


def _tap(stored: StoredTap) -> Tap:
    inputs, route = stored.inputs, stored.inputs.get("route")
    return Tap(
        stored.occurred_at,
        TapKind.IN if stored.action == TAP_IN else TapKind.OUT,
        str(inputs["stop"]),
        stored.id,
        operator=stored.provider,
        category=str(inputs["category"]),
        route=None if route is None else str(route),
        tariff=str(inputs["tariff_version"]),
        companion=inputs.get("companion") is True,
    )


def _charge(journeys: Sequence[Journey], again: Mapping[Tap, tuple[Tap, ...]], priced: _Pricing) -> DayCharge:
    """Owed to who carried: of each journey the operator that it was boarded with."""
    sums: Sums[tuple[str, str | None]] = Sums()
    for journey in journeys:
        sums[journey.taps[0].operator, priced.tax_code(journey.taps[0])] += journey.charged_minor
    return DayCharge(
        travel_day=journeys[0].travel_day,
        shares=tuple(
            DayShare(operator, amount, code)
            for (operator, code), amount in sorted(sums.items(), key=str)
            if amount
        ),
        taps=tuple(tap.id for journey in journeys for tap in journey.taps),
        tariff_version=journeys[-1].taps[0].tariff,
        told=tuple(_told(journey, again.get(journey.taps[0], ())) for journey in journeys),
    )


def _told(journey: Journey, again: tuple[Tap, ...]) -> Mapping[str, object]:
    cap = journey.capped_by
    told: dict[str, object] = {
        "taps": [_tap_told(tap) for tap in journey.taps],
        # Somebody has tapped twice: it counts as once.
        "passed_back": [_tap_told(tap) for tap in again],
        "basis": str(journey.basis),
        "fare_minor": journey.fare_minor,
        "charged_minor": journey.charged_minor,
        "capped_by": None if cap is None else {"period": cap.period, "amount_minor": cap.amount_minor},
    }
    if journey.taps[0].companion:
        told["companion"] = True
    return told


def _tap_told(tap: Tap) -> Mapping[str, object]:
    return {"id": str(tap.id), "at": tap.moment.isoformat(), "kind": str(tap.kind), "stop": tap.stop}
