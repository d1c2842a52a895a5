"""The whole service over a Citus cluster, at work: a node is killed while everybody pays, by the API."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
import pytest
import requests

from cardservice.advices.views import CHUNK_PATH
from cardservice.advices.wire import MEDIA_TYPE, join
from pki.request_signatures import sign_request
from tests.cardservice.advices.chunk import advice
from tests.faults.test_killed import settle
from tests.faults.town import TIMEOUT_S, FaultTown, town_on, verified
from tests.support.citus import Cluster, running_cluster
from tests.support.council import Terminal, advice_of, new_id
from tests.support.stack import Stack
from tests.support.told import PROPERTY

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]
FARES = 40


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, FaultTown]]:
    """A town that is served from a cluster."""
    with running_cluster() as cluster:
        with psycopg.connect(cluster.url, autocommit=True) as session:
            session.execute("CREATE ROLE service LOGIN")
        url = cluster.url.replace("postgres@", "service@")
        stack = Stack(tmp_path_factory.mktemp("served"), url, cluster.url, "GBP", "Europe/London")
        with town_on(stack, None, lambda made: made.run("cardservice", "distribute")) as town:
            yield cluster, town


def test_a_node_is_killed_under_load(served: tuple[Cluster, FaultTown], record_property: Record) -> None:
    """Nothing acknowledged is lost; who lies on the other node is served all the while; then everybody is.

    The worker waits for the node, and numbers, seals and verifies what there is when it is back.
    """
    cluster, town = served
    homes = {card.id: _home(cluster, card.payer) for _, cards in town.people for card in cards}
    assert set(homes.values()) == {1, 2}
    town.start_worker()
    with town.ridden() as ride:
        ride.go_on(FARES)
        cluster.kill(1)
        # Only those can be answered whose node lives.
        before = set(ride.told.answered)
        ride.go_on(FARES)
        meanwhile = set(ride.told.answered) - before
        cluster.start()
        ride.go_on(FARES)
    town.stop_worker()
    said = settle(town, ride.told)
    with psycopg.connect(cluster.url, autocommit=True) as session:
        rows = session.execute(
            "SELECT id, payer_id FROM ledger_transaction WHERE id = ANY (%s)", (list(meanwhile),)
        ).fetchall()
    served_by = {_home(cluster, payer) for _, payer in rows}
    assert 2 in served_by
    verified(town.stack)
    record_property(
        PROPERTY, f"Citus, by the API: a node killed, {len(meanwhile)} answered meanwhile: {said}"
    )


def test_a_node_hangs_under_load(served: tuple[Cluster, FaultTown], record_property: Record) -> None:
    """It takes connections and answers nothing: the other's are served, and everybody when it goes on.

    Its own wait for no longer than a turn may take, and are told at once from then on.
    """
    cluster, town = served
    home_of = {card.payer: _home(cluster, card.payer) for _, cards in town.people for card in cards}
    log = town.stack.root / "service.log"

    def said_of_it(what: str) -> int:
        return log.read_text().count(f"the node 127.0.0.1:{cluster.ports[1]} {what}")

    failed, back = said_of_it("does not answer"), said_of_it("answers again")
    with town.ridden(seed=2) as ride:
        ride.go_on(FARES)
        hanging = cluster.hang(1)
        try:
            town.until(lambda: said_of_it("does not answer") > failed)
            answered = set(ride.told.answered)
            ride.go_on(FARES)
            meanwhile = set(ride.told.answered) - answered
        finally:
            cluster.go_on(hanging)
        town.until(lambda: said_of_it("answers again") > back)
        ride.go_on(FARES)
    said = settle(town, ride.told)
    with psycopg.connect(cluster.url, autocommit=True) as session:
        rows = session.execute(
            "SELECT payer_id FROM ledger_transaction WHERE id = ANY (%s)", (list(meanwhile),)
        ).fetchall()
    assert {home_of[payer] for (payer,) in rows} == {2}
    verified(town.stack)
    record_property(PROPERTY, f"Citus, by the API: a node hung, {len(meanwhile)} answered meanwhile: {said}")


def test_what_reads_a_node_that_hangs_is_told_so(served: tuple[Cluster, FaultTown]) -> None:
    """Refunds and chunks, which have no lane: the node is named, and whoever lies on the other is answered.

    When it goes on they are answered, too; what was given up has posted nothing, or once.
    """
    cluster, town = served
    of_node = {_home(cluster, cards[0].payer): (terminal, cards[0]) for terminal, cards in town.people}
    node = f"127.0.0.1:{cluster.ports[1]}"
    terminal, card = of_node[1]
    terminal.clock.moment = datetime.now(UTC)
    chunk = join([advice(advice_of(terminal, card), card)])

    def refund(home: int) -> requests.Response:
        owner, own = of_node[home]
        wish = {"id": str(new_id()), "card": str(own.id), "sale": str(new_id())}
        return _post(town, owner, "/v1/refunds", "application/json", json.dumps(wish).encode())

    hanging = cluster.hang(1)
    try:
        assert refund(2).status_code == 422
        refused = [refund(1), _post(town, terminal, CHUNK_PATH, MEDIA_TYPE, chunk)]
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
            assert node in answer.json()["detail"]
            assert answer.headers["Retry-After"]
        assert refund(2).status_code == 422
    finally:
        cluster.go_on(hanging)
    assert refund(1).status_code == 422
    for _ in range(2):
        [told] = _post(town, terminal, CHUNK_PATH, MEDIA_TYPE, chunk).json()["answers"]
        assert told["answer"]["reason"] == "approved"
    assert told["answer"]["repeated"]
    verified(town.stack)


def _post(town: FaultTown, terminal: Terminal, path: str, media_type: str, data: bytes) -> requests.Response:
    url, content = town.stack.origin + path, {"Content-Type": media_type}
    headers = sign_request("POST", url, content, data, terminal.key, terminal.id, datetime.now(UTC))
    return requests.post(url, data=data, headers=headers, timeout=TIMEOUT_S)


def _home(cluster: Cluster, payer: object) -> int:
    query = (
        "SELECT nodeport FROM pg_dist_shard_placement"
        " WHERE shardid = get_shard_id_for_distribution_column('payer_state', %s::uuid)"
    )
    with psycopg.connect(cluster.url, autocommit=True) as session:
        return cluster.ports.index(session.execute(query, (payer,)).fetchall()[0][0])
