"""Who did what: the audit trail of administration, and the log of refused messages."""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select

from cardservice.audit.models import audit, security_event
from cardservice.bulk import insert_many

log = logging.getLogger(__name__)


def record(
    connection: Connection, actor: str, action: str, subject: object, moment: datetime, **detail: object
) -> None:
    """Note what `actor` did, in the transaction that does it. Names and amounts stay where they belong."""
    connection.execute(
        insert(audit).values(at=moment, actor=actor, action=action, subject=str(subject), detail=detail)
    )


def record_all(
    connection: Connection,
    actor: str,
    action: str,
    subjects: Collection[object],
    moment: datetime,
    **detail: object,
) -> None:
    """The same of many, a row for each."""
    rows = [
        {"at": moment, "actor": actor, "action": action, "subject": str(each), "detail": detail}
        for each in subjects
    ]
    insert_many(connection, audit, rows)


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """A message that was refused before it could take an id."""

    at: datetime
    code: str
    detail: str
    terminal_id: str | None = None
    transaction_id: UUID | None = None
    body: bytes | None = None
    # An advice whose goods are gone, but whose proof or terminal does not stand: shown, posted to nobody.
    quarantined: bool = False
    # Its place in the log, once it is there
    number: int | None = None


def record_security_event(connection: Connection, event: SecurityEvent) -> None:
    """Note a refused message, in a transaction of its own."""
    connection.execute(
        insert(security_event).values(
            at=event.at,
            code=event.code,
            terminal_id=event.terminal_id,
            transaction_id=event.transaction_id,
            body=event.body,
            quarantined=event.quarantined,
            detail={"message": event.detail},
        )
    )
    log.warning("message refused", extra={"members": {"code": event.code, "quarantined": event.quarantined}})


def security_events(
    connection: Connection, *, limit: int = 100, before: int | None = None
) -> Iterator[SecurityEvent]:
    """The latest refused messages, the newest first; those before a number."""
    wanted = select(security_event).order_by(security_event.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(security_event.c.id < before)
    for row in connection.execute(wanted):
        yield SecurityEvent(
            at=row.at,
            code=row.code,
            detail=row.detail["message"],
            terminal_id=row.terminal_id,
            transaction_id=row.transaction_id,
            body=row.body,
            quarantined=row.quarantined,
            number=row.id,
        )
