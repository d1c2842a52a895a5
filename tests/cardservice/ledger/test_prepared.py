"""Calls past the driver: in autocommit by a prepared name, in a transaction within it, and waiting idly."""

from typing import Any

import psycopg
import pytest
from psycopg import waiting

from cardservice.database import Database, driver_of
from cardservice.ledger.prepared import Call

pytestmark = pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
ADD = Call(b"add", b"SELECT $1::int + 1")
ONE = b"\x00\x00\x00\x01"


def test_in_autocommit_it_is_prepared_once(database: Database) -> None:
    with database.posting_engine.connect() as connection:
        driver = driver_of(connection)
        assert [ADD.on(driver, [ONE]) for _ in range(2)] == [[[b"2"]]] * 2
        names = driver.execute("SELECT name FROM pg_prepared_statements WHERE name = 'add'").fetchall()
    assert names == [("add",)]


def test_in_a_transaction_it_is_part_of_it(database: Database) -> None:
    """Also as the first statement, before which the driver has not begun one."""
    make = Call(
        b"make", b"INSERT INTO payer (id, kind, created_at) VALUES (gen_random_uuid(), 'person', now())"
    )
    with database.engine.connect() as connection:
        make.on(driver_of(connection), [])
        connection.rollback()
    with database.engine.connect() as connection:
        [[count]] = driver_of(connection).execute("SELECT count(*) FROM payer").fetchall()
    assert count == 0


def test_after_an_error_the_connection_goes_on(database: Database) -> None:
    fail = Call(b"fail", b"SELECT 1 / $1::int")
    with database.posting_engine.connect() as connection:
        driver = driver_of(connection)
        for _ in range(2):
            with pytest.raises(psycopg.errors.DivisionByZero):
                fail.on(driver, [bytes(4)])
        assert fail.on(driver, [ONE]) == [[b"1"]]


def test_waiting_takes_no_processor(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an interval the driver asks again and again, without a pause, whether the answer is there."""
    intervals = []
    real = waiting.wait

    def noted(generator: Any, socket: int, interval: float = 0.0, timeout: float | None = None) -> Any:
        intervals.append(interval)
        return real(generator, socket, interval, timeout)

    monkeypatch.setattr(waiting, "wait", noted)
    with database.posting_engine.connect() as connection:
        ADD.on(driver_of(connection), [ONE])
    assert len(intervals) >= 2
    assert min(intervals) > 0.01
