"""`statement_year`: a year's account statement of somebody who pays twice a day, all pages of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median, quantiles
from zoneinfo import ZoneInfo

import psycopg

from cardservice.database import Database, connect
from cardservice.ids import PayerId
from cardservice.ledger.closing.sequencing import Calendar, sequence
from cardservice.ledger.statements import Money, Period, statement_pages
from tests.benchmarks.posting import CURRENCY, FARE_MINOR, Ledger
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, administrator_url, require_right

KEY = "statement_year"
# Twice on every day, about.
TRANSACTIONS = 700
# Others beside whom: what a statement reads is looked up by its payer.
PAYERS = 10_000
_DAYS = 365
_ENOUGH = 20

_PAYMENTS = """
    WITH sold AS (
        INSERT INTO ledger_transaction (payer_id, id, origin, kind, decision, reason, amount_minor, unit,
            offline, flags, body, provider_id, service, action, occurred_at, posted_at)
        SELECT %(payer)s, gen_random_uuid(), 'staff', 'request', 'approved', 'approved', %(fare)s, %(unit)s,
            false, '[]', '\\x00', 'provider-1', 'transport', 'single-fare', moment, moment
        FROM generate_series(0, %(count)s - 1) AS number,
            LATERAL (SELECT now() - interval '1 day' * (%(days)s * number / %(count)s) AS moment) AS made
        RETURNING id
    ), moved AS (
        INSERT INTO transfer (payer_id, transaction_id, line, debit, credit, amount_minor, unit)
        SELECT %(payer)s, id, 1, 'payer:prepaid', 'provider:provider-1:payable', %(fare)s, %(unit)s FROM sold
    ), told AS (
        INSERT INTO transaction_details (payer_id, transaction_id, retention_class, details, answer)
        SELECT %(payer)s, id, 'journey', '{}', '{"given": {"receipt": [{"label": "Adult single"}]}}' FROM sold
    )
    UPDATE account SET balance = balance - %(count)s * %(fare)s::bigint
    WHERE payer_id = %(payer)s AND kind = 'prepaid'
"""

_PAYER = """
    SELECT payer_id FROM cardholder_payer JOIN card USING (cardholder_id) WHERE card.id = %s
"""
_HELD = """
    SELECT (SELECT count(*) FROM ledger_transaction WHERE payer_id = %(payer)s), balance
    FROM account WHERE payer_id = %(payer)s AND kind = 'prepaid'
"""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the statement of this payer has to come to, by the account and the ledger's rows."""

    payer: PayerId
    lines: int
    balance_minor: int


def measure(
    ledger: Ledger, seconds: float, say: Callable[[str], None], *, transactions: int = TRANSACTIONS
) -> Measurement:
    """The 99th percentile of a statement; raises BenchmarkFailed unless each adds up to the account."""
    wanted = _fill(ledger, transactions)
    database = connect(ledger.service_url, pool_size=1)
    try:
        owner = connect(ledger.owner_url, pool_size=1)
        try:
            numbered = sequence(owner, Calendar(ZoneInfo("UTC"), datetime.now(UTC)))
        finally:
            owner.dispose()
        with psycopg.connect(administrator_url(ledger.owner_url), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        say(f"{KEY}: {numbered:,} transactions are numbered")
        _read(database, wanted)  # to warm up
        latencies: list[float] = []
        end = time.monotonic() + seconds
        while len(latencies) < _ENOUGH or time.monotonic() < end:
            begun = time.monotonic()
            _read(database, wanted)
            latencies.append((time.monotonic() - begun) * 1000)
    finally:
        database.dispose()
    require_right(ledger.service_url, KEY)
    p99_ms = quantiles(latencies, n=100, method="inclusive")[98]
    say(f"{KEY}: p99 {p99_ms:,.1f} ms")
    return Measurement(
        key=KEY,
        what="a year's account statement, all pages of it read one after the other as of one moment; "
        "its value is the 99th percentile",
        value=p99_ms,
        unit="ms",
        p50_ms=median(latencies),
        p99_ms=p99_ms,
        detail={
            "statements read, and found to add up": len(latencies),
            "transactions of the payer": wanted.lines,
            "transactions numbered in all": numbered,
        },
    )


def _fill(ledger: Ledger, transactions: int) -> _Wanted:
    with psycopg.connect(ledger.owner_url) as connection:
        row = connection.execute(_PAYER, (ledger.cards[0],)).fetchone()
        if row is None:
            raise BenchmarkFailed(f"{KEY}: the card has no payer")
        values = {"payer": row[0], "unit": CURRENCY, "fare": FARE_MINOR}
        connection.execute(_PAYMENTS, values | {"count": transactions, "days": _DAYS - 1})
        held = connection.execute(_HELD, values).fetchone()
    if held is None:
        raise BenchmarkFailed(f"{KEY}: the payer has no account")
    return _Wanted(PayerId(row[0]), *held)


def _read(database: Database, wanted: _Wanted) -> None:
    with database.reading() as connection:
        pages = list(statement_pages(connection, wanted.payer, _year(datetime.now(UTC).date())))
    lines, closing = sum(len(page.lines) for page in pages), pages[-1].closing
    if (lines, closing, pages[-1].unsettled) != (wanted.lines, Money(wanted.balance_minor), ()):
        raise BenchmarkFailed(f"{KEY}: the statement has {lines} lines and ends at {closing}")


def _year(today: date) -> Period:
    return Period(today - timedelta(days=_DAYS), today + timedelta(days=1))
