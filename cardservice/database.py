"""The database: one metadata, its column types, and connections that are set up the one right way.

SQLite serves where one council tries the service or runs one site; PostgreSQL in production. Everything that
differs between them is here, in `migrations` and in `ledger.posting`, and nowhere else.
"""

import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import psycopg
from sqlalchemy import (
    JSON,
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from cardservice.errors import CardServiceError
from cardservice.grants import grant_erasure_role, grant_service_role
from cardservice.migrations.runner import migrate, schema_is_current

__all__ = [
    "BigSerial",
    "Database",
    "JsonDocument",
    "NaiveTime",
    "UtcDateTime",
    "Xid8",
    "connect",
    "driver_of",
    "grant_erasure_role",
    "grant_service_role",
    "metadata",
    "migrate",
    "schema_is_current",
    "truncated",
]

# Constraints are named by rule, so that a migration can name what it changes.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

JsonDocument = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
# SQLite counts up only what is declared INTEGER.
BigSerial = BigInteger().with_variant(Integer, "sqlite")

# A writer on SQLite waits this long for the one before it.
SQLITE_BUSY_TIMEOUT_S = 30.0
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_READ_ONLY = "cardservice_read_only"


class NaiveTime(CardServiceError, ValueError):
    """A datetime without a time zone came to the database, so that it names no moment."""

    code = "naive_time"


class UnfitDatabase(CardServiceError):
    """The database is of a kind, or set up in a way, that the ledger cannot be right on."""

    code = "unfit_database"


def truncated(moment: datetime) -> datetime:
    """`moment` in UTC, cut to milliseconds as everything stored and signed is. Raises NaiveTime."""
    if moment.tzinfo is not UTC:
        if moment.utcoffset() is None:
            raise NaiveTime(f"{moment!r} has no time zone; pass an aware datetime")
        moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the millisecond: timestamptz, or integer milliseconds on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column's type on this database."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """What is stored. Raises NaiveTime, which SQLAlchemy wraps in a StatementError."""
        if value is None:
            return None
        moment = truncated(value)
        return (moment - _EPOCH) // _MILLISECOND if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The stored moment in UTC."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return _EPOCH + cast("int", value) * _MILLISECOND
        return cast("datetime", value).astimezone(UTC)


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id; a plain integer on SQLite, where commits have one order anyway."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """The type's name; SQLite keeps whatever it does not know as a number."""
        return "xid8"


@dataclass(frozen=True, slots=True)
class Database:
    """Two engines on one database: one for transactions, one for calls that are a transaction each."""

    engine: Engine
    posting_engine: Engine

    @property
    def dialect(self) -> Literal["sqlite", "postgresql"]:
        """Which of the two databases this is."""
        return cast('Literal["sqlite", "postgresql"]', self.engine.dialect.name)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a transaction that writes: committed at the end, rolled back on an error."""
        with self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection in a read-only transaction that sees one moment and keeps no writer waiting."""
        options: dict[str, Any] = {_READ_ONLY: True}
        if self.dialect == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    @contextmanager
    def turn(self) -> Iterator[Connection]:
        """A connection for one turn of a conversation: committed at the end, rolled back on an error.

        Whoever has it may commit in between, before what takes long: the next statement begins anew.
        """
        with self.engine.connect() as connection:
            yield connection
            connection.commit()

    def dispose(self) -> None:
        """Close every connection; the engines open new ones when asked again."""
        self.engine.dispose()
        self.posting_engine.dispose()


def driver_of(connection: Connection) -> psycopg.Connection[Any]:
    """The psycopg connection below, for calls that go past SQLAlchemy. Raises TypeError on SQLite."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("a connection to PostgreSQL is wanted")
    return driver


def connect(url: str | URL, *, pool_size: int = 10) -> Database:
    """The database at `url` (`sqlite:///file` or `postgresql://…`); connects when first used.

    Raises UnfitDatabase for another kind of database. Call it after a fork, never before.
    """
    parsed = make_url(url)
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        engine = _sqlite_engine(parsed, pool_size)
        return Database(engine, engine)
    if kind == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
        return Database(
            _postgresql_engine(parsed, pool_size, "READ COMMITTED"),
            _postgresql_engine(parsed, pool_size, "AUTOCOMMIT"),
        )
    raise UnfitDatabase(f"{kind} is not supported; use sqlite or postgresql")


def _postgresql_engine(
    url: URL, pool_size: int, isolation: Literal["READ COMMITTED", "AUTOCOMMIT"]
) -> Engine:
    engine = create_engine(
        url,
        isolation_level=isolation,
        pool_size=pool_size,
        # Compiling a plan costs more than a posting; and a call in autocommit runs at the server's default.
        connect_args={"options": "-c jit=off -c timezone=UTC"},
    )

    @event.listens_for(engine, "connect")
    def _assert_isolation(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute("SHOW default_transaction_isolation")
        found = cursor.fetchone()
        cursor.close()
        connection.rollback()
        if found is None or found[0] != "read committed":
            connection.close()
            raise UnfitDatabase("default_transaction_isolation must be 'read committed'")

    # A question to the server (pool_pre_ping) costs a round trip: as much as reading or posting.
    event.listen(engine, "checkout", _require_open)
    return engine


def _require_open(connection: DBAPIConnection, *_: object) -> None:
    """Have a connection replaced that its server has ended meanwhile; asks nothing, and waits for nothing."""
    pgconn = cast("psycopg.Connection[Any]", connection).pgconn
    try:
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
    except psycopg.OperationalError as error:
        raise DisconnectionError from error
    # A server says nothing of its own accord but its last words, which come a moment before the end, and that
    # a setting has changed: then a fresh connection does no harm, either.
    if poll.poll(0):
        raise DisconnectionError


def _sqlite_engine(url: URL, pool_size: int) -> Engine:
    if url.database in {None, "", ":memory:"}:
        raise UnfitDatabase("a SQLite database must be a file: each connection sees its own memory")
    engine = create_engine(
        url, pool_size=pool_size, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_S, "check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: ConnectionPoolEntry) -> None:
        # The driver must not begin transactions of its own accord: it would begin them deferred, and two
        # that read first and write then lose an update.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if read_only else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
