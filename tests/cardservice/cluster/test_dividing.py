"""A ledger that has been at work is divided over a Citus cluster: one machine became too small."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from cardservice.api.app import create_app
from cardservice.config import load_settings
from cardservice.context import open_context
from cardservice.ledger.distributing import BY_PAYER
from cardservice.upkeep import keep_up
from tests.support.citus import Cluster, running_cluster
from tests.support.council import FARE_MINOR, ORIGIN, Card, Council, StandingClock, message, request_for
from tests.support.stack import Stack

pytestmark = pytest.mark.long

CARDS, FUNDS_MINOR, URL = 6, 5_000, "/v1/authorisations"


@pytest.fixture
def at_work(tmp_path: Path) -> Iterator[tuple[Cluster, Stack, Council, tuple[Card, ...]]]:
    """A council that has a coordinator and two workers beside it, and lies on the coordinator alone."""
    with running_cluster() as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as session:
            session.execute("CREATE ROLE service LOGIN")
        url = cluster.url.replace("postgres@", "service@")
        stack = Stack(tmp_path, url, cluster.url, "GBP", "Europe/London")
        stack.install("ashcombe")
        clock = StandingClock(datetime.now(UTC))
        context = open_context(load_settings(stack.programs({"CARDSERVICE_PUBLIC_ORIGIN": ORIGIN})), clock)
        try:
            council = Council(context, create_app(context).test_client(), clock)
            council.provider()
            council.load_fares()
            cards = tuple(council.card(top_up_minor=FUNDS_MINOR) for _ in range(CARDS))
            yield cluster, stack, council, cards
        finally:
            context.close()


def test_what_was_posted_is_divided_with_it(
    at_work: tuple[Cluster, Stack, Council, tuple[Card, ...]],
) -> None:
    """Numbered, sealed, and not numbered yet; it is known and right, goes on, and lies nowhere else."""
    cluster, stack, council, cards = at_work
    terminal = council.terminal("all-along")
    bodies = [message(request_for(terminal, card), card) for card in cards]
    assert {terminal.post(URL, body).outcome for body in bodies} == {(200, "approved")}
    council.clock.advance(days=1)
    assert len(keep_up(council.context).sealed) == 1
    late = message(request_for(terminal, cards[0]), cards[0])
    assert terminal.post(URL, late).outcome == (200, "approved")
    # The service is stopped meanwhile.
    council.context.database.dispose()
    assert stack.run("cardservice", "distribute", "--json").json["done"]
    assert not stack.run("cardservice", "distribute", "--json").json["done"]
    for body in (*bodies, late):
        again = terminal.post(URL, body)
        assert (again.outcome, again.json["repeated"]) == ((200, "approved"), True)
    for card in cards:
        assert terminal.post(URL, message(request_for(terminal, card), card)).outcome == (200, "approved")
    for card in cards:
        paid = 3 if card is cards[0] else 2
        assert council.balances(card.payer) == (FUNDS_MINOR - paid * FARE_MINOR, 0)
    assert keep_up(council.context).numbered == 1 + CARDS
    council.clock.advance(days=1)
    assert len(keep_up(council.context).sealed) == 1
    report = stack.run("cardservice", "ledger", "verify", "--whole", "--json").json
    assert report["findings"] == [], report
    with psycopg.connect(cluster.url, autocommit=True) as session:
        left = {name: session.execute("SELECT pg_relation_size(%s)", (name,)).fetchone() for name in BY_PAYER}
    assert set(left.values()) == {(0,)}, left


def test_what_lies_on_a_cluster_is_not_divided_by_months(
    at_work: tuple[Cluster, Stack, Council, tuple[Card, ...]],
) -> None:
    """It is said, and nothing is changed."""
    _, stack, council, (card, *_) = at_work
    council.context.database.dispose()
    stack.run("cardservice", "distribute")
    refused = stack.attempt("cardservice", "ledger", "partition")
    assert refused.status == 1
    assert "lies on a cluster" in refused.err
    terminal = council.terminal("after-all")
    assert terminal.post(URL, message(request_for(terminal, card), card)).outcome == (200, "approved")
