"""`statement_year`: a year's account statement of somebody who pays twice a day, and has for ten years."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import median, quantiles
from zoneinfo import ZoneInfo

import psycopg

from cardservice.database import Database, connect
from cardservice.ids import CardId, PayerId
from cardservice.ledger.closing.sequencing import Calendar, sequence
from cardservice.ledger.statements import Money, Period, statement_pages
from tests.benchmarks.filling import CURRENCY
from tests.benchmarks.posting import Ledger
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, administrator_url, require_right

KEY = "statement_year"
# Twice on every day, about.
TRANSACTIONS = 700
# In the years before, which a statement of this one begins after.
YEARS_BEFORE = 9
# Of somebody who pays three times as often; it is measured, too.
MANY = 2_000
# Others beside whom: what a statement reads is looked up by its payer.
PAYERS = 10_000
_DAYS = 365
# So little that what the account was opened with is enough for all the years.
_FARE_MINOR = 100
_ENOUGH, _ALL = 20, 1_000_000

_PAYMENTS = """
    WITH sold AS (
        INSERT INTO ledger_transaction (payer_id, id, origin, kind, decision, reason, amount_minor, unit,
            offline, flags, body, provider_id, service, action, occurred_at, posted_at)
        SELECT %(payer)s, gen_random_uuid(), 'staff', 'request', 'approved', 'approved', %(fare)s, %(unit)s,
            false, '[]', '\\x00', 'provider-1', 'transport', 'single-fare', moment, moment
        FROM generate_series(0, %(count)s - 1) AS number,
            LATERAL (
                SELECT now() - interval '1 day' * (%(after)s + %(days)s * number / %(count)s) AS moment
            ) AS made
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
    SELECT (SELECT count(*) FROM ledger_transaction
            WHERE payer_id = %(payer)s AND posted_at > now() - interval '1 day' * %(days)s), balance
    FROM account WHERE payer_id = %(payer)s AND kind = 'prepaid'
"""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the statement of this payer has to come to, by what was filled in and the account."""

    payer: PayerId
    lines: int
    opening_minor: int
    balance_minor: int


def measure(
    ledger: Ledger,
    seconds: float,
    say: Callable[[str], None],
    *,
    transactions: int = TRANSACTIONS,
    years_before: int = YEARS_BEFORE,
    many: int = MANY,
) -> Measurement:
    """The 99th percentile of a statement; raises BenchmarkFailed unless each adds up to the account."""
    wanted = _fill(ledger, ledger.cards[0], transactions, years_before * transactions)
    longer = _fill(ledger, ledger.cards[1], many, 0)
    database = connect(ledger.service_url, pool_size=1)
    try:
        owner = connect(ledger.owner_url, pool_size=1)
        try:
            # In one step: nothing settles on a day before that of what was numbered in an earlier one.
            numbered = sequence(owner, Calendar(ZoneInfo("UTC"), datetime.now(UTC)), at_once=_ALL)
        finally:
            owner.dispose()
        with psycopg.connect(administrator_url(ledger.owner_url), autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        say(f"{KEY}: {numbered:,} transactions are numbered")
        latencies, of_many = (_latencies(database, whose, seconds) for whose in (wanted, longer))
    finally:
        database.dispose()
    require_right(ledger.service_url, KEY)
    p99_ms, many_ms = (quantiles(found, n=100, method="inclusive")[98] for found in (latencies, of_many))
    say(f"{KEY}: p99 {p99_ms:,.1f} ms; of {longer.lines:,} lines {many_ms:,.1f} ms")
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
            "lines": wanted.lines,
            "transactions of the payer in the years before": years_before * transactions,
            f"p50 and p99 of another payer's {longer.lines:,} lines, ms": ", ".join(
                f"{each:,.1f}" for each in (median(of_many), many_ms)
            ),
            "transactions numbered in all": numbered,
        },
    )


def _latencies(database: Database, wanted: _Wanted, seconds: float) -> list[float]:
    """In ms."""
    _read(database, wanted)  # to warm up
    found: list[float] = []
    # As the service does at its start (`wsgi`): else each full collection goes through this program, too.
    gc.collect()
    gc.freeze()
    try:
        end = time.monotonic() + seconds
        while len(found) < _ENOUGH or time.monotonic() < end:
            begun = time.monotonic()
            _read(database, wanted)
            found.append((time.monotonic() - begun) * 1000)
    finally:
        gc.unfreeze()
    return found


def _fill(ledger: Ledger, card: CardId, transactions: int, before: int) -> _Wanted:
    """Payments of the last year, and so many of the years before it."""
    with psycopg.connect(ledger.owner_url) as connection:
        row = connection.execute(_PAYER, (card,)).fetchone()
        if row is None:
            raise BenchmarkFailed(f"{KEY}: the card has no payer")
        values = {"payer": row[0], "unit": CURRENCY, "fare": _FARE_MINOR}
        years = -(-before // transactions)
        for count, days, after in ((transactions, _DAYS - 1, 0), (before, _DAYS * years, _DAYS + 2)):
            if count:
                connection.execute(_PAYMENTS, values | {"count": count, "days": days, "after": after})
        held = connection.execute(_HELD, values | {"days": _DAYS}).fetchone()
    if held is None:
        raise BenchmarkFailed(f"{KEY}: the payer has no account")
    # The accounts begin with nothing: what was paid in is of today, and a line like the others.
    lines, balance_minor = held
    return _Wanted(PayerId(row[0]), lines, -before * _FARE_MINOR, balance_minor)


def _read(database: Database, wanted: _Wanted) -> None:
    with database.reading() as connection:
        pages = list(statement_pages(connection, wanted.payer, _year(datetime.now(UTC).date())))
    found = (pages[0].opening, sum(len(page.lines) for page in pages), pages[-1].closing, pages[-1].unsettled)
    if found != (Money(wanted.opening_minor), wanted.lines, Money(wanted.balance_minor), ()):
        raise BenchmarkFailed(f"{KEY}: the statement has {found[1]} lines from {found[0]} to {found[2]}")


def _year(today: date) -> Period:
    return Period(today - timedelta(days=_DAYS), today + timedelta(days=1))
