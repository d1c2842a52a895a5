"""Connections are set up the one way on which the ledger is right."""

import time
from datetime import UTC, datetime, timedelta, timezone
from threading import Thread

import pytest
from sqlalchemy import Connection, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from cardservice.database import Database, NaiveTime, UnfitDatabase, connect, truncated
from cardservice.ids import PayerId
from cardservice.ledger.models import payer_state
from cardservice.ledger.payers import touch_payers
from cardservice.providers.models import provider, scheme
from tests.cardservice.ledger.postings import MOMENT

SETTINGS: dict[str, dict[str, str | int]] = {
    "sqlite": {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": 2, "PRAGMA foreign_keys": 1},
    "postgresql": {
        "SHOW jit": "off",
        "SHOW timezone": "UTC",
        "SHOW synchronous_commit": "on",
        "SHOW transaction_isolation": "read committed",
    },
}


def test_every_connection_is_set_up(database: Database) -> None:
    for engine in {database.engine, database.posting_engine}:
        with engine.connect() as connection:
            for query, value in SETTINGS[database.dialect].items():
                assert connection.execute(text(query)).scalar_one() == value


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://host/name"])
def test_a_database_that_cannot_be_right_is_refused(url: str) -> None:
    with pytest.raises(UnfitDatabase):
        connect(url)


def test_reading_writes_nothing(database: Database) -> None:
    with pytest.raises(DBAPIError, match=r"(?i)read-?only"), database.reading() as connection:
        connection.execute(insert(provider).values(id="buses", name="Buses"))
    with database.begin() as connection:
        connection.execute(insert(provider).values(id="buses", name="Buses"))


def test_reading_sees_one_moment_and_keeps_no_writer_waiting(database: Database, payer: PayerId) -> None:
    version = select(payer_state.c.version).where(payer_state.c.payer_id == payer)
    with database.reading() as connection:
        before = connection.execute(version).scalar_one()
        with database.begin() as writer:
            touch_payers(writer, [payer])
        assert connection.execute(version).scalar_one() == before
    with database.reading() as connection:
        assert connection.execute(version).scalar_one() == before + 1


def test_two_that_read_and_then_write_lose_nothing(database: Database, payer: PayerId) -> None:
    """Each reads the version under the lock and writes what it read, plus one."""
    times = 20

    def count_up() -> None:
        row = payer_state.c.payer_id == payer
        for _ in range(times):
            with database.begin() as connection:
                read = connection.execute(select(payer_state.c.version).where(row).with_for_update())
                connection.execute(update(payer_state).where(row).values(version=read.scalar_one() + 1))

    threads = [Thread(target=count_up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as connection:
        assert connection.execute(select(payer_state.c.version)).scalar_one() == 1 + 2 * times


def test_what_fails_is_rolled_back(database: Database) -> None:
    def add_twice(connection: Connection) -> None:
        for name in ("Buses", "Coaches"):
            connection.execute(insert(provider).values(id="buses", name=name))

    with pytest.raises(IntegrityError), database.begin() as connection:
        add_twice(connection)
    with database.reading() as connection:
        assert connection.execute(select(provider)).all() == []


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (datetime(2026, 11, 24, 8, 30, 0, 1_999, UTC), datetime(2026, 11, 24, 8, 30, 0, 1_000, UTC)),
        (datetime(2026, 11, 24, 10, 30, tzinfo=timezone(timedelta(hours=2))), MOMENT),
        (datetime(1969, 12, 31, 23, 59, 59, 999_500, UTC), datetime(1969, 12, 31, 23, 59, 59, 999_000, UTC)),
    ],
)
def test_a_moment_is_kept_in_utc_to_the_millisecond(
    database: Database, given: datetime, kept: datetime
) -> None:
    assert truncated(given) == kept
    row = {"id": "s", "name": "S", "currency": "GBP", "timezone": "Europe/London", "created_at": given}
    with database.begin() as connection:
        connection.execute(insert(scheme).values(row))
    with database.reading() as connection:
        found = connection.execute(select(scheme.c.created_at)).scalar_one()
    assert found == kept
    assert found.tzinfo is UTC


def test_a_naive_moment_is_refused(database: Database) -> None:
    naive = datetime(2026, 11, 24, 8, 30)  # noqa: DTZ001 - what must be refused
    with pytest.raises(NaiveTime):
        truncated(naive)
    row = {"id": "s", "name": "S", "currency": "GBP", "timezone": "Europe/London", "created_at": naive}
    with pytest.raises(StatementError, match="has no time zone"), database.begin() as connection:
        connection.execute(insert(scheme).values(row))


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_connection_that_the_server_has_ended_is_replaced(database: Database) -> None:
    """As after a restart of the server: whoever comes next does not notice."""
    with database.posting_engine.connect() as kept:
        [[ended]] = kept.execute(text("SELECT pg_backend_pid()"))
    with database.begin() as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": ended})
        gone = text("SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = :pid")
        deadline = time.monotonic() + 60
        while not connection.execute(gone, {"pid": ended}).scalar_one():
            assert time.monotonic() < deadline
            connection.execute(text("SELECT pg_stat_clear_snapshot()"))
    with database.posting_engine.connect() as other:
        [[found]] = other.execute(text("SELECT pg_backend_pid()"))
    assert found != ended
