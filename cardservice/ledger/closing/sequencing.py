"""The ledger sequence: a number for every transaction, given after its commit, and the day it settles on.

Ids and clocks are not in the order of commits: whoever reads on by them skips what commits late. One worker
numbers what lies below the oldest database transaction that still runs: there everything has committed,
and is seen, or never will. On SQLite rows are in the order of commits; a cluster has rounds (`rounds`).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Date,
    Integer,
    Row,
    Select,
    Text,
    and_,
    cast,
    column,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    tuple_,
    update,
    values,
)

from cardservice.database import Database, UtcDateTime, Xid8
from cardservice.ledger.closing import rollups, rounds
from cardservice.ledger.closing.models import ledger_epoch, ledger_position, ledger_sequence
from cardservice.ledger.errors import SequenceHeld
from cardservice.ledger.models import ledger_transaction

# The one shard of one node
SHARD = 0
# Numbered in one database transaction
AT_ONCE = 10_000
# Before and after whatever can have been posted
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_END = datetime(9999, 1, 1, tzinfo=UTC)
_ROW: ColumnElement[int] = literal_column("ledger_transaction.rowid", Integer)


@dataclass(frozen=True, slots=True)
class Position:
    """How far the worker has come.

    `posted_below` is an xid on PostgreSQL, a round on a cluster, a row number on SQLite.
    """

    shard: int
    epoch: int
    sequence: int
    posted_below: int
    open_day: date


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days are those of the scheme's time zone; nothing settles on a day that has not begun."""

    zone: tzinfo
    now: datetime

    @property
    def today(self) -> date:
        """The day that it is in the scheme."""
        return self.day_of(self.now)

    def day_of(self, moment: datetime) -> date:
        """The day in which this moment lies."""
        return moment.astimezone(self.zone).date()

    def begins(self, day: date) -> datetime:
        """When the day begins, in UTC."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)


def sequence(database: Database, calendar: Calendar, *, shard: int = SHARD, at_once: int = AT_ONCE) -> int:
    """Number all that can be numbered now, some at a time; how many there were. Raises SequenceHeld."""
    numbered = 0
    while True:
        with database.begin() as connection:
            step, more = sequence_on(connection, calendar, shard=shard, at_once=at_once)
        numbered += step
        if not more:
            return numbered


def sequence_on(
    connection: Connection, calendar: Calendar, *, shard: int = SHARD, at_once: int = AT_ONCE
) -> tuple[int, bool]:
    """A step of `sequence` in the caller's transaction: how many were numbered; whether there are more."""
    position = lock_position(connection, shard)
    clustered = rounds.on_cluster(connection)
    # Asked before anything is read: what is over by then is seen.
    is_over = clustered and rounds.begun(connection, position.posted_below + 1)
    end = rounds.NEVER if clustered else horizon(connection)
    cut = _cut(connection, position, end, at_once)
    numbered = _number(connection, position, cut, calendar)
    if clustered:
        below = position.posted_below + (is_over and cut == end)
        numbered = replace(numbered, posted_below=below)
    if numbered.sequence > position.sequence:
        rollups.add(connection, position, numbered)
        store_position(connection, numbered)
    return numbered.sequence - position.sequence, cut < end


def read_position(connection: Connection, shard: int = SHARD) -> Position:
    """How far the worker has come, without keeping it waiting."""
    query = select(ledger_position).where(ledger_position.c.shard == shard)
    return Position(*connection.execute(query).one())


def lock_position(connection: Connection, shard: int = SHARD) -> Position:
    """How far the worker has come, for this transaction alone. Raises SequenceHeld where another has it."""
    query = select(ledger_position).where(ledger_position.c.shard == shard)
    if rounds.on_cluster(connection) and not rounds.hold(connection):
        raise SequenceHeld("the ledger is being verified, or another worker is numbering it")
    # A statement of its own: what follows sees all that the worker before committed.
    found = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if found is None:
        raise SequenceHeld("another worker is numbering this ledger; one at a time does")
    return Position(*found)


def store_position(connection: Connection, position: Position) -> None:
    """Write down how far the worker has come; its row is locked."""
    connection.execute(
        update(ledger_position)
        .where(ledger_position.c.shard == position.shard)
        .values(
            epoch=position.epoch,
            sequence=position.sequence,
            posted_below=position.posted_below,
            open_day=position.open_day,
        )
    )


def begin_epoch(
    connection: Connection, calendar: Calendar, *, reason: str, actor: str, shard: int = SHARD
) -> int:
    """Begin a new epoch, as after a restore, and number in it whatever has no number; the epoch.

    Nothing may be posting. Rows may carry xids of another server: they are looked for one by one, this once.
    """
    position = lock_position(connection, shard)
    clustered = rounds.on_cluster(connection)
    epoch = position.epoch + 1
    connection.execute(
        insert(ledger_epoch).values(
            shard=shard, epoch=epoch, began_at=calendar.now, reason=reason, actor=actor
        )
    )
    begun = replace(position, epoch=epoch, sequence=0, posted_below=0)
    store_position(connection, begun)
    numbered = _number(connection, begun, None, calendar)
    rollups.add(connection, begun, numbered)
    if clustered:
        # A node that was restored may be in an earlier round than what the others have numbered.
        rounds.begun(connection, position.posted_below + 1)
        below = position.posted_below
    else:
        below = horizon(connection)
    store_position(connection, replace(numbered, posted_below=below))
    return epoch


def horizon(connection: Connection) -> int:
    """Below this everything has committed, and is seen, or never will be."""
    if connection.dialect.name == "sqlite":
        return next_place(connection)
    oldest = func.pg_snapshot_xmin(func.pg_current_snapshot())
    return int(connection.execute(select(cast(oldest, Text()))).scalar_one())


def next_place(connection: Connection) -> int:
    """The number of the row that will come next. On SQLite, whose only writer asks."""
    return int(
        connection.execute(
            select(func.coalesce(func.max(_ROW), 0) + 1).select_from(ledger_transaction)
        ).scalar_one()
    )


def place(connection: Connection) -> ColumnElement[Any]:
    """What a transaction's row is ordered by."""
    return _ROW if connection.dialect.name == "sqlite" else ledger_transaction.c.posted_xid


def bound(connection: Connection, number: int) -> Any:
    """A number to compare a `place` with."""
    return number if connection.dialect.name == "sqlite" else cast(str(number), Xid8())


def unsequenced(connection: Connection, position: Position) -> ColumnElement[bool]:
    """Tells the transactions that have no number yet, among those that this position has not passed."""
    return and_(
        place(connection) >= bound(connection, position.posted_below), ~_is_numbered(connection, position)
    )


def is_passed_over(connection: Connection, position: Position) -> ColumnElement[bool]:
    """Tells the transactions that should have a number, and have none."""
    return and_(
        place(connection) < bound(connection, position.posted_below), ~_is_numbered(connection, position)
    )


def _is_numbered(connection: Connection, position: Position) -> ColumnElement[bool]:
    stored, entry = ledger_transaction.c, ledger_sequence.c
    found = exists().where(entry.payer_id == stored.payer_id, entry.transaction_id == stored.id)
    if not rounds.on_cluster(connection):
        return found
    # A node is read later than the position, and may have numbers by then that the position has not.
    return found.where(tuple_(entry.epoch, entry.sequence) <= tuple_(position.epoch, position.sequence))


def _cut(connection: Connection, position: Position, end: int, at_once: int) -> int:
    """Where this step ends: no database transaction's rows are divided between two."""
    at = place(connection)
    waiting = at >= bound(connection, position.posted_below)
    if rounds.on_cluster(connection):
        # There the worker's place need not move on with each step.
        waiting = unsequenced(connection, position)
    places = (
        select(cast(at, Text()))
        .select_from(ledger_transaction)
        .where(waiting, at < bound(connection, end))
        .order_by(at)
        .limit(1)
    )
    beyond = connection.execute(places.offset(at_once)).scalar_one_or_none()
    if beyond is None:
        return end
    # However many rows one database transaction has posted, those are numbered.
    return max(int(beyond), int(connection.execute(places).scalar_one()) + 1)


def _number(connection: Connection, position: Position, cut: int | None, calendar: Calendar) -> Position:
    """Number what lies below `cut`, in the order of days; None: everything that is there."""
    wanted = unsequenced(connection, position)
    if cut is not None:
        wanted = and_(wanted, place(connection) < bound(connection, cut))
    days = _days(connection, wanted, position.open_day, calendar)
    if not days:
        return position
    columns = ("shard", "epoch", "sequence", "payer_id", "transaction_id", "settled_on", "late")
    rows = _numbered(connection, position, wanted, days)
    connection.execute(insert(ledger_sequence).from_select(columns, rows))
    entry, below = ledger_sequence.c, position.posted_below if cut is None else cut
    last, settled = connection.execute(
        select(func.max(entry.sequence), func.max(entry.settled_on)).where(
            entry.shard == position.shard,
            entry.epoch == position.epoch,
            entry.sequence > position.sequence,
        )
    ).one()
    return replace(position, sequence=last, posted_below=below, open_day=settled)


def _numbered(
    connection: Connection, position: Position, wanted: ColumnElement[bool], days: "list[_Day]"
) -> Select[Any]:
    stored, day = ledger_transaction.c, _as_table(days)
    order = (day.c.day, place(connection), stored.payer_id, stored.id)
    return (
        select(
            literal(position.shard),
            literal(position.epoch),
            literal(position.sequence) + func.row_number().over(order_by=order),
            stored.payer_id,
            stored.id,
            day.c.day,
            stored.occurred_at < day.c.begins,
        )
        .select_from(ledger_transaction)
        .join(day, and_(stored.posted_at >= day.c.posted_from, stored.posted_at < day.c.posted_until))
        .where(wanted)
    )


@dataclass(frozen=True, slots=True)
class _Day:
    """What was posted between these two settles on this day."""

    day: date
    begins: datetime
    posted_from: datetime
    posted_until: datetime


def _days(
    connection: Connection, wanted: ColumnElement[bool], open_day: date, calendar: Calendar
) -> list[_Day]:
    """The days on which these rows settle: never one that is closed, and never one that has not begun."""
    latest = max(open_day, calendar.today)
    settled = sorted({min(max(day, open_day), latest) for day in _posted_days(connection, wanted, calendar)})
    found = []
    for number, day in enumerate(settled):
        begins = calendar.begins(day)
        until = calendar.begins(settled[number + 1]) if number + 1 < len(settled) else _END
        found.append(_Day(day, begins, begins if number else _BEGINNING, until))
    return found


def _posted_days(connection: Connection, wanted: ColumnElement[bool], calendar: Calendar) -> Iterator[date]:
    """Every day on which one of these rows may have been posted."""
    posted = ledger_transaction.c.posted_at
    if connection.dialect.name == "sqlite":
        day: ColumnElement[int] = literal_column("posted_at / 86400000", Integer)
        moments: Select[Any] = select(cast(day * 86_400_000, UtcDateTime()))
    else:
        moments = select(func.date_trunc("day", posted, "UTC"))
    rows: list[Row[Any]] = list(
        connection.execute(moments.select_from(ledger_transaction).where(wanted).distinct())
    )
    for row in rows:
        first = calendar.day_of(row[0])
        last = calendar.day_of(row[0] + timedelta(days=1))
        yield from (first + timedelta(days=number) for number in range((last - first).days + 1))


def _as_table(days: list[_Day]) -> Any:
    return (
        values(
            column("day", Date),
            column("begins", UtcDateTime()),
            column("posted_from", UtcDateTime()),
            column("posted_until", UtcDateTime()),
        )
        .data([(day.day, day.begins, day.posted_from, day.posted_until) for day in days])
        .cte("settled_day")
    )
