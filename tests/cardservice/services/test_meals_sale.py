"""The decision table of a sale at school: each row says which rule it follows from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from marshmallow import ValidationError

from cardservice.services.meals.reasons import REASONS
from cardservice.services.seam import Ask, AskKind, CounterUse, Decision, Holder, Quote, Refusal
from tests.cardservice.services.menus import load, meals

DOCS = Path(__file__).parents[3] / "docs" / "services"
# Noon of a Monday in British Summer Time.
NOON = datetime(2026, 9, 7, 11, 0, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 5, 11, 0, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
START = datetime(2026, 8, 31, 23, 0, tzinfo=UTC)  # midnight in London is 23:00 UTC in summer
END = datetime(2026, 12, 19, 0, 0, tzinfo=UTC)  # and 00:00 UTC in winter
# Midnight between 31 October and 1 November.
DEARER = datetime(2026, 11, 1, 0, 0, tzinfo=UTC)
CHILD, BROTHER = UUID(int=1), UUID(int=2)
REQUEST, ADVICE = AskKind.REQUEST, AskKind.ADVICE

LEDGER = "ledger.md, requests and advices"
MENU = "services.md, school meals: menus with prices"
DAILY = "services.md, school meals: daily limits"
FAMILY = "services.md: limits that a holder or parent sets"
KNOWN = "ledger.md: limits as known at the terminal when it decided"


@dataclass(frozen=True)
class Used:
    """A counter's row."""

    used: int
    cardholder_id: UUID = CHILD
    period: str = "2026-09-07"
    rule: str = "meals.day"


@dataclass(frozen=True)
class Limited:
    """A limit's row; None: for all of the payer's."""

    amount_minor: int
    cardholder_id: UUID | None = CHILD
    valid_from: datetime = START
    recorded_at: datetime = START
    rule: str = "meals.day"


@dataclass(frozen=True)
class Payer:
    """What a payer has set, and what has been used."""

    limits: tuple[Limited, ...] = ()
    counters: tuple[Used, ...] = ()
    version: int = 1
    accounts: tuple[()] = ()


@dataclass(frozen=True)
class Case:
    """One row: what is asked, of which payer, and what comes of it. `amount` is what the card signed."""

    name: str
    source: str
    tray: Mapping[str, int] = field(default_factory=lambda: {"pasta": 1})
    service: str = "lunch"
    limits: tuple[Limited, ...] = ()
    used: tuple[Used, ...] = ()
    kind: AskKind = REQUEST
    amount: int | None = 250
    currency: str = "GBP"
    at: datetime = NOON
    reason: str = "approved"
    pays: int = 0
    flags: tuple[str, ...] = ()
    # What is counted on which day; None: what is paid, on 7 September.
    counted: tuple[int, str] | None = None


LUNCH = {"pasta": 1, "milk": 2, "flapjack": 1}  # 2.50 + 0.70 + 0.80
CASES = [
    # What is approved, and what it costs.
    Case("a main meal", MENU, pays=250),
    Case("several items", "services.md: sale with several items", LUNCH, amount=400, pays=400),
    Case("twenty of one", "ours: at most twenty", {"milk": 20}, amount=700, pays=700),
    Case("what is free", MENU, {"water": 1}, amount=0, counted=(0, "")),
    Case("an item for every service", MENU, {"milk": 1}, service="break", amount=35, pays=35),
    Case("the last moment of a price", MENU, at=DEARER - MS, pays=250, counted=(250, "2026-10-31")),
    Case("the first of another", MENU, at=DEARER, amount=260, pays=260, counted=(260, "2026-11-01")),
    Case(
        "an item that comes back",
        MENU,
        {"soup": 1},
        at=NOVEMBER,
        amount=150,
        pays=150,
        counted=(150, "2026-11-02"),
    ),
    # The menu's days, by the school's clock.
    Case(
        "the menu's first moment",
        "services.md: time zone",
        at=START,
        pays=250,
        counted=(250, "2026-09-01"),
    ),
    Case("before it", "services.md: dates of effect", at=START - MS, reason="tariff_not_yet_valid"),
    Case(
        "the menu's last moment",
        "services.md: time zone",
        at=END - MS,
        amount=260,
        pays=260,
        counted=(260, "2026-12-18"),
    ),
    Case("after it", "services.md: dates of effect", at=END, amount=260, reason="tariff_expired"),
    # Declined by the menu.
    Case("nobody knows it", MENU, {"pizza": 1}, reason="item_unknown"),
    Case("one of several is unknown", MENU, {"pasta": 1, "pizza": 1}, reason="item_unknown"),
    Case("not at this service", MENU, service="break", reason="item_not_offered"),
    Case("not on this day", MENU, {"soup": 1}, at=OCTOBER, amount=150, reason="item_not_offered"),
    Case("no such service", MENU, service="supper", reason="service_unknown"),
    Case("the price went up", LEDGER, amount=240, reason="price_changed"),
    Case("the price went down", LEDGER, amount=251, reason="price_changed"),
    Case("no amount", "ledger.md: priced sales are signed", amount=None, reason="amount_missing"),
    Case("another currency", "ledger.md: one unit", currency="EUR", reason="currency_mismatch"),
    # A child's limit.
    Case("exactly the limit", DAILY, limits=(Limited(250),), pays=250),
    Case("a penny over it", DAILY, limits=(Limited(249),), reason="limit_reached"),
    Case(
        "exactly what is left",
        DAILY,
        {"flapjack": 1},
        amount=80,
        limits=(Limited(330),),
        used=(Used(250),),
        pays=80,
    ),
    Case(
        "a penny more than is left",
        DAILY,
        {"flapjack": 1},
        amount=80,
        limits=(Limited(330),),
        used=(Used(251),),
        reason="limit_reached",
    ),
    Case("a limit of nothing", DAILY, limits=(Limited(0),), reason="limit_reached"),
    Case(
        "what is free is never over it",
        "ours",
        {"water": 1},
        amount=0,
        limits=(Limited(0),),
        used=(Used(900),),
        counted=(0, ""),
    ),
    Case(
        "yesterday's count", DAILY, limits=(Limited(300),), used=(Used(300, period="2026-09-06"),), pays=250
    ),
    Case("another rule's count", DAILY, limits=(Limited(300),), used=(Used(300, rule="x.day"),), pays=250),
    Case("another rule's limit", DAILY, limits=(Limited(0, rule="x.day"),), pays=250),
    Case(
        "the last moment of a day",
        "services.md: time zone",
        at=datetime(2026, 9, 7, 22, 59, 59, 999000, tzinfo=UTC),
        limits=(Limited(300),),
        used=(Used(300),),
        reason="limit_reached",
    ),
    Case(
        "the next day begins at the school's midnight",
        "services.md: time zone",
        at=datetime(2026, 9, 7, 23, 0, tzinfo=UTC),
        limits=(Limited(300),),
        used=(Used(300),),
        pays=250,
        counted=(250, "2026-09-08"),
    ),
    # A family's.
    Case("a brother's limit is his", FAMILY, limits=(Limited(0, BROTHER),), pays=250),
    Case("what a brother used is his", FAMILY, limits=(Limited(250),), used=(Used(250, BROTHER),), pays=250),
    Case(
        "a family's limit adds up all",
        FAMILY,
        limits=(Limited(400, None),),
        used=(Used(151, BROTHER),),
        reason="limit_reached",
    ),
    Case(
        "exactly what the family has left",
        FAMILY,
        limits=(Limited(400, None),),
        used=(Used(150, BROTHER),),
        pays=250,
    ),
    Case(
        "a child's limit within a family's",
        FAMILY,
        limits=(Limited(900, None), Limited(100)),
        reason="limit_reached",
    ),
    Case(
        "a family's limit below a child's",
        FAMILY,
        limits=(Limited(100, None), Limited(900)),
        reason="limit_reached",
    ),
    # Which limit counts.
    Case("the later limit counts", KNOWN, limits=(Limited(0), Limited(250, valid_from=NOON)), pays=250),
    Case(
        "not before its moment",
        KNOWN,
        limits=(Limited(0), Limited(250, valid_from=NOON + MS)),
        reason="limit_reached",
    ),
    Case(
        "of two set in one moment the second",
        "ours",
        limits=(Limited(250), Limited(0)),
        reason="limit_reached",
    ),
    Case(
        "a request goes by what is known now",
        KNOWN,
        limits=(Limited(0, recorded_at=NOON + MS),),
        reason="limit_reached",
    ),
    Case(
        "an advice by what was known then",
        KNOWN,
        kind=ADVICE,
        limits=(Limited(0, recorded_at=NOON + MS),),
        pays=250,
    ),
    # Advices: the meal was eaten.
    Case("an advice at today's price", LEDGER, kind=ADVICE, pays=250),
    Case(
        "an advice over the limit",
        LEDGER,
        kind=ADVICE,
        limits=(Limited(249),),
        pays=250,
        flags=("over_limit",),
    ),
    Case("an advice at the limit", LEDGER, kind=ADVICE, limits=(Limited(250),), pays=250),
    Case("an advice at another price", LEDGER, kind=ADVICE, amount=240, pays=240, flags=("price_changed",)),
    Case(
        "an advice of an unknown item",
        LEDGER,
        {"pizza": 1},
        kind=ADVICE,
        pays=250,
        flags=("item_unknown",),
    ),
    Case(
        "an advice with two flags",
        LEDGER,
        {"pizza": 1},
        kind=ADVICE,
        limits=(Limited(100),),
        pays=250,
        flags=("item_unknown", "over_limit"),
    ),
    Case(
        "an advice after the menu's end",
        LEDGER,
        kind=ADVICE,
        at=END,
        pays=250,
        flags=("tariff_expired",),
        counted=(250, "2026-12-19"),
    ),
    Case(
        "an advice without an amount",
        LEDGER,
        kind=ADVICE,
        amount=None,
        flags=("amount_missing",),
        counted=(0, ""),
    ),
    Case(
        "an advice in another currency",
        "ledger.md: one unit",
        kind=ADVICE,
        currency="EUR",
        limits=(Limited(0),),
        flags=("currency_mismatch",),
        counted=(0, ""),
    ),
    Case(
        "an advice from the end of time",
        "card.md: a statement's time may be any",
        kind=ADVICE,
        at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        pays=250,
        flags=("tariff_expired",),
        counted=(250, "9999-12-31"),
    ),
]
SOME = Case("", "")


def ask_of(case: Case) -> Ask:
    items = [{"item": item, "quantity": quantity} for item, quantity in case.tray.items()]
    return Ask(
        service="meals",
        action="sale",
        kind=case.kind,
        currency=case.currency,
        details=meals().details_schema("sale")().load({"service": case.service, "items": items}),
        occurred_at=case.at,
        amount_minor=case.amount,
        offline=case.kind is ADVICE,
    )


def holder(category: str = "pupil") -> Holder:
    return Holder(cardholder_id=CHILD, card_kind="citizen", category=category)


def decide(case: Case, menu: object, who: Holder | None = None) -> Decision:
    return meals().decide(ask_of(case), who or holder(), Payer(case.limits, case.used), menu)


@pytest.fixture
def menu(tmp_path: Path) -> object:
    """The tests' menu, prepared."""
    return meals().prepare(load(tmp_path).content)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decision(case: Case, menu: object) -> None:
    decision = decide(case, menu)

    assert (decision.reason, decision.amount_minor, decision.flags) == (case.reason, case.pays, case.flags)
    assert decision.approved is (case.reason == "approved")
    assert sum(line.amount_minor for line in decision.lines) == decision.amount_minor
    assert bool(decision.lines) is decision.approved
    amount, day = case.counted or (case.pays, "2026-09-07")
    counted = (CounterUse(rule="meals.day", period=day, amount=amount),) if amount else ()
    assert decision.counters == counted
    assert decision.message.endswith(".")


def test_the_table_is_mostly_about_what_is_refused_or_at_a_boundary() -> None:
    assert len(CASES) >= 30
    boundary = ("exactly", "last moment", "first", "a penny", "midnight", "at the limit", "in one moment")
    declines = [case for case in CASES if case.reason != "approved" or case.flags]
    edges = [case for case in CASES if case not in declines and any(word in case.name for word in boundary)]
    assert 2 * len(declines + edges) >= len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.kind is REQUEST], ids=lambda case: case.name)
def test_a_quote_that_is_signed_is_approved_within_the_limits(case: Case, menu: object) -> None:
    """What a till is told before the card signs is what the decision after it is made by."""
    quote = meals().quote(ask_of(case), holder(), menu)
    decision = decide(case, menu)
    if isinstance(quote, Refusal):
        assert decision.reason == quote.reason
    elif decision.approved:
        assert (quote.amount_minor, quote.lines) == (case.amount, decision.lines)
    else:
        assert decision.reason in {"price_changed", "amount_missing", "limit_reached"}


def test_the_receipt_has_a_line_an_item_and_a_main_meal_alone_may_end_in_arrears(menu: object) -> None:
    decision = decide(replace(SOME, tray=LUNCH, amount=400), menu)
    assert [
        (line.label, line.amount_minor, line.product, line.may_end_in_arrears) for line in decision.lines
    ] == [
        ("Pasta bake", 250, "pasta", True),
        ("2 \N{MULTIPLICATION SIGN} Milk", 70, "milk", False),
        ("Flapjack", 80, "flapjack", False),
    ]


@pytest.mark.parametrize(("tray", "may"), [({"pasta": 1}, True), ({"pasta": 1, "milk": 1}, False)])
def test_an_advice_at_another_price_may_end_in_arrears_if_it_was_of_main_meals_alone(
    tray: Mapping[str, int], may: bool, menu: object
) -> None:
    [line] = decide(replace(SOME, kind=ADVICE, tray=tray, amount=100), menu).lines
    assert (line.label, line.amount_minor, line.may_end_in_arrears) == ("School meal", 100, may)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_tells_one_pupil_from_another(case: Case, menu: object) -> None:
    """services.md: nothing a till sees tells funded pupils from paying ones. Nor can it: rules do not ask."""
    decisions = [decide(case, menu, holder(category)) for category in ("pupil", "funded", "staff")]
    assert decisions[0] == decisions[1] == decisions[2]
    quotes = [meals().quote(ask_of(case), who, menu) for who in (None, holder("funded"), holder())]
    assert quotes[0] == quotes[1] == quotes[2]


@pytest.mark.parametrize(
    ("limits", "used", "message"),
    [
        ((Limited(300),), (Used(260),), "Today's limit does not allow this: 0.40 GBP is left."),
        ((Limited(300),), (Used(700),), "Today's limit does not allow this: 0.00 GBP is left."),
        (
            (Limited(300), Limited(260, None)),
            (Used(100), Used(100, BROTHER)),
            "The family's limit for today does not allow this: 0.60 GBP is left.",
        ),
    ],
)
def test_a_limit_is_refused_in_plain_words(
    limits: tuple[Limited, ...], used: tuple[Used, ...], message: str, menu: object
) -> None:
    decision = decide(replace(SOME, limits=limits, used=used), menu)
    assert (decision.reason, decision.message) == ("limit_reached", message)


def test_the_inputs_explain_a_decision(menu: Any) -> None:
    limits, used = (Limited(300), Limited(900, None)), (Used(100), Used(40, BROTHER))
    assert decide(replace(SOME, limits=limits, used=used), menu).inputs == {
        "day": "2026-09-07",
        "limits": [
            {"rule": "meals.day", "shared": False, "limit_minor": 300, "used_minor": 100},
            {"rule": "meals.day", "shared": True, "limit_minor": 900, "used_minor": 140},
        ],
        "tariff_version": menu.version,
        "signed_tariff_version": None,
        "priced_minor": 250,
    }


@pytest.mark.parametrize(
    ("offline", "at", "until"),
    [
        (False, NOON, NOON + timedelta(minutes=5)),
        (True, NOON, NOON + timedelta(hours=24)),
        (False, DEARER - timedelta(minutes=1), DEARER),
        (True, DEARER - timedelta(hours=1), DEARER),
        (True, END - timedelta(hours=1), END),
    ],
)
def test_a_quote_holds_for_a_while_but_never_beyond_its_prices(
    offline: bool, at: datetime, until: datetime, menu: object
) -> None:
    ask = replace(ask_of(replace(SOME, tray={"pasta": 1, "milk": 1}, at=at)), offline=offline)
    quote = meals().quote(ask, None, menu)
    assert isinstance(quote, Quote)
    assert quote.valid_until == until


def test_details_are_strict() -> None:
    schema = meals().details_schema("sale")()
    good: dict[str, Any] = {"service": "lunch", "items": [{"item": "pasta", "quantity": 1}]}
    assert schema.load(good) == good
    changes: list[dict[str, Any]] = [
        {"service": None},
        {"service": ""},
        {"items": []},
        {"items": [{"item": "pasta", "quantity": 1}] * 51},
        {"items": [{"item": "pasta"}]},
        {"items": [{"item": "", "quantity": 1}]},
        {"items": [{"item": "x" * 65, "quantity": 1}]},
        *({"items": [{"item": "pasta", "quantity": quantity}]} for quantity in (0, 21, -1, 1.0, "1", True)),
        {"items": [{"item": "pasta", "quantity": 1, "price": 1}]},
        {"discount": "all"},
    ]
    for change in changes:
        with pytest.raises(ValidationError):
            schema.load(good | change)


def test_what_can_be_limited_is_under_the_services_name() -> None:
    assert list(meals().limits) == ["meals.day", "meals.service.*", "meals.item.*"]


def test_every_reason_is_documented() -> None:
    page = (DOCS / "meals.md").read_text(encoding="utf-8")
    assert {reason for reason in REASONS if f"`{reason}`" not in page} == set()
