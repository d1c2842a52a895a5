"""School meals, decision by decision: what is asked, what the payer has and has set, and what becomes of it.

Each row is read from left to right: what happens; what is on the tray; what differs from a pupil with 10.00 and
nothing else at lunch on the first Monday; then the reason, what pays in pence, source by source, and where the
rule comes from. It is judged by the rules and then by the same money as the ledger's postings are made of.
"""

# ruff: noqa: E501 - a table is read by its columns

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from cardservice.authorisation.money import pay, receipt_lines, shortfall
from cardservice.authorisation.refunding import Plan, Wish, plan
from cardservice.ids import PayerId, ProviderId
from cardservice.ledger.values import AccountView, CounterView, LimitView, PayerView
from cardservice.services.meals.reasons import REASONS
from cardservice.services.seam import Ask, AskKind, Decision, Entitlement, Holder
from tests.cardservice.services.meal_tariffs import known_sale, load, meals

LONDON = ZoneInfo("Europe/London")
PUPIL, BROTHER = UUID(int=1), UUID(int=2)
LONG_AGO = datetime(2026, 8, 1, tzinfo=UTC)
DESIGN = "services.md, school meals"
CYCLE, DEAL, ALLERGEN, SUBSTITUTE = (
    f"{DESIGN}: {what}" for what in ("cycles", "deals", "allergens", "substitution")
)
LIMIT, BLOCKED, SECOND, ORDER = (
    f"{DESIGN}: {what}" for what in ("limits", "blocked items", "second-meal warning", "pre-orders")
)
FUNDED, FLOOR, ANYWAY = (
    f"{DESIGN}: {what}" for what in ("funding programmes", "floor without a cliff", "serve anyway")
)
TAX, LEDGER, ROLE = "services.md: tax", "ledger.md: requests and advices", f"{DESIGN}: prices"
PASTA, CURRY = {"pasta": 1}, {"curry": 1}


def at(text: str) -> datetime:
    """A moment by the school's clock."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON).astimezone(UTC)


MONDAY, WEDNESDAY = at("2026-09-07T12:00"), at("2026-09-09T12:00")
WEEK_2 = at("2026-09-14T12:00")


def entitled(
    programme: str,
    *,
    year: str = "",
    first: str = "2026-09-01",
    review: str = "2027-09-01",
    recorded: datetime = LONG_AGO,
) -> Entitlement:
    """A check of the pupil's."""
    return Entitlement(
        service="meals",
        programme=programme,
        year=year,
        first_day=date.fromisoformat(first),
        review_on=date.fromisoformat(review),
        recorded_at=recorded,
    )


def used(rule: str, amount: int, period: str = "2026-09-07", who: UUID = PUPIL) -> CounterView:
    """What has been counted."""
    return CounterView(who, rule, period, amount)  # type: ignore[arg-type]  # an id is a UUID


def limited(rule: str, amount: int, who: UUID | None = PUPIL, *, recorded: datetime = LONG_AGO) -> LimitView:
    """What a parent has set."""
    return LimitView(who, rule, amount, LONG_AGO, recorded)  # type: ignore[arg-type]  # an id is a UUID


@dataclass(frozen=True, slots=True)
class State:
    """What differs from a pupil with 10.00 at lunch on Monday."""

    at: datetime = MONDAY
    action: str = "sale"
    service: str = "lunch"
    has: int = 1000
    floor: int = 0
    owes: int = 0
    category: str = "pupil"
    allergens: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()
    instead_of: str | None = None
    signed: int | None = -1
    advice: bool = False
    day: str = ""
    entitled: tuple[Entitlement, ...] = ()
    used: tuple[CounterView, ...] = ()
    limits: tuple[LimitView, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    what: str
    tray: Mapping[str, int]
    state: State
    reason: str
    # Of programmes, the family's money and arrears; of what is declined nothing.
    pays: Mapping[str, int]
    source: str
    flags: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)


S = State
T, U, E = entitled("targeted"), entitled("infant", year="1"), entitled("extra")
FREE = "scheme:subsidy:dfe:targeted"
INFANT, EXTRA = "scheme:subsidy:dfe:infant", "scheme:subsidy:council:extra"
OWN, OWED = "payer:prepaid", "payer:arrears"
WARNED = (used("meals.mains", 1, "2026-09-07.lunch"),)
ORDERED = (used("meals.ordered", 1, "2026-09-07/lunch/pasta"),)
# fmt: off
ROWS = [
    # The menu's cycle and calendar.
    Row("a dish of its day", PASTA, S(), "approved", {OWN: 250}, CYCLE),
    Row("another day of the week", PASTA, S(at=WEDNESDAY), "item_not_offered", {}, CYCLE),
    Row("another week of the cycle", PASTA, S(at=WEEK_2), "item_not_offered", {}, CYCLE),
    Row("that week's dish", CURRY, S(at=WEEK_2), "approved", {OWN: 250}, CYCLE),
    Row("the cycle begins again", PASTA, S(at=at("2026-09-21T12:00")), "approved", {OWN: 250}, CYCLE),
    Row("a new term begins with its own week", CURRY, S(at=at("2026-11-02T12:00")), "approved", {OWN: 250}, CYCLE),
    Row("the last day of a term", {"milk": 1}, S(at=at("2026-10-23T23:59")), "approved", {OWN: 35}, CYCLE),
    Row("half-term", {"milk": 1}, S(at=at("2026-10-24T00:00")), "no_school", {}, CYCLE),
    Row("a day on which the school is closed", {"milk": 1}, S(at=at("2026-09-25T12:00")), "no_school", {}, CYCLE),
    # Prices, deals.
    Row("a teacher pays a teacher's price", PASTA, S(category="staff"), "approved", {OWN: 420}, ROLE),
    Row("a teacher signs a pupil's price", PASTA, S(category="staff", signed=250), "price_changed", {}, ROLE),
    Row("a deal", {"pasta": 1, "crumble": 1}, S(), "approved", {OWN: 280}, DEAL),
    Row("a deal, signed without it", {"pasta": 1, "crumble": 1}, S(signed=330), "price_changed", {}, DEAL),
    Row("a deal twice", {"pasta": 2, "crumble": 2}, S(), "approved", {OWN: 560}, DEAL),
    Row("a deal, and one piece more", {"pasta": 1, "crumble": 2}, S(), "approved", {OWN: 360}, DEAL),
    Row("a deal that saves nothing is none", {"pasta": 1, "fruit": 1}, S(), "approved", {OWN: 270}, DEAL),
    Row("no pudding at break", {"crumble": 1}, S(service="break"), "item_not_offered", {}, DEAL),
    # Allergens.
    Row("what the pupil must not eat", PASTA, S(allergens=("milk",)), "allergen_stop", {}, ALLERGEN),
    Row("what may contain it", PASTA, S(allergens=("celery",)), "allergen_stop", {}, ALLERGEN),
    Row("another allergen", PASTA, S(allergens=("nuts",)), "approved", {OWN: 250}, ALLERGEN),
    Row("it was read and confirmed", PASTA, S(allergens=("milk",), confirmed=("allergens",)), "approved", {OWN: 250}, ALLERGEN),
    Row("a second meal confirmed is no allergen read", PASTA, S(allergens=("milk",), confirmed=("second-meal",)), "allergen_stop", {}, ALLERGEN),
    Row("eaten all the same", PASTA, S(allergens=("milk",), advice=True), "approved", {OWN: 250}, ALLERGEN, ("allergen_stop",)),
    # Substitution.
    Row("curry for the pasta that is out", CURRY, S(instead_of="pasta"), "approved", {OWN: 250}, SUBSTITUTE),
    Row("a dearer dish at the promised price", {"roast": 1}, S(instead_of="pasta"), "approved", {OWN: 250}, SUBSTITUTE),
    Row("its own allergens count", {"roast": 1}, S(instead_of="pasta", allergens=("mustard",)), "allergen_stop", {}, SUBSTITUTE),
    Row("in place of what is not offered today", CURRY, S(instead_of="roast", at=WEEK_2), "item_not_offered", {}, SUBSTITUTE),
    Row("by what nobody knows", {"pizza": 1}, S(instead_of="pasta"), "item_unknown", {}, SUBSTITUTE),
    # Limits.
    Row("exactly a day's limit", PASTA, S(limits=(limited("meals.day", 250),)), "approved", {OWN: 250}, LIMIT),
    Row("a penny over a day's limit", PASTA, S(limits=(limited("meals.day", 249),)), "limit_reached", {}, LIMIT),
    Row("exactly a service's limit", PASTA, S(limits=(limited("meals.service.lunch", 250),)), "approved", {OWN: 250}, LIMIT, (), {"meals.service.lunch": 250}),
    Row("a penny over a service's limit", PASTA, S(limits=(limited("meals.service.lunch", 249),)), "limit_reached", {}, LIMIT),
    Row("the limit of another service", PASTA, S(limits=(limited("meals.service.break", 0),)), "approved", {OWN: 250}, LIMIT),
    Row("exactly the pieces of an item", {"fruit": 2}, S(limits=(limited("meals.item.fruit", 2),)), "approved", {OWN: 40}, LIMIT, (), {"meals.item.fruit": 2}),
    Row("a piece more", {"fruit": 2}, S(limits=(limited("meals.item.fruit", 2),), used=(used("meals.item.fruit", 1),)), "item_limit", {}, LIMIT),
    Row("a family's pieces are added up", {"fruit": 1}, S(limits=(limited("meals.item.fruit", 2, None),), used=(used("meals.item.fruit", 2, who=BROTHER),)), "item_limit", {}, LIMIT),
    Row("a blocked item", {"pasta": 1, "fruit": 1}, S(limits=(limited("meals.item.fruit", 0),)), "item_blocked", {}, BLOCKED),
    Row("without it", PASTA, S(limits=(limited("meals.item.fruit", 0),)), "approved", {OWN: 250}, BLOCKED),
    Row("blocked for a brother", {"fruit": 1}, S(limits=(limited("meals.item.fruit", 0, BROTHER),)), "approved", {OWN: 20}, BLOCKED),
    Row("blocked, and eaten offline", {"fruit": 1}, S(limits=(limited("meals.item.fruit", 0),), advice=True), "approved", {OWN: 20}, BLOCKED, ("item_blocked",)),
    Row("blocked after it was eaten offline", {"fruit": 1}, S(limits=(limited("meals.item.fruit", 0, recorded=MONDAY + timedelta(minutes=1)),), advice=True), "approved", {OWN: 20}, LEDGER),
    Row("a limit counts what programmes pay, too", PASTA, S(limits=(limited("meals.day", 249),), entitled=(T,)), "limit_reached", {}, LIMIT),
    # Second meals.
    Row("a second main meal", PASTA, S(used=WARNED), "second_meal", {}, SECOND),
    Row("a second one, confirmed", PASTA, S(used=WARNED, confirmed=("second-meal",)), "approved", {OWN: 250}, SECOND, (), {"meals.mains": 1}),
    Row("a pudding after the meal", {"crumble": 1}, S(used=WARNED), "approved", {OWN: 80}, SECOND),
    Row("a brother has had one", PASTA, S(used=(used("meals.mains", 1, "2026-09-07.lunch", BROTHER),)), "approved", {OWN: 250}, SECOND),
    Row("a second one, eaten offline", PASTA, S(used=WARNED, advice=True), "approved", {OWN: 250}, SECOND, ("second_meal",)),
    # Where the money does not reach.
    Row("exactly what there is", PASTA, S(has=250), "approved", {OWN: 250}, FLOOR),
    Row("a penny short ends in arrears", PASTA, S(has=249), "approved", {OWN: 249, OWED: 1}, FLOOR),
    Row("down to a floor below nothing", {"crumble": 1}, S(has=0, floor=-80), "approved", {OWN: 80}, FLOOR),
    Row("a penny below it", {"crumble": 1}, S(has=0, floor=-79), "insufficient_funds", {}, FLOOR),
    Row("a pudding ends in no arrears", {"crumble": 1}, S(has=79), "insufficient_funds", {}, FLOOR),
    Row("a meal with a pudding, neither", {"pasta": 1, "crumble": 1}, S(has=279), "insufficient_funds", {}, FLOOR),
    Row("a meal with water, which is free", {"pasta": 1, "water": 1}, S(has=0), "approved", {OWED: 250}, FLOOR),
    Row("exactly as much as may be owed", PASTA, S(has=0, owes=250), "approved", {OWED: 250}, FLOOR),
    Row("a penny more than may be owed", PASTA, S(has=0, owes=251), "arrears_limit", {}, FLOOR),
    Row("who can pay may owe anything", PASTA, S(has=250, owes=900), "approved", {OWN: 250}, FLOOR),
    Row("owed offline, whatever the limit", PASTA, S(has=0, owes=900, advice=True), "approved", {OWED: 250}, LEDGER),
    # Programmes.
    Row("a funded meal", PASTA, S(has=0, entitled=(T,)), "approved", {FREE: 250}, FUNDED, (), {"meals.programme.targeted": 250}),
    Row("the rest is the family's", {"pasta": 1, "crumble": 1}, S(entitled=(T,)), "approved", {FREE: 260, OWN: 20}, FUNDED),
    Row("and then owed: a main meal alone", {"pasta": 2}, S(has=0, entitled=(T,)), "approved", {FREE: 260, OWED: 240}, FUNDED),
    Row("what is used is used", PASTA, S(entitled=(T,), used=(used("meals.programme.targeted", 260),)), "approved", {OWN: 250}, FUNDED),
    Row("a penny of it is left", PASTA, S(entitled=(T,), used=(used("meals.programme.targeted", 259),)), "approved", {FREE: 1, OWN: 249}, FUNDED),
    Row("yesterday's use is over", PASTA, S(entitled=(T,), used=(used("meals.programme.targeted", 260, "2026-09-06"),)), "approved", {FREE: 250}, FUNDED),
    Row("not at break", {"milk": 1}, S(service="break", entitled=(T,)), "approved", {OWN: 35}, FUNDED),
    Row("the first by precedence pays alone", {"pasta": 1, "crumble": 1}, S(entitled=(U, T)), "approved", {FREE: 260, OWN: 20}, FUNDED),
    Row("another adds to it", {"pasta": 1, "crumble": 1}, S(entitled=(E, T)), "approved", {FREE: 260, EXTRA: 20}, FUNDED),
    Row("all sources in one sale", {"pasta": 2}, S(has=100, entitled=(E, T)), "approved", {FREE: 260, EXTRA: 35, OWN: 100, OWED: 105}, FUNDED),
    Row("an infant's year", PASTA, S(entitled=(U,)), "approved", {INFANT: 250}, FUNDED),
    Row("a year that the programme is not for", PASTA, S(entitled=(entitled("infant", year="3"),)), "approved", {OWN: 250}, FUNDED),
    Row("the last day before the review", PASTA, S(entitled=(entitled("targeted", review="2026-09-08"),)), "approved", {FREE: 250}, FUNDED),
    Row("the day of the review", PASTA, S(entitled=(entitled("targeted", review="2026-09-07"),)), "approved", {OWN: 250}, FUNDED),
    Row("before its first day", PASTA, S(entitled=(entitled("targeted", first="2026-09-08"),)), "approved", {OWN: 250}, FUNDED),
    Row("the later record counts", PASTA, S(entitled=(T, entitled("targeted", first="2026-09-01", review="2026-09-01"))), "approved", {OWN: 250}, FUNDED),
    Row("an advice goes by what was on record", PASTA, S(advice=True, entitled=(entitled("targeted", recorded=MONDAY + timedelta(hours=1)),)), "approved", {OWN: 250}, LEDGER),
    Row("a request by what is on record now", PASTA, S(entitled=(entitled("targeted", recorded=MONDAY + timedelta(hours=1)),)), "approved", {FREE: 250}, LEDGER),
    Row("a pudding by programme where no money is", {"crumble": 1}, S(has=0, entitled=(T,)), "approved", {FREE: 80}, FUNDED),
    Row("more puddings than it pays for", {"crumble": 4}, S(has=59, entitled=(T,)), "insufficient_funds", {}, FUNDED),
    Row("exactly as many", {"crumble": 4}, S(has=60, entitled=(T,)), "approved", {FREE: 260, OWN: 60}, FUNDED),
    # A supervisor.
    Row("a supervisor serves past a limit", PASTA, S(action="serve-anyway", limits=(limited("meals.day", 0),)), "approved", {OWN: 250}, ANYWAY, ("served_anyway",)),
    Row("past a blocked item, without money", {"fruit": 1}, S(action="serve-anyway", has=0, limits=(limited("meals.item.fruit", 0),)), "approved", {OWED: 20}, ANYWAY, ("served_anyway",)),
    Row("past an allergen", PASTA, S(action="serve-anyway", allergens=("milk",)), "approved", {OWN: 250}, ANYWAY, ("served_anyway",)),
    Row("past what may be owed", PASTA, S(action="serve-anyway", has=0, owes=900), "approved", {OWED: 250}, ANYWAY, ("served_anyway",)),
    Row("not at another price", PASTA, S(action="serve-anyway", signed=1), "price_changed", {}, ANYWAY),
    Row("not what is not there", {"pizza": 1}, S(action="serve-anyway"), "item_unknown", {}, ANYWAY),
    # Orders.
    Row("an order for a day to come", PASTA, S(action="pre-order", day="2026-09-21"), "approved", {}, ORDER, (), {"meals.ordered": 1}),
    Row("the last moment of a day's orders", PASTA, S(action="pre-order", day="2026-09-07", at=at("2026-09-07T09:29:59")), "approved", {}, ORDER, (), {"meals.ordered": 1}),
    Row("too late", PASTA, S(action="pre-order", day="2026-09-07", at=at("2026-09-07T09:30")), "order_closed", {}, ORDER),
    Row("for another week's dish", PASTA, S(action="pre-order", day="2026-09-14"), "item_not_offered", {}, ORDER),
    Row("for half-term", PASTA, S(action="pre-order", day="2026-10-26"), "no_school", {}, ORDER),
    Row("an order with an amount", PASTA, S(action="pre-order", day="2026-09-21", signed=250), "amount_unexpected", {}, ORDER),
    Row("an order of what the pupil must not eat", PASTA, S(action="pre-order", day="2026-09-21", allergens=("milk",)), "allergen_stop", {}, ORDER),
    Row("an order told too late", PASTA, S(action="pre-order", day="2026-09-21", advice=True), "approved", {}, ORDER, ("order_closed",)),
    Row("cancelled", PASTA, S(action="cancel-order", day="2026-09-07", at=at("2026-09-07T08:00"), used=ORDERED), "approved", {}, ORDER, (), {"meals.ordered": -1}),
    Row("cancelled without an order", PASTA, S(action="cancel-order", day="2026-09-07", at=at("2026-09-07T08:00")), "not_ordered", {}, ORDER),
    Row("collected", PASTA, S(action="collect", used=ORDERED), "approved", {OWN: 250}, ORDER, (), {"meals.collected": 1}),
    Row("collected by programme", PASTA, S(action="collect", used=ORDERED, entitled=(T,)), "approved", {FREE: 250}, ORDER),
    Row("collected twice", PASTA, S(action="collect", used=(*ORDERED, used("meals.collected", 1, "2026-09-07/lunch/pasta"))), "not_ordered", {}, ORDER),
    Row("collected by a brother", PASTA, S(action="collect", used=(used("meals.ordered", 1, "2026-09-07/lunch/pasta", BROTHER),)), "not_ordered", {}, ORDER),
    Row("more than was ordered", {"pasta": 2}, S(action="collect", used=ORDERED), "not_ordered", {}, ORDER),
]
# fmt: on


@pytest.fixture(scope="module")
def menu(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tests' menu with its programmes, prepared."""
    return meals().prepare(load(tmp_path_factory.mktemp("menu")).content)


def ask_of(row: Row, menu: object) -> Ask:
    """What is asked; the signed amount is the price unless the row says another."""
    state = row.state
    parts = [{"item": key, "quantity": count} for key, count in row.tray.items()]
    if state.instead_of is not None:
        parts = [{**part, "instead_of": state.instead_of} for part in parts]
    details: dict[str, Any] = {"service": state.service, "items": parts}
    if state.confirmed:
        details["confirmed"] = list(state.confirmed)
    if state.day:
        details["day"] = state.day
    ask = Ask(
        service="meals",
        action=state.action,
        kind=AskKind.ADVICE if state.advice else AskKind.REQUEST,
        currency="GBP",
        details=meals().details_schema(state.action)().load(details),
        occurred_at=state.at,
        offline=state.advice,
        amount_minor=state.signed,
    )
    if state.signed != -1:
        return ask
    quote = meals().quote(_with(ask, None), holder_of(row), menu)
    ordering = state.action in {"pre-order", "cancel-order"}
    return _with(ask, None if ordering else getattr(quote, "amount_minor", 250))


def _with(ask: Ask, amount: int | None) -> Ask:
    return replace(ask, amount_minor=amount, offline=False)


def holder_of(row: Row) -> Holder:
    """The pupil."""
    state = row.state
    return Holder(
        cardholder_id=PUPIL,
        card_kind="citizen",
        category=state.category,
        allergens=frozenset(state.allergens),
        entitlements=state.entitled,
    )


def view_of(row: Row) -> PayerView:
    """The payer."""
    state = row.state
    accounts = (
        AccountView("arrears", "", "", "GBP", -state.owes, None),
        AccountView("prepaid", "", "", "GBP", state.has, state.floor),
    )
    return PayerView(PayerId(UUID(int=9)), 1, accounts, state.used, state.limits)


def decided(row: Row, menu: object) -> tuple[Decision, str]:
    """The rules' decision, and the reason that the till is given once the money has been looked at."""
    decision = meals().decide(ask_of(row, menu), holder_of(row), view_of(row), menu)
    short = decision.approved and shortfall(view_of(row), decision.lines, funding=decision.funding) > 0
    return decision, "insufficient_funds" if short and not row.state.advice else decision.reason


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_decision(row: Row, menu: object) -> None:
    decision, reason = decided(row, menu)

    assert (reason, decision.flags if reason == "approved" else ()) == (row.reason, row.flags)
    if reason != "approved":
        assert decision.message.endswith(".")
        return
    paid: dict[str, int] = {}
    transfers = pay(view_of(row), decision.lines, ProviderId("kitchen"), "GBP", funding=decision.funding)
    for each in transfers:
        paid[each.debit] = paid.get(each.debit, 0) + each.amount_minor
    assert paid == row.pays
    assert sum(paid.values()) == decision.amount_minor == sum(line.amount_minor for line in decision.lines)
    counted = {use.rule: use.amount for use in decision.counters}
    counted |= {each.rule: each.amount_minor for each in decision.funding}
    assert {**counted, **row.counts} == counted


def test_the_table_is_half_declines_or_boundaries() -> None:
    assert len({row.what for row in ROWS}) == len(ROWS) >= 60
    boundaries = (
        "exactly",
        "last",
        "a penny",
        "begins",
        "day of the review",
        "offline",
        "advice",
        "before",
        "later",
        "twice",
    )
    edges = [
        row
        for row in ROWS
        if row.reason != "approved" or row.flags or any(word in row.what for word in boundaries)
    ]
    assert 2 * len(edges) >= len(ROWS)


def test_every_reason_of_its_own_has_a_row(menu: object) -> None:
    """But for those that the table of plain sales has, and the one of refunds."""
    elsewhere = {
        "amount_missing",
        "currency_mismatch",
        "tariff_expired",
        "tariff_not_yet_valid",
        "service_unknown",
        "over_limit",
        "return_too_late",
    }
    found = {row.reason for row in ROWS} | {flag for row in ROWS for flag in row.flags}
    assert REASONS - elsewhere - found == set()


@pytest.mark.parametrize("row", [row for row in ROWS if row.state.entitled], ids=lambda row: row.what)
def test_who_pays_shows_in_no_word(row: Row, menu: object) -> None:
    """The same pupil without programmes, with as much more money, is told the same."""
    decision, reason = decided(row, menu)
    more = sum(each.amount_minor for each in decision.funding)
    if row.reason == "insufficient_funds":
        more = 260
    other, other_reason = decided(
        replace(row, state=replace(row.state, entitled=(), has=row.state.has + more)), menu
    )
    assert (reason, decision.message, decision.lines, decision.flags) == (
        other_reason,
        other.message,
        other.lines,
        other.flags,
    )


@pytest.mark.parametrize(
    ("category", "tray", "expected", "source"),
    [
        ("pupil", {"pasta": 1, "milk": 1}, [("zero", 0, 250, 0), ("zero", 0, 35, 0)], TAX),
        ("staff", PASTA, [("standard", 2000, 420, 70)], TAX),
        ("visitor", {"milk": 1}, [("standard", 2000, 35, 6)], TAX),
        ("staff", {"water": 1}, [], TAX),
    ],
)
def test_tax_goes_by_role_and_buyer(
    category: str,
    tray: Mapping[str, int],
    expected: list[tuple[str, int, int, int]],
    source: str,
    menu: object,
) -> None:
    """Each transfer has code, rate and tax; net and tax add up."""
    row = Row("", tray, S(category=category), "approved", {}, source)
    decision, _ = decided(row, menu)
    transfers = pay(view_of(row), decision.lines, ProviderId("kitchen"), "GBP", funding=decision.funding)
    assert [
        (each.tax_code, each.tax_rate_bp, each.amount_minor, each.tax_minor) for each in transfers
    ] == expected
    assert all((each.net_minor or 0) + (each.tax_minor or 0) == each.amount_minor for each in transfers)


def test_tax_of_a_line_is_the_same_however_many_pay_for_it(menu: object) -> None:
    """Shares of any size add up to the tax of the whole line."""
    for has in range(421):
        row = Row("", PASTA, S(category="staff", has=has), "approved", {}, TAX)
        decision, _ = decided(row, menu)
        transfers = pay(view_of(row), decision.lines, ProviderId("kitchen"), "GBP", funding=decision.funding)
        assert sum(each.tax_minor or 0 for each in transfers) == 70


@pytest.mark.parametrize("part", [1, 7, 50, 99, 250])
def test_the_same_tax_goes_back_however_many_pay(part: int, menu: object) -> None:
    """Part by part, to the penny: what a provider is told of tax tells nobody who has paid."""
    given_back = {tuple(_taxes_back(row, part, menu)) for row in (_teacher(has) for has in range(0, 421, 3))}
    assert len(given_back) == 1
    assert sum(given_back.pop()) == 70


def _teacher(has: int) -> Row:
    """Who owes what the money does not reach for."""
    return Row("", PASTA, S(category="staff", has=has), "approved", {}, TAX)


def _taxes_back(row: Row, part: int, menu: object) -> Iterator[int]:
    """The tax of each refund of so much, until all is given back."""
    decision, _ = decided(row, menu)
    transfers = pay(view_of(row), decision.lines, ProviderId("kitchen"), "GBP", funding=decision.funding)
    answer = {"receipt_lines": list(receipt_lines(decision.lines, transfers))}
    sale = known_sale(transfers, answer, MONDAY)
    while left := sale.moved_minor - sale.reversed_minor:
        planned = plan(view_of(row), sale, Wish(sale.id, None, min(part, left)))
        assert isinstance(planned, Plan)
        yield sum(each.tax_minor or 0 for each in planned.transfers)
        back = {each.line: 0 for each in sale.transfers}
        for each in planned.transfers:
            back[each.reverses_line or 0] += each.amount_minor
        stored = tuple(
            replace(each, reversed_minor=each.reversed_minor + back[each.line]) for each in sale.transfers
        )
        sale = replace(sale, transfers=stored)
