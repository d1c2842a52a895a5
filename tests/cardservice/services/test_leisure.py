"""The decision table of leisure entry: each row says which rule it follows from."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from cardservice.services.leisure.rules import REASONS
from cardservice.services.seam import Ask, AskKind, Decision, Holder, Quote, Refusal
from tests.cardservice.services.leisure_tariffs import leisure, load

OWN, OTHER = UUID(int=1), UUID(int=2)
REQUEST, ADVICE = AskKind.REQUEST, AskKind.ADVICE
MS = timedelta(milliseconds=1)


def london(day: str, clock: str) -> datetime:
    """A moment of British Summer Time."""
    return datetime.fromisoformat(f"{day}T{clock}+01:00").astimezone(UTC)


NOON = london("2026-06-15", "11:00")  # a Monday; the early session begins
START = london("2026-06-01", "00:00")
END = datetime(2027, 1, 1, tzinfo=UTC)
OCTOBER = london("2026-10-01", "00:00")
LATER = london("2026-06-15", "20:00")
GYM, EARLY = {"activity": "gym"}, {"activity": "swim", "session": "early"}
BY_PASS, BY_VISITS = {**GYM, "by": "pass"}, {**GYM, "by": "visits"}
SWIM_PASS, BOOKED = {**EARLY, "by": "pass"}, {**EARLY, "by": "booking"}

PRICES = "services.md, leisure: resident, concession and visitor prices"
EFFECT = "services.md: versioned data with dates of effect"
MEMBER = "services.md, leisure: membership entry"
VISITOR = "services.md, leisure: visitor card valid from-to"
MULTI = "services.md, leisure: multi-visit"
SESSIONS = "services.md, leisure: session booking, capacity"
LEDGER = "ledger.md, requests and advices"


@dataclass(frozen=True)
class Used:
    """A counter's row."""

    rule: str
    period: str
    used: int
    cardholder_id: UUID = OWN


@dataclass(frozen=True)
class Payer:
    """What has been counted."""

    counters: tuple[Used, ...] = ()
    limits: tuple[()] = ()
    version: int = 1
    accounts: tuple[()] = ()


Counted = tuple[str, str, int]


@dataclass(frozen=True)
class Case:
    """One row: what is asked, by whom, and what comes of it. `amount` is what the card signed."""

    name: str
    source: str
    details: Mapping[str, str] = field(default_factory=lambda: GYM)
    category: str = "guest"
    card_kind: str = "citizen"
    amount: int | None = 0
    reason: str = "approved"
    pays: int = 0
    counted: tuple[Counted, ...] = ()
    takes: str | None = None
    used: tuple[Used, ...] = ()
    action: str = "entry"
    kind: AskKind = REQUEST
    currency: str = "GBP"
    at: datetime = NOON
    flags: tuple[str, ...] = ()


def by_pass(used: int, period: str = "gym-club/2026-06-15", holder: UUID = OWN) -> tuple[Used, ...]:
    """Visits made by a pass."""
    return (Used("leisure.pass", period, used, holder),)


def bought(ends: str, used: int, holder: UUID = OWN) -> tuple[Used, ...]:
    """Ten visits, and how many of them have been made."""
    period = f"ten-gyms/{ends}"
    return Used("leisure.bought", period, 10, holder), Used("leisure.visited", period, used, holder)


def visit(rule: str, period: str) -> tuple[Counted, ...]:
    """One is counted."""
    return ((f"leisure.{rule}", period, 1),)


FIRST = visit("pass", "gym-club/2026-06-15")
BOOKING, ENTERED = Used("leisure.booked", "early", 1), Used("leisure.entered", "early", 1)
CASES = [
    # Pay as you go.
    Case("anybody's price", PRICES, amount=700, pays=700),
    Case("a resident's", PRICES, category="adult", amount=500, pays=500),
    Case("a concession of nothing", PRICES, category="older", amount=0, pays=0),
    Case(
        "a resident who signed anybody's price", LEDGER, category="adult", amount=700, reason="price_changed"
    ),
    Case("the last moment of a price", EFFECT, category="adult", amount=500, pays=500, at=OCTOBER - MS),
    Case("the first moment of another", EFFECT, category="adult", amount=550, pays=550, at=OCTOBER),
    Case("the price that was", EFFECT, category="adult", amount=500, at=OCTOBER, reason="price_changed"),
    Case("the tariff's first moment", EFFECT, amount=700, pays=700, at=START),
    Case("before it", EFFECT, amount=700, at=START - MS, reason="tariff_not_yet_valid"),
    Case("the tariff's last moment", EFFECT, amount=700, pays=700, at=END - MS),
    Case("after it", EFFECT, amount=700, at=END, reason="tariff_expired"),
    Case("no amount", "ledger.md: priced sales are signed", amount=None, reason="amount_missing"),
    Case("another currency", "ledger.md: one unit", currency="EUR", reason="currency_mismatch"),
    Case("no such activity", PRICES, {"activity": "golf"}, reason="activity_unknown"),
    # Membership.
    Case("a member", MEMBER, BY_PASS, "member", counted=FIRST),
    Case("a member's second visit, the last", MEMBER, BY_PASS, "member", used=by_pass(1), counted=FIRST),
    Case("a member's third", MEMBER, BY_PASS, "member", used=by_pass(2), reason="visits_used_up"),
    Case("a third that is paid", MEMBER, GYM, "member", amount=700, used=by_pass(2), pays=700),
    Case(
        "the first moment of the next day",
        MEMBER,
        BY_PASS,
        "member",
        used=by_pass(2),
        at=london("2026-06-16", "00:00"),
        counted=visit("pass", "gym-club/2026-06-16"),
    ),
    Case(
        "the last moment of the day",
        MEMBER,
        BY_PASS,
        "member",
        used=by_pass(2),
        at=london("2026-06-16", "00:00") - MS,
        reason="visits_used_up",
    ),
    Case("another's visits", MEMBER, BY_PASS, "member", used=by_pass(2, holder=OTHER), counted=FIRST),
    Case("no member", MEMBER, BY_PASS, "adult", reason="not_entitled"),
    Case("a member, of another activity", MEMBER, SWIM_PASS, "member", reason="not_entitled"),
    Case(
        "the last moment of a membership",
        MEMBER,
        BY_PASS,
        "member",
        at=OCTOBER - MS,
        counted=visit("pass", "gym-club/2026-09-30"),
    ),
    Case("after it", MEMBER, BY_PASS, "member", at=OCTOBER, reason="pass_expired"),
    # A visitor's card, and the early session.
    Case(
        "a visitor",
        VISITOR,
        SWIM_PASS,
        card_kind="visitor",
        counted=visit("pass", "visitor/2026-06-10"),
        takes="early",
    ),
    Case(
        "a visitor's fourth visit",
        VISITOR,
        SWIM_PASS,
        card_kind="visitor",
        used=by_pass(3, "visitor/2026-06-10"),
        reason="visits_used_up",
    ),
    # Several visits.
    Case(
        "ten visits",
        MULTI,
        {"product": "ten-gyms"},
        action="buy",
        amount=4000,
        pays=4000,
        counted=(("leisure.bought", "ten-gyms/2026-09-13", 10),),
    ),
    Case("no such product", MULTI, {"product": "ten-golfs"}, action="buy", reason="product_unknown"),
    Case(
        "not sold any more",
        MULTI,
        {"product": "ten-gyms"},
        action="buy",
        at=OCTOBER,
        reason="product_not_sold",
    ),
    Case(
        "the tenth",
        MULTI,
        BY_VISITS,
        used=bought("2026-06-15", 9),
        counted=visit("visited", "ten-gyms/2026-06-15"),
    ),
    Case("the eleventh", MULTI, BY_VISITS, used=bought("2026-06-15", 10), reason="visits_used_up"),
    Case("yesterday was the last day", MULTI, BY_VISITS, used=bought("2026-06-14", 0), reason="not_entitled"),
    Case("somebody else's", MULTI, BY_VISITS, used=bought("2026-07-01", 0, OTHER), reason="not_entitled"),
    Case(
        "those that expire first",
        "ours",
        BY_VISITS,
        used=(*bought("2026-08-01", 0), *bought("2026-07-01", 9)),
        counted=visit("visited", "ten-gyms/2026-07-01"),
    ),
    Case(
        "when the first are used up, the next",
        "ours",
        BY_VISITS,
        used=(*bought("2026-08-01", 0), *bought("2026-07-01", 10)),
        counted=visit("visited", "ten-gyms/2026-08-01"),
    ),
    # Sessions.
    Case("a paid place", SESSIONS, EARLY, amount=620, pays=620, takes="early"),
    Case("a pool needs a session", SESSIONS, {"activity": "swim"}, amount=620, reason="session_required"),
    Case("no such session", SESSIONS, {**EARLY, "session": "noon"}, amount=620, reason="session_unknown"),
    Case(
        "a gym's session is none of the pool's",
        SESSIONS,
        {**GYM, "session": "early"},
        reason="session_unknown",
    ),
    Case(
        "the first moment",
        "ours",
        EARLY,
        amount=620,
        pays=620,
        takes="early",
        at=NOON - timedelta(minutes=15),
    ),
    Case(
        "too early",
        "ours",
        EARLY,
        amount=620,
        at=NOON - timedelta(minutes=15) - MS,
        reason="session_not_open",
    ),
    Case(
        "the last moment",
        SESSIONS,
        EARLY,
        amount=620,
        pays=620,
        takes="early",
        at=NOON + timedelta(hours=1) - MS,
    ),
    Case("over", SESSIONS, EARLY, amount=620, at=NOON + timedelta(hours=1), reason="session_over"),
    Case(
        "booked, at the last moment",
        SESSIONS,
        {"session": "late"},
        action="book",
        amount=620,
        pays=620,
        at=LATER - MS,
        counted=visit("booked", "late"),
        takes="late",
    ),
    Case("begun", SESSIONS, {"session": "late"}, action="book", amount=620, at=LATER, reason="session_begun"),
    Case(
        "booked by a pass",
        SESSIONS,
        {"session": "late", "by": "pass"},
        action="book",
        card_kind="visitor",
        counted=(*visit("pass", "visitor/2026-06-10"), *visit("booked", "late")),
        takes="late",
    ),
    Case(
        "what was booked has its place", SESSIONS, BOOKED, used=(BOOKING,), counted=visit("entered", "early")
    ),
    Case("once", SESSIONS, BOOKED, used=(BOOKING, ENTERED), reason="not_booked"),
    Case("nothing booked", SESSIONS, BOOKED, reason="not_booked"),
    # Advices: somebody is in.
    Case("as it was", LEDGER, kind=ADVICE, amount=700, pays=700),
    Case(
        "at another price",
        LEDGER,
        EARLY,
        kind=ADVICE,
        amount=600,
        pays=600,
        takes="early",
        flags=("price_changed",),
    ),
    Case("without an amount", LEDGER, kind=ADVICE, amount=None, flags=("amount_missing",)),
    Case("a third visit", LEDGER, BY_PASS, "member", kind=ADVICE, used=by_pass(2), flags=("visits_used_up",)),
    Case("in euros", LEDGER, kind=ADVICE, amount=700, currency="EUR", flags=("currency_mismatch",)),
    Case(
        "from the end of time",
        LEDGER,
        kind=ADVICE,
        amount=700,
        pays=700,
        at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        flags=("tariff_expired",),
    ),
]


def ask_of(case: Case) -> Ask:
    return Ask(
        service="leisure",
        action=case.action,
        kind=case.kind,
        currency=case.currency,
        details=leisure().details_schema(case.action)().load(dict(case.details)),
        occurred_at=case.at,
        amount_minor=case.amount,
        offline=case.kind is ADVICE,
    )


def holder_of(case: Case) -> Holder:
    return Holder(cardholder_id=OWN, card_kind=case.card_kind, category=case.category)


def decide(case: Case, tariff: object) -> Decision:
    return leisure().decide(ask_of(case), holder_of(case), Payer(case.used), tariff)


@pytest.fixture(scope="module")
def tariff(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The tests' tariff, prepared."""
    return leisure().prepare(load(tmp_path_factory.mktemp("leisure")).content)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.action}: {case.name}")
def test_decision(case: Case, tariff: object) -> None:
    decision = decide(case, tariff)
    assert (decision.reason, decision.amount_minor, decision.flags) == (case.reason, case.pays, case.flags)
    assert decision.approved is (case.reason == "approved")
    assert sum(line.amount_minor for line in decision.lines) == decision.amount_minor
    assert bool(decision.lines) is decision.approved
    assert tuple((use.rule, use.period, use.amount) for use in decision.counters) == case.counted
    assert [use.key for use in decision.resources] == ([case.takes] if case.takes else [])
    assert decision.message.endswith(".")


def test_the_table_is_mostly_about_what_is_refused_or_at_a_boundary() -> None:
    assert len(CASES) >= 15
    boundary = ("moment", "last", "the tenth", "once")
    declines = [case for case in CASES if case.reason != "approved" or case.flags]
    edges = [case for case in CASES if case not in declines and any(word in case.name for word in boundary)]
    assert 2 * len(declines + edges) >= len(CASES)
    met = {case.reason for case in CASES} | {flag for case in CASES for flag in case.flags}
    assert REASONS - met == {"pass_not_yet_valid"}  # the next test's


def test_a_visitors_card_has_a_first_day(tmp_path: Path) -> None:
    later = load(tmp_path, lambda tariff: tariff["passes"][1].update(first_day="2026-06-16"))
    case = Case("", "", SWIM_PASS, card_kind="visitor")
    assert decide(case, leisure().prepare(later.content)).reason == "pass_not_yet_valid"


@pytest.mark.parametrize("case", [case for case in CASES if case.kind is REQUEST], ids=lambda case: case.name)
def test_a_quote_that_is_signed_is_approved_if_the_holder_has_the_right(case: Case, tariff: object) -> None:
    price = leisure().quote(ask_of(case), holder_of(case), tariff)
    decision = decide(case, tariff)
    if isinstance(price, Refusal):
        assert decision.reason == price.reason
    elif decision.approved:
        assert (price.amount_minor, price.lines) == (case.amount, decision.lines)
        assert case.at < price.valid_until <= case.at + timedelta(minutes=5)
    else:
        rights = {"not_entitled", "pass_expired", "visits_used_up", "not_booked"}
        assert decision.reason in rights | {"price_changed", "amount_missing"}


def test_an_offline_quote_ends_with_the_day(tariff: object) -> None:
    ask = replace(ask_of(Case("", "")), offline=True)
    price = leisure().quote(ask, None, tariff)
    assert isinstance(price, Quote)
    assert (price.amount_minor, price.valid_until) == (700, london("2026-06-16", "00:00"))


@pytest.mark.parametrize(
    ("action", "details"),
    [
        ("entry", {}),
        ("entry", {**GYM, "by": "charm"}),
        ("entry", {**GYM, "who": "x"}),
        ("book", {"session": "early", "by": "booking"}),
        ("buy", {"product": "\n"}),
    ],
)
def test_details_of_another_form_are_refused(action: str, details: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        leisure().details_schema(action)().load(details)


DETAILS = st.sampled_from([GYM, BY_PASS, BY_VISITS, EARLY, SWIM_PASS, BOOKED])
MOMENTS = st.integers(0, 12 * 60).map(lambda minutes: NOON + timedelta(minutes=minutes - 60))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(MOMENTS, DETAILS, st.sampled_from(["member", "visitor"])), max_size=25))
def test_nobody_gets_in_more_often_than_they_may(
    tariff: object, visits: list[tuple[datetime, Mapping[str, str], str]]
) -> None:
    """Whatever comes in which order: visits by pass and by what was bought stay within what there is."""
    counters = {("leisure.bought", "ten-gyms/2026-07-01"): 3, ("leisure.booked", "early"): 1}
    for moment, details, kind in visits:
        used = tuple(Used(rule, period, count) for (rule, period), count in counters.items())
        case = Case("", "", details, "member", kind, used=used, at=moment)
        for use in decide(case, tariff).counters:
            key = (use.rule, use.period)
            counters[key] = counters.get(key, 0) + use.amount
    assert counters.get(("leisure.pass", "gym-club/2026-06-15"), 0) <= 2
    assert counters.get(("leisure.pass", "visitor/2026-06-10"), 0) <= 3
    assert counters.get(("leisure.visited", "ten-gyms/2026-07-01"), 0) <= 3
    assert counters.get(("leisure.entered", "early"), 0) <= 1
