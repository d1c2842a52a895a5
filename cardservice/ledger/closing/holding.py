"""Who keeps the ledger sequence waiting: the oldest database transaction that still runs, on PostgreSQL."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select, text

from cardservice.database import Database
from cardservice.ledger.closing.rounds import on_cluster
from cardservice.ledger.closing.sequencing import (
    SHARD,
    Calendar,
    horizon,
    read_position,
    unsequenced,
)
from cardservice.ledger.models import ledger_transaction

# A posting takes milliseconds: what holds numbers back for longer was forgotten, or is a report.
LONGEST = timedelta(seconds=60)

# Every session may see who has which transaction's lock; its name only where the role may.
_HOLDER = text(
    "SELECT held.pid, session.usename, session.application_name FROM pg_locks AS held"
    " LEFT JOIN pg_stat_activity AS session ON session.pid = held.pid"
    " WHERE held.locktype = 'transactionid' AND held.mode = 'ExclusiveLock' AND held.granted"
    " AND held.transactionid::text = :oldest"
)
_XID_BITS = 32


@dataclass(frozen=True, slots=True)
class Held:
    """Something that was posted `since` then has no number yet; by whom, as far as the database tells."""

    since: datetime
    pid: int | None
    role: str | None
    application: str | None


def held_back(
    database: Database, calendar: Calendar, *, longest: timedelta = LONGEST, shard: int = SHARD
) -> Held | None:
    """Who has held numbers back for longer than `longest`; None where nobody does, or can: see `rounds`."""
    if database.dialect == "sqlite":
        return None
    with database.reading() as connection:
        if on_cluster(connection):
            return None
        oldest = connection.execute(
            select(func.min(ledger_transaction.c.posted_at)).where(
                unsequenced(connection, read_position(connection, shard))
            )
        ).scalar_one()
        if oldest is None or calendar.now - oldest <= longest:
            return None
        return _holder(connection, oldest)


def _holder(connection: Connection, since: datetime) -> Held:
    # A lock names the transaction by the lower half of its number.
    oldest = horizon(connection) & ((1 << _XID_BITS) - 1)
    found = connection.execute(_HOLDER, {"oldest": str(oldest)}).first()
    if found is None:
        return Held(since, None, None, None)
    return Held(since, found.pid, found.usename, found.application_name or None)
