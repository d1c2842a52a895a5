"""Runs the revisions beside it from the program, so that an installed package needs no alembic.ini."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from cardservice.ledger.distributing import allow_changes, is_distributed, put_functions

LOCK_TIMEOUT_S = 5
# Who pays locks tables in another order than the revisions do. Of a deadlock the database ends one side: the
# service does it again, and so does this.
TRIES = 5
# PostgreSQL 15, appendix A.
_DEADLOCK_DETECTED = "40P01"


class _HasEngine(Protocol):
    @property
    def engine(self) -> Engine: ...


def migrate(owner_url: str | URL, revision: str = "head", kek: Any = None) -> None:
    """Bring the database up or down to `revision` ("base": nothing is left), in one transaction.

    `owner_url` names the role that owns the tables: on PostgreSQL never the service's own. `kek` is the ring
    that wraps cardholders' keys, without which records of before 0023 are not moved. Raises SQLAlchemy's
    OperationalError, with nothing changed, where a table that it needs is in use for too long.
    """
    engine = _engine(make_url(owner_url))
    try:
        for _ in range(TRIES - 1):
            try:
                return _migrate_once(engine, revision, kek)
            except OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != _DEADLOCK_DETECTED:
                    raise
        _migrate_once(engine, revision, kek)
    finally:
        engine.dispose()


def _migrate_once(engine: Engine, revision: str, kek: Any) -> None:
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            # Whoever waits for a table's lock keeps everybody waiting who comes after: not for long.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
        divided = is_distributed(connection)
        if divided:
            allow_changes(connection)
        _run(connection, revision, kek)
        if divided:
            # A revision knows the functions for one node alone.
            put_functions(connection)


@dataclass(frozen=True, slots=True)
class Stand:
    """At which revision a database is, None without any table of ours, and those that are newer, in order."""

    current: str | None
    newer: tuple[str, ...]


def stands_at(owner_url: str | URL) -> Stand:
    """At which revision the database is."""
    engine = _engine(make_url(owner_url))
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    every = _oldest_first(ScriptDirectory.from_config(_configuration()))
    return Stand(current, tuple(every[every.index(current) + 1 :] if current in every else every))


def schema_is_current(database: _HasEngine) -> bool:
    """Whether the database is at the newest revision that this program knows."""
    with database.engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_heads()
    return set(found) == set(ScriptDirectory.from_config(_configuration()).get_heads())


def _oldest_first(script: ScriptDirectory) -> list[str]:
    return [entry.revision for entry in script.walk_revisions()][::-1]


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    engine = create_engine(url, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        # The driver would commit before each CREATE, and a revision that fails leave half of itself.
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _run(connection: Connection, revision: str, kek: Any) -> None:
    configuration = _configuration()
    configuration.attributes["connection"] = connection
    configuration.attributes["kek"] = kek
    script = ScriptDirectory.from_config(configuration)
    current = MigrationContext.configure(connection).get_current_revision()
    newest_first = [entry.revision for entry in script.walk_revisions()]
    if revision == "head":
        revision = newest_first[0]
    below = newest_first[newest_first.index(current) + 1 :] if current else []
    if revision in {*below, "base"}:
        command.downgrade(configuration, revision)
    else:
        command.upgrade(configuration, revision)


def _configuration() -> Config:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return configuration
