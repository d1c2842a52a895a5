"""Sales at a school's till: two children under one payer, their limits, and what ends in arrears."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from cardservice.authorisation import exchange
from cardservice.ids import PayerId
from cardservice.ledger.limits import NewLimit, set_limit
from cardservice.ledger.payers import assign_payer, create_payer
from cardservice.ledger.posting import post
from cardservice.ledger.values import Posting, PostingResult
from cardservice.ledger.verify import verify
from pki.statements import StatementKind, TransactionStatement, details_hmac
from tests.support.council import (
    SALT,
    Card,
    Council,
    Reply,
    Terminal,
    annulment,
    message,
    request_for,
)

URL = "/v1/authorisations"
DAY = "2026-06-15"
# By the demonstration's menu.
PRICES = {"meal-pasta": 260, "flapjack": 80, "milk": 35, "water": 0}
LUNCH = {"meal-pasta": 1, "milk": 1}
LUNCH_MINOR = 295
Tray = dict[str, int]


def details_of(tray: Tray) -> dict[str, Any]:
    """The details of a sale at lunch."""
    items = [{"item": item, "quantity": quantity} for item, quantity in tray.items()]
    return {"service": "lunch", "items": items}


@dataclass(slots=True)
class School:
    """A council with a till, and a family of two children with cards."""

    council: Council
    till: Terminal
    family: PayerId
    ada: Card
    ben: Card

    def statement(self, card: Card, tray: Tray, /, **changes: Any) -> TransactionStatement:
        """A statement that asks for a tray at its price."""
        price = sum(PRICES[item] * quantity for item, quantity in tray.items())
        values = {"amount_minor": price, "details_hmac": details_hmac(SALT, details_of(tray)), **changes}
        return request_for(self.till, card, service="meals", action="sale", **values)

    def sell(self, card: Card, tray: Tray, /, **changes: Any) -> Reply:
        """Ask for a tray at its price."""
        return self.send(card, tray, self.statement(card, tray, **changes))

    def tell(self, card: Card, tray: Tray, /, **changes: Any) -> Reply:
        """Tell of a tray that was sold offline."""
        return self.sell(card, tray, kind=StatementKind.ADVICE, offline=True, **changes)

    def send(self, card: Card, tray: Tray, statement: TransactionStatement) -> Reply:
        """Send a statement."""
        return self.till.post(URL, message(statement, card, details=details_of(tray)))

    def limit(self, card: Card | None, amount_minor: int, *, payer: PayerId | None = None) -> None:
        """Set a limit from now on, for a child or for both together."""
        now = self.council.clock()
        new = NewLimit(payer or self.family, None if card is None else card.holder, "meals.day", amount_minor)
        with self.council.context.database.begin() as connection:
            set_limit(connection, new, now, now)

    def used(self, card: Card, payer: PayerId | None = None) -> dict[str, int]:
        """What a child has used, by day."""
        counters = self.council.view(payer or self.family).counters
        return {
            row.period: row.used
            for row in counters
            if (row.cardholder_id, row.rule) == (card.holder, "meals.day")
        }


@pytest.fixture
def school(council: Council) -> School:
    """A till, two children and 20.00 of their parents'."""
    council.load_menu()
    council.provider("school-kitchen")
    till = council.terminal("till-1", "till", provider="school-kitchen", offline_limit_minor=500)
    ada, ben = council.card("pupil"), council.card("pupil")
    council.clock.advance(seconds=1)
    now = council.clock()
    with council.context.database.begin() as connection:
        family = create_payer(connection, "family", "GBP", now)
        for child in (ada, ben):
            assign_payer(connection, child.holder, family, now, now)
    council.top_up(ada, 2000)
    return School(council, till, family, ada, ben)


def test_a_quote_and_the_sale_it_is_for(school: School) -> None:
    """The till is told the price of a tray, offline too; the receipt has a line for each item."""
    tray = {"meal-pasta": 1, "milk": 2}
    wanted = {"service": "meals", "action": "sale", "card": str(school.ada.id), "details": details_of(tray)}
    quote = school.till.post("/v1/quotes", wanted).json
    lines = [
        {"label": "Tomato pasta bake", "amount_minor": 260},
        {"label": "2 \N{MULTIPLICATION SIGN} Carton of milk", "amount_minor": 70},
    ]
    assert (quote["amount_minor"], quote["lines"], quote["offline"]["amount_minor"]) == (330, lines, 330)
    sold = school.sell(school.ada, tray, tariff_version=quote["tariff_version"])
    assert (sold.outcome, sold.json["receipt"], sold.json["flags"]) == ((200, "approved"), lines, [])
    assert school.council.balances(school.family) == (2000 - 330, 0)


def test_a_validator_sells_no_meals(school: School) -> None:
    """Its role does not cover it."""
    bus = school.council.terminal("bus-12")
    statement = school.statement(school.ada, LUNCH, terminal="bus-12")
    body = message(statement, school.ada, details=details_of(LUNCH))
    assert bus.post(URL, body).outcome == (403, "role_not_allowed")


def test_two_children_of_one_payer(school: School) -> None:
    """One purse, a counter each: a brother's limit is his."""
    school.limit(school.ben, LUNCH_MINOR)
    assert school.sell(school.ada, LUNCH).outcome == (200, "approved")
    assert school.sell(school.ben, LUNCH).outcome == (200, "approved")
    refused = school.sell(school.ben, {"flapjack": 1})
    assert (refused.outcome, refused.json["decision"]) == ((200, "limit_reached"), "declined")
    assert refused.json["message"] == "Today's limit does not allow this: 0.00 GBP is left."
    assert school.sell(school.ada, {"flapjack": 1}).outcome == (200, "approved")
    assert school.council.balances(school.family) == (2000 - 2 * LUNCH_MINOR - 80, 0)
    assert school.used(school.ada) == {DAY: LUNCH_MINOR + 80}
    assert school.used(school.ben) == {DAY: LUNCH_MINOR}


def test_a_limit_of_both_together(school: School) -> None:
    """A family's limit adds up what its children used."""
    school.limit(None, LUNCH_MINOR + 80)
    assert school.sell(school.ada, LUNCH).outcome == (200, "approved")
    assert school.sell(school.ben, LUNCH).outcome == (200, "limit_reached")
    assert school.sell(school.ben, {"flapjack": 1}).outcome == (200, "approved")
    assert school.sell(school.ada, {"milk": 1}).outcome == (200, "limit_reached")


def test_a_limit_that_is_set_at_noon_counts_the_morning(school: School) -> None:
    """And one that is raised holds at once."""
    assert school.sell(school.ada, {"flapjack": 1}).outcome == (200, "approved")
    school.limit(school.ada, 100)
    assert school.sell(school.ada, {"flapjack": 1}).outcome == (200, "limit_reached")
    school.limit(school.ada, 160)
    assert school.sell(school.ada, {"flapjack": 1}).outcome == (200, "approved")


def test_the_next_day_is_another_day(school: School) -> None:
    """A counter is for a day by the school's clock."""
    school.limit(school.ada, LUNCH_MINOR)
    assert school.sell(school.ada, LUNCH).outcome == (200, "approved")
    assert school.sell(school.ada, LUNCH).outcome == (200, "limit_reached")
    school.council.clock.advance(days=1)
    assert school.sell(school.ada, LUNCH).outcome == (200, "approved")
    assert school.used(school.ada) == {DAY: LUNCH_MINOR, "2026-06-16": LUNCH_MINOR}


def test_a_decline_counts_nothing(school: School) -> None:
    """Whatever it was declined for."""
    school.limit(school.ada, 100)
    assert school.sell(school.ada, LUNCH).outcome == (200, "limit_reached")
    assert school.sell(school.ada, {"flapjack": 1}, amount_minor=79).outcome == (200, "price_changed")
    assert school.used(school.ada) == {}


def test_a_main_meal_may_end_in_arrears_and_a_snack_may_not(school: School) -> None:
    """No cliff: the last 0.60 buy a meal, and the rest of it is owed. It is no flag: the rule allows it."""
    poor = school.council.card("pupil", top_up_minor=60)
    assert school.sell(poor, {"flapjack": 1}).outcome == (200, "insufficient_funds")
    assert school.sell(poor, LUNCH).outcome == (200, "insufficient_funds")
    assert school.council.balances(poor.payer) == (60, 0)
    meal = school.sell(poor, {"meal-pasta": 1, "water": 1})
    assert (meal.outcome, meal.json["flags"]) == ((200, "approved"), [])
    assert school.council.balances(poor.payer) == (0, 60 - 260)
    assert school.sell(poor, {"meal-pasta": 1}).outcome == (200, "approved")
    assert school.sell(poor, {"milk": 1}).outcome == (200, "insufficient_funds")
    assert school.sell(poor, {"water": 1}).outcome == (200, "approved")
    assert school.council.balances(poor.payer) == (0, 60 - 2 * 260)
    school.council.top_up(poor, 1000)
    assert school.council.balances(poor.payer) == (1060 - 2 * 260, 0)


def test_arrears_do_not_widen_a_limit(school: School) -> None:
    """A main meal that the limit does not allow is declined, money or not."""
    poor = school.council.card("pupil")
    school.limit(poor, 259, payer=poor.payer)
    assert school.sell(poor, {"meal-pasta": 1}).outcome == (200, "limit_reached")


def test_an_advice_over_the_limit_is_posted_counted_and_flagged(school: School) -> None:
    """The meal was eaten."""
    school.limit(school.ada, LUNCH_MINOR)
    assert school.tell(school.ada, LUNCH).json["flags"] == []
    over = school.tell(school.ada, {"flapjack": 1})
    assert (over.json["decision"], over.json["flags"]) == ("approved", ["over_limit"])
    assert school.used(school.ada) == {DAY: LUNCH_MINOR + 80}
    assert school.sell(school.ada, {"milk": 1}).outcome == (200, "limit_reached")
    assert school.council.balances(school.family) == (2000 - LUNCH_MINOR - 80, 0)


def test_an_advice_goes_by_the_limits_of_its_moment(school: School) -> None:
    """A limit that was set after the sale breaks nothing of it."""
    statement = school.statement(school.ada, LUNCH, kind=StatementKind.ADVICE, offline=True)
    school.council.clock.advance(minutes=10)
    school.limit(school.ada, 0)
    assert school.send(school.ada, LUNCH, statement).json["flags"] == []
    assert school.sell(school.ada, {"milk": 1}).outcome == (200, "limit_reached")


@pytest.mark.parametrize(("tray", "flags"), [({"meal-pasta": 1}, []), (LUNCH, ["over_floor"])])
def test_an_advice_over_the_floor(school: School, tray: Tray, flags: list[str]) -> None:
    """A flag where a request would have been declined: not for a main meal."""
    poor = school.council.card("pupil")
    told = school.tell(poor, tray)
    assert (told.json["decision"], told.json["flags"]) == ("approved", flags)
    assert school.council.balances(poor.payer)[1] == -told.json["amount_minor"]


def test_an_advice_at_another_price(school: School) -> None:
    """Posted and counted as it was signed."""
    told = school.sell(
        school.ada,
        {"milk": 1},
        kind=StatementKind.ADVICE,
        offline=True,
        amount_minor=50,
    )
    assert (told.json["flags"], told.json["receipt"]) == (
        ["price_changed"],
        [{"label": "School meal", "amount_minor": 50}],
    )
    assert school.used(school.ada) == {DAY: 50}


def test_annulled_within_the_day(school: School) -> None:
    """Money and count are given back, once; what was refused fits again."""
    school.limit(school.ben, LUNCH_MINOR)
    statement = school.statement(school.ben, LUNCH)
    school.send(school.ben, LUNCH, statement)
    assert school.sell(school.ben, LUNCH).outcome == (200, "limit_reached")
    for reason in ("annulled", "annulled_before"):
        notice = annulment(school.till, school.ben, statement.id)
        assert school.till.post(URL, notice).outcome == (200, reason)
        assert school.till.post(URL, notice).json["repeated"]
        assert school.used(school.ben) == {DAY: 0}
    assert school.council.balances(school.family) == (2000, 0)
    assert school.sell(school.ben, LUNCH).outcome == (200, "approved")


def test_annulled_on_another_day(school: School) -> None:
    """What was counted on a day is taken back from that day, and no other gets it."""
    statement = school.statement(school.ada, LUNCH)
    school.send(school.ada, LUNCH, statement)
    school.council.clock.advance(days=1)
    school.sell(school.ada, {"milk": 1})
    school.till.post(URL, annulment(school.till, school.ada, statement.id))
    assert school.used(school.ada) == {DAY: 0, "2026-06-16": 35}


def test_annulled_under_a_siblings_card(school: School) -> None:
    """The notice carries no card's signature: the count goes back to the child that it was made for."""
    statement = school.statement(school.ada, LUNCH)
    school.send(school.ada, LUNCH, statement)
    school.sell(school.ben, {"milk": 1})
    assert school.till.post(URL, annulment(school.till, school.ben, statement.id)).outcome == (
        200,
        "annulled",
    )
    assert (school.used(school.ada), school.used(school.ben)) == ({DAY: 0}, {DAY: 35})


def test_annulled_before_it_arrived(school: School) -> None:
    """Nothing was counted, and nothing is."""
    statement = school.statement(school.ada, LUNCH)
    assert school.till.post(URL, annulment(school.till, school.ada, statement.id)).outcome == (
        200,
        "annulled",
    )
    assert school.send(school.ada, LUNCH, statement).outcome == (200, "annulled")
    assert school.used(school.ada) == {}


def test_replaced_after_it_was_approved(school: School) -> None:
    """A duplicate counts nothing; an annulment of what it keeps takes nothing back."""
    statement = school.statement(school.ada, LUNCH)
    school.send(school.ada, LUNCH, statement)
    assert school.tell(school.ada, LUNCH, replaces=statement.id).json["decision"] == "duplicate"
    assert school.till.post(URL, annulment(school.till, school.ada, statement.id)).outcome == (
        200,
        "kept_by_duplicate",
    )
    assert school.used(school.ada) == {DAY: LUNCH_MINOR}


def test_annulled_under_the_former_payer(school: School) -> None:
    """The count is the payer's whose money it was."""
    statement = school.statement(school.ada, LUNCH)
    school.send(school.ada, LUNCH, statement)
    school.council.clock.advance(minutes=1)
    other = school.council.family(school.ada, top_up_minor=1000)
    school.limit(school.ada, LUNCH_MINOR, payer=other)
    assert school.sell(school.ada, LUNCH).outcome == (200, "approved")
    school.till.post(URL, annulment(school.till, school.ada, statement.id))
    assert school.used(school.ada) == {DAY: 0}
    assert school.used(school.ada, other) == {DAY: LUNCH_MINOR}


def test_repeated(school: School) -> None:
    """The same body gets the stored answer and is counted once, whatever the limit is by now."""
    statement = school.statement(school.ada, LUNCH)
    first = school.send(school.ada, LUNCH, statement)
    school.limit(school.ada, 0)
    again = school.send(school.ada, LUNCH, statement)
    assert (again.outcome, again.json["repeated"]) == ((200, "approved"), True)
    assert again.json["receipt"] == first.json["receipt"]
    assert school.used(school.ada) == {DAY: LUNCH_MINOR}
    assert school.council.balances(school.family) == (2000 - LUNCH_MINOR, 0)


@pytest.mark.parametrize("who", ["one child", "two children under a limit of both"])
def test_two_sales_at_once_under_a_limit_for_one(
    school: School, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are decided on the same state; the second to be posted finds it changed, and is decided anew."""
    cards = (school.ada, school.ada if who == "one child" else school.ben)
    school.limit(school.ada if who == "one child" else None, LUNCH_MINOR + 294)
    bodies = [message(school.statement(card, LUNCH), card, details=details_of(LUNCH)) for card in cards]
    both_decided, waited = threading.Barrier(2, timeout=60), threading.local()

    def post_together(database: Any, postings: Sequence[Posting]) -> list[PostingResult]:
        if not getattr(waited, "once", False):
            waited.once = True
            both_decided.wait()
        return post(database, postings)

    monkeypatch.setattr(exchange, "post", post_together)
    replies: list[Reply] = []
    app = school.council.client.application
    tills = [Terminal("till-1", school.till.key, app.test_client(), school.till.clock) for _ in cards]
    threads = [
        threading.Thread(target=lambda till=till, body=body: replies.append(till.post(URL, body)))
        for till, body in zip(tills, bodies, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(reply.outcome for reply in replies) == [(200, "approved"), (200, "limit_reached")]
    assert school.council.balances(school.family) == (2000 - LUNCH_MINOR, 0)
    assert sum(sum(school.used(card).values()) for card in set(cards)) == LUNCH_MINOR


def test_the_ledger_adds_up(school: School) -> None:
    """After sales, arrears and annulments."""
    poor = school.council.card("pupil", top_up_minor=60)
    statement = school.statement(poor, {"meal-pasta": 1})
    school.send(poor, {"meal-pasta": 1}, statement)
    school.sell(school.ada, LUNCH)
    school.till.post(URL, annulment(school.till, poor, statement.id))
    assert school.council.balances(poor.payer) == (60, 0)
    assert verify(school.council.context.database).is_clean
