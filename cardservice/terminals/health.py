"""How terminals are: what each says of itself, kept as it was said last, and read beside its record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from cardservice.ids import ProviderId, TerminalId
from cardservice.terminals.models import terminal, terminal_health, terminal_state

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Health:
    """What a terminal says of itself."""

    # Its own clock, when it said it
    time: datetime
    waiting: int
    oldest_waiting_at: datetime | None
    trust_fetched_at: datetime | None
    lists_end_at: datetime | None
    version: str
    tariffs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """A terminal with how it was last; `seen_at` is None where it has never said."""

    id: TerminalId
    provider_id: ProviderId
    name: str
    role: str
    state: str
    # When its provider is closed: it asks nothing from then on.
    closed_from: datetime | None = None
    seen_at: datetime | None = None
    clock_ahead_ms: int | None = None
    health: Health | None = None


def keep(connection: Connection, terminal_id: TerminalId, said: Health, moment: datetime) -> None:
    """Write down what a terminal says at `moment`, in place of what it said before."""
    own = terminal_health.c
    values = {
        "seen_at": moment,
        "clock_ahead_ms": (said.time - moment) // _MILLISECOND,
        "waiting": said.waiting,
        "oldest_waiting_at": said.oldest_waiting_at,
        "trust_fetched_at": said.trust_fetched_at,
        "lists_end_at": said.lists_end_at,
        "tariffs": dict(said.tariffs),
        "version": said.version,
    }
    changed = connection.execute(
        update(terminal_health).where(own.terminal_id == terminal_id).values(**values)
    )
    if changed.rowcount == 0:
        connection.execute(insert(terminal_health).values(terminal_id=terminal_id, **values))


def list_terminals(
    connection: Connection,
    provider_id: str | None = None,
    *,
    after: str | None = None,
    only: str | None = None,
    limit: int | None = None,
) -> list[Listed]:
    """All terminals, or a provider's, by their identifiers; `only` one of them, or `limit` `after` one."""
    latest = (
        select(terminal_state.c.state)
        .where(terminal_state.c.terminal_id == terminal.c.id)
        .order_by(terminal_state.c.valid_from.desc(), terminal_state.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    own = terminal_health.c
    rows = select(
        terminal, latest.label("state"), *(column for column in own if column.name != "terminal_id")
    )
    rows = rows.outerjoin(terminal_health, own.terminal_id == terminal.c.id).order_by(terminal.c.id)
    if provider_id is not None:
        rows = rows.where(terminal.c.provider_id == provider_id)
    if after is not None:
        rows = rows.where(terminal.c.id > after)
    if only is not None:
        rows = rows.where(terminal.c.id == only)
    found = []
    for row in connection.execute(rows.limit(limit)):
        said = None
        if row.seen_at is not None:
            said = Health(
                time=row.seen_at + row.clock_ahead_ms * _MILLISECOND,
                waiting=row.waiting,
                oldest_waiting_at=row.oldest_waiting_at,
                trust_fetched_at=row.trust_fetched_at,
                lists_end_at=row.lists_end_at,
                version=row.version,
                tariffs=row.tariffs,
            )
        who = (TerminalId(row.id), ProviderId(row.provider_id), row.name, row.role, row.state)
        found.append(Listed(*who, row.closed_from, row.seen_at, row.clock_ahead_ms, said))
    return found
