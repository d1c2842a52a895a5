"""A council's service over a cluster, set up by the console scripts; one for each module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from cardservice.api.app import create_app
from cardservice.config import load_settings
from cardservice.context import open_context
from tests.support.citus import Cluster, running_cluster
from tests.support.council import ORIGIN, Card, Council, StandingClock
from tests.support.stack import Stack

CARDS, FUNDS_MINOR = 8, 1_000_000


@dataclass(frozen=True, slots=True)
class Divided:
    """A council's service over a cluster, by the role that owns nothing."""

    cluster: Cluster
    council: Council
    cards: tuple[Card, ...]
    stack: Stack


@pytest.fixture(scope="module")
def divided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Divided]:
    """A service of each module's own, whose coordinator says in its log what it sends to the nodes."""
    with running_cluster() as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as session:
            session.execute("ALTER DATABASE ledger SET citus.log_remote_commands = on")
            session.execute("ALTER DATABASE ledger SET log_min_messages = notice")
        with divided_over(cluster, tmp_path_factory.mktemp("divided")) as made:
            yield made


@contextmanager
def divided_over(cluster: Cluster, root: Path) -> Iterator[Divided]:
    """Set up by the console scripts, with people who have money."""
    with psycopg.connect(cluster.url, autocommit=True) as session:
        session.execute("CREATE ROLE service LOGIN")
    url = cluster.url.replace("postgres@", "service@")
    stack = Stack(root, url, cluster.url, "GBP", "Europe/London")
    stack.install("ashcombe")
    assert stack.run("cardservice", "distribute", "--json").json["done"]
    clock = StandingClock(datetime.now(UTC))
    context = open_context(load_settings(stack.programs({"CARDSERVICE_PUBLIC_ORIGIN": ORIGIN})), clock)
    try:
        council = Council(context, create_app(context).test_client(), clock)
        council.provider()
        council.load_fares()
        cards = tuple(council.card(top_up_minor=FUNDS_MINOR) for _ in range(CARDS))
        yield Divided(cluster, council, cards, stack)
    finally:
        context.close()
