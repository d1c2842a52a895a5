"""Cards that are lent for a day: they act for their holder until a time; the card at home rests meanwhile."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cards import life, personalisation, temporary
from cardservice.cards import service as cards
from cardservice.cards.ending_lendings import end_lendings
from cardservice.cards.errors import CardInUse, LendingRefused
from cardservice.cards.states import CardState
from cardservice.errors import OrderInvalid
from cardservice.ids import CardId
from tests.support.council import ACTOR, FARE_MINOR, Card, Council, Terminal, csr, message, request_for

Step = Callable[..., object]


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A validator."""
    return council.terminal("bus-1")


def ride(bus: Terminal, card: Card) -> str:
    """What came of a tap."""
    return bus.post("/v1/authorisations", message(request_for(bus, card), card)).outcome[1]


def order(council: Council, home: Card, hours: float = 7) -> personalisation.Order:
    """The card that is to be lent."""
    due = council.clock() + timedelta(hours=hours)
    with council.context.database.begin() as connection:
        return personalisation.lend_card(connection, home.id, due, actor=ACTOR, moment=council.clock())


def lend(council: Council, home: Card) -> Card:
    """The same, made."""
    made, key, now = order(council, home), ec.generate_private_key(ec.SECP256R1()), council.clock()
    with council.context.database.begin() as connection:
        authority = council.context.authority(cards.AUTHORITY, connection)
        request = csr(key, "card").public_bytes(Encoding.DER)
        der = personalisation.certify(connection, authority, made.id, request, actor=ACTOR, moment=now)
        personalisation.report(connection, authority, made.id, done=True, actor=ACTOR, moment=now)
    return replace(home, id=made.card_id, key=key, certificate=der)


def step(council: Council, change: Step, card: CardId, **more: object) -> None:
    """One step of a card's life."""
    with council.context.database.begin() as connection:
        authority = council.context.authority(cards.AUTHORITY, connection)
        change(connection, authority, card, actor=ACTOR, moment=council.clock(), **more)


def states(council: Council, *wanted: Card) -> list[CardState]:
    """What the cards are."""
    with council.context.database.reading() as connection:
        return [cards.require_card(connection, each.id).state for each in wanted]


def test_lent_and_taken_back(council: Council, bus: Terminal) -> None:
    """One of the two can be used at a time, and what is paid is the holder's."""
    home = council.card(top_up_minor=1000)
    lent = lend(council, home)
    assert states(council, home, lent) == [CardState.SUSPENDED, CardState.ACTIVE]
    assert (ride(bus, home), ride(bus, lent)) == ("card_suspended", "approved")
    assert council.balances(home.payer) == (1000 - FARE_MINOR, 0)
    with pytest.raises(CardInUse):
        order(council, home)
    step(council, temporary.take_back, lent.id)
    assert (ride(bus, home), ride(bus, lent)) == ("approved", "card_revoked")
    with pytest.raises(LendingRefused):
        step(council, temporary.take_back, lent.id)
    # And again, on another day.
    council.clock.advance(days=1)
    assert states(council, lend(council, home)) == [CardState.ACTIVE]


def test_its_time_is_over(council: Council, bus: Terminal) -> None:
    """It ends by itself in the worker's next round, and not before; the other one goes on."""
    home = council.card(top_up_minor=1000)
    lent = lend(council, home)
    council.clock.advance(hours=6, minutes=59)
    assert end_lendings(council.context) == 0
    council.clock.advance(minutes=1)
    assert [end_lendings(council.context) for _ in range(2)] == [1, 0]
    assert (ride(bus, home), ride(bus, lent)) == ("approved", "card_revoked")


def test_what_was_told_meanwhile_stays(council: Council) -> None:
    """A card that was not left at home but lost stays revoked; one that rests for another reason rests."""
    lost, resting = council.card(), council.card()
    lent = [lend(council, each) for each in (lost, resting)]
    step(council, life.report, lost.id, what=CardState.LOST, reason="not at home either")
    step(council, life.release, resting.id, reason="found")
    step(council, life.suspend, resting.id, reason="holiday")
    for each in lent:
        step(council, temporary.take_back, each.id)
    assert states(council, lost, resting) == [CardState.REVOKED, CardState.SUSPENDED]


def test_an_order_that_was_never_made(council: Council) -> None:
    """Nothing rests for it, and it ends like another."""
    home = council.card()
    made = order(council, home)
    council.clock.advance(hours=8)
    assert end_lendings(council.context) == 1
    assert states(council, home) == [CardState.ACTIVE]
    with council.context.database.reading() as connection:
        assert cards.require_card(connection, made.card_id).state is CardState.REVOKED


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_is_not_lent_for(council: Council) -> None:
    """A card that is not in use, and one that was lent; nor is one ordered or replaced like another."""
    home = council.card()
    for hours in (-1, 0, 97):
        with pytest.raises(LendingRefused):
            order(council, home, hours)
    lent = lend(council, home)
    for wrong in (home, lent):
        with pytest.raises((LendingRefused, CardInUse)):
            order(council, wrong)
    with council.context.database.begin() as connection:
        about = {"actor": ACTOR, "moment": council.clock()}
        with pytest.raises(OrderInvalid):
            personalisation.order_card(connection, home.holder, "temporary", **about)  # type: ignore[arg-type]
        with pytest.raises(OrderInvalid):
            personalisation.order_replacement(connection, lent.id, **about)  # type: ignore[arg-type]


def test_erasing_who_was_lent_one(council: Council) -> None:
    """Both cards are gone with them."""
    home = council.card()
    lend(council, home)
    erase_cardholder(council.context, home.holder, actor=ACTOR)
    with council.context.database.reading() as connection:
        assert temporary.lent_now(connection) == []
