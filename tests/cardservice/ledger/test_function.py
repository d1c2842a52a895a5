"""`post_transactions` itself, called past the program that builds its arguments."""

from dataclasses import replace
from typing import Any

import pytest
from psycopg.errors import CardinalityViolation, DataError
from sqlalchemy import Connection

from cardservice.database import Database, driver_of
from cardservice.ids import PayerId
from cardservice.ledger.posting_postgresql import CALL, arguments, encoded
from cardservice.ledger.prepared import Row
from cardservice.ledger.values import CounterChange
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import SOMEBODY, new_transaction_id, sale, view_of

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)


def _call(connection: Connection, named: dict[str, Any]) -> list[Row]:
    return CALL.on(driver_of(connection), encoded(named))


def _arguments(payer: PayerId, other: PayerId) -> dict[str, Any]:
    counters = (CounterChange(SOMEBODY, "day", "2026-11-24", 1),)
    posting = replace(sale(payer, 1, 200), also_under=((other, 1),), counters=counters)
    return arguments([posting], True, 1.0)


ARRAYS = sorted(name for name, value in arguments([], True, 1.0).items() if isinstance(value, list))


def test_arrays_of_unequal_length_are_refused(
    database: Database, payer: PayerId, make_payer: MakePayer
) -> None:
    """Shorter and longer: what is missing would be posted as NULL, or not at all."""
    good = _arguments(payer, make_payer(10))
    assert len(ARRAYS) == 52
    cases = ((name, wrong) for name in ARRAYS for wrong in (good[name][:-1], good[name] * 2))
    for name, wrong in cases:
        with pytest.raises(DataError, match="do not belong together"), database.begin() as connection:
            _call(connection, good | {name: wrong})
    assert view_of(database, payer).version == 1


def test_a_part_of_no_row_is_refused(database: Database, payer: PayerId, make_payer: MakePayer) -> None:
    good = _arguments(payer, make_payer(10))
    for row in (0, 2):
        with pytest.raises(DataError, match="do not belong together"), database.begin() as connection:
            _call(connection, good | {"transfer_row": [row]})


def test_a_payer_or_an_id_twice_is_refused(database: Database, payer: PayerId, make_payer: MakePayer) -> None:
    other = make_payer(10)
    batches = (
        [sale(payer, 1, 1), sale(payer, 1, 1)],
        [replace(sale(payer, 1, 1), also_under=((other, 1),)), sale(other, 1, 1)],
        [same := sale(payer, 1, 1), replace(same, payer_id=other)],
        [replace(same, tombstone=(buried := new_transaction_id())), sale(other, 1, 1, id=buried)],
    )
    for batch in batches:
        with pytest.raises(CardinalityViolation, match="occurs twice"), database.begin() as connection:
            _call(connection, arguments(batch, True, 1.0))
    assert view_of(database, payer).version == 1


def test_another_isolation_is_refused(database: Database, payer: PayerId) -> None:
    """Each statement must see what was committed while the one before it waited."""
    with database.engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        with pytest.raises(DataError, match="READ COMMITTED"):
            _call(connection, arguments([sale(payer, 1, 1)], True, 1.0))
        connection.rollback()


def test_nothing_is_posted_by_no_rows(database: Database) -> None:
    with database.begin() as connection:
        assert _call(connection, arguments([], True, 1.0)) == []
