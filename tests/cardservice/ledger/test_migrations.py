"""The revisions run both ways on both databases, and end at what the models say."""

# ruff: noqa: S608 - the names in the queries are those of our own tables

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, text

import cardservice.accounts.models
import cardservice.applications.models
import cardservice.audit.models
import cardservice.blanks.models
import cardservice.bureau.models
import cardservice.cardholders.models
import cardservice.cards.models
import cardservice.circulation.models
import cardservice.ledger.closing.models
import cardservice.ledger.event_models
import cardservice.ledger.models
import cardservice.payments.models
import cardservice.pki_store.models
import cardservice.pupils.models
import cardservice.quarantine.models
import cardservice.rating.models
import cardservice.recovery.models
import cardservice.sip2.models
import cardservice.staff.models
import cardservice.tariffs.models
import cardservice.terminals.models  # noqa: F401 - each registers its tables
from cardservice.database import Database, connect, metadata, migrate, schema_is_current
from cardservice.migrations import runner
from cardservice.migrations.runner import stands_at
from tests.support.databases import DatabaseUrls

LIMIT_S = 60
# The migration must be seen waiting, and waited for, within this.
DEADLOCK_TIMEOUT_S = 4


def test_up_down_and_up_again_leaves_the_same_and_then_nothing(empty_database_urls: DatabaseUrls) -> None:
    seen = []
    for revision in ("head", "0002", "0001", "head", "base", "head"):
        migrate(empty_database_urls.owner, revision)
        database = connect(empty_database_urls.owner)
        with database.reading() as connection:
            seen.append(_schema(connection))
        assert schema_is_current(database) == (revision == "head")
        database.dispose()
    assert seen[0] == seen[3] == seen[5]
    assert "record_field" in seen[0]["tables"]
    assert "record_field" not in seen[1]["tables"]
    assert "ledger_transaction" in seen[1]["tables"]
    assert "ledger_transaction" not in seen[2]["tables"]
    assert seen[4] == {"tables": ["alembic_version"], "made": []}


def test_a_revision_that_is_in_place_is_left_alone(database_urls: DatabaseUrls, database: Database) -> None:
    migrate(database_urls.owner)
    newest = stands_at(database_urls.owner).current
    assert newest is not None
    migrate(database_urls.owner, newest)
    assert schema_is_current(database)


def test_the_revisions_end_at_the_models(owner_database: Database, empty_database_urls: DatabaseUrls) -> None:
    from_models = connect(empty_database_urls.owner)
    metadata.create_all(from_models.engine)
    with owner_database.reading() as migrated, from_models.reading() as created:
        assert _structure(migrated) == _structure(created)
    from_models.dispose()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_sales_are_read_by_knows_no_column_that_was_taken_away(database_urls: DatabaseUrls) -> None:
    """The program of before runs on after a way back."""
    migrate(database_urls.owner, "0057")
    database = connect(database_urls.owner)
    with database.reading() as connection:
        query = "SELECT prosrc FROM pg_proc WHERE proname = 'read_for_messages'"
        source = connection.scalar(text(query))
    database.dispose()
    assert source is not None
    assert "FROM terminal AS t" in source
    assert "closed_from" not in source


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_migration_that_a_deadlock_ends_is_done_again(
    database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds certificates and waits for payments; somebody reads them the other way round."""
    monkeypatch.setattr(runner, "LOCK_TIMEOUT_S", LIMIT_S)
    migrate(database_urls.owner, "0041")
    # Who looks for the deadlock is ended: the migration, after it has surely come about.
    _as_superuser(database_urls, f"ALTER ROLE owner SET deadlock_timeout TO '{DEADLOCK_TIMEOUT_S}s'")
    superuser = connect(_of_superuser(database_urls))
    try:
        with ThreadPoolExecutor(1) as pool, superuser.begin() as connection:
            connection.execute(text("SET LOCAL deadlock_timeout TO '10min'"))
            connection.execute(text("SELECT count(*) FROM payment_attempt"))
            migrating = pool.submit(migrate, database_urls.owner)
            _until_waiting(superuser)
            connection.execute(text("SELECT count(*) FROM certificate"))
            assert not migrating.done()
            connection.commit()
            migrating.result(LIMIT_S)
    finally:
        superuser.dispose()
        _as_superuser(database_urls, "ALTER ROLE owner RESET deadlock_timeout")
    database = connect(database_urls.owner)
    assert schema_is_current(database)
    database.dispose()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_service_at_another_isolation_is_refused(database_urls: DatabaseUrls) -> None:
    owner = connect(database_urls.owner)
    with owner.begin() as connection:
        connection.execute(text("ALTER ROLE owner SET default_transaction_isolation TO 'repeatable read'"))
    owner.dispose()
    again = connect(database_urls.owner)
    try:
        with pytest.raises(Exception, match="read committed"), again.posting_engine.connect():
            pass
    finally:
        again.dispose()
        _as_superuser(database_urls, "ALTER ROLE owner RESET default_transaction_isolation")


def _of_superuser(urls: DatabaseUrls) -> str:
    return urls.owner.replace("owner@", "postgres@")


def _as_superuser(urls: DatabaseUrls, statement: str) -> None:
    superuser = connect(_of_superuser(urls))
    with superuser.begin() as connection:
        connection.execute(text(statement))
    superuser.dispose()


def _until_waiting(superuser: Database) -> None:
    """Return once a session of this database waits for a lock."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    deadline = time.monotonic() + LIMIT_S
    while True:
        with superuser.begin() as connection:
            if connection.execute(query).scalar_one():
                return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _schema(connection: Connection) -> dict[str, Any]:
    """Tables, and what else a migration makes: functions and triggers."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY 1"
    else:
        query = (
            "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal UNION ALL SELECT proname::text"
            " FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1"
        )
    return {
        "tables": sorted(inspect(connection).get_table_names()),
        "made": list(connection.execute(text(query)).scalars()),
    }


def _structure(connection: Connection) -> dict[str, Any]:
    """Columns in their order, constraints and indexes of every table of ours, as the database tells them."""
    return {table.name: _table(connection, table.name) for table in metadata.sorted_tables}


def _table(connection: Connection, table: str) -> list[Any]:
    if connection.dialect.name == "sqlite":
        inspector = inspect(connection)
        checks = [(check["name"], check["sqltext"]) for check in inspector.get_check_constraints(table)]
        keys = [
            (key["constrained_columns"], key["referred_table"]) for key in inspector.get_foreign_keys(table)
        ]
        unique = [found["column_names"] for found in inspector.get_unique_constraints(table)]
        queries = (
            f"PRAGMA table_info({table})",
            f"SELECT sql FROM sqlite_master WHERE tbl_name = '{table}' AND type = 'index' ORDER BY name",
        )
        return [sorted(checks), sorted(keys), sorted(unique), *_rows(connection, *queries)]
    return _rows(
        connection,
        "SELECT column_name, data_type, is_nullable, column_default, is_identity"
        f" FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position",
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
        f" WHERE conrelid = '{table}'::regclass ORDER BY 1",
        f"SELECT indexdef FROM pg_indexes WHERE tablename = '{table}' ORDER BY 1",
    )


def _rows(connection: Connection, *queries: str) -> list[Any]:
    return [[tuple(row) for row in connection.execute(text(query))] for query in queries]
