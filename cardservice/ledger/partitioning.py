"""The ledger by months on PostgreSQL: an operator's choice, made while the service goes on.

The present tables become the partition of all months so far, and new months follow. What there is of columns,
keys, indexes, triggers and rights is read from the database and carried over, whatever revision has put it
there. Each step may break off, and is gone on with by doing it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from cardservice.database import Database
from cardservice.ledger.dividing import divide, prove
from cardservice.ledger.errors import CannotDivide

# By their transaction's id, whose time says the month. What others name comes before them.
DIVIDED = {"transaction_proof": "transaction_id", "ledger_transaction": "id", "transfer": "transaction_id"}
# Made ahead by the worker, beside the month that it is.
AHEAD = 3
# Until then new rows must come into the present tables, and a step can wait so long for somebody.
ROOM = timedelta(days=7)
_CHECK = "ck_{table}_before"
_SOURCE = Path(__file__).with_suffix(".sql")


@dataclass(frozen=True, slots=True)
class Division:
    """How the ledger lies."""

    # Tables that are divided, and those that are to be; both in the order in which they name each other
    divided: tuple[str, ...]
    whole: tuple[str, ...]
    # By table: its partitions, the earliest first
    months: dict[str, tuple[str, ...]]
    # Rows whose time is in no month that was made
    in_default: int
    # Foreign keys that new rows keep, and that the old rows have not been looked at for
    unproved: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.whole and not self.unproved


def division(connection: Connection) -> Division:
    """How the ledger lies now."""
    rows = connection.execute(
        text(
            "SELECT relname, relkind::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relname = ANY (:names) AND relkind IN ('r', 'p')"
        ),
        {"names": list(DIVIDED)},
    )
    kinds = {str(table): str(kind) for table, kind in rows}
    divided = tuple(table for table in DIVIDED if kinds.get(table) == "p")
    months = {table: tuple(_partitions(connection, table)) for table in divided}
    defaults = [f"{table}_default" for table in divided]
    return Division(
        divided=divided,
        whole=tuple(table for table in DIVIDED if kinds.get(table) == "r"),
        months=months,
        in_default=sum(_count(connection, table) for table in defaults),
        unproved=tuple(f"{table}.{name}" for table, name in _unproved(connection)),
    )


def bound_after(moment: datetime) -> datetime:
    """Where the partition of all months so far ends: the first of a month that is a week away at least."""
    later = (moment + ROOM).astimezone(UTC)
    year, month = (later.year, later.month + 1) if later.month < 12 else (later.year + 1, 1)
    return datetime(year, month, 1, tzinfo=UTC)


def first_id(moment: datetime) -> UUID:
    """The first id of a moment (RFC 9562, 5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def partition(engine: Engine, moment: datetime, service_role: str | None) -> Sequence[str]:
    """Divide the ledger; what was done, in words. As the tables' owner. Raises CannotDivide.

    The tables are read through twice, while everybody goes on; between the two they are locked for as long as
    it takes to rename them, or for five seconds in vain. `service_role`: whose worker makes the months.
    """
    with engine.connect() as connection:
        _require(connection)
        found = division(connection)
    done: list[str] = []
    if found.whole:
        bound = bound_after(moment)
        for table in found.whole:
            _check_before(engine, table, first_id(bound))
            done.append(f"every row of {table} is of before {bound:%Y-%m-%d}")
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.exec_driver_sql(_SOURCE.read_text(encoding="utf-8").replace("%", "%%"))
            divide(connection, {table: DIVIDED[table] for table in found.whole}, first_id(bound))
            _make_months(connection, moment)
            _let_make(connection, service_role)
        done.append(f"{', '.join(found.whole)}: divided by months from {bound:%Y-%m} on")
    done += _prove(engine)
    return done


def make_months(database: Database, moment: datetime, ahead: int = AHEAD) -> Sequence[str]:
    """Make the months that are not there yet; their names. Nothing where the ledger is not divided."""
    if database.engine.dialect.name != "postgresql":
        return ()
    with database.begin() as connection:
        if connection.scalar(text("SELECT to_regproc('make_ledger_months') IS NULL")):
            return ()
        if not connection.scalar(_MISSING, {"moment": moment, "ahead": ahead}):
            return ()
        made = connection.scalar(
            text("SELECT make_ledger_months(:moment, :ahead)"), {"moment": moment, "ahead": ahead}
        )
    return tuple(made or ())


# The last month that is to be there: looked for in each round, and seldom missing.
_MISSING = text(
    "SELECT to_regclass('ledger_transaction' || to_char(date_trunc('month', CAST(:moment AS timestamptz)"
    " AT TIME ZONE 'UTC') + make_interval(months => :ahead), '_YYYY_MM')) IS NULL"
)


def _require(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        raise CannotDivide("this ledger lies on SQLite; months are for PostgreSQL")
    if connection.scalar(text("SELECT to_regproc('post_transactions_at') IS NOT NULL")):
        raise CannotDivide("this ledger lies on a cluster, which divides it by payers")
    owned = connection.scalar(
        text(
            "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class"
            " WHERE oid = to_regclass('public.ledger_transaction')"
        )
    )
    if not owned:
        raise CannotDivide("only the tables' owner divides them; set CARDSERVICE_OWNER_DATABASE_URL")


def _check_before(engine: Engine, table: str, bound: UUID) -> None:
    """That nothing of the table is later: new rows at once, then all, while everybody goes on."""
    name, column = _CHECK.format(table=table), DIVIDED[table]
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"))
        connection.execute(
            text(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({column} < '{bound}') NOT VALID")
        )
    with engine.begin() as connection:
        later = connection.scalar(
            text(f"SELECT {column} FROM {table} WHERE {column} >= :bound LIMIT 1"),  # noqa: S608 - names above
            {"bound": bound},
        )
        if later is not None:
            connection.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT {name}"))
    if later is not None:
        raise CannotDivide(f"{table} has {later}, whose time is to come; nothing was divided")
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))


def _make_months(connection: Connection, moment: datetime) -> None:
    connection.execute(text("SELECT make_ledger_months(:moment, :ahead)"), {"moment": moment, "ahead": AHEAD})


def _let_make(connection: Connection, service_role: str | None) -> None:
    if service_role is not None:
        quoted = connection.dialect.identifier_preparer.quote(service_role)
        connection.execute(
            text(f"GRANT EXECUTE ON FUNCTION make_ledger_months(timestamptz, int) TO {quoted}")
        )


def _prove(engine: Engine) -> list[str]:
    """Look old rows through for the foreign keys that new rows keep, while everybody goes on."""
    with engine.connect() as connection:
        unproved = _unproved(connection)
    for table, name in unproved:
        with engine.begin() as connection:
            connection.execute(text(f'ALTER TABLE {table} VALIDATE CONSTRAINT "{name}"'))
    with engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        prove(connection, list(DIVIDED))
    return [f"{table}: {name} holds for every row" for table, name in unproved]


def _unproved(connection: Connection) -> list[tuple[str, str]]:
    found = connection.execute(
        text(
            "SELECT conrelid::regclass::text, conname FROM pg_constraint"
            # Those below another are made by the database, one for each partition that is named.
            " WHERE contype = 'f' AND NOT convalidated AND conparentid = 0 ORDER BY 1, 2"
        )
    )
    return [(str(table), str(name)) for table, name in found]


def _partitions(connection: Connection, table: str) -> list[str]:
    found = connection.execute(
        text(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = to_regclass(:name) ORDER BY c.relname !~ '_before$', c.relname"
        ),
        {"name": f"public.{table}"},
    )
    return [str(name) for (name,) in found]


def _count(connection: Connection, table: str) -> int:
    return int(connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # noqa: S608 - names above
