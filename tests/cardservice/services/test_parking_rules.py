"""What holds of any stay: longer is never cheaper, and two stays clash just where their time overlaps."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from cardservice.services import discover
from cardservice.services.parking.holding import held_time, time_is_over
from cardservice.services.parking.permits import refund_minor
from cardservice.services.parking.plates import Vehicles, normalised, spoken
from cardservice.services.parking.pricing import Charge, charge
from cardservice.services.parking.stays import last_day_of, period_is_over, permit_from, whole_months_left
from cardservice.services.parking.tariff import Tariff
from cardservice.services.seam import Ask, AskKind, Hold, Holder, Quote, Refusal
from tests.cardservice.services.parking_tariffs import load, parking, vehicle
from tests.cardservice.services.test_parking_decisions import (
    CAR,
    HIGH,
    HOLDER,
    HOUSE,
    INSIDE,
    MARKET,
    MONDAY,
    WHARF,
    YEAR,
    Ceiling,
    Known,
    Used,
    at,
    decided,
    enter,
    give_up,
    leave,
    loaded,
    renamed,
    start,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MINUTES = st.integers(min_value=1, max_value=4_000)


@pytest.fixture(scope="module")
def tariff(tmp_path_factory: pytest.TempPathFactory) -> Tariff:
    """The tests' tariff, prepared."""
    prepared = parking().prepare(load(tmp_path_factory.mktemp("parking")).content)
    assert isinstance(prepared, Tariff)
    return prepared


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(["high-street", "old-wharf", "green", "night-yard", "east-reach"]),
    begins=st.integers(min_value=0, max_value=2 * 366 * 1_440),
    lengths=st.tuples(MINUTES, MINUTES),
    category=st.sampled_from(["adult", "resident", None]),
)
def test_longer_is_never_cheaper(
    tariff: Tariff, key: str, begins: int, lengths: tuple[int, int], category: str | None
) -> None:
    """Also across clock changes, and by what is charged for and what is not."""
    first = EPOCH + timedelta(minutes=begins)
    short, long = (
        charge(tariff, tariff.places[key], first, first + timedelta(minutes=minutes), category)
        for minutes in sorted(lengths)
    )
    if isinstance(long, Charge):
        assert isinstance(short, Charge)
        assert short.amount_minor <= long.amount_minor
        assert short.within_s <= long.within_s


@settings(max_examples=200, deadline=None)
@given(st.tuples(*[st.integers(0, 3_000)] * 2), st.tuples(*[st.integers(1, 3_000)] * 2))
def test_stays_clash_just_where_they_overlap(begins: tuple[int, int], lengths: tuple[int, int]) -> None:
    spans = [(first, first + length) for first, length in zip(begins, lengths, strict=True)]
    taken: Counter[str] = Counter()
    sizes: dict[str, int] = {}
    for first, last in spans:
        uses = held_time("x", EPOCH + timedelta(minutes=first), EPOCH + timedelta(minutes=last))
        assert len({use.key for use in uses}) == len(uses) <= 70
        for use in uses:
            assert use.capacity is not None
            taken[use.key] += use.quantity
            sizes[use.key] = use.capacity
    (first, last), (other_first, other_last) = spans
    overlap = first < other_last and other_first < last
    assert any(count > sizes[key] for key, count in taken.items()) is overlap


def test_unused_blocks_are_not_in_the_way() -> None:
    """A day is one resource."""
    assert len(held_time("x", EPOCH, EPOCH + timedelta(days=1))) == 1


@pytest.mark.parametrize("text", ["ab12 cde", "AB12-CDE", "ab12cde", "A B.1 2 C D E"])
def test_a_plate_is_written_in_one_way(text: str) -> None:
    assert normalised(text) == "AB12CDE"
    assert spoken(normalised(text)) == "AB12 CDE"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "ABCDEF",
        "AB12 CDE!",
        "AB12CDE12345",
        "\N{GREEK CAPITAL LETTER ALPHA}B12CDE",
        "AB\u0661\u0662",
    ],
)
def test_no_plate(text: str) -> None:
    with pytest.raises(ValidationError):
        normalised(text)


def test_prices_amounts_and_limits_of_a_request(tariff: Tariff) -> None:
    hour, moment = start(HIGH, 60), at(MONDAY + "10:00")
    assert decided(tariff, *hour, moment, amount=159).reason == "price_changed"
    assert decided(tariff, *hour, moment, currency="EUR").reason == "currency_mismatch"
    spent = Known((Used("parking.day", "2026-06-15", 100),), (Ceiling(259),))
    refused = decided(tariff, *hour, moment, known=spent)
    assert refused.reason == "limit_reached"
    assert "1.59 GBP is left" in refused.message
    assert decided(tariff, *hour, moment, known=Known(limits=(Ceiling(160),))).approved


def test_an_advice_is_posted_as_signed(tariff: Tariff) -> None:
    """What would have refused a request is a flag, and the vehicle was there."""
    told = decided(tariff, *start(HIGH, 60), at(MONDAY + "10:00"), amount=90, kind=AskKind.ADVICE)
    assert (told.approved, told.amount_minor, told.flags) == (True, 90, ("price_changed",))
    assert told.resources
    over = Known(limits=(Ceiling(10),))
    told = decided(tariff, *start(HIGH, 60), at(MONDAY + "10:00"), known=over, kind=AskKind.ADVICE)
    assert (told.amount_minor, told.flags) == (160, ("over_limit",))
    foreign = decided(tariff, *start(HIGH, 60), at(MONDAY + "10:00"), kind=AskKind.ADVICE, currency="EUR")
    assert (foreign.amount_minor, foreign.flags) == (0, ("currency_mismatch",))


def test_what_explains_a_decision(tariff: Tariff) -> None:
    inputs = decided(tariff, *start(HIGH, 60), at(MONDAY + "10:00")).inputs
    assert inputs["priced_minor"] == 160
    assert inputs["tariff_version"] == tariff.version
    assert inputs["within_s"] == 3_600
    assert inputs["on_street"] is True
    assert "AB12" not in str(inputs)


def test_a_longest_stay_is_a_quota_of_the_day(tariff: Tariff) -> None:
    """Where an order says nothing of a return."""
    found = decided(tariff, *start(MARKET, 12), at(MONDAY + "10:00")).resources
    [quota] = [use for use in found if "/day/" in use.key]
    assert (quota.quantity, quota.capacity, quota.key.endswith("/day/2026-06-15")) == (12, 20, True)
    assert not any("AB12" in use.key for use in found)


@given(begins=st.integers(0, 3_000), length=st.integers(1, 3_000))
def test_a_stays_time_is_over_when_its_last_block_is(begins: int, length: int) -> None:
    first, last = (EPOCH + timedelta(minutes=minutes) for minutes in (begins, begins + length))
    uses = held_time("x", first, last)
    assert not all(time_is_over(use.key, last - timedelta(minutes=1)) for use in uses)
    # A day is one block at most, so a day later each has passed.
    assert all(time_is_over(use.key, last + timedelta(days=1)) for use in uses)


@pytest.mark.parametrize(
    ("rule", "period", "until"),
    [
        ("parking.session", "x/2026-06-15T10:00Z", "2026-06-22T10:00"),
        ("parking.stopped", "x/2026-06-15T10:00Z", "2026-06-22T10:00"),
        ("parking.day", "2026-06-15", "2026-06-17T00:00"),
        ("parking.permit", "zone-a/x/2026-06-15/2027-06-14", "2027-06-16T00:00"),
        ("parking.permit-paid", "zone-a/x+y/2026-06-15/2027-06-14", "2027-06-16T00:00"),
        ("parking.permit-ended", "zone-a/x/2026-06-15/2027-06-14", "2027-06-16T00:00"),
        ("parking.visit", "x/2026-06-15T10:00Z", "2026-06-22T10:00"),
        ("parking.visits", "zone-a-visit/2026", "2027-01-02T00:00"),
        ("parking.held", f"x/{UUID(int=7)}/2026-06-22T09:00:00Z", "2026-06-22T09:00"),
    ],
)
def test_a_counter_is_about_a_time_that_ends(rule: str, period: str, until: str) -> None:
    moment = datetime.fromisoformat(until).replace(tzinfo=UTC)
    assert period_is_over(rule, period, moment)
    assert not period_is_over(rule, period, moment - timedelta(minutes=1))


def test_minutes_that_are_carried_have_no_end() -> None:
    assert not period_is_over("parking.carried", "green", EPOCH + timedelta(days=9_999))
    assert time_is_over("x/day/2026-06-15", datetime(2026, 6, 17, tzinfo=UTC))
    assert not time_is_over("x/day/2026-06-15", datetime(2026, 6, 16, 23, tzinfo=UTC))


def test_plates_are_hidden_under_a_key_of_the_service(tariff: Tariff) -> None:
    """Another key, other names; no key, no decision; and nobody prints it."""
    one, other = Vehicles(b"one"), Vehicles(b"other")
    names = {each.at(place, CAR) for each in (one, other) for place in ("high-street", "green")}
    assert len(names) == 4
    assert "one" not in repr(one)
    ask = Ask(
        service="parking",
        action="look-up",
        kind=AskKind.REQUEST,
        currency="GBP",
        details={"place": "high-street", "plate": CAR},
        occurred_at=at(MONDAY + "10:00"),
    )
    with pytest.raises(RuntimeError, match="has no key"):
        discover()["parking"].quote(ask, None, tariff)


@given(
    first=st.dates(EPOCH.date(), EPOCH.date() + timedelta(days=1_500)),
    months=st.integers(1, 60),
    after=st.integers(0, 1_900),
    paid=st.integers(0, 99_999),
)
def test_whole_months_that_have_not_begun_go_back(first: date, months: int, after: int, paid: int) -> None:
    """Never the month that has begun, never more than was paid, and not more a day later."""
    held = permit_from("zone-a", ("x",), first, months)
    day = min(first + timedelta(days=after), held.last_day)
    left, whole = whole_months_left(held, day)
    assert whole == months
    assert 0 <= left < months
    assert last_day_of(first, months - left) >= day
    assert whole_months_left(held, min(day + timedelta(days=1), held.last_day))[0] <= left
    assert paid * left <= refund_minor(paid, left, months) * months < paid * left + months
    assert refund_minor(paid, left, months) <= paid


@pytest.mark.parametrize(
    ("day", "left"),
    [("2026-03-15", 11), ("2026-04-14", 11), ("2026-04-15", 10), ("2027-02-14", 1), ("2027-02-15", 0)],
)
def test_a_month_that_has_begun_is_used(day: str, left: int) -> None:
    held = permit_from("zone-a", ("x",), date(2026, 3, 15), 12)
    assert whole_months_left(held, date.fromisoformat(day)) == (left, 12)


def test_giving_up_says_what_goes_back(tariff: Tariff) -> None:
    """Of what was paid, and not of today's price; a permit that cost nothing gives nothing back."""
    given = give_up("zone-a", "2026-03-15", "2027-03-14")
    told = decided(tariff, *given, at(MONDAY + "10:00"), known=Known(YEAR))
    assert told.message == "The permit has ended. For 8 whole months of 12, 30.00 GBP go back."
    told = decided(tariff, *given, at(MONDAY + "10:00"), known=Known(YEAR[:1]))
    assert "0.00 GBP go back" in told.message


def test_a_badge_holds_no_time_of_a_vehicle(tariff: Tariff) -> None:
    """So nobody is told to return later; whoever pays is."""
    free, paid = (
        decided(tariff, *start(HIGH, 60), at(MONDAY + "10:00"), category=who)
        for who in ("blue-badge", "adult")
    )
    assert (free.resources, bool(paid.resources)) == ((), True)


@settings(max_examples=100, deadline=None)
@given(
    key=st.sampled_from(["high-street", "green", "night-yard", "east-reach", "market-street"]),
    begins=st.integers(0, 2 * 366 * 1_440),
    parts=st.lists(st.integers(1, 300), min_size=2, max_size=6),
    category=st.sampled_from(["adult", "resident", "blue-badge", None]),
)
def test_a_session_costs_the_same_however_it_is_extended(
    tariff: Tariff, key: str, begins: int, parts: list[int], category: str | None
) -> None:
    """Never less a minute later: each further part costs something or nothing, all of them the whole."""
    moment, paid_minutes, paid_minor = EPOCH + timedelta(minutes=begins), 0, 0
    for minutes in parts:
        since = {"started_at": moment.isoformat(), "paid_minutes": paid_minutes}
        wanted = ("extend", since) if paid_minutes else ("start", {})
        further = quoted(tariff, wanted[0], {"place": key, "minutes": minutes, **wanted[1]}, moment, category)
        whole = quoted(tariff, "start", {"place": key, "minutes": paid_minutes + minutes}, moment, category)
        if isinstance(whole, Refusal) or (isinstance(further, Refusal) and not paid_minutes):
            return
        assert isinstance(further, Quote)
        assert further.amount_minor >= 0
        paid_minutes, paid_minor = paid_minutes + minutes, paid_minor + further.amount_minor
        assert paid_minor == whole.amount_minor


@settings(max_examples=100, deadline=None)
@given(begins=st.integers(0, 2 * 366 * 1_440), stays=st.tuples(*[st.integers(1, 7 * 1_440)] * 2))
def test_leaving_later_is_never_cheaper(tariff: Tariff, begins: int, stays: tuple[int, int]) -> None:
    entered = EPOCH + timedelta(minutes=begins)
    details = {"place": "old-wharf", "entered_at": entered.isoformat()}
    sooner, later = (
        quoted(tariff, "pay-on-exit", details, entered + timedelta(minutes=minutes), "adult")
        for minutes in sorted(stays)
    )
    if isinstance(later, Quote):
        assert isinstance(sooner, Quote)
        assert sooner.amount_minor <= later.amount_minor


def quoted(
    tariff: Tariff, action: str, details: dict[str, Any], moment: datetime, category: str | None
) -> Quote | Refusal:
    """The price of an action for a person of a category; None: nobody knows of whom."""
    ask = Ask(
        service="parking",
        action=action,
        kind=AskKind.REQUEST,
        currency="GBP",
        details=loaded(action, {"plate": CAR, **details}),
        occurred_at=moment,
    )
    holder = (
        None if category is None else Holder(cardholder_id=HOLDER, card_kind="visitor", category=category)
    )
    return parking().quote(ask, holder, tariff)


def test_what_is_set_aside_is_not_spent_yet(tariff: Tariff) -> None:
    """It is compared with the day's limit, and counted when it is paid."""
    made = decided(tariff, *enter(WHARF), at(MONDAY + "10:00"))
    assert [(line.held, line.amount_minor) for line in made.lines] == [(True, 600)]
    assert made.hold == Hold(vehicle(WHARF, CAR), at("2026-06-22T10:00"))
    assert (made.counters, made.releases) == ((), ())
    tight = Known(limits=(Ceiling(599),))
    assert decided(tariff, *enter(WHARF), at(MONDAY + "10:00"), known=tight).reason == "limit_reached"
    told = decided(tariff, *enter(WHARF), at(MONDAY + "10:00"), amount=400, kind=AskKind.ADVICE)
    assert ([(line.held, line.amount_minor) for line in told.lines], told.flags) == (
        [(True, 400)],
        ("price_changed",),
    )
    free = decided(tariff, *enter(WHARF, permit="household"), at(MONDAY + "10:00"), known=Known((HOUSE,)))
    assert [(line.held, line.amount_minor) for line in free.lines] == [(False, 0)]
    known = Known((INSIDE,))
    out = decided(tariff, *leave(WHARF, MONDAY + "10:00"), at(MONDAY + "11:00"), known=known)
    assert (out.releases, out.inputs["released_minor"]) == ((vehicle(WHARF, CAR),), 600)
    assert out.message == "Approved. The 6.00 GBP that were reserved are free again."
    assert ("parking.day", 100) in {(use.rule, use.amount) for use in out.counters}


def test_what_was_paid_goes_with_a_permit(tariff: Tariff) -> None:
    """So that whole months can be given back after its vehicles were changed, once."""
    change = renamed("zone-a", "2026-03-15", "2027-03-14", ["XY99ZZZ"])
    made = decided(tariff, *change, at(MONDAY + "10:00"), category="resident", known=Known(YEAR))
    used: dict[tuple[str, str], int] = {(one.rule, one.period): one.used for one in YEAR}
    for use in made.counters:
        used[use.rule, use.period] = used.get((use.rule, use.period), 0) + use.amount
    assert min(used.values()) == 0
    after = Known(tuple(Used(rule, period, count) for (rule, period), count in used.items()))
    ended = {"permit": "zone-a", "first_day": "2026-03-15", "last_day": "2027-03-14", "more_plates": []}
    mine = ("permit-end", {**ended, "plate": "XY99ZZZ"})
    said = decided(tariff, *mine, at(MONDAY + "10:00"), category="resident", known=after).message
    assert said == "The permit has ended. For 8 whole months of 12, 30.00 GBP go back."
    assert decided(tariff, "permit-end", ended, at(MONDAY + "10:00"), known=after).reason == "no_permit"
    # Told from a machine without a connection, of a permit that is nobody's: nothing is counted.
    told = decided(tariff, *change, at(MONDAY + "10:00"), kind=AskKind.ADVICE)
    assert (told.flags, told.counters) == (("no_permit",), ())
