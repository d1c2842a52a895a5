"""A service whose sales take a place each: held, posted, confirmed; given back with the annulment."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from cardservice.authorisation import settling
from cardservice.context import Context
from cardservice.ledger.errors import ResourceInvalid
from cardservice.ledger.event_models import reservation
from cardservice.ledger.resources import (
    HELD_FOR,
    Settlement,
    claim,
    read_resource,
    set_capacity,
    settle_reservations,
)
from cardservice.services.seam import Decision, LoadedTariff, ResourceUse
from cardservice.tariffs.service import store_tariff, tariff_of_version
from tests.cardservice.advices import chunk
from tests.support.council import (
    FARE_MINOR,
    START,
    Card,
    Council,
    Terminal,
    advice_of,
    annulment,
    message,
    request_for,
)

URL = "/v1/authorisations"
LATER = START + timedelta(days=365)


class Seated:
    """Transport as it is, but for one seat that every fare takes."""

    def __init__(self, rules: Any) -> None:
        self._rules = rules

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rules, name)

    def decide(self, *asked: Any) -> Decision:
        """The fare, and a seat."""
        decision: Decision = self._rules.decide(*asked)
        return replace(decision, resources=(ResourceUse(key="seat"),)) if decision.approved else decision


@pytest.fixture
def context(context: Context) -> Context:
    """A service in whose buses every fare takes a seat."""
    seated: Any = Seated(context.services["transport"])
    return replace(context, services={**context.services, "transport": seated})


@pytest.fixture
def bus(council: Council) -> Terminal:
    """A bus with one seat."""
    with council.context.database.begin() as connection:
        set_capacity(connection, "transport", "seat", 1)
    return council.terminal("bus-12")


def seats(council: Council) -> tuple[int, list[str]]:
    """How many are taken, and the reservations' states."""
    with council.context.database.reading() as connection:
        found = read_resource(connection, "transport", "seat")
        states = connection.execute(
            select(reservation.c.state).order_by(reservation.c.held_at, reservation.c.transaction_id)
        )
        assert found is not None
        return found.taken, list(states.scalars())


def test_one_gets_it_and_the_other_is_told(council: Council, bus: Terminal) -> None:
    one, other = council.card(top_up_minor=2000), council.card(top_up_minor=2000)
    first = request_for(bus, one)
    assert bus.post(URL, message(first, one)).outcome == (200, "approved")
    assert seats(council) == (1, ["confirmed"])
    reply = bus.post(URL, message(request_for(bus, other), other))
    assert (reply.outcome, reply.json["decision"]) == ((200, "resource_taken"), "declined")
    assert council.balances(other.payer) == (2000, 0)
    # The same message again takes no second one; its annulment gives the seat back.
    assert bus.post(URL, message(first, one)).json["repeated"]
    assert bus.post(URL, annulment(bus, one, first.id)).outcome == (200, "annulled")
    assert seats(council) == (0, ["released"])
    assert bus.post(URL, message(request_for(bus, other), other)).outcome == (200, "approved")


def test_a_tariff_brings_its_resources_or_none_of_it_is_taken(council: Council, bus: Terminal) -> None:
    def load(version: str, **capacities: int) -> None:
        loaded = LoadedTariff(
            version=version, valid_from=LATER, content={"of": version}, report=(), capacities=capacities
        )
        with council.context.database.begin() as connection:
            store_tariff(connection, "transport", loaded, source="feed", actor="staff", moment=START)

    card = council.card(top_up_minor=2000)
    load("two", bench=3, seat=2)
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "approved")
    with pytest.raises(ResourceInvalid, match="transport seat cannot be 0: more is taken of it"):
        load("none", bench=1, seat=0)
    with council.context.database.reading() as connection:
        found = [read_resource(connection, "transport", key) for key in ("bench", "seat")]
        assert [(one.capacity, one.taken) for one in found if one is not None] == [(3, 0), (2, 1)]
        assert tariff_of_version(connection, "transport", "two") is not None
        assert tariff_of_version(connection, "transport", "none") is None


def test_an_advice_is_posted_all_the_same(council: Council, bus: Terminal) -> None:
    for flags in ([], ["resource_taken"]):
        card = council.card(top_up_minor=2000)
        reply = bus.post(URL, message(advice_of(bus, card), card))
        assert (reply.outcome, reply.json["flags"]) == ((200, "approved"), flags)
        assert council.balances(card.payer) == (2000 - FARE_MINOR, 0)
    assert seats(council) == (1, ["confirmed"])


def test_advices_in_a_chunk(council: Council, bus: Terminal) -> None:
    """What claims is posted by itself, and what follows of its payer after it."""
    card = council.card(top_up_minor=2000)
    found = chunk.answers(bus, [chunk.advice(advice_of(bus, card), card) for _ in range(2)])
    assert [entry["answer"]["flags"] for entry in found] == [[], ["resource_taken"]]
    assert council.balances(card.payer) == (2000 - 2 * FARE_MINOR, 0)
    assert seats(council) == (1, ["confirmed"])


def test_decided_under_the_lock(council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """There it is claimed on the connection that holds the lock."""
    monkeypatch.setattr(settling, "ATTEMPTS", 1)
    card = council.card(top_up_minor=2000)
    own = request_for(bus, card)
    missed = []

    def touching(*wanted: Any) -> None:
        claim(*wanted)
        missed.append(1)
        council.top_up(card, 100)

    monkeypatch.setattr(settling, "claim", touching)
    assert bus.post(URL, message(own, card)).outcome == (200, "approved")
    assert (missed, seats(council)) == ([1], (1, ["confirmed"]))


def test_what_died_between_is_settled(
    council: Council, bus: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the posting, before it was confirmed: the terminal repeats, and the worker confirms."""
    card = council.card(top_up_minor=2000)
    own = request_for(bus, card)

    def dies(*_: Any) -> None:
        raise SystemError

    with monkeypatch.context() as patched:
        patched.setattr(settling, "confirm", dies)
        assert bus.post(URL, message(own, card)).status == 500
    assert seats(council) == (1, ["held"])
    assert bus.post(URL, message(own, card)).outcome == (200, "approved")
    council.clock.advance(seconds=HELD_FOR.total_seconds())
    assert settle_reservations(council.context.database, council.clock()) == Settlement(1, 0)
    assert seats(council) == (1, ["confirmed"])


def test_who_cannot_pay_holds_nothing(council: Council, bus: Terminal) -> None:
    """Nothing is claimed for what is declined."""
    card: Card = council.card()
    assert bus.post(URL, message(request_for(bus, card), card)).outcome == (200, "insufficient_funds")
    assert seats(council) == (0, [])
