"""Gaps in terminals' sequences: what a terminal has numbered and never told. Found beside the hot path.

Every message takes a number, also one that a card did not sign after all, which is never told. So a gap is a
question, not an answer: the terminal's outbox has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Subquery, func, select

from cardservice.ids import TerminalId
from cardservice.ledger.models import ledger_transaction


@dataclass(frozen=True, slots=True)
class Sequences:
    """What of a terminal's numbers is in the ledger."""

    terminal_id: TerminalId
    first: int
    last: int
    seen: int
    # Ranges, both ends included
    missing: tuple[tuple[int, int], ...]

    @property
    def missing_count(self) -> int:
        """How many numbers are missing between the first and the last."""
        return sum(last - first + 1 for first, last in self.missing)


def sequences(connection: Connection, terminal_id: str | None = None) -> list[Sequences]:
    """The numbers of each terminal, or of one. Reads the whole ledger: a replica is the place for it."""
    stored = ledger_transaction.c
    numbers = select(stored.terminal_id, stored.sequence).distinct().where(stored.sequence.is_not(None))
    if terminal_id is not None:
        numbers = numbers.where(stored.terminal_id == terminal_id)
    seen = numbers.subquery()
    counted = connection.execute(
        select(seen.c.terminal_id, func.min(seen.c.sequence), func.max(seen.c.sequence), func.count())
        .group_by(seen.c.terminal_id)
        .order_by(seen.c.terminal_id)
    ).all()
    missing = _missing(connection, seen)
    return [
        Sequences(TerminalId(terminal), first, last, count, tuple(missing.get(terminal, ())))
        for terminal, first, last, count in counted
    ]


def _missing(connection: Connection, seen: Subquery) -> dict[str, Sequence[tuple[int, int]]]:
    before = func.lag(seen.c.sequence).over(partition_by=seen.c.terminal_id, order_by=seen.c.sequence)
    steps = select(seen.c.terminal_id, before.label("before"), seen.c.sequence).subquery()
    rows = connection.execute(
        select(steps)
        .where(steps.c.sequence > steps.c.before + 1)
        .order_by(steps.c.terminal_id, steps.c.sequence)
    )
    found: dict[str, list[tuple[int, int]]] = {}
    for terminal, last_seen, next_seen in rows:
        found.setdefault(terminal, []).append((last_seen + 1, next_seen - 1))
    return dict(found)
