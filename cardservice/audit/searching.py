"""The audit trail, searched: by who, what, whom and when; the newest first."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from cardservice.audit.models import audit, audit_link


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None: any. Times include the first and not the last."""

    actor: str | None = None
    # The whole action, or its beginning with a dot, such as `card.`
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    limit: int = 100
    # Older than the entry of this number.
    below: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `sequence` is its link in the chain, None where it has none yet."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    sequence: int | None


def search(connection: Connection, wanted: Wanted) -> Iterator[Entry]:
    """The entries that are wanted."""
    own = audit.c
    rows = select(audit, audit_link.c.sequence).outerjoin(audit_link, audit_link.c.audit_id == own.id)
    if wanted.actor is not None:
        rows = rows.where(own.actor == wanted.actor)
    if wanted.action is not None and wanted.action.endswith("."):
        rows = rows.where(own.action.startswith(wanted.action, autoescape=True))
    elif wanted.action is not None:
        rows = rows.where(own.action == wanted.action)
    if wanted.subject is not None:
        rows = rows.where(own.subject == wanted.subject)
    if wanted.since is not None:
        rows = rows.where(own.at >= wanted.since)
    if wanted.before is not None:
        rows = rows.where(own.at < wanted.before)
    if wanted.below is not None:
        rows = rows.where(own.id < wanted.below)
    for row in connection.execute(rows.order_by(own.id.desc()).limit(wanted.limit)):
        yield Entry(row.id, row.at, row.actor, row.action, row.subject, row.detail, row.sequence)
