"""Travel days, hours of the concession, and the charge of a day, whichever way its taps come."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import permutations
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardservice.services.seam import Refusal
from cardservice.services.transport.calendar import ConcessionHours, TravelDays, week_of
from cardservice.services.transport.journeys import Cap, Rules, Tap, TapKind, day_charges, rate

LONDON = ZoneInfo("Europe/London")
DAYS = TravelDays(LONDON, time(4, 30))
HOURS = ConcessionHours(
    LONDON, time(9, 30), time(23), frozenset({date(2026, 5, 4), date(2028, 12, 26)}), date(2028, 12, 31)
)
IN, OUT = TapKind.IN, TapKind.OUT


def at(day: str, clock: str) -> datetime:
    """A moment by the clock in London."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=LONDON).astimezone(UTC)


@pytest.mark.parametrize(
    ("day", "clock", "travel_day", "week"),
    [
        ("2026-06-16", "04:29:59", "2026-06-15", "2026-06-15"),
        ("2026-06-16", "04:30", "2026-06-16", "2026-06-15"),
        ("2026-06-15", "02:00", "2026-06-14", "2026-06-08"),  # a Monday's night is Sunday's, of last week
        ("2026-06-15", "04:30", "2026-06-15", "2026-06-15"),
        ("2026-03-29", "04:29", "2026-03-28", "2026-03-23"),  # after the hour that does not come
        ("2026-10-25", "04:29", "2026-10-24", "2026-10-19"),  # after the hour that comes twice
        ("2027-01-01", "00:00", "2026-12-31", "2026-12-28"),
        ("2028-02-29", "23:59", "2028-02-29", "2028-02-28"),
        ("2028-03-01", "04:29", "2028-02-29", "2028-02-28"),
    ],
)
def test_travel_day(day: str, clock: str, travel_day: str, week: str) -> None:
    """services.md, transport: a travel day starts at 04:30 local; a week is seven of them from Monday's."""
    found = DAYS.day_of(at(day, clock))
    assert (found.isoformat(), week_of(found).isoformat()) == (travel_day, week)


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-28", 23), ("2026-03-29", 24), ("2026-10-24", 25), ("2026-10-25", 24)]
)
def test_a_travel_day_is_as_long_as_the_clocks_say(day: str, hours: int) -> None:
    assert DAYS.length(date.fromisoformat(day)) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("day", "clock", "covered"),
    [
        ("2026-06-15", "09:29:59", False),
        ("2026-06-15", "09:30", True),
        ("2026-06-15", "22:59:59", True),
        ("2026-06-15", "23:00", False),
        ("2026-06-15", "02:00", False),
        ("2026-06-13", "00:00", True),  # a Saturday
        ("2026-06-14", "23:59:59", True),  # a Sunday
        ("2026-06-12", "23:59:59", False),  # a Friday
        ("2026-05-04", "04:29", True),  # the early May bank holiday
        ("2026-05-05", "00:00", False),
        ("2028-12-31", "12:00", True),  # the calendar's last day, a Sunday
    ],
)
def test_concession(day: str, clock: str, covered: bool) -> None:
    """services.md, transport: 09:30 to 22:59 Monday to Friday, all day at weekends and on bank holidays."""
    assert HOURS.cover(at(day, clock)) is covered


def test_a_day_beyond_the_calendar_is_refused() -> None:
    found = HOURS.cover(at("2029-01-01", "12:00"))
    assert isinstance(found, Refusal)
    assert (found.reason, found.data) == ("calendar_ended", {"last_day": "2028-12-31"})


RULES = Rules(
    days=DAYS,
    maximum_minor=500,
    passback=timedelta(minutes=5),
    longest=timedelta(hours=3),
    caps=(Cap("day", 700), Cap("week", 1500)),
)


def tap(number: int, clock: str, kind: TapKind, stop: str = "a", day: str = "2026-06-15") -> Tap:
    """A tap of a Monday, or another day."""
    return Tap(at(day, clock), kind, stop, UUID(int=number))


def fare(start: Tap, end: Tap) -> int:
    """A made-up fare table."""
    return 100 if start.stop == end.stop else 240


def charged(taps: list[Tap], rules: Rules = RULES) -> list[int]:
    return [journey.charged_minor for journey in rate(taps, fare, rules)]


IN_A, OUT_B = tap(1, "08:00", IN), tap(2, "08:30", OUT, "b")
SEVEN = [
    *(IN_A, OUT_B, tap(3, "08:40", IN, "b"), tap(4, "12:00", IN), tap(5, "12:04:59", IN)),
    *(tap(6, "12:30", OUT, "b"), tap(7, "04:29", OUT, "c", "2026-06-16")),
]


@pytest.mark.parametrize(
    ("taps", "amounts"),
    [
        ([], []),
        ([IN_A, OUT_B], [240]),
        ([IN_A], [500]),  # its end is missing
        ([OUT_B], [500]),  # its beginning is
        ([IN_A, IN_A, OUT_B], [240]),  # told twice
        ([IN_A, tap(3, "08:04:59", IN), OUT_B], [240]),  # passed back
        ([IN_A, tap(3, "08:05", IN), OUT_B], [500, 200]),  # not any more; and the day's cap
        ([IN_A, tap(3, "08:01", IN, "b"), OUT_B], [500, 100]),  # another stop is another ride
        ([IN_A, tap(2, "11:00", OUT, "b")], [240]),  # the longest journey
        ([IN_A, tap(2, "11:00:01", OUT, "b")], [500, 200]),  # and one that is two
        ([tap(1, "04:29", IN), tap(2, "04:31", OUT, "b")], [240]),  # of the day on which it was boarded
    ],
)
def test_journeys(taps: list[Tap], amounts: list[int]) -> None:
    assert charged(taps) == amounts


def test_hopping_costs_nothing_more_until_its_time_is_over() -> None:
    rules = replace(RULES, hopper=timedelta(hours=1))
    ride = [tap(3, "08:59:59", IN, "b"), tap(4, "09:10", OUT, "c")]
    assert charged([IN_A, OUT_B, *ride], rules) == [240, 0]
    ride[0] = tap(3, "09:00", IN, "b")
    assert charged([IN_A, OUT_B, *ride], rules) == [240, 240]


def test_a_week_ends_at_mondays_half_past_four() -> None:
    taps = [tap(number, "12:00", IN, day=f"2026-06-{15 + number}") for number in range(7)]
    night = tap(8, "02:00", IN, "b", "2026-06-22")
    monday = tap(9, "04:30", IN, "c", "2026-06-22")
    assert charged([*taps, night, monday]) == [500, 500, 500, 0, 0, 0, 0, 0, 500]


def test_the_order_of_arrival_does_not_matter() -> None:
    """Every order of seven taps; and when some are still missing, what comes later completes it."""
    wanted = rate(SEVEN, fare, RULES)
    assert [journey.charged_minor for journey in wanted] == [240, 460, 0, 0]
    assert all(rate(order, fare, RULES) == wanted for order in permutations(SEVEN))


TAPS = st.lists(
    st.builds(
        lambda minutes, kind, stop, number: Tap(
            at("2026-03-27", "00:00") + timedelta(minutes=minutes), kind, stop, UUID(int=number)
        ),
        st.integers(0, 14 * 24 * 60),
        st.sampled_from(TapKind),
        st.sampled_from("abc"),
        st.integers(0, 1 << 20),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(TAPS, st.randoms(use_true_random=False), st.sampled_from([0, 60]))
def test_no_cap_is_passed_in_whatever_order(taps: list[Tap], chance: object, hopper: int) -> None:
    rules = replace(RULES, hopper=timedelta(minutes=hopper))
    journeys = rate(taps, fare, rules)
    shuffled = [*taps]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]  # Random, by Hypothesis
    assert rate(shuffled, fare, rules) == journeys
    by_week: dict[date, int] = {}
    for day, amount_minor in day_charges(journeys).items():
        assert 0 <= amount_minor <= 700
        by_week[week_of(day)] = by_week.get(week_of(day), 0) + amount_minor
    assert max(by_week.values(), default=0) <= 1500
    # No tap is in two journeys, and each journey costs no more than its fare.
    used = [one for journey in journeys for one in journey.taps]
    assert len(used) == len(set(used))
    assert all(0 <= journey.charged_minor <= journey.fare_minor for journey in journeys)
