"""A node is added to a Citus cluster and shards are moved to it, while everybody pays."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psycopg
import pytest
from sqlalchemy import func, select

from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.models import ledger_transaction
from cardservice.upkeep import keep_up
from tests.cardservice.cluster.conftest import FUNDS_MINOR, Divided, divided_over
from tests.cardservice.cluster.test_cluster import changes_refused
from tests.support.citus import running_cluster
from tests.support.council import FARE_MINOR, Card, Terminal, message, request_for
from tests.support.told import PROPERTY

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]
RIDERS, LIMIT_S = 2, 300
ON_NODE = "SELECT count(*) FROM pg_dist_shard_placement WHERE nodeport = %s"


def test_shards_are_moved_to_a_new_node_under_load(tmp_path: Path, record_property: Record) -> None:
    """Nothing is refused, lost or twice; what was posted before, meanwhile and after has its number."""
    with running_cluster(workers=3) as cluster, psycopg.connect(cluster.url, autocommit=True) as session:
        new = ("127.0.0.1", cluster.ports[3])
        session.execute("SELECT citus_remove_node(%s, %s)", new)
        with divided_over(cluster, tmp_path) as divided, _Riders(divided) as riders:
            riders.go_on()
            session.execute("SELECT citus_add_node(%s, %s)", new)
            # The new node begins a round, as the worker has it do, before there is anything on it.
            keep_up(divided.council.context)
            riders.go_on()
            before = riders.count()
            session.execute("SELECT rebalance_table_shards('payer', shard_transfer_mode := 'force_logical')")
            moved = session.execute(ON_NODE, (cluster.ports[3],)).fetchone()
            assert moved is not None
            assert moved[0] > 0
            # The triggers have come along.
            assert changes_refused(cluster, 3)
            meanwhile = riders.count() - before
            keep_up(divided.council.context)
            riders.go_on()
            riders.stop()
            _all_there(divided, riders)
    record_property(
        PROPERTY,
        f"Citus: {moved[0]} shards moved to a new node, {meanwhile} paid meanwhile,"
        f" {riders.again} told to come again; {riders.count()} paid in all, none lost",
    )


class _Riders:
    """Cards pay until the end of the block."""

    def __init__(self, divided: Divided) -> None:
        self.paid: dict[Card, int] = dict.fromkeys(divided.cards, 0)
        self.failed: list[object] = []
        self.again = 0
        self._enough = threading.Event()
        some = [divided.cards[number::RIDERS] for number in range(RIDERS)]
        self._threads = [
            threading.Thread(target=self._ride, args=(divided.council.terminal(f"moved-{number}"), cards))
            for number, cards in enumerate(some)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def count(self) -> int:
        """How many have paid."""
        return sum(self.paid.values())

    def go_on(self) -> None:
        """Return when each card has paid again."""
        before, deadline = dict(self.paid), time.monotonic() + LIMIT_S
        while any(self.paid[card] < count + 2 for card, count in before.items()):
            assert not self.failed, self.failed
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        """Let them end."""
        self._enough.set()
        for thread in self._threads:
            thread.join(LIMIT_S)

    def _ride(self, terminal: Terminal, cards: tuple[Card, ...]) -> None:
        while not self._enough.is_set():
            for card in cards:
                body = message(request_for(terminal, card), card)
                while (answer := terminal.post("/v1/authorisations", body)).status == 503:
                    self.again += 1
                if answer.outcome != (200, "approved"):
                    self.failed.append(answer)
                    return
                self.paid[card] += 1


def _all_there(divided: Divided, riders: _Riders) -> None:
    """Each card has paid what it was told, everything is numbered, and the ledger is right."""
    council = divided.council
    assert not riders.failed
    for card, count in riders.paid.items():
        assert council.balances(card.payer)[0] == FUNDS_MINOR - count * FARE_MINOR
    keep_up(council.context)
    with council.context.database.reading() as connection:
        stored = connection.scalar(select(func.count()).select_from(ledger_transaction))
        assert connection.scalar(select(func.count()).select_from(ledger_sequence)) == stored
    report = divided.stack.run("cardservice", "ledger", "verify", "--whole", "--json").json
    assert report["findings"] == [], report
