"""`settlement_day`: the provider's file of a day of a million payments, loaded, matched and reckoned up.

What the file is about is filled in in SQL, as captured and posted payments are; a few of its lines are of
payments that nobody knows, and must be found.
"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg

from cardservice.database import connect
from cardservice.payments.equation import equation
from cardservice.payments.settlement import COLUMNS, Books, load
from tests.benchmarks.filling import CURRENCY
from tests.benchmarks.posting import Ledger
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, administrator_url

KEY = "settlement_day"
PAYMENTS, PAYERS = 1_000_000, 10_000
STRANGE = 10
_PROVIDER, _AMOUNT_MINOR = "govuk-pay", 1_000
_CAPTURED = (
    "SET LOCAL session_replication_role = replica",
    """
    CREATE TEMP TABLE paid AS
    SELECT number, gen_random_uuid() AS id, payer.id AS payer_id
    FROM generate_series(0, %(count)s - 1) AS number
    JOIN (SELECT id, row_number() OVER () - 1 AS place FROM payer) AS payer
        ON payer.place = number %% (SELECT count(*) FROM payer)
    """,
    """
    INSERT INTO ledger_transaction (payer_id, id, origin, kind, decision, reason, amount_minor, unit, offline,
        flags, body, occurred_at, posted_at)
    SELECT payer_id, id, 'payment', 'topup', 'approved', 'approved', %(amount)s, %(unit)s, false,
        '[]', '\\x00', now(), now() FROM paid
    """,
    """
    INSERT INTO transfer (payer_id, transaction_id, line, debit, credit, amount_minor, unit)
    SELECT payer_id, id, 1, 'scheme:clearing:' || %(provider)s, 'payer:prepaid', %(amount)s, %(unit)s
    FROM paid
    """,
    """
    INSERT INTO payment_attempt (id, payer_id, provider, amount_minor, unit, arrears_percent,
        provider_payment, state, begun_at, posted_as)
    SELECT id, payer_id, %(provider)s, %(amount)s, %(unit)s, 100, 'pay-' || number, 'success', now(), id
    FROM paid
    """,
    """
    UPDATE account SET balance = balance + paid.number * %(amount)s
    FROM (SELECT payer_id, count(*) AS number FROM paid GROUP BY payer_id) AS paid
    WHERE account.payer_id = paid.payer_id AND kind = 'prepaid'
    """,
)


def measure(ledger: Ledger, say: Callable[[str], None], *, payments: int = PAYMENTS) -> Measurement:
    """How long the day takes; raises BenchmarkFailed unless every line is what it should be."""
    _fill(ledger, payments)
    content = "".join(_lines(payments)).encode()
    say(f"{KEY}: {payments:,} payments are captured, and their file has {len(content):,} bytes")
    database = connect(ledger.service_url, pool_size=1)
    try:
        begun = time.monotonic()
        with database.begin() as connection:
            moment = datetime.now(UTC)
            loaded = load(connection, _PROVIDER, "day.csv", content, Books(CURRENCY, moment))
        matched = time.monotonic()
        with database.reading() as connection:
            reckoned = equation(connection, CURRENCY)
        ended = time.monotonic()
    finally:
        database.dispose()
    if loaded.states != {"matched": payments, "unknown": STRANGE}:
        raise BenchmarkFailed(f"{KEY}: of the file's lines are {loaded.states}")
    if reckoned.difference_minor or reckoned.bank_minor != payments * _AMOUNT_MINOR:
        raise BenchmarkFailed(f"{KEY}: the bank does not agree: {reckoned.values()}")
    say(f"{KEY}: {ended - begun:,.1f} s")
    return Measurement(
        key=KEY,
        what="a provider's file of a day's payments, loaded and matched in one transaction, and the daily"
        " equation after it; lines that nobody knows are listed for a person",
        value=ended - begun,
        unit="s",
        detail={
            "lines matched": payments,
            "lines of nobody, found": STRANGE,
            "loading and matching, s": round(matched - begun, 1),
            "the equation, s": round(ended - matched, 1),
        },
    )


def _fill(ledger: Ledger, payments: int) -> None:
    values = {"count": payments, "amount": _AMOUNT_MINOR, "unit": CURRENCY, "provider": _PROVIDER}
    with psycopg.connect(administrator_url(ledger.owner_url)) as connection:
        for statement in _CAPTURED:
            connection.execute(statement, values if "%(" in statement else None)
    with psycopg.connect(administrator_url(ledger.owner_url), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _lines(payments: int) -> Iterator[str]:
    day = datetime.now(UTC).date()
    yield f"{','.join(COLUMNS)}\n"
    for number in range(payments):
        yield f"payment,pay-{number},{day},10.00,0.25,{CURRENCY}\n"
    for number in range(STRANGE):
        yield f"payment,strange-{number},{day},10.00,0.25,{CURRENCY}\n"
