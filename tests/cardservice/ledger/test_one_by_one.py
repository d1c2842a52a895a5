"""`post_one_by_one`, by which a cluster posts few, does in all as `post_transactions` does for many."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg.errors import CardinalityViolation, DataError, ForeignKeyViolation

from cardservice.database import Database, connect, driver_of
from cardservice.ids import PayerId
from cardservice.ledger.distributing import put_one_by_one
from cardservice.ledger.posting_postgresql import ARGUMENTS, arguments, encoded
from cardservice.ledger.prepared import Call, Row
from cardservice.ledger.values import (
    PAYER_PREPAID,
    CounterChange,
    Posting,
)
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import (
    PAYABLE,
    SOMEBODY,
    advice,
    new_transaction_id,
    sale,
    topup,
    transfer,
    view_of,
)
from tests.support.databases import DatabaseUrls

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)

BATCHES, PAYERS, MOST = 40, 12, 8
TABLES = (
    "payer_state",
    "account",
    "counter",
    "ledger_transaction",
    "transfer",
    "transaction_proof",
    "transaction_details",
)
_VALUES = ", ".join(f"p_{name} => ${at}::{kind}" for at, (name, kind) in enumerate(ARGUMENTS, 1))


def _named(function: str, more: str) -> Call:
    query = "SELECT out_row, out_outcome, out_version, out_known_under FROM"
    return Call(function.encode(), f"{query} {function}({_VALUES}{more}) ORDER BY out_row".encode())


TOGETHER, ONE_BY_ONE = _named("post_transactions", ""), _named("post_one_by_one", ", p_route => NULL")


@pytest.fixture(autouse=True)
def _put(database: Database, database_urls: DatabaseUrls) -> None:
    owner = connect(database_urls.owner)
    with owner.begin() as connection:
        put_one_by_one(connection)
    owner.dispose()


def _call(database: Database, call: Call, named: dict[str, Any], keep: bool) -> tuple[list[Row], list[str]]:
    """What the function answers, and all that is stored then; which is taken back, or kept."""
    with database.engine.connect() as connection:
        rows = call.on(driver_of(connection), encoded(named))
        stored = [
            f"{table} {row}"
            for table in TABLES
            # Which transaction it was is no part of it.
            for row in connection.exec_driver_sql(
                f"SELECT to_jsonb(t) - 'posted_xid' AS one FROM {table} AS t ORDER BY one"  # noqa: S608 - ours
            ).scalars()
        ]
        if keep:
            connection.commit()
    return rows, stored


def test_whatever_is_posted_comes_to_the_same(database: Database, make_payer: MakePayer) -> None:
    """Outcomes, versions and rows, of batches in which everything occurs; another session holds a payer."""
    random = Random(14)  # noqa: S311 - the same batches each time
    payers = [make_payer(600) for _ in range(PAYERS)]
    held = payers.pop()
    seen: set[str] = set()
    known: list[Posting] = []
    with psycopg.connect(_url(database)) as other:
        other.execute("SELECT FROM payer_state WHERE payer_id = %s FOR NO KEY UPDATE", (held,))
        for number in range(BATCHES):
            some = random.sample([*payers, held], random.randint(1, MOST))
            batch = list(_batch(database, random, some, known))
            named = arguments(batch, False, 1.0)
            together, one_by_one = (
                _call(database, call, named, keep=call is ONE_BY_ONE) for call in (TOGETHER, ONE_BY_ONE)
            )
            assert one_by_one == together, number
            outcomes = [(row[1] or b"").decode() for row in one_by_one[0]]
            seen |= set(outcomes)
            known += [one for one, outcome in zip(batch, outcomes, strict=True) if outcome == "posted"]
    assert seen == {"posted", "known", "version_changed", "below_floor", "busy"}


def _url(database: Database) -> str:
    return database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _batch(
    database: Database, random: Random, payers: Sequence[PayerId], known: Sequence[Posting]
) -> Iterator[Posting]:
    """One posting for each payer, some of them with another beside it."""
    left = list(payers)
    while left:
        payer = left.pop()
        new = random.choice(_kinds(random, payer, view_of(database, payer).version, known))
        if left and random.random() < 0.3:
            other = left.pop()
            found = view_of(database, other).version - (random.random() < 0.2)
            new = replace(new, also_under=((other, found),))
        yield new


def _kinds(random: Random, payer: PayerId, version: int, known: Sequence[Posting]) -> list[Posting]:
    counted = sale(payer, version, 4)
    days = tuple(CounterChange(SOMEBODY, "day", str(random.randint(1, 3)), 1) for _ in range(2))
    # An id that somebody has had; perhaps this payer.
    again = [sale(payer, version, 6, id=random.choice(known).transaction.id)] if known else []
    return [
        sale(payer, version, random.randint(0, 90)),
        sale(payer, version - 1, 1),
        sale(payer, version, 100_000),
        advice(payer, version, 5, 7),
        replace(sale(payer, version, 2), tombstone=new_transaction_id()),
        replace(topup(payer, version, 500), details=None),
        replace(counted, counters=days),
        *again,
    ]


def test_what_is_wrong_in_itself_is_refused(
    database: Database, payer: PayerId, make_payer: MakePayer
) -> None:
    """By the same checks; and what names no account, or a payer that is none."""
    good = sale(payer, 1, 1)
    strange = transfer(PAYER_PREPAID, PAYABLE, 1, unit="EUR")
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (DataError, "do not belong together", arguments([good], True, 1.0) | {"version": []}),
        (DataError, "do not belong together", arguments([good], True, 1.0) | {"transfer_row": [2]}),
        (CardinalityViolation, "occurs twice", arguments([good, sale(payer, 1, 1)], True, 1.0)),
        (
            ForeignKeyViolation,
            "names no account",
            arguments([replace(good, transfers=(strange,))], True, 1.0),
        ),
        (ForeignKeyViolation, "has no state", arguments([replace(good, payer_id=_nobody())], True, 1.0)),
    ]
    for error, words, named in cases:
        with pytest.raises(error, match=words), database.begin() as connection:
            ONE_BY_ONE.on(driver_of(connection), encoded(named))
    assert view_of(database, payer).version == 1


def _nobody() -> PayerId:
    return PayerId(new_transaction_id())


def test_another_isolation_is_refused(database: Database, payer: PayerId) -> None:
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        with pytest.raises(DataError, match="READ COMMITTED"):
            ONE_BY_ONE.on(driver_of(connection), encoded(arguments([sale(payer, 1, 1)], True, 1.0)))
        connection.rollback()
