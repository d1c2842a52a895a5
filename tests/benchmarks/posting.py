"""`post_single`, `post_batch_32` and `hot_provider`: read, then post, by several processes.

By the two calls that an authorisation makes (`cardservice.authorisation.exchange`), for cards that are on
record. No signature is checked and no rule asked: what is left is what the ledger and its database cost.
"""

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from statistics import median, quantiles
from threading import Barrier
from uuid import UUID

import psycopg

from cardservice.authorisation.exchange import DirectExchange
from cardservice.authorisation.found import Found, Wanted
from cardservice.database import connect
from cardservice.ids import CardId, KeyId, ProviderId, TerminalId, TransactionId, new_id
from cardservice.ledger.values import (
    PAYER_PREPAID,
    NewDetails,
    NewProof,
    NewTransaction,
    NewTransfer,
    Outcome,
    Posting,
    provider_payable,
)
from tests.benchmarks.filling import CURRENCY, OPENING_MINOR, fill_payers, vacuum
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import SLICES, BenchmarkFailed, administrator_url, checkpoint, require_right
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer, prepare

PAYERS = 100_000
FARE_MINOR = 240
# As many as TPC-B has clients.
PROCESSES = 8
WARM_UP_CALLS = 20
START_TIMEOUT_S = 120.0
PROVIDERS, HOT_CLIENTS = 20, 64
# About the size of what an authorisation stores: evidence of 430 bytes, an answer of 600.
_CIPHERTEXT = bytes(430)
_ANSWER = {"given": {"message": "x" * 500}, "inputs": {"tariff": "y" * 60}}
_MOMENT = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ledger:
    """A migrated database with cards whose payers have money."""

    owner_url: str
    service_url: str
    cards: Sequence[CardId]


@dataclass(frozen=True, slots=True)
class Slice:
    """What the processes did together in one slice."""

    posted: int
    seconds: float
    latencies_ms: Sequence[float]
    again: int

    @property
    def rate(self) -> float:
        """Transactions posted a second."""
        return self.posted / self.seconds


@dataclass(slots=True)
class _Worker:
    """What one process has counted."""

    posted: int = 0
    warm_up: int = 0
    again: int = 0
    begun: float = 0.0
    ended: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)


def fill(server: PostgresServer, payers: int = PAYERS) -> Ledger:
    """A new ledger in which every payer has paid in, so that it adds up from the start."""
    name = server.create()
    owner_url = server.url(name, OWNER)
    prepare(owner_url)
    cards = fill_payers(owner_url, payers)
    fill_top_ups(owner_url)
    return Ledger(owner_url, server.url(name, SERVICE_ROLE), cards)


def fill_top_ups(owner_url: str) -> None:
    """What says that those who were filled in have paid in."""
    with psycopg.connect(administrator_url(owner_url)) as connection:
        for statement in _PAID_IN:
            connection.execute(statement, {"unit": CURRENCY, "amount": OPENING_MINOR})
    vacuum(owner_url)


_PAID_IN = (
    """
    INSERT INTO ledger_transaction (payer_id, id, origin, kind, decision, reason, amount_minor, unit, offline,
        flags, body, occurred_at, posted_at)
    SELECT payer, top_up, 'payment', 'topup', 'approved', 'approved', %(amount)s, %(unit)s, false,
        '[]', '\\x00', now(), now() FROM bench.filling
    """,
    """
    INSERT INTO transfer (payer_id, transaction_id, line, debit, credit, amount_minor, unit)
    SELECT payer, top_up, 1, 'scheme:clearing:cash', 'payer:prepaid', %(amount)s, %(unit)s FROM bench.filling
    """,
)


def measure(
    ledger: Ledger,
    key: str,
    batch: int,
    seconds: float,
    say: Callable[[str], None],
    *,
    processes: int = PROCESSES,
    slices: int = SLICES,
    providers: int = PROVIDERS,
) -> Measurement:
    """The median slice; raises BenchmarkFailed unless the ledger holds exactly what was posted."""
    before = stored_requests(ledger)
    done: list[Slice] = []
    for number in range(slices):
        found, posted = run_slice(ledger, batch, seconds, processes, providers)
        before += posted
        if (stored := stored_requests(ledger)) != before:
            raise BenchmarkFailed(f"{key}: {stored} transactions are stored, {before} were posted")
        done.append(found)
        say(f"{key}: slice {number + 1}: {found.rate:,.0f} transactions/s")
    require_right(ledger.service_url, key)
    latencies = [latency for found in done for latency in found.latencies_ms]
    together = "one at a time" if batch == 1 else f"{batch} a call"
    return Measurement(
        key=key,
        what=f"read and post {together} by {processes} processes by an authorisation's two calls, {PAYERS:,} "
        "cards at random, with proof and details; latency is of one read and post",
        rate=median(found.rate for found in done),
        p50_ms=median(latencies),
        p99_ms=quantiles(latencies, n=100)[98],
        detail={
            "slices, transactions/s": [round(found.rate) for found in done],
            "posted and found in the ledger": sum(found.posted for found in done),
            "decided again (payer busy or changed)": sum(found.again for found in done),
        },
    )


def measure_hot_provider(
    ledger: Ledger, seconds: float, say: Callable[[str], None], *, slices: int = SLICES
) -> Measurement:
    """One provider's sales ÷ sales of many providers, slice by slice in turn, by 64 clients in all."""
    batch = HOT_CLIENTS // PROCESSES
    pairs = []
    for number in range(slices):
        hot, uniform = (
            measure(ledger, "hot_provider", batch, seconds, lambda _: None, slices=1, providers=providers)
            for providers in (1, PROVIDERS)
        )
        pairs.append((hot.rate or 0.0, uniform.rate or 0.0))
        say(f"hot_provider: slice {number + 1}: {pairs[-1][0]:,.0f} ÷ {pairs[-1][1]:,.0f} transactions/s")
    return Measurement(
        key="hot_provider",
        what=f"{HOT_CLIENTS} sales at a time, {batch} a call by {PROCESSES} processes, all for one provider "
        f"÷ for {PROVIDERS} providers; the median of pairs of slices",
        value=median(hot / uniform for hot, uniform in pairs),
        unit="of uniform",
        detail={
            "one provider, transactions/s": [round(hot) for hot, _ in pairs],
            "many providers, transactions/s": [round(uniform) for _, uniform in pairs],
        },
    )


def run_slice(
    ledger: Ledger, batch: int, seconds: float, processes: int, providers: int = PROVIDERS
) -> tuple[Slice, int]:
    """One slice, and how many transactions were posted in all, warming up included."""
    checkpoint(administrator_url(ledger.owner_url))
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes, timeout=START_TIMEOUT_S)
    with ProcessPoolExecutor(processes, context, _begin_process, (barrier,)) as pool:
        work = [
            pool.submit(_work, ledger.service_url, ledger.cards, batch, seconds, providers)
            for _ in range(processes)
        ]
        workers = [future.result() for future in work]
    span = max(worker.ended for worker in workers) - min(worker.begun for worker in workers)
    found = Slice(
        posted=sum(worker.posted for worker in workers),
        seconds=span,
        latencies_ms=[latency for worker in workers for latency in worker.latencies_ms],
        again=sum(worker.again for worker in workers),
    )
    return found, found.posted + sum(worker.warm_up for worker in workers)


def stored_requests(ledger: Ledger) -> int:
    """How many approved requests the ledger holds."""
    with psycopg.connect(ledger.owner_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM ledger_transaction WHERE kind = 'request' AND decision = 'approved'"
        ).fetchone()
    return 0 if row is None else int(row[0])


_barrier: Barrier


def _begin_process(barrier: Barrier) -> None:
    global _barrier  # noqa: PLW0603 - a barrier reaches a process only when it is started
    _barrier = barrier


def _work(url: str, cards: Sequence[CardId], batch: int, seconds: float, providers: int) -> _Worker:
    """In a process of its own: warm up, wait for the others, and post until the time is over."""
    database, chooser, done = connect(url, pool_size=1), random.Random(), _Worker()  # noqa: S311 - no secret
    exchange = DirectExchange(database)

    def once() -> int:
        wanted = [_wanted(card) for card in chooser.sample(cards, batch)]
        posted = 0
        while wanted:
            postings = [
                _posting(found, one.id, providers)
                for one, found in zip(wanted, exchange.read(wanted), strict=True)
            ]
            again = []
            for one, result in zip(wanted, exchange.post(postings), strict=True):
                if isinstance(result, Exception):
                    raise result
                if result.outcome is Outcome.POSTED:
                    posted += 1
                elif result.outcome in {Outcome.VERSION_CHANGED, Outcome.BUSY}:
                    again.append(one)
                else:
                    raise BenchmarkFailed(f"a sale within the balance came to {result.outcome}")
            done.again += len(again)
            wanted = again
        return posted

    done.warm_up = sum(once() for _ in range(WARM_UP_CALLS))
    done.again = 0
    _barrier.wait()
    done.begun = now = time.monotonic()
    while now < done.begun + seconds:
        done.posted += once()
        before, now = now, time.monotonic()
        done.latencies_ms.append((now - before) * 1000)
    done.ended = now
    database.dispose()
    return done


def _wanted(card: CardId) -> Wanted:
    return Wanted(
        terminal_id=None,
        card_id=card,
        certificate_sha256=None,
        time=_MOMENT,
        id=TransactionId(new_id()),
        other=None,
        service="transport",
        tariff_version=None,
    )


def _posting(found: Found, transaction_id: TransactionId, providers: int) -> Posting:
    """A fare, as an authorisation would post it."""
    [view] = found.views.values()
    provider = ProviderId(f"provider-{transaction_id.int % providers}")
    return Posting(
        payer_id=view.payer_id,
        expected_version=view.version,
        transaction=NewTransaction(
            id=transaction_id,
            origin="card",
            kind="request",
            decision="approved",
            reason="approved",
            unit=CURRENCY,
            body=sha256(transaction_id.bytes).digest(),
            occurred_at=_MOMENT,
            posted_at=_MOMENT,
            terminal_id=TerminalId("validator-1"),
            sequence=1,
            provider_id=provider,
            service="transport",
            action="single-fare",
            amount_minor=FARE_MINOR,
        ),
        transfers=(NewTransfer(PAYER_PREPAID, provider_payable(provider), FARE_MINOR, CURRENCY),),
        proof=NewProof(KeyId(UUID(int=view.payer_id.int ^ 1)), bytes(12), _CIPHERTEXT),
        details=NewDetails("journey", {"from_stop": "a", "to_stop": "b"}, bytes(16), _ANSWER),
    )
