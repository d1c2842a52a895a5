"""Drafts of tariffs: loaded by one person, put in force by another, or withdrawn.

A draft holds nothing but itself: prices and resources are what they were until it is approved. The draft,
and what becomes of it, are one database transaction each: a process that is killed leaves all or nothing.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.audit.service import record
from cardservice.errors import ApprovalRefused, DraftClosed, DraftUnknown, OrderInvalid
from cardservice.ids import new_id
from cardservice.services.seam import LoadedTariff
from cardservice.tariffs.models import tariff_draft
from cardservice.tariffs.service import (
    canonical,
    content_of,
    is_stored,
    store_tariff,
    tariff_of_version,
)

OPEN, APPROVED, WITHDRAWN = "open", "approved", "withdrawn"


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as stored; `closed_by` has approved or withdrawn it."""

    id: UUID
    service: str
    loaded: LoadedTariff
    source: str
    author: str
    drafted_at: datetime
    state: str
    closed_by: str | None
    closed_because: str | None


def draft_tariff(
    connection: Connection, service: str, loaded: LoadedTariff, *, source: str, actor: str, moment: datetime
) -> Draft | None:
    """Keep a draft; where the same content is one already, that one; None where it is in force or was.

    Raises TariffExists where a stored tariff of this version has another content.
    """
    if is_stored(connection, service, loaded):
        return None
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    values = {
        "id": new_id(),
        "service": service,
        "version": loaded.version,
        "valid_from": loaded.valid_from,
        "content": canonical(loaded.content),
        "capacities": canonical(loaded.capacities),
        "report": json.dumps(loaded.report, ensure_ascii=False),
        "source": source,
        "author": actor,
        "drafted_at": moment,
        "state": OPEN,
        "one_person": False,
    }
    # Of two who load the same at once the second finds the first one's.
    new = dialect.insert(tariff_draft).values(values).on_conflict_do_nothing()
    if connection.scalar(new.returning(tariff_draft.c.id)) is not None:
        subject = f"{service} {loaded.version}"
        record(connection, actor, "tariff.draft", subject, moment, draft=str(values["id"]), source=source)
    own = tariff_draft.c
    return _draft(
        connection.execute(
            select(tariff_draft).where(
                own.service == service, own.version == loaded.version, own.state == OPEN
            )
        ).one()
    )


def draft_again(
    connection: Connection, service: str, version: str, valid_from: datetime, *, actor: str, moment: datetime
) -> Draft:
    """Draft a stored version anew from another moment on: the way back from one that took its place.

    Raises OrderInvalid where there is no such version, where `valid_from` lies before it was valid itself,
    and where it has been brought back at this moment already.
    """
    found, content = tariff_of_version(connection, service, version), content_of(connection, service, version)
    if found is None or content is None:
        raise OrderInvalid(f"{service} has no tariff of version {version}; `tariff list` names them")
    if valid_from < found.valid_from:
        raise OrderInvalid(f"{version} begins at {found.valid_from.isoformat()}: it cannot hold earlier")
    # A name of its own, since a version is from one moment on.
    name = f"{version.partition('~')[0]}~{valid_from:%Y%m%d%H%M%S}"
    loaded = LoadedTariff(
        version=name,
        valid_from=valid_from,
        content={**content, "version": name},
        report=(f"version {version} again",),
    )
    made = draft_tariff(connection, service, loaded, source=version, actor=actor, moment=moment)
    if made is None:
        raise OrderInvalid(f"{version} has been brought back from {valid_from.isoformat()} on already")
    return made


def approve(
    connection: Connection, draft_id: UUID, *, actor: str, moment: datetime, one_person: bool = False
) -> Draft:
    """Put a draft in force. Raises DraftUnknown, DraftClosed, and ApprovalRefused where `actor` loaded it.

    `one_person`: the scheme lets who has loaded it do so. By the same person again it changes nothing.
    Raises what `store_tariff` does: roll back then.
    """
    found = find_draft(connection, draft_id)
    if (found.state, found.closed_by) == (APPROVED, actor):
        return found
    alone = found.author == actor
    if alone and not one_person:
        raise ApprovalRefused(found.author)
    _close(connection, found, APPROVED, actor, moment, one_person=alone)
    store_tariff(
        connection,
        found.service,
        found.loaded,
        source=found.source,
        actor=found.author,
        moment=moment,
        approved_by=None if alone else actor,
    )
    subject = f"{found.service} {found.loaded.version}"
    record(connection, actor, "tariff.approve", subject, moment, draft=str(draft_id))
    return find_draft(connection, draft_id)


def withdraw(connection: Connection, draft_id: UUID, because: str, *, actor: str, moment: datetime) -> Draft:
    """Close a draft that shall not be; whoever loaded it may. For the same reason again it changes nothing.

    Raises DraftUnknown and DraftClosed.
    """
    found = find_draft(connection, draft_id)
    if (found.state, found.closed_by, found.closed_because) == (WITHDRAWN, actor, because):
        return found
    _close(connection, found, WITHDRAWN, actor, moment, because=because)
    subject = f"{found.service} {found.loaded.version}"
    record(connection, actor, "tariff.withdraw", subject, moment, draft=str(draft_id))
    return find_draft(connection, draft_id)


def find_draft(connection: Connection, draft_id: UUID) -> Draft:
    """A draft in any state. Raises DraftUnknown."""
    row = connection.execute(select(tariff_draft).where(tariff_draft.c.id == draft_id)).one_or_none()
    if row is None:
        raise DraftUnknown(draft_id)
    return _draft(row)


def open_drafts(connection: Connection, service: str | None = None) -> tuple[Draft, ...]:
    """What waits for a second person, the oldest first."""
    wanted = select(tariff_draft).where(tariff_draft.c.state == OPEN).order_by(tariff_draft.c.drafted_at)
    if service is not None:
        wanted = wanted.where(tariff_draft.c.service == service)
    return tuple(map(_draft, connection.execute(wanted)))


def _close(
    connection: Connection,
    found: Draft,
    state: str,
    actor: str,
    moment: datetime,
    *,
    because: str | None = None,
    one_person: bool = False,
) -> None:
    own = tariff_draft.c
    closing = update(tariff_draft).where(own.id == found.id, own.state == OPEN)
    values = {
        "state": state,
        "closed_at": moment,
        "closed_by": actor,
        "closed_because": because,
        "one_person": one_person,
    }
    # Of two who close it at once the second waits here, and finds it closed.
    if connection.execute(closing.values(values)).rowcount == 0:
        now = find_draft(connection, found.id)
        raise DraftClosed(found.id, now.state, now.closed_by or "")


def _draft(row: Row[*tuple[Any, ...]]) -> Draft:
    loaded = LoadedTariff(
        version=row.version,
        valid_from=row.valid_from,
        content=json.loads(row.content),
        report=tuple(json.loads(row.report)),
        capacities=json.loads(row.capacities),
    )
    return Draft(
        id=row.id,
        service=row.service,
        loaded=loaded,
        source=row.source,
        author=row.author,
        drafted_at=row.drafted_at,
        state=row.state,
        closed_by=row.closed_by,
        closed_because=row.closed_because,
    )
