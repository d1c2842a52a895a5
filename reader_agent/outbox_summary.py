"""How much waits in an outbox, and since when: numbers, for those who may not see more."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from reader_agent.outbox_entries import EntryKind, EntryState

BUSY_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class OutboxSummary:
    """Counts by kind and state, and the age of what waits."""

    counts: tuple[tuple[EntryKind, EntryState, int], ...]
    # When the oldest entry that waits was made
    oldest_waiting: datetime | None

    @property
    def waiting(self) -> int:
        """How many entries the service is still to be told of."""
        return sum(count for _, state, count in self.counts if state is EntryState.OPEN)

    @property
    def refused(self) -> int:
        """How many the service has refused for good: somebody has to look at them."""
        return sum(count for _, state, count in self.counts if state is EntryState.REFUSED)

    @property
    def unfinished(self) -> int:
        """How many are not told yet, or not even signed: while a tap goes on, and after it broke off."""
        unsettled = (EntryState.OPEN, EntryState.PREPARED)
        return sum(count for _, state, count in self.counts if state in unsettled)


def summarise(path: Path) -> OutboxSummary:
    """What lies in this outbox now; needs no key, and may be called by any thread."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    try:
        rows = connection.execute(
            "SELECT kind, state, count(*), min(created_at) FROM entry GROUP BY kind, state"
        ).fetchall()
    finally:
        connection.close()
    waiting = [oldest for _, state, _, oldest in rows if state == EntryState.OPEN]
    return OutboxSummary(
        tuple((EntryKind(kind), EntryState(state), count) for kind, state, count, _ in rows),
        datetime.fromtimestamp(min(waiting) / 1000, UTC) if waiting else None,
    )
