"""Leisure through the service's door: places are taken and given back, visits are bought and made."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from cardservice.ledger.resources import read_resource
from pki.statements import details_hmac
from tests.cardservice.services.leisure_tariffs import written
from tests.support.council import SALT, Card, Council, Reply, Terminal, annulment, message, request_for

URL = "/v1/authorisations"
POOL = {"activity": "swim", "session": "early"}


@dataclass(frozen=True, slots=True)
class Pool:
    """A gate, at the moment at which the early session, of one place, begins."""

    council: Council
    gate: Terminal

    def ask(self, card: Card, action: str, details: Mapping[str, str], amount_minor: int = 0) -> Reply:
        """Ask for an entry, a booking or a product at its price."""
        own = request_for(
            self.gate,
            card,
            service="leisure",
            action=action,
            amount_minor=amount_minor,
            details_hmac=details_hmac(SALT, dict(details)),
        )
        return self.gate.post(URL, message(own, card, details=dict(details)))

    def places(self, session: str) -> tuple[int, int]:
        """How many a session has, and how many are taken."""
        with self.council.context.database.reading() as connection:
            found = read_resource(connection, "leisure", session)
        assert found is not None
        return found.capacity, found.taken


@pytest.fixture
def pool(council: Council, tmp_path: Path) -> Pool:
    """The tests' tariff, loaded."""
    council.load("leisure", written(tmp_path))
    return Pool(council, council.terminal("gate-1", "gate"))


def test_a_session_lets_in_as_many_as_it_has_places(pool: Pool) -> None:
    one, other = pool.council.card("adult", top_up_minor=2000), pool.council.card("guest")
    booked = pool.ask(one, "book", {"session": "late"}, 420)
    assert (booked.outcome, pool.places("late")) == ((200, "approved"), (2, 1))
    entered = pool.ask(one, "entry", POOL, 420)
    assert (entered.outcome, pool.places("early")) == ((200, "approved"), (1, 1))
    # A visitor's card lets in without paying, where there is a place.
    by_pass = {**POOL, "by": "pass"}
    assert pool.ask(other, "entry", by_pass).outcome == (200, "resource_taken")
    assert pool.council.balances(one.payer) == (2000 - 2 * 420, 0)
    # Hours later nobody pays again for the place that was booked; and it is one.
    pool.council.clock.advance(seconds=9 * 3600)
    late = {"activity": "swim", "session": "late", "by": "booking"}
    assert pool.ask(one, "entry", late).outcome == (200, "approved")
    assert pool.ask(one, "entry", late).outcome == (200, "not_booked")
    assert pool.places("late") == (2, 1)


def test_what_is_annulled_gives_the_place_and_the_visit_back(pool: Pool) -> None:
    card = pool.council.card("member", top_up_minor=5000)
    by_pass = {**POOL, "by": "pass"}
    own = request_for(
        pool.gate,
        card,
        service="leisure",
        action="entry",
        amount_minor=0,
        details_hmac=details_hmac(SALT, by_pass),
    )
    assert pool.gate.post(URL, message(own, card, details=by_pass)).outcome == (200, "approved")
    assert pool.gate.post(URL, annulment(pool.gate, card, own.id)).outcome == (200, "annulled")
    assert pool.places("early") == (1, 0)
    assert pool.ask(card, "entry", by_pass).outcome == (200, "approved")


def test_visits_are_bought_and_made(pool: Pool) -> None:
    card = pool.council.card("adult", top_up_minor=5000)
    by_visits = {"activity": "gym", "by": "visits"}
    assert pool.ask(card, "entry", by_visits).outcome == (200, "not_entitled")
    assert pool.ask(card, "buy", {"product": "ten-gyms"}, 4000).outcome == (200, "approved")
    for reason in [*["approved"] * 10, "visits_used_up"]:
        assert pool.ask(card, "entry", by_visits).outcome == (200, reason)
    assert pool.council.balances(card.payer) == (1000, 0)
