"""A request without an answer is annulled, or replaced: in every order it is charged once at most."""

import itertools
from typing import Any

import pytest

from cardservice.ids import TransactionId
from cardservice.ledger.reading import read
from cardservice.ledger.values import ReadQuery
from tests.support.council import (
    FARE_MINOR,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    request_for,
)

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator that may serve offline."""
    return council.terminal("bus-12")


@pytest.fixture
def card(council: Council) -> Card:
    """A card with 20.00."""
    return council.card(top_up_minor=2000)


def test_annul_after_the_request(council: Council, bus: Terminal, card: Card) -> None:
    """What was charged is given back; the request's own answer stays what it was."""
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    reply = bus.post(URL, annulment(bus, card, statement.id))
    assert (reply.json["kind"], reply.json["decision"], reply.json["reason"]) == (
        "annul",
        "approved",
        "annulled",
    )
    assert (reply.json["amount_minor"], reply.json["proof"]) == (FARE_MINOR, "none")
    assert council.balances(card.payer) == (2000, 0)
    assert bus.post(URL, message(statement, card)).json["repeated"]
    assert council.balances(card.payer) == (2000, 0)


def test_annul_that_overtakes_its_request(council: Council, bus: Terminal, card: Card) -> None:
    """The id is stored as annulled, and the request is refused when it comes, each time."""
    statement = request_for(bus, card)
    assert bus.post(URL, annulment(bus, card, statement.id)).outcome == (200, "annulled")
    for _ in range(2):
        reply = bus.post(URL, message(statement, card))
        assert (reply.json["decision"], reply.json["reason"]) == ("declined", "annulled")
    assert council.balances(card.payer) == (2000, 0)


def test_an_annulled_id_is_its_terminals(council: Council, bus: Terminal, card: Card) -> None:
    """Another terminal is not told what became of it."""
    statement = request_for(bus, card)
    bus.post(URL, annulment(bus, card, statement.id))
    other = council.terminal("bus-13")
    taken = message(request_for(other, card, id=statement.id), card)
    assert other.post(URL, taken).outcome == (409, "id_of_another_terminal")


def test_annul_of_a_decline(council: Council, bus: Terminal, card: Card) -> None:
    """Nothing was charged, nothing is given back."""
    statement = request_for(bus, card, amount_minor=1)
    assert bus.post(URL, message(statement, card)).outcome == (200, "price_changed")
    assert bus.post(URL, annulment(bus, card, statement.id)).outcome == (200, "nothing_to_annul")
    assert council.balances(card.payer) == (2000, 0)


def test_annul_repeated_and_made_twice(council: Council, bus: Terminal, card: Card) -> None:
    """The same notice gets the same answer; a second notice gives nothing back a second time."""
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    notice = annulment(bus, card, statement.id)
    bus.post(URL, notice)
    again = bus.post(URL, notice)
    assert (again.outcome, again.json["repeated"]) == ((200, "annulled"), True)
    assert bus.post(URL, annulment(bus, card, statement.id)).outcome == (200, "annulled_before")
    assert council.balances(card.payer) == (2000, 0)


def test_another_notice_under_the_same_id(council: Council, bus: Terminal, card: Card) -> None:
    """An annulment's id is an id like any other."""
    statement = request_for(bus, card)
    notice = annulment(bus, card, statement.id)
    bus.post(URL, notice)
    other = annulment(bus, card, request_for(bus, card).id, id=notice["annul"]["id"])
    assert bus.post(URL, other).outcome == (409, "id_conflict")


def test_annul_of_another_terminals_request(council: Council, bus: Terminal, card: Card) -> None:
    """A terminal closes its own requests alone."""
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    other = council.terminal("bus-13")
    refused = other.post(URL, annulment(other, card, statement.id))
    assert refused.outcome == (409, "id_of_another_terminal")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_annul_of_an_advice_that_went_to_arrears(council: Council, bus: Terminal) -> None:
    """Arrears that were settled since come back as money."""
    card = council.card()
    statement = advice_of(bus, card)
    bus.post(URL, message(statement, card))
    council.top_up(card, 1000)
    assert council.balances(card.payer) == (1000 - FARE_MINOR, 0)
    assert bus.post(URL, annulment(bus, card, statement.id)).outcome == (200, "annulled")
    assert council.balances(card.payer) == (1000, 0)


def test_annul_under_the_former_payer(council: Council, bus: Terminal, card: Card) -> None:
    """What is given back goes to whoever paid."""
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    council.clock.advance(minutes=1)
    family = council.family(card)
    assert bus.post(URL, annulment(bus, card, statement.id)).outcome == (200, "annulled")
    assert council.balances(card.payer) == (2000, 0)
    assert council.balances(family) == (0, 0)


def test_replaced_after_it_was_approved(council: Council, bus: Terminal, card: Card) -> None:
    """The advice is a duplicate that posts nothing, and keeps the request from being annulled."""
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    advice = advice_of(bus, card, replaces=statement.id)
    reply = bus.post(URL, message(advice, card))
    assert (reply.json["decision"], reply.json["reason"]) == ("duplicate", "duplicate")
    assert bus.post(URL, annulment(bus, card, statement.id)).outcome == (200, "kept_by_duplicate")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_replaced_before_it_arrived(council: Council, bus: Terminal, card: Card) -> None:
    """The advice is posted, and the request that is still on its way is refused."""
    statement = request_for(bus, card)
    advice = advice_of(bus, card, replaces=statement.id)
    assert bus.post(URL, message(advice, card)).outcome == (200, "approved")
    assert bus.post(URL, message(statement, card)).outcome == (200, "annulled")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_replaced_after_it_was_declined(council: Council, bus: Terminal) -> None:
    """A decline charged nothing: the advice is posted."""
    card = council.card(top_up_minor=100)
    statement = request_for(bus, card)
    assert bus.post(URL, message(statement, card)).outcome == (200, "insufficient_funds")
    advice = advice_of(bus, card, replaces=statement.id)
    assert bus.post(URL, message(advice, card)).outcome == (200, "approved")
    assert council.balances(card.payer) == (0, 100 - FARE_MINOR)


def test_replaced_under_another_payer(council: Council, bus: Terminal, card: Card) -> None:
    """The duplicate stands where the request was charged, and an annulment finds it there."""
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    council.clock.advance(minutes=1)
    family = council.family(card, top_up_minor=1000)
    advice = advice_of(bus, card, replaces=statement.id)
    assert bus.post(URL, message(advice, card)).json["decision"] == "duplicate"
    query = ReadQuery((card.payer, family), (TransactionId(advice.id),))
    assert read(council.context.database, [query])[0].known[advice.id].payer_id == card.payer
    assert bus.post(URL, annulment(bus, card, statement.id)).outcome == (200, "kept_by_duplicate")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)
    assert council.balances(family) == (1000, 0)


@pytest.mark.parametrize("order", [*itertools.permutations(["request", "annul", "advice"])], ids="-".join)
@pytest.mark.parametrize("twice", [False, True], ids=["once", "each twice"])
def test_any_order_charges_once(
    council: Council, bus: Terminal, card: Card, order: tuple[str, ...], twice: bool
) -> None:
    """A request, its annulment and the advice that replaces it: the ride was given once."""
    statement = request_for(bus, card)
    bodies: dict[str, dict[str, Any]] = {
        "request": message(statement, card),
        "annul": annulment(bus, card, statement.id),
        "advice": message(advice_of(bus, card, replaces=statement.id), card),
    }
    for name in order * (2 if twice else 1):
        assert bus.post(URL, bodies[name]).status == 200
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


@pytest.mark.parametrize("order", [*itertools.permutations(["request", "annul"])], ids="-".join)
def test_request_and_annulment_charge_nothing(
    council: Council, bus: Terminal, card: Card, order: tuple[str, ...]
) -> None:
    """No ride was given."""
    statement = request_for(bus, card)
    bodies = {"request": message(statement, card), "annul": annulment(bus, card, statement.id)}
    for name in order:
        assert bus.post(URL, bodies[name]).status == 200
    assert council.balances(card.payer) == (2000, 0)


def test_an_advice_that_replaces_a_duplicate(council: Council, bus: Terminal, card: Card) -> None:
    """The ride was charged under the first id; the second and the third stand for the same ride."""
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    second = advice_of(bus, card, replaces=statement.id)
    assert bus.post(URL, message(second, card)).outcome == (200, "duplicate")
    third = advice_of(bus, card, replaces=second.id)
    assert bus.post(URL, message(third, card)).outcome == (200, "duplicate")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_a_terminal_replaces_its_own_requests_alone(council: Council, bus: Terminal, card: Card) -> None:
    """Another terminal's charge is no excuse for giving a ride away."""
    other = council.terminal("bus-13")
    statement = request_for(other, card)
    other.post(URL, message(statement, card))
    reply = bus.post(URL, message(advice_of(bus, card, replaces=statement.id), card))
    assert reply.outcome == (200, "approved")
    assert council.balances(card.payer) == (2000 - 2 * FARE_MINOR, 0)
