"""`growth`, `balance`, `statement_page`, `verify_rate`: a million payers and ten million transfers.

The ledger is filled in SQL (`filling.py`). A small one by the same statements takes turns with it, and is
verified as a whole each time; the large one is where that is what is measured.
"""

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from threading import Thread

import psycopg

from cardservice.database import Database, connect
from cardservice.ids import PayerId
from cardservice.ledger.reading import read
from cardservice.ledger.statements import Period, statement_page
from cardservice.ledger.values import ReadQuery
from cardservice.ledger.verify import verify
from tests.benchmarks import posting
from tests.benchmarks.filling import CURRENCY, OPENING_MINOR, fill_payers, filling, vacuum
from tests.benchmarks.memory import peak_mib
from tests.benchmarks.posting import FARE_MINOR, PROCESSES, PROVIDERS, Ledger
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import SLICES, BenchmarkFailed, require_right
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer, prepare

PAYERS, SALES_EACH, SMALL_PAYERS = 1_000_000, 9, 10_000
BATCH = 32
_DAYS = 30
_CARDS_KEPT = 100_000
_FEWEST = 200


@dataclass(frozen=True, slots=True)
class Grown:
    """A ledger with a history; its first entries are top-ups, numbered like all others."""

    ledger: Ledger
    payers: int
    transfers: int
    filled_s: float


_grown: dict[tuple[int, int], Grown] = {}


def grown(server: PostgresServer, payers: int, say: Callable[[str], None]) -> Grown:
    """A ledger of this size on this server; made when it is first asked for."""
    key = (id(server), payers)
    if key not in _grown:
        begun = time.monotonic()
        name = server.create()
        owner_url = server.url(name, OWNER)
        prepare(owner_url)

        def told(step: str) -> None:
            say(f"growth: {payers:,} payers: {step}")

        spent_minor = SALES_EACH * FARE_MINOR
        cards = fill_payers(owner_url, payers, spent_minor=spent_minor, keep=_CARDS_KEPT, say=told)
        transfers = _fill_history(owner_url, payers, told)
        took = time.monotonic() - begun
        _grown[key] = Grown(Ledger(owner_url, server.url(name, SERVICE_ROLE), cards), payers, transfers, took)
        told(f"with {transfers:,} transfers filled in {took:,.0f} s")
    return _grown[key]


# UUIDv7 (RFC 9562, 5.7): the moment in milliseconds, then the number.
_SALES = """
    CREATE UNLOGGED TABLE bench.sale (place bigint, payer_id uuid, id uuid, moment timestamptz, topup boolean)
"""
_SOLD = """
    INSERT INTO bench.sale
    SELECT place, payer, (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0') || '7'
        || lpad(to_hex(place %% 4096), 3, '0') || '8' || lpad(to_hex(place), 15, '0'))::uuid, moment, topup
    FROM (
        SELECT turn * %(payers)s + f.place AS place, payer, turn = 0 AS topup, %(begin)s::timestamptz
            + (turn * %(payers)s + f.place) * (%(days)s * interval '1 day' / %(entries)s) AS moment
        FROM generate_series(0, %(each)s) AS turn, bench.filling AS f
        WHERE f.place %% %(parts)s = %(part)s
    ) AS s
"""
_OF_PART = "FROM bench.sale WHERE place %% %(parts)s = %(part)s"
_HISTORY = (
    f"""
    INSERT INTO ledger_transaction (payer_id, id, origin, kind, decision, reason, amount_minor, unit, offline,
        flags, body, provider_id, service, action, occurred_at, posted_at)
    SELECT payer_id, id, CASE WHEN topup THEN 'payment' ELSE 'staff' END,
        CASE WHEN topup THEN 'topup' ELSE 'request' END, 'approved', 'approved',
        CASE WHEN topup THEN %(opening)s ELSE %(fare)s END, %(unit)s, false, '[]', '\\x00',
        CASE WHEN NOT topup THEN 'provider-' || place %% %(providers)s END,
        CASE WHEN NOT topup THEN 'transport' END, CASE WHEN NOT topup THEN 'single-fare' END, moment, moment
    {_OF_PART}
    """,
    f"""
    INSERT INTO transfer (payer_id, transaction_id, line, debit, credit, amount_minor, unit)
    SELECT payer_id, id, 1,
        CASE WHEN topup THEN 'scheme:clearing:cash' ELSE 'payer:prepaid' END,
        CASE WHEN topup THEN 'payer:prepaid'
            ELSE 'provider:provider-' || place %% %(providers)s || ':payable' END,
        CASE WHEN topup THEN %(opening)s ELSE %(fare)s END, %(unit)s
    {_OF_PART}
    """,
    f"""
    INSERT INTO ledger_sequence (shard, epoch, sequence, payer_id, transaction_id, settled_on, late)
    SELECT 0, 0, place + 1, payer_id, id, (moment AT TIME ZONE 'UTC')::date, false {_OF_PART}
    """,
)
_ROLLED_UP = """
    INSERT INTO account_rollup (shard, account, unit, day, debit_minor, credit_minor)
    SELECT 0, account, %(unit)s, day, sum(count * debit), sum(count * credit) FROM (
        SELECT CASE WHEN topup THEN 'scheme:clearing:cash'
                ELSE 'provider:provider-' || provider || ':payable' END AS account,
            CASE WHEN topup THEN %(opening)s ELSE 0 END AS debit,
            CASE WHEN topup THEN 0 ELSE %(fare)s END AS credit, day, count
        FROM (
            SELECT topup, place %% %(providers)s AS provider, (moment AT TIME ZONE 'UTC')::date AS day,
                count(*) FROM bench.sale GROUP BY 1, 2, 3
        ) AS counted
    ) AS s GROUP BY account, day
"""
_NUMBERED = """
    UPDATE ledger_position SET sequence = %(entries)s, open_day = (now() AT TIME ZONE 'UTC')::date,
        posted_below = (pg_current_xact_id()::text)::bigint + 1
"""


def _fill_history(owner_url: str, payers: int, say: Callable[[str], None]) -> int:
    """A top-up and sales for everybody, over the last days, numbered and added up; how many transfers."""
    entries = payers * (SALES_EACH + 1)
    values = {
        "payers": payers,
        "each": SALES_EACH,
        "entries": entries,
        "opening": OPENING_MINOR,
        "fare": FARE_MINOR,
        "unit": CURRENCY,
        "providers": PROVIDERS,
        "days": _DAYS,
        "begin": datetime.now(UTC) - timedelta(days=_DAYS),
    }
    with filling(owner_url, ("ledger_transaction", "transfer", "ledger_sequence"), say, values) as ledger:
        ledger.run(_SALES)
        ledger.insert(_SOLD)
        for statement in _HISTORY:
            ledger.insert(statement)
        ledger.run(_ROLLED_UP)
        ledger.run("DROP TABLE bench.sale")
        ledger.run(_NUMBERED)
        ledger.told(f"{entries:,} transfers")
    vacuum(owner_url)
    return entries


def measure(
    server: PostgresServer,
    seconds: float,
    say: Callable[[str], None],
    *,
    payers: int = PAYERS,
    small: int = SMALL_PAYERS,
    processes: int = PROCESSES,
    slices: int = SLICES,
) -> Measurement:
    """The large ledger's rate ÷ the small one's, slice by slice in turn; the small one is verified."""
    two = (grown(server, payers, say), grown(server, small, say))
    pairs = []
    for number in range(slices):
        large, other = (posting.run_slice(each.ledger, BATCH, seconds, processes)[0].rate for each in two)
        pairs.append((large, other))
        say(f"growth: slice {number + 1}: {large:,.0f} ÷ {other:,.0f} transactions/s")
    require_right(two[1].ledger.service_url, "growth")
    return Measurement(
        key="growth",
        what=f"read and post in batches of {BATCH} on a ledger of {payers:,} payers and {two[0].transfers:,} "
        f"transfers ÷ on one of {small:,} and {two[1].transfers:,}; the median of pairs of slices",
        value=median(large / other for large, other in pairs),
        unit="of small",
        detail={
            "large, transactions/s": [round(large) for large, _ in pairs],
            "small, transactions/s": [round(other) for _, other in pairs],
            "filled in, seconds": round(two[0].filled_s),
        },
    )


def measure_reading(
    key: str, server: PostgresServer, seconds: float, say: Callable[[str], None], *, payers: int = PAYERS
) -> Measurement:
    """The 99th percentile of what a person asks for, while one process posts as fast as it can."""
    what, ask = READINGS[key]
    large = grown(server, payers, say)
    database = connect(large.ledger.service_url, pool_size=1)
    chosen = _some_payers(large.ledger)
    latencies: list[float] = []
    try:
        ask(database, chosen[0])
        with _half_load(large.ledger, seconds):
            end = time.monotonic() + seconds
            while len(latencies) < _FEWEST or time.monotonic() < end:
                begun = time.monotonic()
                ask(database, random.choice(chosen))  # noqa: S311 - no secret
                latencies.append((time.monotonic() - begun) * 1000)
    finally:
        database.dispose()
    p99_ms = quantiles(latencies, n=100, method="inclusive")[98]
    say(f"{key}: p99 {p99_ms:,.1f} ms")
    return Measurement(
        key=key,
        what=f"{what}, of {payers:,} payers with {large.transfers:,} transfers, while one process "
        f"posts as fast as it can; its value is the 99th percentile",
        value=p99_ms,
        unit="ms",
        p50_ms=median(latencies),
        p99_ms=p99_ms,
        detail={"read": len(latencies)},
    )


def measure_verify(
    server: PostgresServer, say: Callable[[str], None], *, payers: int = PAYERS
) -> Measurement:
    """Transactions verified a second: balances, rows, numbers, roll-ups; there are no proofs among them."""
    large = grown(server, payers, say)
    # What has not been imported, connected or measured before is in no process but a new one.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        done = pool.submit(_verified, large.ledger.service_url).result()
    if done.faults:
        raise BenchmarkFailed(f"verify_rate: the ledger does not add up: {done.faults}")
    rate = done.transactions / done.seconds
    say(f"verify_rate: {rate:,.0f} transactions/s, {done.peak_mib:,.0f} MiB at most")
    return Measurement(
        key="verify_rate",
        what=f"`cardservice ledger verify --whole` of {done.transactions:,} transactions in a process of its "
        "own, no proofs and seals: balances, rows, numbers, roll-ups",
        value=rate,
        unit="transactions/s",
        detail={
            "transactions": done.transactions,
            "seconds": round(done.seconds, 1),
            "peak memory of the process, MiB": round(done.peak_mib),
            "of which before": round(done.before_mib),
        },
    )


@dataclass(frozen=True, slots=True)
class _Verified:
    """What verifying came to, and what it took."""

    faults: str
    transactions: int
    seconds: float
    before_mib: float
    peak_mib: float


def _verified(service_url: str) -> _Verified:
    database, before_mib, begun = connect(service_url, pool_size=1), peak_mib(), time.monotonic()
    try:
        report = verify(database)
    finally:
        database.dispose()
    faults = "" if report.is_clean else repr(report.findings[:3])
    return _Verified(faults, report.transactions, time.monotonic() - begun, before_mib, peak_mib())


def _balance(database: Database, payer: PayerId) -> None:
    [found] = read(database, [ReadQuery((payer,), ())])
    if not found.views[payer].accounts:
        raise BenchmarkFailed("balance: a payer has no account")


def _page(database: Database, payer: PayerId) -> None:
    today = datetime.now(UTC).date()
    with database.reading() as connection:
        page = statement_page(connection, payer, Period(today - timedelta(days=365), today))
    if not page.lines:
        raise BenchmarkFailed("statement_page: a payer's page is empty")


READINGS: dict[str, tuple[str, Callable[[Database, PayerId], None]]] = {
    "balance": ("a payer's accounts, counters and limits", _balance),
    "statement_page": ("the first page of a payer's account statement", _page),
}


def _some_payers(ledger: Ledger) -> list[PayerId]:
    cards = random.sample(list(ledger.cards), min(1_000, len(ledger.cards)))
    with psycopg.connect(ledger.owner_url) as connection:
        rows = connection.execute(
            "SELECT payer_id FROM cardholder_payer JOIN card USING (cardholder_id) WHERE card.id = ANY (%s)",
            (cards,),
        ).fetchall()
    return [PayerId(row[0]) for row in rows]


@contextmanager
def _half_load(ledger: Ledger, seconds: float) -> Iterator[None]:
    """One process posts, for as long as the block is to take."""
    loading = Thread(target=posting.run_slice, args=(ledger, 1, seconds, 1))
    loading.start()
    try:
        yield
    finally:
        loading.join()
