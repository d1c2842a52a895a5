"""`rating_day`: a day of a million taps, rated, and rated again when one more tap of everybody has come.

What was tapped is filled in in SQL, as advices leave it; numbers are given and days rated as the worker does.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from sqlalchemy import func, select

from cardservice.context import Context
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.event_models import rating
from cardservice.rating.service import rate_all
from cardservice.tariffs.service import store_tariff
from cardservice.upkeep import calendar_of
from tests.benchmarks.filling import CURRENCY, fill_payers
from tests.benchmarks.installed import installed
from tests.benchmarks.posting import fill_top_ups
from tests.benchmarks.report import ROOT, Measurement
from tests.benchmarks.server import BenchmarkFailed, administrator_url, require_right
from tests.cardservice.services.travels import load_travel
from tests.support.databases import PostgresServer

KEY = "rating_day"
TAPS, TAPS_EACH = 1_000_000, 10
# Checking the whole ledger afterwards takes longer than rating it.
_CHECKED_UP_TO = 20_000
_DAY = "2026-06-17T06:00:00Z"  # a Wednesday: no week's edge is near
_CLOCK = datetime(2026, 6, 18, 9, 0, tzinfo=UTC)
# Everybody boards and alights in turns, every three quarters of an hour.
_TAPPED = (
    "SET LOCAL session_replication_role = replica",
    """
    CREATE TEMP TABLE tapped AS
    SELECT p.payer_id, k.id AS key_id, gen_random_uuid() AS id, n %% 2 = 0 AS boards, p.place %% 3 AS stop,
        %(day)s::timestamptz + n * interval '45 minutes' + p.place %% 600 * interval '1 second' AS at
    FROM (
        SELECT payer_id, cardholder_id, row_number() OVER () AS place FROM cardholder_payer
    ) AS p
    JOIN cardholder_key AS k ON k.cardholder_id = p.cardholder_id
    CROSS JOIN generate_series(%(first)s::integer, %(last)s::integer) AS n
    """,
    """
    INSERT INTO transaction_proof (payer_id, transaction_id, key_id, nonce, ciphertext)
    SELECT payer_id, id, key_id, '\\x00', '\\x00' FROM tapped
    """,
    """
    INSERT INTO ledger_transaction (payer_id, id, origin, kind, terminal_id, provider_id, service, action,
        decision, reason, unit, tariff_version, offline, flags, body, occurred_at, posted_at, proof_of)
    SELECT payer_id, id, 'card', 'advice', 'bus-1', 'buses', 'transport',
        CASE WHEN boards THEN 'tap-in' ELSE 'tap-out' END, 'approved', 'approved', %(unit)s, %(version)s,
        true, '[]', '\\x00', at, at, id FROM tapped
    """,
    """
    INSERT INTO transaction_details (payer_id, transaction_id, retention_class, details, answer)
    SELECT payer_id, id, 'travel', '{}', jsonb_build_object('inputs', jsonb_build_object(
        'category', 'adult', 'tariff_version', %(version)s::text,
        'stop', (ARRAY['a1', 'b1', 'c1'])[1 + (stop + CASE WHEN boards THEN 0 ELSE 1 END) %% 3]
    )) FROM tapped
    """,
    "DROP TABLE tapped",
)


def measure(server: PostgresServer, say: Callable[[str], None], *, taps: int = TAPS) -> Measurement:
    """How long the day takes the first time and again; raises BenchmarkFailed unless everybody was rated."""
    riders = max(1, taps // TAPS_EACH)
    with installed(server, _CLOCK) as (context, owner_url, service_url):
        with TemporaryDirectory(prefix="citizen-card-bench-", dir=ROOT) as folder:
            loaded = load_travel(Path(folder))
        with context.database.begin() as connection:
            store_tariff(connection, "transport", loaded, source="x", actor="bench", moment=_CLOCK)
        fill_payers(owner_url, riders)
        fill_top_ups(owner_url)
        _tap(owner_url, loaded.version, 0, TAPS_EACH - 1)
        numbered, first = _rated(context, riders, 1)
        say(f"{KEY}: {riders * TAPS_EACH:,} taps rated in {first:,.1f} s, numbered in {numbered:,.1f} s")
        _tap(owner_url, loaded.version, TAPS_EACH, TAPS_EACH)
        numbered_again, again = _rated(context, riders, 2)
        if taps <= _CHECKED_UP_TO:
            require_right(service_url, KEY)
    say(f"{KEY}: again, each with one more tap, in {again:,.1f} s")
    return Measurement(
        key=KEY,
        what=f"a day of {riders * TAPS_EACH:,} taps of {riders:,} persons rated again, each with one more tap"
        " that came late: every day charged anew from all of its taps",
        value=again,
        unit="s",
        detail={
            "persons whose day was rated, and found to be": riders,
            "the day rated the first time, s": round(first, 1),
            "numbers given to what had come, the first time and again, s": [
                round(numbered, 1),
                round(numbered_again, 1),
            ],
        },
    )


def _tap(owner_url: str, version: str, first: int, last: int) -> None:
    values = {"day": _DAY, "first": first, "last": last, "unit": CURRENCY, "version": version}
    with psycopg.connect(administrator_url(owner_url)) as connection:
        for statement in _TAPPED:
            connection.execute(statement, values if "%(" in statement else None)
    with psycopg.connect(administrator_url(owner_url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _rated(context: Context, riders: int, revision: int) -> tuple[float, float]:
    """Seconds for numbers, and for rating."""
    begun = time.monotonic()
    sequence(context.database, calendar_of(context))
    numbered = time.monotonic()
    rate_all(context)
    ended = time.monotonic()
    with context.database.reading() as connection:
        found = connection.scalar(
            select(func.count(rating.c.payer_id.distinct())).where(rating.c.revision >= revision)
        )
    if found != riders:
        raise BenchmarkFailed(f"{KEY}: the days of {found} of {riders} persons have revision {revision}")
    return numbered - begun, ended - numbered
