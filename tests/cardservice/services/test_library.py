"""The decision table of the library: what is asked, in which state and when, and which rule it follows."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardservice.services import with_keys
from cardservice.services.lending import Borrower, CopyView, Lent, LoanView, TitleView, Who
from cardservice.services.library import lending
from cardservice.services.library.rules import REASONS
from cardservice.services.library.terms import Terms, prepare
from cardservice.services.seam import Ask, AskKind, Decision, Holder, Quote, Refusal, ResourceUse
from tests.cardservice.services.library_terms import library, load, prepared

OWN, OTHER = UUID(int=1), UUID(int=2)
MS = timedelta(milliseconds=1)
REQUEST, ADVICE = AskKind.REQUEST, AskKind.ADVICE

DESIGN = "services.md, library"
CLASS_LIMITS = "services.md, library: limits by class of member and item"
BLOCKS = "services.md, library: blocks"
HOLDS = "services.md, library: holds"
FINES = "services.md, library: fines with caps"
YOUNG = "services.md, library: none for young citizens"
CLOSED = "terms: nothing is due, or counted as late, on a closed day"
EFFECT = "services.md: versioned data with dates of effect"
NO_BLOCK = "SIP2 2.00, no block: a transaction that was done is not refused"
SWITCH = "services.md: the holder may switch any service off"
LEDGER = "ledger.md, requests and advices"
ONE_COPY = "issue 17: two members and one copy at once: one gets it"


def london(day: str, clock: str = "12:00") -> datetime:
    """A moment of British Summer Time."""
    return datetime.fromisoformat(f"{day}T{clock}+01:00").astimezone(UTC)


MONDAY = london("2026-06-15")
ADULT, CHILD = Borrower(category="adult"), Borrower(category="child")
BOOK, FILM = CopyView(item_class="book"), CopyView(item_class="film")
LOAN = LoanView(item_class="book", lent_at=london("2026-05-25"), due_on=date(2026, 6, 15))
FILM_LOAN = replace(LOAN, item_class="film")
TITLE = TitleView(item_class="book", copies=1)


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Terms:
    return prepared(tmp_path_factory.mktemp("terms"))


@dataclass(frozen=True)
class Borrowing:
    """One row: who wants which copy, when, and what comes of it: a last day, or a reason."""

    name: str
    source: str
    says: str
    who: Borrower = ADULT
    copy: CopyView = BOOK
    at: datetime = MONDAY
    done: bool = False
    flags: tuple[str, ...] = ()


LOANS = [
    Borrowing("three weeks for a book", DESIGN, "2026-07-06"),
    Borrowing("a week for a film", CLASS_LIMITS, "2026-06-22", copy=FILM),
    Borrowing("a child's book", CLASS_LIMITS, "2026-07-06", CHILD),
    Borrowing("a film for a child", CLASS_LIMITS, "not_lent", CHILD, FILM),
    Borrowing("due on a Sunday", CLOSED, "2026-06-29", copy=FILM, at=london("2026-06-21")),
    Borrowing("due on a Sunday before a holiday", CLOSED, "2026-09-01", copy=FILM, at=london("2026-08-23")),
    Borrowing("the day's last moment", EFFECT, "2026-07-06", at=london("2026-06-16", "00:00") - MS),
    Borrowing("the next day's first moment", EFFECT, "2026-07-07", at=london("2026-06-16", "00:00")),
    Borrowing("the terms' last moment", EFFECT, "2027-01-21", at=datetime(2027, 1, 1, tzinfo=UTC) - MS),
    Borrowing("after it", EFFECT, "tariff_expired", at=datetime(2027, 1, 1, tzinfo=UTC)),
    Borrowing("the last that may be had", CLASS_LIMITS, "2026-07-06", replace(ADULT, on_loan=("book",) * 2)),
    Borrowing("one more", CLASS_LIMITS, "loans_full", replace(ADULT, on_loan=("book",) * 3)),
    Borrowing("a second film", CLASS_LIMITS, "item_class_full", replace(ADULT, on_loan=("film",)), FILM),
    Borrowing("a book beside a film", CLASS_LIMITS, "2026-07-06", replace(ADULT, on_loan=("film",))),
    Borrowing("one thing overdue", BLOCKS, "2026-07-06", replace(ADULT, overdue=1)),
    Borrowing("two things overdue", BLOCKS, "overdue_items", replace(ADULT, overdue=2)),
    Borrowing("a penny below what blocks", BLOCKS, "2026-07-06", replace(ADULT, owed_minor=999)),
    Borrowing("just what blocks", BLOCKS, "owed_too_much", replace(ADULT, owed_minor=1000)),
    Borrowing("a child who owes from before", YOUNG, "2026-07-06", replace(CHILD, owed_minor=5000)),
    Borrowing("barred", BLOCKS, "barred", replace(ADULT, barred=True)),
    Borrowing("switched off", SWITCH, "service_off", replace(ADULT, off=True)),
    Borrowing("no class of member", DESIGN, "not_a_member", Borrower(category="visitor")),
    Borrowing("lent to another", ONE_COPY, "lent_to_another", copy=replace(BOOK, lent_to=Who.OTHER)),
    Borrowing("lent to themself", ONE_COPY, "lent_already", copy=replace(BOOK, lent_to=Who.SELF)),
    Borrowing("kept for another", HOLDS, "kept_for_another", copy=replace(BOOK, kept_for=Who.OTHER)),
    Borrowing("kept for themself", HOLDS, "2026-07-06", copy=replace(BOOK, kept_for=Who.SELF)),
    Borrowing("withdrawn", DESIGN, "copy_withdrawn", copy=replace(BOOK, withdrawn=True)),
    Borrowing(
        "done: more than may be had",
        NO_BLOCK,
        "2026-07-06",
        replace(ADULT, on_loan=("book",) * 3),
        done=True,
        flags=("loans_full",),
    ),
    Borrowing(
        "done: a film for a child", NO_BLOCK, "2026-06-22", CHILD, FILM, done=True, flags=("not_lent",)
    ),
    Borrowing(
        "done: but another has it",
        ONE_COPY,
        "lent_to_another",
        copy=replace(BOOK, lent_to=Who.OTHER),
        done=True,
    ),
]


@pytest.mark.parametrize("row", LOANS, ids=lambda row: row.name)
def test_who_may_borrow(row: Borrowing, terms: Terms) -> None:
    found = lending.lend(row.who, row.copy, row.at, terms, done=row.done)
    said = found.due_on.isoformat() if isinstance(found, Lent) else found.reason
    assert said == row.says
    assert row.flags == (found.flags if isinstance(found, Lent) else ())


@dataclass(frozen=True)
class Renewing:
    """One row of renewals."""

    name: str
    source: str
    says: str
    who: Borrower = ADULT
    loan: LoanView = LOAN
    wanted: int = 0
    at: datetime = MONDAY


RENEWALS = [
    Renewing("from today on", DESIGN, "2026-07-06"),
    Renewing("as often as it may be", CLASS_LIMITS, "renewals_used", loan=replace(LOAN, renewals=1)),
    Renewing("a film, which never is", CLASS_LIMITS, "renewals_used", loan=FILM_LOAN),
    Renewing("a child's second", CLASS_LIMITS, "2026-07-06", CHILD, replace(LOAN, renewals=1)),
    Renewing("a child's third", CLASS_LIMITS, "renewals_used", CHILD, replace(LOAN, renewals=2)),
    Renewing("somebody waits", HOLDS, "wanted_by_another", wanted=1),
    Renewing(
        "the day it was lent", DESIGN, "renewal_too_early", loan=replace(LOAN, due_on=date(2026, 7, 6))
    ),
    Renewing("the day after", DESIGN, "2026-07-07", loan=replace(LOAN, due_on=date(2026, 7, 6)),
             at=london("2026-06-16")),
    Renewing("by terms that are over", EFFECT, "tariff_expired", at=datetime(2027, 1, 1, tzinfo=UTC)),
    Renewing("owing too much", BLOCKS, "owed_too_much", replace(ADULT, owed_minor=1000)),
    Renewing("not lent to them any more", EFFECT, "not_lent", CHILD, FILM_LOAN),
]  # fmt: skip


@pytest.mark.parametrize("row", RENEWALS, ids=lambda row: row.name)
def test_who_may_renew(row: Renewing, terms: Terms) -> None:
    found = lending.renew(row.who, row.loan, row.wanted, row.at, terms)
    assert (found.due_on.isoformat() if isinstance(found, Lent) else found.reason) == row.says


# Category, loan, moment of return, open days late, the fine that is posted; both are due on Monday 15 June.
LATE = [
    ("on its last day", DESIGN, "adult", LOAN, london("2026-06-16", "00:00") - MS, 0, 0),
    ("within the grace", FINES, "adult", LOAN, london("2026-06-16", "00:00"), 1, 0),
    ("the first day that counts", FINES, "adult", LOAN, london("2026-06-17", "00:00"), 2, 25),
    ("Saturday", FINES, "adult", LOAN, london("2026-06-20"), 5, 100),
    ("Sunday costs nothing more", CLOSED, "adult", LOAN, london("2026-06-21"), 5, 100),
    ("Monday does", CLOSED, "adult", LOAN, london("2026-06-22"), 6, 125),
    ("a day below the cap", FINES, "adult", LOAN, london("2026-06-24"), 8, 175),
    ("the cap", FINES, "adult", LOAN, london("2026-06-25"), 9, 200),
    ("months later", FINES, "adult", LOAN, london("2026-10-15"), 104, 200),
    ("a film, without grace", CLASS_LIMITS, "adult", FILM_LOAN, london("2026-06-16"), 1, 100),
    ("a film's cap", CLASS_LIMITS, "older", FILM_LOAN, london("2026-07-16"), 27, 500),
    ("a child", YOUNG, "child", LOAN, london("2026-10-15"), 104, 0),
    ("a pupil", YOUNG, "pupil", FILM_LOAN, london("2026-10-15"), 104, 0),
    ("no member any more", FINES, "visitor", LOAN, london("2026-10-15"), 104, 0),
]


@pytest.mark.parametrize(
    ("name", "source", "category", "loan", "at", "days", "fine"), LATE, ids=[row[0] for row in LATE]
)
def test_what_lateness_costs(
    name: str, source: str, category: str, loan: LoanView, at: datetime, days: int, fine: int, terms: Terms
) -> None:
    found = lending.late(category, loan, at, terms)
    assert (found.days, found.fine_minor) == (days, fine), (name, source)


HELD = [
    ("the first in the queue", HOLDS, ADULT, TITLE, None),
    ("the last that may be", HOLDS, replace(ADULT, holds=1), TITLE, None),
    ("one more", HOLDS, replace(ADULT, holds=2), TITLE, "holds_full"),
    ("twice", HOLDS, ADULT, replace(TITLE, held_by_self=True), "held_already"),
    ("what they have", HOLDS, ADULT, replace(TITLE, lent_to_self=True), "lent_already"),
    ("nothing to wait for", HOLDS, ADULT, replace(TITLE, copies=0), "no_copies"),
    ("a film for a child", CLASS_LIMITS, CHILD, replace(TITLE, item_class="film"), "not_lent"),
    ("barred", BLOCKS, replace(ADULT, barred=True), TITLE, "barred"),
    ("no class of member", DESIGN, Borrower(category="visitor"), TITLE, "not_a_member"),
]


@pytest.mark.parametrize(("name", "source", "who", "title", "says"), HELD, ids=[row[0] for row in HELD])
def test_who_may_wait(
    name: str, source: str, who: Borrower, title: TitleView, says: str | None, terms: Terms
) -> None:
    found = lending.reserve(who, title, MONDAY, terms)
    assert (found.reason if found is not None else None) == says, (name, source)


def test_a_copy_is_kept_to_an_open_day(terms: Terms) -> None:
    assert lending.kept_until(MONDAY, terms) == date(2026, 6, 22)
    assert lending.kept_until(london("2026-06-14"), terms) == date(2026, 6, 22)


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


@dataclass(frozen=True)
class Tap:
    """One row of what a card does."""

    name: str
    source: str
    reason: str = "approved"
    action: str = "pay-fine"
    details: Mapping[str, int] = field(default_factory=lambda: {"amount_minor": 250})
    amount: int | None = 250
    pays: int = 0
    counted: int = 0
    used: tuple[Used, ...] = ()
    category: str = "adult"
    kind: AskKind = REQUEST
    currency: str = "GBP"
    at: datetime = MONDAY
    flags: tuple[str, ...] = ()


HOUR = {"minutes": 60}
TODAY = "2026-06-15"
PC = "services.md, library: PC session"
TAPS = [
    Tap("a fine", FINES, pays=250),
    Tap("another amount signed", LEDGER, "price_changed", amount=249),
    Tap("no amount", LEDGER, "amount_missing", amount=None),
    Tap("another currency", LEDGER, "currency_mismatch", currency="EUR"),
    Tap("the terms' first moment", EFFECT, pays=250, at=london("2026-06-01", "00:00")),
    Tap("before it", EFFECT, "tariff_not_yet_valid", at=london("2026-06-01", "00:00") - MS),
    Tap("the terms' last moment", EFFECT, pays=250, at=datetime(2027, 1, 1, tzinfo=UTC) - MS),
    Tap("after it", EFFECT, "tariff_expired", at=datetime(2027, 1, 1, tzinfo=UTC)),
    Tap("an advice of another amount", LEDGER, amount=200, pays=200, kind=ADVICE, flags=("price_changed",)),
    Tap("an advice in another currency", LEDGER, kind=ADVICE, currency="EUR", flags=("currency_mismatch",)),
    Tap("an hour", PC, action="pc-session", details=HOUR, amount=0, counted=60),
    Tap("the last hour", PC, action="pc-session", details=HOUR, amount=0, counted=60,
        used=(Used("library.pc", TODAY, 60),)),
    Tap("a minute too long", PC, "pc_minutes_used", "pc-session", {"minutes": 61}, 0,
        used=(Used("library.pc", TODAY, 60),)),
    Tap("another's hours", PC, action="pc-session", details={"minutes": 120}, amount=0, counted=120,
        used=(Used("library.pc", TODAY, 60, OTHER),)),
    Tap("yesterday's do not count", PC, action="pc-session", details={"minutes": 120}, amount=0, counted=120,
        used=(Used("library.pc", "2026-06-14", 120),)),
    Tap("a child's second hour", PC, "pc_minutes_used", "pc-session", HOUR, 0, category="child",
        used=(Used("library.pc", TODAY, 1),)),
    Tap("no class of member", PC, "not_a_member", "pc-session", HOUR, 0, category="visitor"),
]  # fmt: skip


def ask_of(row: Tap) -> Ask:
    """What is asked."""
    return Ask(
        service="library", action=row.action, kind=row.kind, currency=row.currency, details=row.details,
        occurred_at=row.at, amount_minor=row.amount,
    )  # fmt: skip


def holder_of(row: Tap) -> Holder:
    """Whose card it is."""
    return Holder(cardholder_id=OWN, card_kind="citizen", category=row.category)


@pytest.mark.parametrize("row", TAPS, ids=lambda row: row.name)
def test_what_a_card_may_do(row: Tap, terms: Terms) -> None:
    service = with_keys({"library": library()}, bytes(32))["library"]
    ask, holder = ask_of(row), holder_of(row)
    decided = service.decide(ask, holder, Payer(row.used), terms)
    assert (decided.reason, decided.amount_minor, decided.flags) == (row.reason, row.pays, row.flags)
    assert decided.approved is (row.reason == "approved")
    assert sum(line.amount_minor for line in decided.lines) == row.pays
    assert sum(use.amount for use in decided.counters) == row.counted
    if row.pays and not row.flags:
        # There is only so much to pay of, and nobody can tell of whom.
        [taken] = decided.resources
        assert (taken.quantity, taken.capacity) == (row.pays, 0)
        assert OWN.hex not in taken.key
    else:
        assert decided.resources == ()


def test_the_table_is_as_large_as_it_should_be() -> None:
    rows = len(LOANS) + len(RENEWALS) + len(LATE) + len(HELD) + len(TAPS)
    refused = sum("-" not in says for says in _said()) + sum(row[4] is not None for row in HELD)
    refused += sum(row.reason != "approved" for row in TAPS) + sum(row[-1] == 0 for row in LATE)
    assert rows >= 40
    assert refused * 2 >= rows
    said = {*_said()} | {row[4] for row in HELD} | {row.reason for row in TAPS}
    assert said >= REASONS


def _said() -> list[str]:
    return [*(row.says for row in LOANS), *(row.says for row in RENEWALS)]


def test_a_quote_is_what_is_asked_for(terms: Terms) -> None:
    ask = Ask(
        service="library", action="pay-fine", kind=REQUEST, currency="GBP",
        details={"amount_minor": 250}, occurred_at=MONDAY,
    )  # fmt: skip
    found = library().quote(ask, None, terms)
    assert isinstance(found, Quote)
    assert (found.amount_minor, found.valid_until) == (250, MONDAY + timedelta(minutes=5))
    over = library().quote(replace(ask, occurred_at=terms.valid_until), None, terms)
    assert isinstance(over, Refusal)
    assert over.reason == "tariff_expired"


@cache
def _some_terms() -> Terms:
    with tempfile.TemporaryDirectory() as folder:
        return prepare(load(Path(folder)).content)


@settings(deadline=None)
@given(
    st.sampled_from(["adult", "older", "child", "pupil", "young"]),
    st.sampled_from(["book", "film"]),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_a_fine_never_falls_and_never_passes_its_cap(category: str, item: str, one: int, more: int) -> None:
    terms = _some_terms()
    loan = LoanView(item_class=item, lent_at=MONDAY, due_on=date(2026, 6, 15))
    first = lending.late(category, loan, MONDAY + timedelta(days=one), terms)
    later = lending.late(category, loan, MONDAY + timedelta(days=one + more), terms)
    cap = {"book": 200, "film": 500}[item]
    assert 0 <= first.fine_minor <= later.fine_minor <= cap
    assert category in ("adult", "older") or later.fine_minor == 0


def test_terms_are_for_nobody_without_a_key(terms: Terms) -> None:
    ask = Ask(
        service="library", action="pay-fine", kind=REQUEST, currency="GBP",
        details={"amount_minor": 250}, occurred_at=MONDAY, amount_minor=250,
    )  # fmt: skip
    holder = Holder(cardholder_id=OWN, card_kind="citizen", category="adult")
    with pytest.raises(RuntimeError, match="no key"):
        library().decide(ask, holder, Payer(), terms)
    one, two = (with_keys({"library": library()}, bytes([n]) * 32)["library"] for n in (1, 2))
    decided: list[Decision] = [each.decide(ask, holder, Payer(), terms) for each in (one, two)]
    keys: list[ResourceUse] = [each.resources[0] for each in decided]
    assert keys[0].key != keys[1].key
