"""`start_up`, `worker_memory`, `cluster_posting`: what running the service takes, beside what it does.

A cluster is there where the tools beside the project are; elsewhere its measurement says why it is not.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from statistics import median

import psycopg
import pytest
from sqlalchemy import create_engine, make_url

from cardservice.database import connect, migrate
from cardservice.ids import PayerId
from cardservice.ledger.distributing import distribute
from cardservice.ledger.payers import create_payer
from cardservice.ledger.posting import post
from cardservice.ledger.posting_postgresql import post as post_by_call
from cardservice.ledger.values import Outcome
from tests.benchmarks.authorisation import THREADS, Load
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, require_right
from tests.benchmarks.town import Town, populate, running_town, town_on
from tests.cardservice.ledger.postings import MOMENT, sale, topup
from tests.support.citus import running_cluster
from tests.support.databases import OWNER, PostgresServer
from tests.support.stack import Stack

START_UP, MEMORY, CLUSTER = "start_up", "worker_memory", "cluster_posting"
STARTS = 5
REQUESTS, AT_ONCE = 100_000, 10_000
PAYERS = 32
RIDERS = 200


def start_up(
    server: PostgresServer, _: float, say: Callable[[str], None], *, starts: int = STARTS
) -> Measurement:
    """From `cardservice serve` to the first answer that it is ready, with nothing imported beforehand."""
    took_s: list[float] = []
    with (
        tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder,
        running_town(server, Path(folder), cards=1, terminals=1) as town,
    ):
        for _number in range(starts):
            town.stack.stop_service()
            begun = time.perf_counter()
            town.stack.start_service()
            took_s.append(time.perf_counter() - begun)
    say(f"{START_UP}: {', '.join(f'{each:.2f}' for each in took_s)} s")
    return Measurement(
        key=START_UP,
        what="from `cardservice serve` to the first answer of `/healthz/ready`, two processes on PostgreSQL",
        value=median(took_s) * 1000,
        unit="ms",
        detail={"starts, s": [round(each, 2) for each in took_s]},
    )


def memory(
    server: PostgresServer, seconds: float, say: Callable[[str], None], *, count: int = REQUESTS
) -> Measurement:
    """What a process of the service has for itself after so many requests, beside after a tenth of them."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder,
        ProcessPoolExecutor(THREADS, context) as pool,
    ):
        requests, root = Path(folder, "requests"), Path(folder, "town")
        requests.mkdir()
        root.mkdir()
        with running_town(server, root) as town:
            load = Load(town, pool, requests, 1)
            early_mb: list[float] = []
            while load.accepted < count:
                load.slice(seconds, AT_ONCE)
                early_mb = early_mb or (_private_mb(town) if load.accepted >= count // 10 else [])
                say(f"{MEMORY}: {load.accepted:,} requests, {_private_mb(town)} MB")
            found_mb = _private_mb(town)
            require_right(town.stack.service_url, MEMORY)
            accepted = load.accepted
    return Measurement(
        key=MEMORY,
        what="private memory of the larger of the service's processes after single fares over HTTP",
        value=max(found_mb),
        unit="MB",
        detail={
            "requests answered with 200, by all processes": accepted,
            "each process after a tenth of them, MB": early_mb,
            "each process after all, MB": found_mb,
        },
    )


def cluster(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """Single postings, and authorisations by the API, on a Citus cluster and on one node in the same run."""
    what = "single postings of one session on a Citus cluster of a coordinator and two workers; on one node"
    plain = server.url(server.create(), OWNER)
    try:
        with running_cluster() as nodes:
            alone = _rate(plain, seconds)
            divided = _rate(nodes.url, seconds, is_cluster=True)
        by_api = [_authorised(town, seconds) for town in (_town(server), _divided_town())]
    except pytest.skip.Exception as skipped:
        say(f"{CLUSTER} is left out: {skipped}")
        return Measurement(key=CLUSTER, what=what, unit="", detail={"left out": str(skipped)})
    say(f"{CLUSTER}: {divided:,.0f} a second beside {alone:,.0f} on one node")
    say(f"{CLUSTER}: authorisations {by_api[1]:,.0f} a second beside {by_api[0]:,.0f} on one node")
    return Measurement(
        key=CLUSTER,
        what=what,
        rate=divided,
        baseline=alone,
        detail={
            "on one node, transactions/s": round(alone),
            "authorisations over HTTP on one node, and on the cluster, 1/s": [round(each) for each in by_api],
            "the cluster's nodes share this machine": True,
        },
    )


@contextmanager
def _town(server: PostgresServer) -> Iterator[Town]:
    """Riders and a running service, on one node."""
    with (
        tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder,
        running_town(server, Path(folder), cards=RIDERS, terminals=THREADS) as town,
    ):
        yield town


@contextmanager
def _divided_town() -> Iterator[Town]:
    """The same on a cluster."""
    with running_cluster() as nodes, tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        with psycopg.connect(nodes.url, autocommit=True) as session:
            session.execute("CREATE ROLE service LOGIN")
        service = nodes.url.replace("postgres@", "service@")
        stack = Stack(Path(folder), service, nodes.url, "GBP", "Europe/London")
        with town_on(stack, populate, RIDERS, THREADS, _divide) as town:
            yield town


def _divide(stack: Stack) -> None:
    stack.run("cardservice", "distribute")


def _authorised(made: AbstractContextManager[Town], seconds: float) -> float:
    """Single fares that were answered in a second, each of them found in the ledger."""
    context = multiprocessing.get_context("spawn")
    with (
        made as town,
        tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder,
        ProcessPoolExecutor(THREADS, context) as pool,
    ):
        load = Load(town, pool, Path(folder), 1)
        return load.slice(seconds, AT_ONCE).rate


def _rate(url: str, seconds: float, *, is_cluster: bool = False) -> float:
    migrate(url)
    if is_cluster:
        engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
        distribute(engine)
        engine.dispose()
    payers = _payers(url)
    versions = dict.fromkeys(payers, 1)
    with psycopg.connect(url, autocommit=True) as session:
        done, begun = 0, time.perf_counter()
        while (passed := time.perf_counter() - begun) < seconds:
            payer = payers[done % len(payers)]
            [result] = post_by_call(session, [sale(payer, versions[payer], 1)], True, 1.0)
            if result.outcome is not Outcome.POSTED:
                raise BenchmarkFailed(f"{CLUSTER}: a posting came to {result.outcome}")
            versions[payer] += 1
            done += 1
    return done / passed


def _payers(url: str) -> list[PayerId]:
    database = connect(url)
    try:
        made = []
        for _ in range(PAYERS):
            with database.begin() as connection:
                made.append(create_payer(connection, "person", "GBP", MOMENT))
        post(database, [topup(payer, 0, 10_000_000) for payer in made])
    finally:
        database.dispose()
    return made


def _private_mb(town: Town) -> list[float]:
    """Of each process that serves: what it shares with none other, the largest last."""
    pid = town.stack.service_pid
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        lines = Path(f"/proc/{child}/status").read_text().splitlines()
        found.append(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")))
    return sorted(round(each, 1) for each in found)
