"""Requests and advices whose proof verifies: posted, declined or flagged, and always answered."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from cardservice.cards import service as cards
from cardservice.cards.states import CardState
from cardservice.ids import TransactionId
from cardservice.ledger.models import transaction_proof
from cardservice.ledger.reading import read
from cardservice.ledger.values import KnownTransaction, ReadQuery
from pki.statements import details_hmac, open_answer
from tests.support.council import (
    FARE_MINOR,
    SALT,
    Card,
    Council,
    Terminal,
    advice_of,
    from_base64url,
    message,
    request_for,
)

URL = "/v1/authorisations"


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator that may serve offline up to 5.00."""
    return council.terminal("bus-12")


def stored(council: Council, card: Card, transaction_id: Any) -> KnownTransaction:
    """A transaction as it is in the ledger."""
    query = ReadQuery((card.payer,), (TransactionId(transaction_id),))
    [found] = read(council.context.database, [query])
    return found.known[transaction_id]


def test_a_fare_is_paid(council: Council, bus: Terminal) -> None:
    """The whole answer to a request that is approved."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    reply = bus.post(URL, message(statement, card))
    assert reply.status == 200
    nonce, signed = reply.json.pop("nonce"), reply.json.pop("signed_answer")
    assert reply.json == {
        "id": str(statement.id),
        "kind": "request",
        "decision": "approved",
        "reason": "approved",
        "message": "Approved.",
        "amount_minor": FARE_MINOR,
        "currency": "GBP",
        "receipt": [{"label": "Single between two areas", "amount_minor": FARE_MINOR}],
        "balances": [
            {"account": "arrears", "unit": "GBP", "amount_minor": 0},
            {"account": "prepaid", "unit": "GBP", "amount_minor": 2000 - FARE_MINOR},
        ],
        "flags": [],
        "actions": [],
        "proof": "signature",
        "repeated": False,
        "answered_at": "2026-06-15T10:00:00.000Z",
    }
    key = council.context.keys.answer_key.public_key()
    answer = open_answer(from_base64url(signed), key, "ashcombe")
    assert (answer.id, answer.decision, answer.reason) == (statement.id, "approved", "approved")
    # The nonce of an answer is good for the next request.
    again = request_for(bus, card, nonce=from_base64url(nonce))
    assert bus.post(URL, message(again, card)).outcome == (200, "approved")
    assert council.balances(card.payer) == (2000 - 2 * FARE_MINOR, 0)


def test_the_transfer_goes_to_the_provider(council: Council, bus: Terminal) -> None:
    """One movement, from the payer's money to what the scheme owes the bus company."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    [transfer] = stored(council, card, statement.id).transfers
    assert (transfer.debit, transfer.credit, transfer.amount_minor) == (
        "payer:prepaid",
        "provider:vale-buses:payable",
        FARE_MINOR,
    )


def test_too_little_money_is_a_stored_decline(council: Council, bus: Terminal) -> None:
    """No transfer; the answer stays what it was, whatever is paid in since."""
    card = council.card(top_up_minor=FARE_MINOR - 1)
    statement = request_for(bus, card)
    reply = bus.post(URL, message(statement, card))
    assert (reply.status, reply.json["decision"], reply.json["reason"]) == (
        200,
        "declined",
        "insufficient_funds",
    )
    assert stored(council, card, statement.id).transfers == ()
    assert council.balances(card.payer) == (FARE_MINOR - 1, 0)
    repeated = bus.post(URL, message(statement, card))
    assert (repeated.json["reason"], repeated.json["repeated"]) == ("insufficient_funds", True)


def test_exactly_enough_money(council: Council, bus: Terminal) -> None:
    """The floor may be reached."""
    card = council.card(top_up_minor=FARE_MINOR)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    assert council.balances(card.payer) == (0, 0)


def test_the_holders_category_sets_the_price(council: Council, bus: Terminal) -> None:
    """Young people pay half; the full price would be a price that has changed."""
    card = council.card("young", top_up_minor=2000)
    dear = request_for(bus, card)
    assert bus.post(URL, message(dear, card)).outcome == (200, "price_changed")
    assert bus.post(URL, message(request_for(bus, card, amount_minor=120), card)).outcome == (200, "approved")
    assert council.balances(card.payer) == (1880, 0)


def test_a_free_ride_is_a_transaction_without_transfer(council: Council, bus: Terminal) -> None:
    """0.00 where the feed's fare is nothing: approved without money, proven all the same."""
    card = council.card()
    council.load_free_fares()
    statement = request_for(bus, card, amount_minor=0)
    assert bus.post(URL, message(statement, card)).outcome == (200, "approved")
    kept = stored(council, card, statement.id)
    assert (kept.amount_minor, kept.transfers) == (0, ())
    with council.context.database.reading() as connection:
        assert connection.execute(select(transaction_proof.c.transaction_id)).scalars().all() == [
            statement.id
        ]


Change = Callable[[Council, Card], dict[str, Any]]


def old_nonce(council: Council, card: Card) -> dict[str, Any]:
    """A nonce that was given out 121 seconds ago."""
    bus = council.context.keys.nonces.make("bus-12", council.clock())  # type: ignore[arg-type]  # a plain str
    council.clock.advance(seconds=121)
    return {"nonce": bus}


def nonce_of_another_terminal(council: Council, card: Card) -> dict[str, Any]:
    """A nonce is for the terminal that it was given to."""
    return {"nonce": council.context.keys.nonces.make("bus-13", council.clock())}  # type: ignore[arg-type]


def invented_nonce(council: Council, card: Card) -> dict[str, Any]:
    """A nonce that the service has not made."""
    return {"nonce": bytes(24)}


def clock_ahead(council: Council, card: Card) -> dict[str, Any]:
    """The terminal's clock is 5 min 1 s ahead."""
    return {"time": council.clock() + timedelta(seconds=301)}


def clock_behind(council: Council, card: Card) -> dict[str, Any]:
    """The terminal's clock is 5 min 1 s behind."""
    return {"time": council.clock() - timedelta(seconds=301)}


def revoked(council: Council, card: Card) -> dict[str, Any]:
    """The card was revoked."""
    council.revoke(card)
    return {}


def suspended(council: Council, card: Card) -> dict[str, Any]:
    """The card is suspended."""
    with council.context.database.begin() as connection:
        known = cards.require_card(connection, card.id)
        cards.change_state(
            connection, known, CardState.SUSPENDED, reason="asked", actor="test", moment=council.clock()
        )
    return {}


def expired(council: Council, card: Card) -> dict[str, Any]:
    """Five years later."""
    council.clock.advance(days=5 * 366)
    return {}


def other_price(council: Council, card: Card) -> dict[str, Any]:
    """The signed amount is not the fare."""
    return {"amount_minor": FARE_MINOR - 1}


def other_currency(council: Council, card: Card) -> dict[str, Any]:
    """The signed currency is not the scheme's."""
    return {"currency": "EUR"}


DECLINED: dict[Change, str] = {
    old_nonce: "stale",
    nonce_of_another_terminal: "stale",
    invented_nonce: "stale",
    clock_ahead: "clock",
    clock_behind: "clock",
    revoked: "card_revoked",
    suspended: "card_suspended",
    expired: "card_expired",
    other_price: "price_changed",
    other_currency: "currency_mismatch",
}


@pytest.mark.parametrize("change", DECLINED, ids=lambda change: change.__name__)
def test_declined(council: Council, bus: Terminal, change: Change) -> None:
    """A request that is declined is stored with its reason and moves no money."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card, **change(council, card))
    reply = bus.post(URL, message(statement, card))
    assert (reply.json["decision"], *reply.outcome) == ("declined", 200, DECLINED[change])
    assert stored(council, card, statement.id).reason == DECLINED[change]
    assert council.balances(card.payer) == (2000, 0)


def test_within_the_time_window(council: Council, bus: Terminal) -> None:
    """Five minutes either way, and a nonce of exactly two."""
    card = council.card(top_up_minor=2000)
    for off in (-300, 300):
        statement = request_for(bus, card, time=council.clock() + timedelta(seconds=off))
        assert bus.post(URL, message(statement, card)).outcome == (200, "approved")
    statement = request_for(bus, card)
    council.clock.advance(seconds=120)
    assert bus.post(URL, message(statement, card)).outcome == (200, "approved")


def test_details_of_another_action(council: Council, bus: Terminal) -> None:
    """Details that the card signed and that no rule can read: declined, or for an advice flagged."""
    card = council.card(top_up_minor=2000)
    details = {"item": "soup"}
    request = request_for(bus, card, details_hmac=details_hmac(SALT, details))
    assert bus.post(URL, message(request, card, details=details)).outcome == (200, "details_malformed")
    advice = advice_of(bus, card, details_hmac=details_hmac(SALT, details))
    reply = bus.post(URL, message(advice, card, details=details))
    assert (reply.json["decision"], reply.json["flags"]) == ("approved", ["details_malformed"])
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_an_advice_is_posted(council: Council, bus: Terminal) -> None:
    """What was given offline is charged as it was signed."""
    card = council.card(top_up_minor=2000)
    statement = advice_of(bus, card)
    council.clock.advance(days=3)
    reply = bus.post(URL, message(statement, card))
    assert (reply.json["kind"], reply.json["decision"], reply.json["flags"]) == ("advice", "approved", [])
    assert stored(council, card, statement.id).offline
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_an_advice_below_the_floor_goes_to_arrears(council: Council, bus: Terminal) -> None:
    """`prepaid` pays down to its floor, arrears the rest; paying in settles the arrears first."""
    card = council.card(top_up_minor=100)
    reply = bus.post(URL, message(advice_of(bus, card), card))
    assert (reply.json["decision"], reply.json["flags"]) == ("approved", ["over_floor"])
    assert council.balances(card.payer) == (0, 100 - FARE_MINOR)
    council.top_up(card, 40)
    assert council.balances(card.payer) == (0, 140 - FARE_MINOR)
    council.top_up(card, 500)
    assert council.balances(card.payer) == (640 - FARE_MINOR, 0)


FLAGGED: dict[Change, str] = {
    revoked: "card_was_revoked",
    suspended: "card_was_suspended",
    expired: "card_was_expired",
    clock_ahead: "clock_doubtful",
    other_price: "price_changed",
}


@pytest.mark.parametrize("change", FLAGGED, ids=lambda change: change.__name__)
def test_flagged(council: Council, bus: Terminal, change: Change) -> None:
    """What declines a request is a flag on an advice, which is posted all the same."""
    card = council.card(top_up_minor=2000)
    statement = advice_of(bus, card, **change(council, card))
    reply = bus.post(URL, message(statement, card))
    assert reply.json["decision"] == "approved"
    assert FLAGGED[change] in reply.json["flags"]
    assert council.balances(card.payer) == (2000 - (statement.amount_minor or 0), 0)


def test_an_advice_in_another_currency_moves_nothing(council: Council, bus: Terminal) -> None:
    """No account has that unit: it is kept and flagged for staff."""
    card = council.card(top_up_minor=2000)
    reply = bus.post(URL, message(advice_of(bus, card, currency="EUR"), card))
    assert (reply.json["decision"], reply.json["flags"]) == ("approved", ["currency_mismatch"])
    assert council.balances(card.payer) == (2000, 0)


def test_an_advice_of_before_the_revocation_is_not_flagged(council: Council, bus: Terminal) -> None:
    """The state counts that was in force when the card was tapped."""
    card = council.card(top_up_minor=2000)
    statement = advice_of(bus, card)
    council.clock.advance(minutes=1)
    council.revoke(card)
    assert bus.post(URL, message(statement, card)).json["flags"] == []


@pytest.mark.parametrize(("limit_minor", "flags"), [(None, 1), (FARE_MINOR - 1, 1), (FARE_MINOR, 0)])
def test_offline_limit(council: Council, limit_minor: int | None, flags: int) -> None:
    """Beyond what the terminal may give away offline, the provider bears the loss."""
    terminal = council.terminal("bus-13", offline_limit_minor=limit_minor)
    card = council.card(top_up_minor=2000)
    reply = terminal.post(URL, message(advice_of(terminal, card), card))
    assert reply.json["flags"] == ["outside_offline_limits"] * flags


def test_a_revoked_card_is_declined_from_its_next_tap_on(council: Council, bus: Terminal) -> None:
    """Also when the statement was signed a moment before."""
    card = council.card(top_up_minor=2000)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    statement = request_for(bus, card)
    council.revoke(card)
    assert bus.post(URL, message(statement, card)).outcome == (200, "card_revoked")


def test_repeated(council: Council, bus: Terminal) -> None:
    """The same body gets the stored answer, whatever has changed; signed anew it is still the same body."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    first = bus.post(URL, message(statement, card))
    council.revoke(card)
    council.clock.advance(hours=1)
    again = bus.post(URL, message(statement, card))
    assert again.json["repeated"]
    volatile = {"repeated", "nonce", "signed_answer"}
    assert {key: again.json[key] for key in again.json.keys() - volatile} == {
        key: first.json[key] for key in first.json.keys() - volatile
    }
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_another_body_under_the_same_id(council: Council, bus: Terminal) -> None:
    """A conflict, and nothing is charged for it."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    other = request_for(bus, card, id=statement.id, amount_minor=180)
    assert bus.post(URL, message(other, card)).outcome == (409, "id_conflict")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)


def test_another_terminal_under_the_same_id(council: Council, bus: Terminal) -> None:
    """An id belongs to the terminal that drew it."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card)
    bus.post(URL, message(statement, card))
    other = council.terminal("bus-13")
    taken = request_for(other, card, id=statement.id)
    assert other.post(URL, message(taken, card)).outcome == (409, "id_of_another_terminal")


def test_payer_changed_between_first_send_and_retry(council: Council, bus: Terminal) -> None:
    """Charged once, to whoever paid at the signed time; a clock that ran ahead makes no second payer."""
    card = council.card(top_up_minor=2000)
    statement = request_for(bus, card, time=council.clock() + timedelta(minutes=2))
    body = message(statement, card)
    assert bus.post(URL, body).outcome == (200, "approved")
    council.clock.advance(minutes=1)
    family = council.family(card, top_up_minor=1000)
    council.clock.advance(minutes=1)
    again = bus.post(URL, body)
    assert (again.outcome, again.json["repeated"]) == ((200, "approved"), True)
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)
    assert council.balances(family) == (1000, 0)


def test_the_payer_at_the_signed_time_pays(council: Council, bus: Terminal) -> None:
    """An advice that comes after the change is the former payer's; the next tap is the family's."""
    card = council.card(top_up_minor=2000)
    before = advice_of(bus, card)
    council.clock.advance(minutes=1)
    family = council.family(card, top_up_minor=1000)
    assert bus.post(URL, message(before, card)).outcome == (200, "approved")
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)
    assert council.balances(family) == (1000 - FARE_MINOR, 0)
