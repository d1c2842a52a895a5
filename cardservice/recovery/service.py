"""Beginning a recovery, what is known of it, and its end."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.ledger.closing.models import day_seal
from cardservice.ledger.closing.sequencing import SHARD, Calendar, begin_epoch
from cardservice.ledger.models import ledger_transaction
from cardservice.recovery.errors import NotRecovering, RecoveryOpen, TerminalsMissing
from cardservice.recovery.heads import described
from cardservice.recovery.models import ledger_recovery, recovered_message, recovery_terminal
from cardservice.terminals.models import terminal
from pki.statements import TreeHead

# Ours: clocks of terminals and of this machine differ, and what was answered last may have been on its way.
MARGIN = timedelta(hours=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recovery:
    """A restore, from its beginning on."""

    number: int
    began_at: datetime
    reason: str
    epoch: int
    # From when on terminals send again
    since: datetime
    last_number: int
    lost_heads: Sequence[Mapping[str, Any]]
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class LostDay:
    """A day whose head had been published, and that the database does not have."""

    day: str
    # Entries that the head sealed; of those that came back from terminals, how many had been answered then
    sealed: int
    back: int


@dataclass(frozen=True, slots=True)
class State:
    """How far a recovery has come."""

    recovery: Recovery
    lost: tuple[LostDay, ...]
    # What came back, by decision
    back: Mapping[str, int]
    # Terminals that have sent all that they kept, and those that were in use and have not
    complete: tuple[str, ...]
    missing: tuple[str, ...]


def open_recovery(connection: Connection) -> Recovery | None:
    """The recovery that is not finished, if there is one."""
    row = connection.execute(
        select(ledger_recovery).where(ledger_recovery.c.finished_at.is_(None))
    ).one_or_none()
    return None if row is None else _recovery(row)


def begin(
    context: Context, calendar: Calendar, lost: Sequence[TreeHead], *, reason: str, actor: str
) -> Recovery:
    """Begin a recovery, and with it a new epoch of the ledger's numbers. Nothing may be posting.

    Raises RecoveryOpen, and SequenceHeld while a worker is numbering.
    """
    with context.database.begin() as connection:
        newest = connection.scalar(select(func.max(day_seal.c.number)).where(day_seal.c.shard == SHARD)) or 0
        last = connection.scalar(select(func.max(ledger_transaction.c.posted_at)))
        epoch = begin_epoch(connection, calendar, reason=reason, actor=actor)
        # Under the lock of the numbers: one recovery at a time is open.
        if (found := open_recovery(connection)) is not None:
            raise RecoveryOpen(found.number)
        number = (connection.scalar(select(func.max(ledger_recovery.c.number))) or 0) + 1
        connection.execute(
            insert(ledger_recovery).values(
                number=number,
                began_at=calendar.now,
                reason=reason,
                actor=actor,
                epoch=epoch,
                since=_BEGINNING if last is None else last - MARGIN,
                last_number=newest,
                lost_heads=described(lost),
            )
        )
        record(connection, actor, "recovery.begin", number, calendar.now, lost_heads=len(lost), epoch=epoch)
        begun = open_recovery(connection)
    if begun is None:
        raise NotRecovering
    return begun


def state(connection: Connection) -> State:
    """How far the open recovery has come. Raises NotRecovering."""
    found = open_recovery(connection)
    if found is None:
        raise NotRecovering
    return _state_of(connection, found)


def finish(context: Context, *, actor: str, anyway: bool = False) -> State:
    """End the recovery: requests are taken again, and days are sealed; how far it has come.

    Raises NotRecovering; TerminalsMissing where terminals have not sent all, unless it is ended `anyway`.
    """
    now = context.now()
    with context.database.begin() as connection:
        found = state(connection)
        if found.missing and not anyway:
            raise TerminalsMissing(found.missing)
        connection.execute(
            update(ledger_recovery)
            .where(ledger_recovery.c.number == found.recovery.number)
            .values(finished_at=now, finished_by=actor)
        )
        detail = {"back": sum(found.back.values()), "terminals_missing": len(found.missing)}
        record(connection, actor, "recovery.finish", found.recovery.number, now, **detail)
    return found


def _state_of(connection: Connection, recovery: Recovery) -> State:
    message, sender = recovered_message.c, recovery_terminal.c
    rows = connection.execute(
        select(message.decision, message.answered_at).where(message.recovery == recovery.number)
    ).all()
    days = Counter(row.answered_at.date().isoformat() for row in rows if row.answered_at is not None)
    complete = connection.execute(
        select(sender.terminal_id).where(sender.recovery == recovery.number, sender.complete)
    ).scalars()
    done = tuple(sorted(complete))
    return State(
        recovery,
        tuple(LostDay(head["day"], head["size"], days[head["day"]]) for head in recovery.lost_heads),
        Counter(row.decision for row in rows),
        done,
        tuple(sorted(set(_expected(connection)) - set(done))),
    )


def _expected(connection: Connection) -> Sequence[str]:
    """Terminals that have posted anything that a card signed."""
    posted = select(ledger_transaction.c.terminal_id).where(ledger_transaction.c.terminal_id == terminal.c.id)
    return connection.execute(select(terminal.c.id).where(posted.exists())).scalars().all()


def _recovery(row: Row[Any]) -> Recovery:
    return Recovery(
        number=row.number,
        began_at=row.began_at,
        reason=row.reason,
        epoch=row.epoch,
        since=row.since,
        last_number=row.last_number,
        lost_heads=row.lost_heads,
        finished_at=row.finished_at,
    )
