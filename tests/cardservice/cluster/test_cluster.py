"""The ledger's postings on a Citus cluster: one remote command each, flat memory, and a node killed."""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError

import cardservice
from cardservice.database import Database, connect, migrate
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.distributing import allow_changes, distribute, put_functions
from cardservice.ledger.errors import NotForClusters
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import locked, post, post_on
from cardservice.ledger.posting_postgresql import post as post_by_call
from cardservice.ledger.values import PAYER_PREPAID, Outcome
from tests.cardservice.ledger.postings import MOMENT, balances_of, sale, topup, view_of
from tests.support.citus import Cluster, running_cluster
from tests.support.told import PROPERTY

pytestmark = pytest.mark.long

Record = Callable[[str, object], None]
CALLS = 50_000
# What a session's caches may still grow by after so many calls, where nothing leaks
WARM_AFTER, SPARE_KB = 5_000, 24_000
PAYERS = 24
# The newest when ledgers were first divided
BEFORE = "0034"
FUNCTIONS = ("post_transactions", "read_for_messages")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster with the ledger's tables, divided."""
    with running_cluster() as made:
        migrate(made.url, BEFORE)
        engine = create_engine(made.url.replace("postgresql:", "postgresql+psycopg:"))
        assert distribute(engine)
        assert not distribute(engine)
        # Whatever newer revisions have put there, the functions are the cluster's.
        migrate(made.url)
        engine.dispose()
        yield made


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    """The divided ledger."""
    opened = connect(cluster.url)
    yield opened
    opened.dispose()


def payers(database: Database, count: int) -> list[PayerId]:
    """So many payers with money."""
    made = []
    for _ in range(count):
        with database.begin() as connection:
            made.append(create_payer(connection, "person", "GBP", MOMENT))
    post(database, [topup(payer, 0, 1_000_000) for payer in made])
    return made


def test_posted_known_changed_and_below_the_floor(database: Database) -> None:
    """Every outcome, of one and of many payers together, whatever nodes they are on."""
    every = payers(database, PAYERS)
    sold = [sale(payer, 1, 240) for payer in every]
    assert {one.outcome for one in post(database, sold)} == {Outcome.POSTED}
    assert {one.outcome for one in post(database, sold)} == {Outcome.KNOWN}
    assert {one.outcome for one in post(database, [sale(payer, 1, 240) for payer in every])} == {
        Outcome.VERSION_CHANGED
    }
    assert post(database, [sale(every[0], 2, 2_000_000)])[0].outcome is Outcome.BELOW_FLOOR
    assert {balances_of(database, payer)[PAYER_PREPAID] for payer in every} == {1_000_000 - 240}


def test_what_is_held_is_busy_and_decided_under_the_lock(database: Database) -> None:
    [payer] = payers(database, 1)
    with locked(database, [payer]) as connection:
        assert post(database, [sale(payer, 1, 240)], lock_timeout_s=0.1)[0].outcome is Outcome.BUSY
        assert post_on(connection, [sale(payer, 1, 240)])[0].outcome is Outcome.POSTED
    assert balances_of(database, payer)[PAYER_PREPAID] == 1_000_000 - 240


@pytest.mark.parametrize("table", ["ledger_transaction", "transfer"])
def test_what_was_posted_is_never_changed(database: Database, table: str) -> None:
    """The triggers hold on the nodes, too."""
    [payer] = payers(database, 1)
    with pytest.raises(DBAPIError, match="never changed"), database.begin() as connection:
        connection.execute(text(f"DELETE FROM {table} WHERE payer_id = :payer"), {"payer": payer})  # noqa: S608


def test_not_even_at_a_node_by_its_superuser(cluster: Cluster, database: Database) -> None:
    """Whoever goes past the coordinator finds the triggers there."""
    payers(database, PAYERS)
    for node in (1, 2):
        assert changes_refused(cluster, node)


def changes_refused(cluster: Cluster, node: int) -> int:
    """How many parts of the ledger lie at a node; none of them has been changed."""
    count = 0
    with psycopg.connect(cluster.node_url(node), autocommit=True) as session:
        # Citus itself would refuse it before.
        session.execute("SET citus.enable_manual_changes_to_shards = on")
        for table, column in (("ledger_transaction", "reason"), ("transfer", "unit")):
            for shard in cluster.shards(node, table):
                changes = [f"TRUNCATE {shard} CASCADE"]
                # Of what is there: the triggers are each row's.
                if session.execute(f"SELECT FROM {shard} LIMIT 1").fetchone() is not None:
                    changes += [f"UPDATE {shard} SET {column} = {column}", f"DELETE FROM {shard}"]  # noqa: S608
                for change in changes:
                    with pytest.raises(psycopg.Error, match="never changed"):
                        session.execute(change)
                count += 1
    return count


def test_a_migration_puts_the_functions_in_again(cluster: Cluster, database: Database) -> None:
    """A revision that changes them knows those for one node alone."""
    engine = create_engine(cluster.url.replace("postgresql:", "postgresql+psycopg:"))
    package = Path(cardservice.__file__).parent
    try:
        with engine.begin() as connection:
            ours = _definitions(connection)
            allow_changes(connection)
            for source in ("ledger/posting.sql", "authorisation/reading.sql"):
                connection.exec_driver_sql((package / source).read_text().replace("%", "%%"))
            assert ours.isdisjoint(_definitions(connection))
        migrate(cluster.url)
        with engine.begin() as connection:
            assert _definitions(connection) == ours
    finally:
        engine.dispose()
    [payer] = payers(database, 1)
    assert post(database, [sale(payer, 1, 240)])[0].outcome is Outcome.POSTED


def test_what_does_not_say_what_is_another_on_a_cluster_is_refused(cluster: Cluster) -> None:
    """Nothing is changed then: better the revision before than postings that lock every shard."""
    engine = create_engine(cluster.url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect() as connection:
            allow_changes(connection)
            source = (Path(cardservice.__file__).parent / "ledger" / "posting.sql").read_text()
            connection.exec_driver_sql(source.replace("%", "%%").replace("-- cluster: ", "-- "))
            with pytest.raises(NotForClusters):
                put_functions(connection)
    finally:
        engine.dispose()


def _definitions(connection: Connection) -> set[str]:
    query = text("SELECT pg_get_functiondef(to_regproc(:name))")
    return {str(connection.scalar(query, {"name": name})) for name in FUNCTIONS}


def test_a_posting_is_one_remote_command(cluster: Cluster, database: Database) -> None:
    """By what the coordinator logs of what it sends to the nodes."""
    every = payers(database, PAYERS)
    sent: list[str] = []
    with psycopg.connect(cluster.url, autocommit=True) as session:
        # The session asks once whether the ledger is divided.
        post_by_call(session, [sale(every[0], 1, 240)], True, 1.0)
        session.execute("SET citus.log_remote_commands = on")
        session.execute("SET client_min_messages = log")
        session.add_notice_handler(lambda notice: sent.append(str(notice.message_primary)))
        for payer in every[1:]:
            sent.clear()
            assert post_by_call(session, [sale(payer, 1, 240)], True, 1.0)[0].outcome is Outcome.POSTED
            issued = [one for one in sent if one.startswith("issuing")]
            assert len(issued) == 1, issued
            assert "post_one_by_one(" in issued[0]


def test_memory_stays_flat(cluster: Cluster, database: Database, record_property: Record) -> None:
    """Of the sessions at all nodes together, and of who calls, over 50,000 calls on one session."""
    every = payers(database, PAYERS)
    versions = dict.fromkeys(every, 1)
    before = own = 0
    began = time.monotonic()
    with psycopg.connect(cluster.url, autocommit=True) as session:
        # Else a session at a node is another after ten minutes, which a slow machine takes for so many calls.
        session.execute("SET citus.max_cached_connection_lifetime = '3h'")
        for number in range(CALLS):
            payer = every[number % len(every)]
            [done] = post_by_call(session, [sale(payer, versions[payer], 1)], True, 1.0)
            assert done.outcome is Outcome.POSTED
            versions[payer] += 1
            if number == WARM_AFTER:
                before, own = _private_kb(_sessions(cluster)), _private_kb([os.getpid()])
        after, own_after = _private_kb(_sessions(cluster)), _private_kb([os.getpid()])
    rate = CALLS / (time.monotonic() - began)
    record_property(
        PROPERTY,
        f"Citus: {CALLS} calls, {rate:.0f}/s; from {before} to {after} kB of sessions,"
        f" from {own} to {own_after} kB of who called",
    )
    assert after - before < SPARE_KB
    assert own_after - own < SPARE_KB


def test_a_node_is_killed_under_load(cluster: Cluster, database: Database, record_property: Record) -> None:
    """Nothing acknowledged is lost; who lies on the other node is served all the while."""
    homes = _homes(cluster, every := payers(database, PAYERS))
    acknowledged: dict[PayerId, list[TransactionId]] = defaultdict(list)
    dead, enough = threading.Event(), threading.Event()
    during: dict[int, int] = defaultdict(int)

    def ride(payer: PayerId) -> None:
        own = connect(cluster.url, pool_size=1)
        try:
            while not enough.is_set():
                _ride_once(own, payer, acknowledged[payer])
                during[homes[payer]] += dead.is_set()
        finally:
            own.dispose()

    riders = [threading.Thread(target=ride, args=(payer,)) for payer in every[:8]]
    killed, other = homes[every[0]], next(home for home in homes.values() if home != homes[every[0]])
    assert {homes[payer] for payer in every[:8]} == {killed, other}
    for rider in riders:
        rider.start()
    _until(lambda: all(len(acknowledged[payer]) > 10 for payer in every[:8]))
    cluster.kill(killed)
    during.clear()
    dead.set()
    _until(lambda: during[other] > 50)
    served = during[other]
    dead.clear()
    cluster.start()
    told = {payer: len(acknowledged[payer]) for payer in every[:8]}
    _until(lambda: all(len(acknowledged[payer]) > told[payer] + 5 for payer in every[:8]))
    enough.set()
    for rider in riders:
        rider.join()
    with database.reading() as connection:
        stored = set(
            connection.execute(text("SELECT id FROM ledger_transaction WHERE kind = 'request'")).scalars()
        )
    count = sum(len(ids) for ids in acknowledged.values())
    assert {one for ids in acknowledged.values() for one in ids} <= stored
    for payer in every[:8]:
        assert balances_of(database, payer)[PAYER_PREPAID] == 1_000_000 - len(acknowledged[payer])
    record_property(
        PROPERTY, f"Citus: a node killed, {count} acknowledged, none lost; {served} served meanwhile"
    )


def _ride_once(database: Database, payer: PayerId, acknowledged: list[TransactionId]) -> None:
    """Pay, and repeat with the same id until it is answered, as a terminal does."""
    posting = None
    while True:
        try:
            if posting is None:
                posting = sale(payer, view_of(database, payer).version, 1)
            [done] = post(database, [posting])
        except (DBAPIError, psycopg.OperationalError):
            time.sleep(0.05)
            continue
        if done.outcome in {Outcome.POSTED, Outcome.KNOWN}:
            acknowledged.append(posting.transaction.id)
            return
        assert done.outcome is Outcome.BUSY, done
        time.sleep(0.05)


def _homes(cluster: Cluster, every: list[PayerId]) -> dict[PayerId, int]:
    """On which node each payer lies."""
    query = (
        "SELECT nodeport FROM pg_dist_shard_placement"
        " WHERE shardid = get_shard_id_for_distribution_column('payer_state', %s::uuid)"
    )
    with psycopg.connect(cluster.url, autocommit=True) as session:
        return {
            payer: cluster.ports.index(session.execute(query, (payer,)).fetchall()[0][0]) for payer in every
        }


def _sessions(cluster: Cluster) -> list[int]:
    """All processes of all nodes."""
    return [pid for node in range(len(cluster.ports)) for pid in cluster.processes(node)]


def _private_kb(pids: list[int]) -> int:
    """Memory that belongs to one of these processes alone."""
    total = 0
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        total += next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)
    return total


def _until(found: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)
