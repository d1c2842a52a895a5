"""What one person asks for and another agrees to: many revocations, a large refund, somebody let in anew.

Agreeing is a transaction of its own; what was agreed to is done then, in steps that may be done twice. So
what breaks off is gone on with by agreeing again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from cardservice.audit.service import record
from cardservice.ids import new_id
from cardservice.staff.errors import SecondPersonRefused
from cardservice.staff.models import second_person
from cardservice.staff.roles import Right

REVOKE_MANY, REFUND, RECOVER_STAFF = "card.revoke-many", "refund", "staff.recover"
# What a second person must be allowed, too.
NEEDS: Mapping[str, Right] = {
    REVOKE_MANY: Right.REVOKE_CARDS,
    REFUND: Right.REFUND,
    RECOVER_STAFF: Right.KEEP_STAFF,
}
OPEN, AGREED, WITHDRAWN = "open", "agreed", "withdrawn"


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody has asked for."""

    id: UUID
    action: str
    detail: dict[str, Any]
    asked_by: str
    asked_at: datetime
    state: str
    closed_by: str | None


def ask(
    connection: Connection, action: str, detail: dict[str, Any], *, actor: str, moment: datetime
) -> Asked:
    """Keep what somebody asks for until another agrees."""
    asked = Asked(new_id(), action, detail, actor, moment, OPEN, None)
    values = {"action": action, "detail": detail, "asked_by": actor, "asked_at": moment, "state": OPEN}
    connection.execute(insert(second_person).values(id=asked.id, **values))
    record(connection, actor, f"{action}.ask", asked.id, moment)
    return asked


def waiting(connection: Connection) -> list[Asked]:
    """What nobody has agreed to yet, the oldest first."""
    own = second_person.c
    rows = connection.execute(select(second_person).where(own.state == OPEN).order_by(own.asked_at, own.id))
    return [Asked(*row[:7]) for row in rows]


def find(connection: Connection, asked_id: UUID) -> Asked:
    """What was asked for under this id. Raises SecondPersonRefused."""
    row = connection.execute(select(second_person).where(second_person.c.id == asked_id)).one_or_none()
    if row is None:
        raise SecondPersonRefused(f"nothing waits under {asked_id}; `second-person list` says what does")
    return Asked(*row[:7])


def agree(connection: Connection, asked_id: UUID, *, actor: str, moment: datetime) -> Asked:
    """Agree to what another has asked for; what was agreed to stays so. Raises SecondPersonRefused."""
    asked = find(connection, asked_id)
    if asked.asked_by == actor:
        raise SecondPersonRefused(f"{actor} has asked for this: another person agrees to it")
    if asked.state == AGREED:
        return asked
    return _close(connection, asked, AGREED, actor, moment)


def withdraw(connection: Connection, asked_id: UUID, *, actor: str, moment: datetime) -> Asked:
    """Close what shall not be; whoever asked may. Raises SecondPersonRefused."""
    return _close(connection, find(connection, asked_id), WITHDRAWN, actor, moment)


def forget_asked(connection: Connection, cards: Collection[UUID]) -> None:
    """Take cards that are erased out of what was asked for: what of it is left can still be agreed to."""
    own, erased = second_person.c, {str(each) for each in cards}
    rows = connection.execute(select(own.id, own.detail).where(own.action == REVOKE_MANY)).all()
    for row in rows:
        if not erased.isdisjoint(row.detail["cards"]):
            left = row.detail | {"cards": [each for each in row.detail["cards"] if each not in erased]}
            connection.execute(update(second_person).where(own.id == row.id).values(detail=left))


def _close(connection: Connection, asked: Asked, state: str, actor: str, moment: datetime) -> Asked:
    own = second_person.c
    closing = update(second_person).where(own.id == asked.id, own.state == OPEN)
    if connection.execute(closing.values(state=state, closed_by=actor, closed_at=moment)).rowcount == 0:
        now = find(connection, asked.id)
        raise SecondPersonRefused(f"{asked.id} was {now.state} by {now.closed_by} already")
    record(connection, actor, f"{asked.action}.{state}", asked.id, moment, asked_by=asked.asked_by)
    return find(connection, asked.id)
