"""`growth`, `balance`, `statement_page`, `verify_rate`: a million payers and ten million transfers.

The ledger is filled in SQL, with indexes made afterwards and without triggers, as a restored dump is. A small
one by the same statements takes turns with it, and is verified as a whole.
"""

import random
import resource
import time
from collections.abc import Callable, Iterator
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
from tests.benchmarks.posting import CURRENCY, FARE_MINOR, PROCESSES, PROVIDERS, Ledger
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import SLICES, BenchmarkFailed, administrator_url, require_right
from tests.support.databases import PostgresServer

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
        ledger = posting.fill(server, payers, without_history=True)
        transfers = _fill_history(ledger, payers, say)
        took = time.monotonic() - begun
        cards = ledger.cards if payers <= _CARDS_KEPT else random.sample(list(ledger.cards), _CARDS_KEPT)
        _grown[key] = Grown(Ledger(ledger.owner_url, ledger.service_url, cards), payers, transfers, took)
        say(f"growth: {payers:,} payers and {transfers:,} transfers were filled in {took:,.0f} s")
    return _grown[key]


# With indexes that are made after the rows; a primary key keeps the name that the migrations gave it.
_LARGE = ("ledger_transaction", "transfer", "ledger_sequence")
_INDEXES = """
    SELECT c.conname, c.conrelid::regclass::text, pg_get_constraintdef(c.oid) FROM pg_constraint AS c
    WHERE c.conrelid = ANY (%s::regclass[]) AND c.contype IN ('p', 'u', 'f')
        OR c.confrelid = ANY (%s::regclass[]) AND c.contype = 'f'
    ORDER BY CASE c.contype WHEN 'p' THEN 0 WHEN 'u' THEN 1 ELSE 2 END, c.conname
"""
_OTHER_INDEXES = """
    SELECT i.indexname, i.indexdef FROM pg_indexes AS i
    WHERE i.tablename = ANY (%s) AND NOT EXISTS (SELECT FROM pg_constraint AS c WHERE c.conname = i.indexname)
"""
# UUIDv7 (RFC 9562, 5.7): the moment in milliseconds, then what an MD5 of the number gives.
_HISTORY = (
    """
    CREATE TEMP TABLE number_of AS SELECT payer_id, row_number() OVER () - 1 AS place FROM payer_state
    """,
    """
    CREATE TEMP TABLE sale AS SELECT p.payer_id, s.place, s.moment, (
        lpad(to_hex((extract(epoch FROM s.moment) * 1000)::bigint), 12, '0') || '7' || substr(s.hash, 1, 3)
        || '8' || substr(s.hash, 4, 15))::uuid AS id
    FROM number_of AS p, LATERAL (
        SELECT turn * %(payers)s + p.place AS place, md5((turn * %(payers)s + p.place)::text) AS hash,
            %(begin)s::timestamptz
                + (turn * %(payers)s + p.place) * (%(days)s * interval '1 day' / %(entries)s) AS moment
        FROM generate_series(0, %(each)s) AS turn
    ) AS s
    """,
    """
    INSERT INTO ledger_transaction (payer_id, id, origin, kind, decision, reason, amount_minor, unit, offline,
        flags, body, provider_id, service, action, occurred_at, posted_at)
    SELECT payer_id, id, CASE WHEN topup THEN 'payment' ELSE 'staff' END,
        CASE WHEN topup THEN 'topup' ELSE 'request' END, 'approved', 'approved',
        CASE WHEN topup THEN %(opening)s ELSE %(fare)s END, %(unit)s, false, '[]', '\\x00',
        CASE WHEN NOT topup THEN 'provider-' || place %% %(providers)s END,
        CASE WHEN NOT topup THEN 'transport' END, CASE WHEN NOT topup THEN 'single-fare' END, moment, moment
    FROM (SELECT *, place < %(payers)s AS topup FROM sale) AS s
    """,
    """
    INSERT INTO transfer (payer_id, transaction_id, line, debit, credit, amount_minor, unit)
    SELECT payer_id, id, 1,
        CASE WHEN topup THEN 'scheme:clearing:cash' ELSE 'payer:prepaid' END,
        CASE WHEN topup THEN 'payer:prepaid'
            ELSE 'provider:provider-' || place %% %(providers)s || ':payable' END,
        CASE WHEN topup THEN %(opening)s ELSE %(fare)s END, %(unit)s
    FROM (SELECT *, place < %(payers)s AS topup FROM sale) AS s
    """,
    """
    INSERT INTO ledger_sequence (shard, epoch, sequence, payer_id, transaction_id, settled_on, late)
    SELECT 0, 0, place + 1, payer_id, id, (moment AT TIME ZONE 'UTC')::date, false FROM sale
    """,
    """
    INSERT INTO account_rollup (shard, account, unit, day, debit_minor, credit_minor)
    SELECT 0, account, %(unit)s, (moment AT TIME ZONE 'UTC')::date, sum(debit), sum(credit) FROM (
        SELECT moment, CASE WHEN place < %(payers)s THEN 'scheme:clearing:cash'
            ELSE 'provider:provider-' || place %% %(providers)s || ':payable' END AS account,
            CASE WHEN place < %(payers)s THEN %(opening)s ELSE 0 END AS debit,
            CASE WHEN place < %(payers)s THEN 0 ELSE %(fare)s END AS credit
        FROM sale
    ) AS s GROUP BY account, (moment AT TIME ZONE 'UTC')::date
    """,
    """
    UPDATE account SET balance = %(opening)s - %(each)s::bigint * %(fare)s WHERE kind = 'prepaid'
    """,
    """
    UPDATE ledger_position SET sequence = %(entries)s, open_day = (now() AT TIME ZONE 'UTC')::date,
        posted_below = (pg_current_xact_id()::text)::bigint + 1
    """,
)


def _fill_history(ledger: Ledger, payers: int, say: Callable[[str], None]) -> int:
    """A top-up and sales for everybody, over the last days, numbered and added up; how many transfers."""
    entries, begun = payers * (SALES_EACH + 1), time.monotonic()

    def told(step: str) -> None:
        say(f"growth: {payers:,} payers: {step} after {time.monotonic() - begun:,.0f} s")

    values = {
        "payers": payers,
        "each": SALES_EACH,
        "entries": entries,
        "opening": posting.OPENING_MINOR,
        "fare": FARE_MINOR,
        "unit": CURRENCY,
        "providers": PROVIDERS,
        "days": _DAYS,
        "begin": datetime.now(UTC) - timedelta(days=_DAYS),
    }
    with psycopg.connect(administrator_url(ledger.owner_url)) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '512MB'")
        tables = list(_LARGE)
        constraints = connection.execute(_INDEXES, (tables, tables)).fetchall()
        indexes = connection.execute(_OTHER_INDEXES, (tables,)).fetchall()
        for name, table, _ in reversed(constraints):
            connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        for number, statement in enumerate(_HISTORY, start=1):
            connection.execute(statement, values)
            told(f"{number} of {len(_HISTORY)} steps")
        for _, definition in indexes:
            connection.execute(definition)
        for name, table, definition in constraints:
            connection.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        told("indexes and keys")
    with psycopg.connect(administrator_url(ledger.owner_url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
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
    server: PostgresServer, seconds: float, say: Callable[[str], None], *, small: int = SMALL_PAYERS
) -> Measurement:
    """Transactions verified a second: balances, rows, numbers, roll-ups; there are no proofs among them."""
    database = connect(grown(server, small, say).ledger.service_url, pool_size=1)
    rates: list[float] = []
    before_mib = _peak_mib()
    try:
        end = time.monotonic() + seconds
        while not rates or time.monotonic() < end:
            begun = time.monotonic()
            report = verify(database)
            if not report.is_clean:
                raise BenchmarkFailed(f"verify_rate: the ledger does not add up: {report.findings[:3]}")
            rates.append(report.transactions / (time.monotonic() - begun))
    finally:
        database.dispose()
    say(f"verify_rate: {median(rates):,.0f} transactions/s")
    return Measurement(
        key="verify_rate",
        what="`cardservice ledger verify --whole`, no proofs and seals: balances, rows, numbers, roll-ups",
        value=median(rates),
        unit="transactions/s",
        detail={
            "times": len(rates),
            "transactions": report.transactions,
            "peak memory of the process, MiB": round(_peak_mib()),
            "of which before": round(before_mib),
        },
    )


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


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux gives KiB: getrusage(2)
