"""The decision table of a single fare: each row says which rule it follows from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from marshmallow import ValidationError

from cardservice.services.seam import Ask, AskKind, Holder, Quote, Refusal, TariffError
from cardservice.services.transport import ambiguity
from tests.cardservice.services.feeds import FEED, load, transport

NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
MS = timedelta(milliseconds=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
END = datetime(2027, 1, 1, tzinfo=UTC)
SPRING_END = datetime(2026, 3, 29, 23, 0, tzinfo=UTC)  # midnight after the day of 23 hours in London

Files = Mapping[str, str | bytes | None]
RULES = "from_area_id,to_area_id,fare_product_id\n"
PRIORITY = "from_area_id,to_area_id,fare_product_id,rule_priority\n"

EMPTY: Files = {"fare_leg_rules.txt": RULES + "a,,short\n,c,long\n"}
EMPTY_ALL: Files = {"fare_leg_rules.txt": "fare_product_id\nshort\n"}
PRIORITIES: Files = {"fare_leg_rules.txt": PRIORITY + "a,,short,\n,c,long,\na,c,free,1\n"}
EMPTY_COLUMN: Files = {"fare_leg_rules.txt": PRIORITY + "a,b,short,\n,,long,\n", "stop_areas.txt": None}
ZERO_AND_EMPTY: Files = {"fare_leg_rules.txt": PRIORITY + "a,b,short,0\n,b,long,\na,b,free,2\n"}
NETWORKED: Files = {
    "routes.txt": "route_id,network_id\nr1,town\nr2,\n",
    "fare_leg_rules.txt": "network_id,fare_product_id\ntown,short\n,long\n",
}
NETWORK_FILES: Files = {
    "networks.txt": "network_id\ntown\n",
    "route_networks.txt": "network_id,route_id\ntown,r1\n",
    "fare_leg_rules.txt": "network_id,fare_product_id\ntown,short\n",
}
SPRING: Files = {"feed_info.txt": "feed_start_date,feed_end_date\n20260101,20260329\n"}
TWO_AREAS: Files = {"stop_areas.txt": FEED["stop_areas.txt"] + "b,a1\n"}
NONE: Files = {}


@dataclass(frozen=True)
class Case:
    """One row: what is asked, of which feed, and what comes of it. `amount` is what the card signed."""

    name: str
    source: str
    start: str = "a1"
    end: str = "b1"
    feed: Files = field(default_factory=dict)
    category: str = "adult"
    kind: AskKind = AskKind.REQUEST
    amount: int | None = 100
    currency: str = "GBP"
    route: str | None = None
    at: datetime = NOON
    reason: str = "approved"
    pays: int = 0
    flags: tuple[str, ...] = ()


ADVICE = AskKind.ADVICE
CASES = [
    # What is approved.
    Case("a fare between two areas", "fare_leg_rules.txt: exact match", pays=100),
    Case("a fare of nothing is a fare", "fare_products.txt, amount: may be zero", end="a2", amount=0),
    Case(
        "a young person's own price",
        "fare_products.txt, rider_category_id",
        category="young",
        amount=50,
        pays=50,
    ),
    Case(
        "own price before everybody's",
        "transport.md: own, then everybody's, then the default",
        end="c1",
        category="young",
        amount=80,
        pays=80,
    ),
    Case("everybody's price", "rider_category_id empty: any category", end="c1", amount=200, pays=200),
    Case(
        "a category without a price pays the default",
        "transport.md: default fare",
        category="older",
        pays=100,
    ),
    Case(
        "a category the map does not know pays the default", "transport.md: map", category="visitor", pays=100
    ),
    Case("a platform has its station's area", "stop_areas.txt, stop_id: station", end="platform", pays=100),
    Case("the station itself", "stop_areas.txt, stop_id", end="station", pays=100),
    Case("a boarding area has its platform's station's", "stops.txt, parent_station", end="bay", pays=100),
    Case(
        "a platform's own area overrides the station's",
        "stop_areas.txt: can be overridden",
        end="platform-own",
        amount=200,
        pays=200,
    ),
    # Empty fields, without and with a column of priorities.
    Case("an empty field is what is not listed", "fare_leg_rules.txt: empty semantics", feed=EMPTY, pays=100),
    Case(
        "an empty field is not what is listed elsewhere",
        "fare_leg_rules.txt: excluding the ones listed",
        feed=EMPTY,
        end="c1",
        reason="no_fare",
    ),
    Case("a flat fare", "fare_leg_rules.txt: all fields empty", feed=EMPTY_ALL, end="nowhere", pays=100),
    Case(
        "the highest priority wins",
        "fare_leg_rules.txt, rule_priority",
        feed=PRIORITIES,
        end="c1",
        amount=0,
    ),
    Case(
        "with priorities an empty field is any", "rule_priority: does not affect", feed=PRIORITIES, pays=100
    ),
    Case(
        "a column of empty priorities is enough",
        "rule_priority: the column's presence counts",
        feed=EMPTY_COLUMN,
        amount=200,
        pays=200,
    ),
    Case("an empty priority is zero", "rule_priority: empty is zero", feed=ZERO_AND_EMPTY, amount=0),
    # Networks.
    Case("a route's network", "routes.txt, network_id", feed=NETWORKED, route="r1", pays=100),
    Case(
        "a route without a network",
        "network_id empty: not those listed",
        feed=NETWORKED,
        route="r2",
        amount=200,
        pays=200,
    ),
    Case("a network by its own file", "route_networks.txt", feed=NETWORK_FILES, route="r1", pays=100),
    Case(
        "no rule for the route's network",
        "route_networks.txt",
        feed=NETWORK_FILES,
        route="r2",
        reason="no_fare",
    ),
    Case("the route is needed where networks count", "ours", feed=NETWORKED, reason="route_required"),
    Case("an unknown route", "ours", route="r9", reason="route_unknown"),
    Case("a route that does not matter", "ours", route="r1", pays=100),
    # Declined.
    Case("nobody runs there", "fare_leg_rules.txt: fare is unknown", "c1", "a1", reason="no_fare"),
    Case("only the way there has a fare", "fare_leg_rules.txt: from and to", "b1", "b1", reason="no_fare"),
    Case("sold for cash only", "fare_products.txt, fare_media_id; map", "b1", "c1", reason="no_fare"),
    Case("a stop in no area", "fare_leg_rules.txt, to_area_id", end="nowhere", reason="no_fare"),
    Case("an unknown boarding stop", "services.md: refused", "x", "b1", reason="stop_unknown"),
    Case("an unknown alighting stop", "services.md: refused", end="x", reason="stop_unknown"),
    Case(
        "nobody boards at an entrance", "stops.txt, location_type 2", "entrance", "a1", reason="stop_unknown"
    ),
    Case("the price went up", "ledger.md: price_changed", amount=99, reason="price_changed"),
    Case("the price went down", "ledger.md: price_changed", amount=101, reason="price_changed"),
    Case("nothing signed for a free ride that is not free", "ledger.md", amount=0, reason="price_changed"),
    Case("no amount", "a single fare is priced before it is signed", amount=None, reason="amount_missing"),
    Case("another currency", "a scheme has one currency", currency="EUR", reason="currency_mismatch"),
    # The feed's days, in the agency's time zone.
    Case("its first moment", "feed_info.txt, feed_start_date: beginning of the day", at=START, pays=100),
    Case("before it", "feed_info.txt, feed_start_date", at=START - MS, reason="tariff_not_yet_valid"),
    Case("its last moment", "feed_info.txt, feed_end_date: end of the day", at=END - MS, pays=100),
    Case("after it", "feed_info.txt, feed_end_date", at=END, reason="tariff_expired"),
    Case("the end of a day of 23 hours", "Europe/London", feed=SPRING, at=SPRING_END - MS, pays=100),
    Case("after a day of 23 hours", "Europe/London", feed=SPRING, at=SPRING_END, reason="tariff_expired"),
    # Advices: the ride was given.
    Case("an advice at today's price", "ledger.md: always posted", kind=ADVICE, pays=100),
    Case(
        "an advice at another price",
        "ledger.md: what it breaks is a flag",
        kind=ADVICE,
        amount=70,
        pays=70,
        flags=("price_changed",),
    ),
    Case(
        "an advice after the feed's end",
        "ledger.md: what it breaks is a flag",
        kind=ADVICE,
        at=END,
        pays=100,
        flags=("tariff_expired",),
    ),
    Case(
        "an advice from an unknown stop",
        "ledger.md: what it breaks is a flag",
        kind=ADVICE,
        start="x",
        pays=100,
        flags=("stop_unknown",),
    ),
    Case(
        "an advice for a ride without a fare",
        "ledger.md: what it breaks is a flag",
        kind=ADVICE,
        start="c1",
        pays=100,
        flags=("no_fare",),
    ),
    Case(
        "an advice without an amount",
        "ledger.md: what it breaks is a flag",
        kind=ADVICE,
        amount=None,
        flags=("amount_missing",),
    ),
    Case(
        "an advice in another currency",
        "accounts have one unit",
        kind=ADVICE,
        currency="EUR",
        flags=("currency_mismatch",),
    ),
]


def ask_of(case: Case) -> Ask:
    details = {"from_stop": case.start, "to_stop": case.end}
    if case.route is not None:
        details["route"] = case.route
    return Ask(
        service="transport",
        action="single-fare",
        kind=case.kind,
        currency=case.currency,
        details=transport().details_schema("single-fare")().load(details),
        occurred_at=case.at,
        amount_minor=case.amount,
        offline=case.kind is ADVICE,
    )


def holder(category: str = "adult") -> Holder:
    return Holder(cardholder_id=UUID(int=1), card_kind="citizen", category=category)


class Payer:
    """A payer with nothing at all: no single fare may depend on it."""

    version = 1
    accounts = ()
    counters = ()
    limits = ()


def decide(ask: Ask, who: Holder, tariff: object) -> Any:
    return transport().decide(ask, who, Payer(), tariff)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decision(case: Case, tmp_path: Path) -> None:
    tariff = transport().prepare(load(tmp_path, case.feed).content)

    decision = decide(ask_of(case), holder(case.category), tariff)

    assert (decision.reason, decision.amount_minor, decision.flags) == (case.reason, case.pays, case.flags)
    assert decision.approved is (case.reason == "approved")
    assert sum(line.amount_minor for line in decision.lines) == decision.amount_minor
    assert len(decision.lines) == (1 if decision.approved else 0)
    assert decision.message.endswith(".")


def test_the_table_is_mostly_about_what_is_refused_or_at_a_boundary() -> None:
    assert len(CASES) >= 25
    assert sum(case.reason != "approved" for case in CASES) >= 12


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.kind is AskKind.REQUEST], ids=lambda case: case.name
)
def test_a_quote_that_is_signed_is_approved(case: Case, tmp_path: Path) -> None:
    """What a terminal is told before the card signs is what the decision after it is made by."""
    tariff = transport().prepare(load(tmp_path, case.feed).content)
    ask = ask_of(case)

    quote = transport().quote(ask, holder(case.category), tariff)

    decision = decide(ask, holder(case.category), tariff)
    if isinstance(quote, Refusal):
        assert not decision.approved
        assert decision.reason in {quote.reason, "amount_missing"}
    else:
        assert decision.approved is (quote.amount_minor == case.amount)
        assert not decision.approved or decision.lines == quote.lines


def test_an_unmatched_leg_names_the_rule_that_was_nearest(tmp_path: Path) -> None:
    tariff = transport().prepare(load(tmp_path).content)
    quote = transport().quote(ask_of(Case("", "", "c1", "a1")), holder(), tariff)
    assert isinstance(quote, Refusal)
    assert quote.message == (
        "The fare table has no fare from Cedar Way (Cedar) to Alder Green (Alder). The nearest rule is"
        " in-a (fare_leg_rules.txt:2), which differs in from_area_id."
    )
    assert quote.data == {
        "nearest_rule": "in-a (fare_leg_rules.txt:2)",
        "line": 2,
        "differs": ["from_area_id"],
    }


def test_where_no_rule_shares_an_end_the_nearest_is_the_first(tmp_path: Path) -> None:
    tariff = transport().prepare(load(tmp_path).content)
    quote = transport().quote(ask_of(Case("", "", "nowhere", "nowhere")), holder(), tariff)
    assert isinstance(quote, Refusal)
    assert quote.data["line"] == 2
    assert quote.data["differs"] == ["from_area_id", "to_area_id"]
    assert "from Nowhere (no area) to Nowhere (no area)." in quote.message


def test_a_feed_without_rules_has_no_nearest_one(tmp_path: Path) -> None:
    """Such a feed is not loaded; what was stored is priced all the same."""
    content = {**load(tmp_path).content, "rules": []}
    quote = transport().quote(ask_of(Case("", "")), holder(), transport().prepare(content))
    assert isinstance(quote, Refusal)
    assert quote.data == {}


def test_a_content_of_another_format_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="format 3"):
        transport().prepare({**load(tmp_path).content, "format": 3})


def test_a_leg_whose_fare_the_card_cannot_pay_names_the_product(tmp_path: Path) -> None:
    tariff = transport().prepare(load(tmp_path).content)
    quote = transport().quote(ask_of(Case("", "", "b1", "c1")), holder(), tariff)
    assert isinstance(quote, Refusal)
    assert quote.message.endswith("that this card can pay: bc (fare_leg_rules.txt:6) asks for 'cash-only'.")


TWO_PRICES: Files = {
    **TWO_AREAS,
    "fare_products.txt": FEED["fare_products.txt"] + "other,Other,,card,3.00,GBP\n",
    "fare_leg_rules.txt": RULES + "a,c,short\nb,c,other\n",
}


def test_two_prices_for_a_ride_are_refused_when_they_are_loaded_not_at_the_bus(tmp_path: Path) -> None:
    with pytest.raises(TariffError) as refused:
        load(tmp_path, TWO_PRICES)
    assert (refused.value.file, refused.value.line) == ("fare_leg_rules.txt", 3)
    assert refused.value.reason.startswith("gives another price than line 2 for the same ride")


def test_the_map_can_say_which_of_two_products_is_a_single_fare(tmp_path: Path) -> None:
    loaded = load(tmp_path, TWO_PRICES, card_map={"single_fare_products": ["short"]})
    decision = decide(ask_of(Case("", "", end="c1")), holder(), transport().prepare(loaded.content))
    assert (decision.approved, decision.amount_minor) == (True, 100)


def test_where_there_were_too_many_rides_to_look_at_two_prices_are_refused_at_the_bus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ambiguity, "MAX_LEGS", 0)
    loaded = load(tmp_path, TWO_PRICES)
    decision = decide(ask_of(Case("", "", end="c1")), holder(), transport().prepare(loaded.content))
    assert decision.reason == "fare_ambiguous"
    assert any("too many to look for two prices" in line for line in loaded.report)


@pytest.mark.parametrize(
    ("offline", "at", "until"),
    [
        (False, NOON, NOON + timedelta(minutes=5)),
        (True, NOON, NOON + timedelta(hours=24)),
        (False, END - timedelta(minutes=1), END),
        (True, END - timedelta(hours=1), END),
    ],
)
def test_a_quote_holds_for_a_while_but_never_beyond_the_feed(
    offline: bool, at: datetime, until: datetime, tmp_path: Path
) -> None:
    tariff = transport().prepare(load(tmp_path).content)
    ask = Ask(
        service="transport",
        action="single-fare",
        kind=AskKind.REQUEST,
        currency="GBP",
        details={"from_stop": "a1", "to_stop": "b1"},
        occurred_at=at,
        offline=offline,
    )
    quote = transport().quote(ask, None, tariff)
    assert isinstance(quote, Quote)
    assert (quote.valid_until, quote.amount_minor) == (until, 100)


def test_the_inputs_explain_a_decision_and_say_no_stop(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    decision = decide(
        ask_of(Case("", "", category="older")), holder("older"), transport().prepare(loaded.content)
    )
    assert decision.inputs == {
        "rule": "ab (fare_leg_rules.txt:3)",
        "product": "short",
        "rider_category": "adult",
        "priced_minor": 100,
        "tariff_version": loaded.version,
        "signed_tariff_version": None,
    }


def test_details_are_strict() -> None:
    schema = transport().details_schema("single-fare")()
    for details in (
        {"from_stop": "a1"},
        {"from_stop": "a1", "to_stop": ""},
        {"from_stop": "a1", "to_stop": "x" * 256},
        {"from_stop": "a1", "to_stop": 7},
        {"from_stop": "a1", "to_stop": "b1", "discount": "all"},
    ):
        with pytest.raises(ValidationError):
            schema.load(details)
    with pytest.raises(KeyError):
        transport().details_schema("fly")
