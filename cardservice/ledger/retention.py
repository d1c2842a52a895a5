"""Retention: details are erased when the time of their class is over; amounts, days and ids stay.

Portions are small and each is a transaction of its own, so that nobody waits for it and what broke off goes
on by doing it again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection, Join, and_, delete, func, select, tuple_

from cardservice.database import Database
from cardservice.ledger.event_models import reservation, resource
from cardservice.ledger.models import counter, ledger_transaction, transaction_details

# Ours, and for the scheme to set (`retention_days`): long enough for a question or a complaint, no longer.
# Those of what services keep, each service declares.
DEFAULT_DAYS: Mapping[str, int] = MappingProxyType(
    {
        # For what is not brought back: a return erases a loan's details at once, unless the reader opted in.
        "loans": 400,
        # Thirteen months: as long as a payment may be disputed (Directive (EU) 2015/2366, article 71).
        "annulment": 396,
        "refund": 396,
        # Seven years: what the books need of a payment beside its amount.
        "finance": 2557,
    }
)
ROWS_AT_ONCE = 1_000
_Key = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Due:
    """A class of details: its period in days, None where none is set; how many are kept, and how many due."""

    retention_class: str
    days: int | None
    kept: int
    due: int


def periods(declared: Mapping[str, int], configured: Mapping[str, int]) -> dict[str, int]:
    """Days by class: what the scheme has set comes before what the services declare, and that before ours."""
    return {**DEFAULT_DAYS, **declared, **configured}


def survey(connection: Connection, days: Mapping[str, int], moment: datetime) -> tuple[Due, ...]:
    """What is kept and what is due, by class. A class without a period is kept, and is to be given one."""
    kept, stored = transaction_details.c, ledger_transaction.c
    counts = connection.execute(
        select(kept.retention_class, func.count()).group_by(kept.retention_class)
    ).all()
    found = []
    for name, count in sorted((row[0], row[1]) for row in counts):
        period, due = days.get(name), 0
        if period is not None:
            due = connection.execute(
                select(func.count())
                .select_from(_joined())
                .where(kept.retention_class == name, stored.posted_at < moment - timedelta(days=period))
            ).scalar_one()
        found.append(Due(name, period, count, due))
    return tuple(found)


def erase_due(
    database: Database,
    retention_class: str,
    days: int,
    moment: datetime,
    note: Callable[[Connection, int], None],
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> Iterator[int]:
    """Erase what is due of a class, portion by portion; yields how many each had, once it is committed.

    `note` is called within each portion's transaction with how many it has.
    """
    after: _Key | None = None
    before = moment - timedelta(days=days)
    while True:
        with database.begin() as connection:
            _overwrite(connection)
            keys = _due(connection, retention_class, before, after, rows_at_once)
            if not keys:
                return
            kept = transaction_details.c
            of_portion = tuple_(kept.payer_id, kept.transaction_id).in_(keys)
            erased = connection.execute(delete(transaction_details).where(of_portion)).rowcount
            note(connection, erased)
        after = keys[-1]
        yield erased


def erase_counters(
    database: Database,
    service: str,
    is_over: Callable[[str, str], bool],
    note: Callable[[Connection, int], None],
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> int:
    """Take away a service's counters that are about what is over, by rule and period; how many there were.

    They are the payer's state and no record: what they allowed is decided, and nothing is posted for it.
    """
    own, erased = counter.c, 0
    key = (own.payer_id, own.cardholder_id, own.rule, own.period)
    after: tuple[object, ...] | None = None
    while True:
        with database.begin() as connection:
            wanted = select(*key).where(own.rule.startswith(f"{service}.", autoescape=True))
            if after is not None:
                wanted = wanted.where(tuple_(*key) > tuple_(*after))
            rows = connection.execute(wanted.order_by(*key).limit(rows_at_once)).all()
            if not rows:
                return erased
            over = [tuple(row) for row in rows if is_over(row.rule, row.period)]
            if over:
                _overwrite(connection)
                portion = connection.execute(delete(counter).where(tuple_(*key).in_(over))).rowcount
                note(connection, portion)
                erased += portion
        after = tuple(rows[-1])


def erase_resources(
    database: Database,
    service: str,
    is_over: Callable[[str], bool],
    note: Callable[[Connection, int], None],
    *,
    rows_at_once: int = ROWS_AT_ONCE,
) -> int:
    """Take away a service's resources that are about what is over, and who had them; how many there were.

    What is held for a posting that is on its way stays.
    """
    own, erased, after = resource.c, 0, ""
    while True:
        with database.begin() as connection:
            wanted = select(own.key).where(own.service == service, own.key > after).order_by(own.key)
            keys = connection.execute(wanted.limit(rows_at_once)).scalars().all()
            if not keys:
                return erased
            portion = _erase_resources(connection, service, [key for key in keys if is_over(key)])
            if portion:
                note(connection, portion)
            erased += portion
        after = keys[-1]


def _erase_resources(connection: Connection, service: str, over: Sequence[str]) -> int:
    if not over:
        return 0
    _overwrite(connection)
    own, held = resource.c, reservation.c
    # Whoever claims one now waits, or is seen by what follows.
    locked = select(own.key).where(own.service == service, own.key.in_(over)).order_by(own.key)
    connection.execute(locked.with_for_update()).all()
    mine = held.service == service, held.key.in_(over)
    connection.execute(delete(reservation).where(*mine, held.state != "held"))
    kept = select(held.key).where(*mine)
    gone = delete(resource).where(own.service == service, own.key.in_(over), own.key.not_in(kept))
    return connection.execute(gone).rowcount


def _overwrite(connection: Connection) -> None:
    """What is deleted is overwritten in SQLite's file, too."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _joined() -> Join:
    kept, stored = transaction_details.c, ledger_transaction.c
    return transaction_details.join(
        ledger_transaction, and_(stored.payer_id == kept.payer_id, stored.id == kept.transaction_id)
    )


def _due(
    connection: Connection, retention_class: str, before: datetime, after: _Key | None, limit: int
) -> list[_Key]:
    """The next that are due, in the order of their key."""
    kept, stored = transaction_details.c, ledger_transaction.c
    wanted = (
        select(kept.payer_id, kept.transaction_id)
        .select_from(_joined())
        .where(kept.retention_class == retention_class, stored.posted_at < before)
        .order_by(kept.payer_id, kept.transaction_id)
        .limit(limit)
    )
    if after is not None:
        wanted = wanted.where(tuple_(kept.payer_id, kept.transaction_id) > tuple_(*after))
    return [(row.payer_id, row.transaction_id) for row in connection.execute(wanted)]
