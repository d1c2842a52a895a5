"""Tapping, passes and days, case by case: what happens, what is known, when, and what becomes of it and why.

The first table is of decisions: action and details, the person's category, what the payer's counters hold, the
moment by the clock in London; then the reason, the pence that are posted at once, and where the rule comes
from. The second is of days: taps of one person, each `stop` boarded (`+`) or alighted (`-`) at a time, and what
the days that they belong to cost. The tariff is that of `travels.py`, and holds until the end of 2028.
"""

# ruff: noqa: E501 - a table is read by its columns

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from cardservice.services.rated import DayCharge, Rated, Span, StoredTap
from cardservice.services.seam import Ask, AskKind, Decision, Holder, Quote, TariffError
from cardservice.services.transport.tariff import Tariff
from tests.cardservice.services.feeds import MAP, transport
from tests.cardservice.services.travels import PASSES, TRAVEL, load_travel, travel

LONDON = ZoneInfo("Europe/London")
HOLDER = UUID(int=1)
FEED, OURS, DESIGN = "feed", "map", "transport.md"
YEARS = {"feed_info.txt": "feed_start_date,feed_end_date\n20260101,20281231\n"}


def _nation(authority: str, category: str, *holidays: str) -> dict[str, Any]:
    [england] = TRAVEL["concessions"]
    return {
        **england,
        "authority": authority,
        "categories": [category],
        "bank_holidays": [*england["bank_holidays"], *holidays],
        "calendar_until": "2028-11-30",
    }


# St Andrew's Day is a bank holiday in Scotland alone, the Battle of the Boyne's day in Northern Ireland alone.
NATIONS = [
    _nation("vale", "older", "2026-04-06"),
    _nation("glen", "scot", "2026-11-30", "2026-01-02"),
    _nation("lough", "irish", "2026-07-13", "2026-04-06"),
]
CATEGORIES = {**MAP["rider_categories"], "scot": "older", "irish": "older"}


@dataclass(frozen=True, slots=True)
class Used:
    """A counter of the payer's."""

    rule: str
    period: str
    used: int = 1
    cardholder_id: UUID = HOLDER


@dataclass(frozen=True, slots=True)
class Known:
    """A payer's state."""

    counters: tuple[Used, ...] = ()
    version: int = 1
    accounts: tuple[Any, ...] = ()
    limits: tuple[Any, ...] = ()


def at(text: str, fold: int = 0) -> datetime:
    """A moment by the clock in London."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON, fold=fold).astimezone(UTC)


@pytest.fixture(scope="module")
def tariff(tmp_path_factory: pytest.TempPathFactory) -> Tariff:
    """The tests' tariff, prepared."""
    card_map = {"travel": travel(concessions=NATIONS), "rider_categories": CATEGORIES}
    loaded = load_travel(tmp_path_factory.mktemp("travel"), feed=YEARS, card_map=card_map)
    prepared = transport().prepare(loaded.content)
    assert isinstance(prepared, Tariff)
    return prepared


def decided(
    tariff: Tariff,
    action: str,
    details: Mapping[str, object],
    moment: datetime,
    category: str = "adult",
    counters: tuple[Used, ...] = (),
    *,
    amount: int | None = None,
    kind: AskKind = AskKind.REQUEST,
    currency: str = "GBP",
) -> Decision:
    """Quoted, signed at that price (or at `amount`), and decided."""
    loaded = transport().details_schema(action)().load(details)
    ask = Ask(
        service="transport", action=action, kind=kind, currency=currency, details=loaded, occurred_at=moment
    )
    holder = Holder(cardholder_id=HOLDER, card_kind="resident", category=category)
    price = transport().quote(ask, holder, tariff)
    quoted = price.amount_minor if isinstance(price, Quote) and price.amount_minor else None
    ask = replace(ask, amount_minor=quoted if amount is None else amount)
    return transport().decide(ask, holder, Known(counters), tariff)


IN, OUT = "tap-in", "tap-out"
A1, B1 = {"stop": "a1"}, {"stop": "b1"}
MONDAY = "2026-06-15T"


def month(begins: str, last_day: str, product: str = "month") -> Used:
    return Used("transport.pass", f"{product}/{at(begins).isoformat()}/{last_day}")


MINE = (month("2026-06-01T08:00", "2026-06-30"),)
IN_A = (month("2026-06-01T08:00", "2026-06-30", "week-a"),)
THREE = Used("transport.pass", f"three/{at('2026-06-01T08:00').isoformat()}/ride+2026-06-01+14+3+0")
# Bought on the first of June; the first ride from then on was on the tenth.
BEGUN = (THREE, *(Used("transport.boarded", day) for day in ("2026-05-30", "2026-06-10", "2026-06-11")))
ON_BOARD = (Used("transport.boarded", "2026-06-15", 2), Used("transport.alighted", "2026-06-15", 1))
OFF_AGAIN = (Used("transport.boarded", "2026-06-15"), Used("transport.alighted", "2026-06-15"))
SUNDAYS = (Used("transport.boarded", "2026-06-14"),)

# fmt: off
DECISIONS = [
    # what, details, category, counters, moment, reason, pence, source of the rule
    ("boards", IN, A1, "adult", (), MONDAY + "10:00", "approved", 0, DESIGN),
    ("alights", OUT, B1, "adult", (), MONDAY + "10:00", "approved", 0, DESIGN),
    ("boards at no stop of the feed", IN, {"stop": "zz"}, "adult", (), MONDAY + "10:00", "stop_unknown", 0, FEED),
    ("boards at an entrance", IN, {"stop": "entrance"}, "adult", (), MONDAY + "10:00", "stop_unknown", 0, FEED),
    ("boards on no route of the feed", IN, {"stop": "a1", "route": "r9"}, "adult", (), MONDAY + "10:00", "route_unknown", 0, FEED),
    ("boards before the feed begins", IN, A1, "adult", (), "2025-12-31T23:59:59", "tariff_not_yet_valid", 0, FEED),
    ("boards in its first moment", IN, A1, "adult", (), "2026-01-01T00:00", "approved", 0, FEED),
    ("boards in its last minute", IN, A1, "adult", (), "2028-12-31T23:59", "approved", 0, FEED),
    ("boards after its end", IN, A1, "adult", (), "2029-01-01T00:00", "tariff_expired", 0, FEED),
    ("a concession on the calendar's last day", IN, A1, "older", (), "2028-11-30T23:59", "approved", 0, OURS),
    ("a concession beyond the calendar", IN, A1, "older", (), "2028-12-01T00:00", "calendar_ended", 0, OURS),
    ("alights beyond the calendar", OUT, B1, "older", (), "2028-12-01T00:00", "approved", 0, OURS),
    ("an adult beyond the calendar", IN, A1, "adult", (), "2028-12-01T00:00", "approved", 0, OURS),
    ("inspected without anything", "inspect", {}, "adult", (), MONDAY + "10:00", "no_ticket", 0, DESIGN),
    ("inspected on board", "inspect", {}, "adult", ON_BOARD, MONDAY + "10:00", "approved", 0, DESIGN),
    ("inspected after alighting", "inspect", {}, "adult", OFF_AGAIN, MONDAY + "10:00", "no_ticket", 0, DESIGN),
    ("Monday 02:00 is Sunday's", "inspect", {}, "adult", SUNDAYS, MONDAY + "02:00", "approved", 0, OURS),
    ("Monday 04:29 is", "inspect", {}, "adult", SUNDAYS, MONDAY + "04:29", "approved", 0, OURS),
    ("Monday 04:30 is not", "inspect", {}, "adult", SUNDAYS, MONDAY + "04:30", "no_ticket", 0, OURS),
    ("inspected with a pass", "inspect", {}, "adult", MINE, MONDAY + "10:00", "approved", 0, DESIGN),
    ("rides by a pass", "use-pass", {"from_stop": "a1"}, "adult", MINE, MONDAY + "10:00", "approved", 0, DESIGN),
    ("rides without one", "use-pass", {"from_stop": "a1"}, "adult", (), MONDAY + "10:00", "no_pass", 0, DESIGN),
    ("before it was bought", "use-pass", {"from_stop": "a1"}, "adult", MINE, "2026-06-01T07:59:59", "no_pass", 0, DESIGN),
    ("from when it was bought", "use-pass", {"from_stop": "a1"}, "adult", MINE, "2026-06-01T08:00", "approved", 0, DESIGN),
    ("the night of its last day", "use-pass", {"from_stop": "a1"}, "adult", MINE, "2026-07-01T04:29", "approved", 0, OURS),
    ("the morning after", "use-pass", {"from_stop": "a1"}, "adult", MINE, "2026-07-01T04:30", "no_pass", 0, OURS),
    ("within its areas", "use-pass", {"from_stop": "a1", "to_stop": "a2"}, "adult", IN_A, MONDAY + "10:00", "approved", 0, OURS),
    ("out of its areas", "use-pass", {"from_stop": "a1", "to_stop": "b1"}, "adult", IN_A, MONDAY + "10:00", "no_pass", 0, OURS),
    ("buys a month", "buy-pass", {"product": "month"}, "adult", (), MONDAY + "10:00", "approved", 4000, FEED),
    ("buys it young", "buy-pass", {"product": "month"}, "young", (), MONDAY + "10:00", "approved", 2000, FEED),
    ("without a price of their own", "buy-pass", {"product": "month"}, "older", (), MONDAY + "10:00", "approved", 4000, OURS),
    ("buys no pass of the map", "buy-pass", {"product": "short"}, "adult", (), MONDAY + "10:00", "pass_unknown", 0, OURS),
    ("chooses a day", "buy-pass", {"product": "week-a", "first_day": "2026-06-20"}, "adult", (), MONDAY + "10:00", "approved", 900, OURS),
    ("chooses yesterday", "buy-pass", {"product": "week-a", "first_day": "2026-06-14"}, "adult", (), MONDAY + "10:00", "pass_day", 0, OURS),
    ("chooses the sixtieth day", "buy-pass", {"product": "week-a", "first_day": "2026-08-14"}, "adult", (), MONDAY + "10:00", "approved", 900, DESIGN),
    ("chooses the day after it", "buy-pass", {"product": "week-a", "first_day": "2026-08-15"}, "adult", (), MONDAY + "10:00", "pass_day", 0, DESIGN),
    ("chooses where one cannot", "buy-pass", {"product": "month", "first_day": "2026-06-20"}, "adult", (), MONDAY + "10:00", "pass_day", 0, OURS),
    ("one that a ride begins", "buy-pass", {"product": "three"}, "adult", (), MONDAY + "10:00", "approved", 800, OURS),
    ("not on a chosen day", "buy-pass", {"product": "three", "first_day": "2026-06-20"}, "adult", (), MONDAY + "10:00", "pass_day", 0, OURS),
    ("inspected before any ride", "inspect", {}, "adult", (THREE,), "2026-06-02T10:00", "no_ticket", 0, OURS),
    ("its first ride", "use-pass", {"from_stop": "a1"}, "adult", (THREE,), "2026-06-02T10:00", "approved", 0, OURS),
    ("before it was bought", "use-pass", {"from_stop": "a1"}, "adult", (THREE,), "2026-06-01T07:59:59", "no_pass", 0, OURS),
    ("its last day, begun on the tenth", "use-pass", {"from_stop": "a1"}, "adult", BEGUN, "2026-06-13T04:29", "approved", 0, OURS),
    ("and the day after it", "use-pass", {"from_stop": "a1"}, "adult", BEGUN, "2026-06-13T04:30", "no_pass", 0, OURS),
    ("inspected once it has begun", "inspect", {}, "adult", BEGUN, "2026-06-12T10:00", "approved", 0, OURS),
    ("never begun: the last day", "use-pass", {"from_stop": "a1"}, "adult", (THREE,), "2026-06-17T10:00", "approved", 0, OURS),
    ("never begun: it is over", "use-pass", {"from_stop": "a1"}, "adult", (THREE,), "2026-06-18T10:00", "no_pass", 0, OURS),
]
# fmt: on


@pytest.mark.parametrize("row", DECISIONS, ids=lambda row: str(row[0]))
def test_decision(tariff: Tariff, row: tuple[Any, ...]) -> None:
    _, action, details, category, counters, moment, reason, pence, _ = row
    found = decided(tariff, action, details, at(moment), category, counters)
    assert (found.approved, found.reason, found.amount_minor) == (reason == "approved", reason, pence)
    assert sum(line.amount_minor for line in found.lines) == pence
    # Goods that are gone are never refused; what would have been said is a flag.
    told = decided(tariff, action, details, at(moment), category, counters, kind=AskKind.ADVICE)
    assert (told.approved, told.flags) == (True, () if reason == "approved" else (reason,))


def test_a_signed_amount_is_the_price_or_declined(tariff: Tariff) -> None:
    for action, details, amount, currency, reason in (
        (IN, A1, 100, "GBP", "amount_unexpected"),
        (IN, A1, 0, "GBP", "approved"),
        (IN, A1, 0, "EUR", "currency_mismatch"),
        ("inspect", {}, 0, "EUR", "currency_mismatch"),
        ("buy-pass", {"product": "month"}, 3999, "GBP", "price_changed"),
        ("buy-pass", {"product": "month"}, 4000, "EUR", "currency_mismatch"),
    ):
        found = decided(tariff, action, details, at(MONDAY + "10:00"), amount=amount, currency=currency)
        assert found.reason == reason
    told = decided(tariff, IN, A1, at(MONDAY + "10:00"), amount=100, kind=AskKind.ADVICE)
    assert (told.amount_minor, told.flags) == (100, ("amount_unexpected",))


@pytest.mark.parametrize(
    ("bought", "last_day"),
    [
        ("2026-06-15T10:00", "2026-07-14"),
        ("2026-06-15T04:29", "2026-07-13"),  # still the day before's
        ("2026-01-31T10:00", "2026-02-28"),  # that month has no 31st
        ("2028-01-31T10:00", "2028-02-29"),
        ("2028-02-29T10:00", "2028-03-28"),
        ("2026-12-31T10:00", "2027-01-30"),
        ("2026-03-01T10:00", "2026-03-31"),
    ],
)
def test_a_month_ends_before_the_same_day(tariff: Tariff, bought: str, last_day: str) -> None:
    [counted] = decided(tariff, "buy-pass", {"product": "month"}, at(bought)).counters
    assert counted.period.endswith(f"/{last_day}")


def taps_of(text: str, tariff: Tariff, category: str = "adult", operator: str = "buses") -> list[StoredTap]:
    """`2026-06-15 10:00+a1 10:20-b1`: taps of a day, by the clock in London."""
    found: list[StoredTap] = []
    day = ""
    for word in text.split():
        if len(word) == 10:
            day = word
            continue
        sign = "+" if "+" in word else "-"
        clock, stop = word.split(sign)
        action = IN if sign == "+" else OUT
        fold = int(clock.endswith("*"))
        inputs = {"stop": stop, "category": category, "tariff_version": tariff.version}
        found.append(
            StoredTap(
                id=UUID(int=len(found) + 1),
                action=action,
                occurred_at=at(f"{day}T{clock.rstrip('*')}", fold),
                provider=operator,
                inputs=inputs,
            )
        )
    return found


EVER = Span(date(2026, 1, 1), date(2028, 12, 31), at("2026-01-01T00:00"), at("2028-12-31T00:00"))


def charges(taps: list[StoredTap], tariff: Tariff, counters: tuple[Used, ...] = ()) -> tuple[DayCharge, ...]:
    service = transport()
    assert isinstance(service, Rated)
    return service.day_charges(taps, counters, {tariff.version: tariff}, EVER)


def pence(found: tuple[DayCharge, ...]) -> list[int]:
    return [sum(share.amount_minor for share in each.shares) for each in found]


# fmt: off
DAYS = [
    # what, taps, category, pence of each day, source of the rule
    ("a ride", "2026-06-15 10:00+a1 10:20-b1", "adult", [100], FEED),
    ("a young person's", "2026-06-15 10:00+a1 10:20-b1", "young", [50], FEED),
    ("a fare of nothing", "2026-06-15 10:00+a1 10:20-a2", "adult", [0], FEED),
    ("no fare in the feed", "2026-06-15 10:00+c1 10:20-a1", "adult", [300], OURS),
    ("never alighted", "2026-06-15 10:00+a1", "adult", [300], OURS),
    ("never boarded", "2026-06-15 10:00-a1", "adult", [300], OURS),
    ("the longest journey", "2026-06-15 10:00+a1 13:00-b1", "adult", [100], OURS),
    ("a minute more is two", "2026-06-15 10:00+a1 13:01-b1", "adult", [350], OURS),
    ("passed back in the fifth minute", "2026-06-15 10:00+a1 10:04+a1 10:20-b1", "adult", [100], OURS),
    ("not in the sixth", "2026-06-15 10:00+a1 10:05+a1 10:20-b1", "adult", [350], OURS),
    ("the areas' cap", "2026-06-15 10:00+a1 10:20-b1 11:00+b1 11:20-a1", "adult", [160], OURS),
    ("the day's cap", "2026-06-15 10:00+a1 10:20-c1 11:00+a1 11:20-c1", "adult", [350], OURS),
    ("a day ends at 04:30", "2026-06-15 10:00+a1 10:20-c1 11:00+a1 11:20-c1 2026-06-16 04:29+a1 04:50-c1", "adult", [350], OURS),
    ("and the next begins", "2026-06-15 10:00+a1 10:20-c1 11:00+a1 11:20-c1 2026-06-16 04:30+a1 04:50-c1", "adult", [350, 200], OURS),
    ("the week's cap", "2026-06-15 10:00+a1 11:00+b1 2026-06-16 10:00+a1 11:00+b1 2026-06-17 10:00+a1 11:00+b1", "adult", [350, 350, 200], OURS),
    ("Monday 02:00 is last week's", "2026-06-14 10:00+a1 2026-06-15 02:00+a1", "adult", [350], OURS),
    ("the dated maximum", "2026-07-01 10:00+a1 10:20-c1", "adult", [150], OURS),
    ("the day before it", "2026-06-30 10:00+a1 10:20-c1", "adult", [200], OURS),
    ("by the travel day", "2026-07-01 04:29+a1 04:40-c1", "adult", [200], OURS),
    ("the concession at 09:29", "2026-06-15 09:29+a1 09:50-b1", "older", [100], OURS),
    ("the concession at 09:30", "2026-06-15 09:30+a1 09:50-b1", "older", [0], OURS),
    ("the concession at 22:59, for the whole journey", "2026-06-15 22:59+a1 23:50-c1", "older", [0], OURS),
    ("the concession at 23:00", "2026-06-15 23:00+a1 23:20-b1", "older", [100], OURS),
    ("a Saturday's morning", "2026-06-13 06:00+a1 06:20-b1", "older", [0], OURS),
    ("a Sunday's midnight", "2026-06-14 23:59+a1", "older", [0], OURS),
    ("Easter Monday in England", "2026-04-06 06:00+a1 06:20-b1", "older", [0], OURS),
    ("Easter Monday in Scotland", "2026-04-06 06:00+a1 06:20-b1", "scot", [100], OURS),
    ("the Boyne in Northern Ireland", "2026-07-13 06:00+a1 06:20-b1", "irish", [0], OURS),
    ("and not in England", "2026-07-13 06:00+a1 06:20-b1", "older", [100], OURS),
    ("St Andrew's Day in Scotland", "2026-11-30 06:00+a1 06:20-b1", "scot", [0], OURS),
    ("and not in England then", "2026-11-30 06:00+a1 06:20-b1", "older", [100], OURS),
    ("an adult has no concession", "2026-06-15 10:00+a1 10:20-b1", "adult", [100], OURS),
    ("the hour that does not come", "2026-03-29 00:30+a1 02:30-b1", "adult", [100], DESIGN),
    ("is not waited for", "2026-03-29 00:30+a1 04:30-b1", "adult", [100], DESIGN),
    ("the hour that comes twice", "2026-10-25 00:30+a1 02:29-b1", "adult", [100], DESIGN),
    ("counts twice", "2026-10-25 00:30+a1 02:31-b1", "adult", [300], DESIGN),
    ("the second time of 01:30", "2026-10-25 01:30+a1 01:30*-b1", "adult", [100], DESIGN),
    ("a leap day", "2028-02-29 10:00+a1 10:20-b1 2028-03-01 04:29+b1 04:40-a1", "adult", [160], DESIGN),
    ("a year's last night", "2027-01-01 04:29+a1 04:40-b1", "adult", [100], DESIGN),
]
# fmt: on


@pytest.mark.parametrize("row", DAYS, ids=lambda row: str(row[0]))
def test_day(tariff: Tariff, row: tuple[Any, ...]) -> None:
    _, text, category, wanted, _ = row
    found = charges(taps_of(text, tariff, category), tariff)
    assert pence(found) == wanted


def test_an_operators_cap_is_its_own(tariff: Tariff) -> None:
    ride = "2026-06-15 10:00+a1 10:20-c1 11:00+a1 11:20-c1"
    assert pence(charges(taps_of(ride, tariff, operator="trams"), tariff)) == [200]
    assert pence(charges(taps_of(ride, tariff, operator="buses"), tariff)) == [350]


def test_a_pass_carries_from_when_it_was_bought(tariff: Tariff) -> None:
    """Whether the service has heard of the tap or of the pass first."""
    taps = taps_of("2026-06-01 07:59+a1 08:20-c1 08:30+c1 09:00-a1", tariff)
    assert pence(charges(taps, tariff)) == [350]
    assert pence(charges(taps, tariff, MINE)) == [200]


def test_a_pass_begins_with_the_first_ride_that_is_known(tariff: Tariff) -> None:
    """Three days from the first boarding on, whichever of the taps has come by then."""
    taps = taps_of(
        "2026-06-08 10:00+a1 10:20-c1 2026-06-10 10:00+a1 10:20-c1 2026-06-11 10:00+a1 10:20-c1", tariff
    )
    boarded = [Used("transport.boarded", day) for day in ("2026-06-08", "2026-06-10", "2026-06-11")]
    assert pence(charges(taps, tariff)) == [200, 200, 200]
    assert pence(charges(taps, tariff, (THREE, *boarded))) == [0, 0, 200]
    assert pence(charges(taps[2:], tariff, (THREE, *boarded[1:]))) == [0, 0]
    # A tap that comes weeks later moves the beginning, and so what it bears on: each week until the last end.
    weeks = [span.first_day for span in rated().spans(at("2026-06-08T10:00"), tariff, IN)]
    assert weeks == [date(2026, 6, day) for day in (1, 8, 15, 22)]
    bought = [span.first_day for span in rated().spans(at("2026-06-08T10:00"), tariff, "buy-pass")]
    assert bought == [date(2026, 6, 1) + timedelta(weeks=week) for week in range(len(bought))]
    assert bought[-1] >= date(2026, 8, 10)


def rated() -> Rated:
    service = transport()
    assert isinstance(service, Rated)
    return service


def test_ten_thousand_taps_are_told_as_they_were_charged(tariff: Tariff) -> None:
    """Why was I charged: each tap once, in a journey or passed back; what is told adds up to the day."""
    chance = random.Random(20260615)  # noqa: S311 - no secret
    count = 0
    while count < 10_000:
        taps = [
            StoredTap(
                id=UUID(int=number),
                action=chance.choice((IN, OUT)),
                occurred_at=at(MONDAY + "00:00") + timedelta(minutes=chance.randrange(14 * 24 * 60)),
                provider=chance.choice(("buses", "trams")),
                inputs={
                    "stop": chance.choice(("a1", "b1", "c1", "platform")),
                    "category": chance.choice(("adult", "older", "young")),
                    "tariff_version": tariff.version,
                },
            )
            for number in range(200)
        ]
        count += len(taps)
        found = charges(taps, tariff)
        chance.shuffle(taps)
        assert charges(taps, tariff) == found
        told: list[Any] = []
        for day in found:
            journeys: list[Any] = list(day.told)
            assert sum(journey["charged_minor"] for journey in journeys) == sum(
                share.amount_minor for share in day.shares
            )
            assert all(0 <= journey["charged_minor"] <= journey["fare_minor"] for journey in journeys)
            assert all(
                (journey["capped_by"] is None) == (journey["charged_minor"] == journey["fare_minor"])
                for journey in journeys
            )
            told += [tap["id"] for journey in journeys for tap in (*journey["taps"], *journey["passed_back"])]
            assert sum(share.amount_minor for share in day.shares) <= 350
            assert sum(share.amount_minor for share in day.shares if share.provider == "trams") <= 200
        assert sorted(told) == sorted(str(tap.id) for tap in taps)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"travel": travel(day_starts="25:00")}, "travel.day_starts: Not a valid time"),
        ({"travel": travel(incomplete="3.005")}, "travel.incomplete: '3.005' has more than the 2 decimal"),
        ({"travel": travel(incomplete="-1")}, "travel.incomplete: is below zero"),
        ({"travel": travel(longest_minutes=721)}, "travel.longest_minutes"),
        ({"travel": travel(tips=1)}, "travel.tips: Unknown field"),
        (
            {"travel": travel(caps=TRAVEL["caps"] + TRAVEL["caps"][:1])},
            "travel.caps[4]: bounds the same as travel.caps[0]",
        ),
        ({"travel": travel(caps=[{"period": "month", "amount": "1"}])}, "travel.caps[0].period"),
        (
            {"travel": travel(caps=[{"period": "day", "amount": "1", "zones": ["z"]}])},
            "travel.caps[0].zones[0]: the feed has no area 'z'",
        ),
        (
            {"travel": travel(single_maxima=TRAVEL["single_maxima"] * 2)},
            "travel.single_maxima[1]: overlaps travel.single_maxima[0]",
        ),
        (
            {"travel": travel(concessions=TRAVEL["concessions"] * 2)},
            "'older' is in travel.concessions[0] too",
        ),
        (
            {"travel": travel(concessions=[{**TRAVEL["concessions"][0], "routes": ["r9"]}])},
            "the feed has no route 'r9'",
        ),
        (
            {"travel": travel(concessions=[{**TRAVEL["concessions"][0], "ends": "09:30"}])},
            "travel.concessions[0].ends: is not after starts",
        ),
        (
            {"travel": travel(concessions=[{**TRAVEL["concessions"][0], "categories": ["elf"]}])},
            "'elf' is not in rider_categories",
        ),
        (
            {"travel": travel(concessions=[{**TRAVEL["concessions"][0], "calendar_until": "2025-12-31"}])},
            "is before the feed begins",
        ),
        ({"passes": [{"product": "month"}]}, "passes[0]: says either days or months"),
        ({"passes": [*PASSES, PASSES[0]]}, "passes[3].product: 'month' is there twice"),
        ({"passes": [{**PASSES[2], "within_days": None}]}, "passes[0]"),
        ({"passes": [{**PASSES[0], "within_days": 3}]}, "passes[0]: within_days goes with"),
        ({"passes": [{**PASSES[2], "zones": ["a"]}]}, "passes[0].zones: any ride begins such a pass"),
        (
            {"passes": [{"product": "short", "days": 1}]},
            "passes[0].product: 'short' is the fare of a leg rule",
        ),
        ({"passes": [{"product": "nope", "days": 1}]}, "passes[0].product: the feed sells no 'nope'"),
        ({"passes": PASSES, "travel": None}, "passes: nothing says when a travel day begins"),
    ],
)
def test_a_map_is_refused_with_file_line_and_reason(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TariffError) as refused:
        load_travel(tmp_path, card_map=changes)
    assert (refused.value.file, refused.value.line is not None) == ("map.json", True)
    assert reason in str(refused.value)
