"""Nothing that a till is answered tells a funded pupil from a paying one who has as much to spend.

services.md, school meals: balances, decline texts, statements, exports and refunds included, online and
offline. Two pupils do the same at the same moments; one has programmes, the other as much more money. What
they are answered is compared word for word, as it comes over the wire, but for names and signatures.
"""

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, text

from cardservice.authorisation.case import Case
from cardservice.authorisation.judging import judge
from cardservice.authorisation.sales import answer_of
from cardservice.funding.models import entitlement
from cardservice.ids import CardholderId, ProviderId, new_id
from cardservice.ledger.limits import NewLimit, set_limit
from cardservice.ledger.models import transfer
from cardservice.ledger.payers import assign_payer, create_payer, touch_payers_of
from cardservice.ledger.statements import Period
from cardservice.ledger.verify import verify
from cardservice.providers.statements import provider_statement
from cardservice.services import discover
from cardservice.services.meals.funding import funding_of
from cardservice.services.meals.menu import Menu
from cardservice.services.seam import Ask, AskKind, Holder
from cardservice.tariffs.service import store_tariff
from pki.statements import StatementKind, details_hmac
from tests.cardservice.authorisation.random_cases import random_case, tariffs
from tests.cardservice.services.menus import MENU
from tests.support.council import SALT, Card, Council, Reply, Terminal, annulment, message, request_for

URL = "/v1/authorisations"
EXAMPLES, EXAMPLES_AT_LENGTH = 12, 250
# What is another for each transaction by its nature: its name, the next nonce, the service's signature.
ITS_OWN = ("id", "nonce", "signed_answer")
ITEMS = ("pasta", "soup", "flapjack", "milk", "water")
SERVICES = ("break", "lunch")


# Rules alone: thousands of cases.


def twin_of(case: Case) -> Case:
    """The same case of a pupil without programmes, who has what they would pay as money of their own."""
    ask_service = case.message.details.get("service")
    left_minor = 0
    if isinstance(case.tariff, Menu) and isinstance(ask_service, str):
        statement = case.message.signed.statement
        ask = Ask(
            service="meals",
            action="sale",
            kind=AskKind.ADVICE if case.message.is_advice else AskKind.REQUEST,
            currency="GBP",
            details=case.message.details,
            occurred_at=statement.time,
        )
        holder = Holder(
            cardholder_id=case.facts.card.cardholder_id,
            card_kind="",
            category="",
            entitlements=case.entitlements,
        )
        left_minor = sum(
            each.amount_minor for each in funding_of(case.tariff, ask, holder, case.view, ask_service, 10**9)
        )
    accounts = tuple(
        replace(account, balance=account.balance + left_minor) if account.kind == "prepaid" else account
        for account in case.view.accounts
    )
    view = replace(case.view, accounts=accounts)
    card = replace(case.facts.card, entitlements=())
    return replace(case, facts=replace(case.facts, card=card, views={case.payer_id: view}))


@pytest.mark.parametrize(
    "numbers", [range(4_500), pytest.param(range(4_500, 90_000), marks=pytest.mark.long)]
)
def test_rules_answer_a_funded_pupil_as_a_paying_one(numbers: range) -> None:
    known, funded, declined = tariffs(), 0, 0
    for number in numbers:
        case = random_case(number, known)
        if case.service.name != "meals" or not case.facts.card.entitlements:
            continue
        twin = twin_of(case)
        verdict, other = judge(case), judge(twin)
        assert answer_of(case, verdict) == answer_of(twin, other), number
        assert verdict.counters[: len(other.counters)] == other.counters
        funded += bool(verdict.funding)
        declined += verdict.decision == "declined"
    # Otherwise this would say nothing.
    assert funded > len(numbers) // 60
    assert declined > len(numbers) // 60


# The service as it stands, by its answers on the wire.


@dataclass(frozen=True, slots=True)
class Step:
    """What a pupil does: a tray at a service, online or offline, then given back, annulled, or not."""

    service: str
    tray: Mapping[str, int]
    action: str
    offline: bool
    after_minutes: int
    then: str | None
    off_by_minor: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A menu with programmes, what two pupils have, and what both do."""

    menu: dict[str, Any]
    programmes: list[dict[str, Any]]
    own_minor: int
    limits: tuple[tuple[str, int], ...]
    steps: tuple[Step, ...]

    @property
    def funded_minor(self) -> int:
        """What the programmes pay in a day: the first by precedence, and what adds to it."""
        paying = sorted(self.programmes, key=lambda each: int(each["precedence"]))
        first = next((each for each in paying if not each["adds"]), None)
        return sum(_minor(each["amount"]) for each in paying if each["adds"] or each is first)


def _minor(price: str) -> int:
    return int(price.replace(".", ""))


def _price(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


_PENCE = st.integers(0, 450)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Menus, amounts, limits and times."""
    menu = copy.deepcopy(MENU) | {"first_day": "2026-01-01", "last_day": "2026-12-31"}
    prices = {key: _price(draw(_PENCE)) for key in ITEMS}
    menu["items"] = [
        {
            **next(item for item in MENU["items"] if item["key"] == key),
            "services": ["break", "lunch"],
            "first_day": "2026-01-01",
            "last_day": "2026-12-31",
            "price": prices[key],
        }
        for key in ITEMS
    ]
    if draw(st.booleans()):
        parts = [{"categories": ["main"]}, {"categories": ["snack", "drink"]}]
        menu["deals"] = [{"key": "meal", "label": "Meal deal", "price": _price(draw(_PENCE)), "parts": parts}]
    if draw(st.booleans()):
        menu["arrears_limit"] = _price(draw(_PENCE))
    menu["second_meal_warning"] = draw(st.booleans())
    if draw(st.booleans()):
        rate = draw(st.sampled_from(("0", "5", "20")))
        menu |= {"supplier_role": "principal", "taxes": [{"role": "principal", "code": "vat", "rate": rate}]}
    programmes = [
        {
            "key": f"programme-{number}",
            "label": f"Programme {number}",
            "nation": "england",
            "services": list(SERVICES),
            "amount": _price(draw(st.integers(1, 500))),
            "funder": draw(st.sampled_from(("dfe", "council"))),
            "precedence": number + 1,
            "adds": draw(st.booleans()),
            "first_day": "2026-01-01",
            "last_day": "2026-12-31",
        }
        for number in range(draw(st.integers(1, 3)))
    ]
    rules = st.sampled_from(("meals.day", "meals.service.lunch", "meals.service.break"))
    limits = draw(st.lists(st.tuples(rules, st.integers(0, 900)), max_size=2))
    limits += draw(st.lists(st.tuples(st.just("meals.item.flapjack"), st.integers(0, 3)), max_size=1))
    return Plan(menu, programmes, draw(st.integers(0, 900)), tuple(limits), tuple(draw(_STEPS)))


_STEPS = st.lists(
    st.builds(
        Step,
        service=st.sampled_from(SERVICES),
        tray=st.dictionaries(st.sampled_from(ITEMS), st.integers(1, 2), min_size=1, max_size=3),
        action=st.sampled_from(("sale", "sale", "sale", "serve-anyway")),
        offline=st.booleans(),
        after_minutes=st.integers(0, 90),
        then=st.sampled_from((None, None, "refund", "refund a line", "refund a part", "annul")),
        off_by_minor=st.sampled_from((0, 0, 0, 0, 1)),
    ),
    min_size=2,
    max_size=5,
)


@dataclass(frozen=True, slots=True)
class Pupil:
    """A pupil with a till and a provider of their own, so that what a provider is owed can be compared."""

    card: Card
    tills: Mapping[str, Terminal]
    provider: str

    def answers(self, plan: Plan, at: Council) -> Iterator[object]:
        """All that the tills are answered, step by step."""
        for step in plan.steps:
            at.clock.advance(minutes=step.after_minutes)
            yield from self._step(step)

    def _step(self, step: Step) -> Iterator[object]:
        till = self.tills[step.action]
        items = [{"item": item, "quantity": quantity} for item, quantity in step.tray.items()]
        details = {"service": step.service, "items": items}
        wanted = {"service": "meals", "action": step.action, "card": str(self.card.id), "details": details}
        quote = till.post("/v1/quotes", wanted)
        yield quote
        statement = request_for(
            till,
            self.card,
            service="meals",
            action=step.action,
            amount_minor=quote.json.get("amount_minor", 0) + step.off_by_minor,
            details_hmac=details_hmac(SALT, details),
            kind=StatementKind.ADVICE if step.offline else StatementKind.REQUEST,
            offline=step.offline,
        )
        yield till.post(URL, message(statement, self.card, details=details))
        if step.then == "annul":
            yield till.post(URL, annulment(till, self.card, statement.id))
        elif step.then is not None:
            yield till.post("/v1/refunds", self._refund(step.then, str(statement.id)))

    def _refund(self, what: str, sale: str) -> dict[str, Any]:
        body: dict[str, Any] = {"id": str(new_id()), "card": str(self.card.id), "sale": sale}
        if what != "refund":
            body["line"] = 1
        if what == "refund a part":
            body["amount_minor"] = 7
        return body


@dataclass(slots=True)
class Twins:
    """A funded pupil and a paying one."""

    council: Council
    funded: Pupil
    paying: Pupil

    def prepare(self, plan: Plan, folder: Path) -> None:
        """Load the menu; give each a payer that has never been used, so that both have as much to spend."""
        council = self.council
        council.clock.advance(days=1)
        menu, programmes = folder / "menu.json", folder / "programmes.json"
        menu.write_text(json.dumps(plan.menu))
        programmes.write_text(json.dumps({"programmes": plan.programmes}))
        loaded = discover()["meals"].load([menu, programmes], currency="GBP")
        with council.context.database.begin() as connection:
            store_tariff(connection, "meals", loaded, source="menu", actor="test", moment=council.clock())
        for pupil, more_minor in ((self.funded, 0), (self.paying, plan.funded_minor)):
            self._prepare(pupil, plan, plan.own_minor + more_minor)
        with council.context.database.begin() as connection:
            for each in plan.programmes:
                entitle(connection, self.funded.card.holder, each["key"], council)

    def _prepare(self, pupil: Pupil, plan: Plan, own_minor: int) -> None:
        moment = self.council.clock()
        with self.council.context.database.begin() as connection:
            payer = create_payer(connection, "family", "GBP", moment)
            assign_payer(connection, pupil.card.holder, payer, moment, moment)
            for rule, amount_minor in plan.limits:
                set_limit(connection, NewLimit(payer, pupil.card.holder, rule, amount_minor), moment, moment)
        if own_minor:
            self.council.top_up(pupil.card, own_minor)


def entitle(connection: Any, holder: CardholderId, programme: str, council: Council) -> None:
    """Record that a check has found somebody entitled, for the rest of the year."""
    touch_payers_of(connection, holder)
    connection.execute(
        insert(entitlement).values(
            cardholder_id=holder,
            id=new_id(),
            service="meals",
            programme=programme,
            year="",
            first_day=date(2026, 1, 1),
            review_on=date(2027, 1, 1),
            recorded_at=council.clock(),
            reference="check",
            actor="test",
        )
    )


@pytest.fixture
def twins(council: Council) -> Twins:
    """Two pupils, of whom one will be funded; a till, a supervisor's and a provider for each."""

    def pupil(name: str) -> Pupil:
        provider = council.provider(f"kitchen-{name}")
        tills = {
            action: council.terminal(f"{role}-{name}", role, provider=provider, offline_limit_minor=1_000)
            for action, role in (("sale", "till"), ("serve-anyway", "supervisor-till"))
        }
        return Pupil(council.card("pupil"), tills, provider)

    return Twins(council, pupil("one"), pupil("two"))


def same_for_all(answer: object) -> object:
    """An answer without what names the transaction, and how long its text is with it."""
    assert isinstance(answer, Reply)
    told = {name: value for name, value in answer.json.items() if name not in ITS_OWN}
    return answer.status, told, len(json.dumps(answer.json))


def check(twins: Twins, plan: Plan, folder: Path) -> None:
    """Both do the same from the same moment on, and are answered alike; so are their providers."""
    twins.prepare(plan, folder)
    begins = twins.council.clock.moment
    before = {pupil.provider: owed(twins.council, pupil.provider) for pupil in (twins.funded, twins.paying)}
    answers = []
    for pupil in (twins.funded, twins.paying):
        twins.council.clock.moment = begins
        answers.append([same_for_all(answer) for answer in pupil.answers(plan, twins.council)])
    assert answers[0] == answers[1]
    after = [
        {key: amount - before[pupil.provider].get(key, 0) for key, amount in now.items()}
        for pupil in (twins.funded, twins.paying)
        for now in (owed(twins.council, pupil.provider),)
    ]
    changed = [{key: amount for key, amount in each.items() if amount} for each in after]
    assert changed[0] == changed[1]
    assert stated(twins.council, twins.funded.provider) == stated(twins.council, twins.paying.provider)


def stated(council: Council, provider: str) -> tuple[object, ...]:
    """A provider's statement, as it is exported; nothing has a day yet, all of it is told apart."""
    day = council.clock().date()
    with council.context.database.reading() as connection:
        found = provider_statement(connection, ProviderId(provider), Period(day, day), "GBP")
    assert found is not None
    return found.opening_minor, found.lines, found.unsettled, found.off


def owed(council: Council, provider: str) -> dict[tuple[str | None, str], int]:
    """What a provider is owed, and the tax in it, by tax code: what its statement is made of."""
    account = f"provider:{provider}:payable"
    found: dict[tuple[str | None, str], int] = {}
    with council.context.database.reading() as connection:
        for row in connection.execute(select(transfer)):
            sign = (row.credit == account) - (row.debit == account)
            for what, amount in (("gross", row.amount_minor), ("tax", row.tax_minor or 0)):
                key = (row.tax_code, what)
                found[key] = found.get(key, 0) + sign * amount
    return {key: amount for key, amount in found.items() if amount}


@pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(EXAMPLES_AT_LENGTH, marks=pytest.mark.long)])
def test_a_till_is_answered_alike(twins: Twins, tmp_path: Path, examples: int) -> None:
    """Every quote, decision, decline, receipt, refund and annulment; any menu, amounts, limits, times."""
    funded = 0

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(plan=plans())
    def property_holds(plan: Plan) -> None:
        check(twins, plan, tmp_path)

    property_holds()
    with twins.council.context.database.reading() as connection:
        funded = connection.execute(
            text("SELECT count(*) FROM transfer WHERE debit LIKE 'scheme:subsidy:%'")
        ).scalar_one()
        others = connection.execute(
            text("SELECT count(*) FROM ledger_transaction WHERE decision = 'declined' AND service = 'meals'")
        ).scalar_one()
    # Otherwise nothing was compared.
    assert funded >= examples
    assert others >= examples // 2
    assert verify(twins.council.context.database).is_clean
