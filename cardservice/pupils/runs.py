"""Imports that were made: listed, and undone with those erased who joined by them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, and_, or_, select

from cardservice.cardholders.erasure import erase_cardholder
from cardservice.context import Context
from cardservice.errors import ErasureRefused
from cardservice.ids import CardholderId
from cardservice.pupils.models import import_run
from cardservice.pupils.service import undo_import


@dataclass(frozen=True, slots=True)
class Run:
    """An import, in numbers."""

    id: UUID
    at: datetime
    school: str
    file: str
    actor: str
    joined: int
    changed: int
    left: int
    undone_by: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Somebody who joined and cannot be erased, and why."""

    holder: CardholderId
    reason: str


@dataclass(frozen=True, slots=True)
class Undone:
    """What undoing an import came to."""

    erased: int
    kept: tuple[Kept, ...]


def list_imports(connection: Connection, *, after: UUID | None = None, limit: int) -> list[Run]:
    """Imports, the newest first; or those before one."""
    own = import_run.c
    wanted = select(import_run).order_by(own.at.desc(), own.id.desc()).limit(limit)
    if after is not None:
        made = select(own.at).where(own.id == after).scalar_subquery()
        wanted = wanted.where(or_(own.at < made, and_(own.at == made, own.id < after)))
    return [
        Run(
            row.id,
            row.at,
            row.school,
            row.file,
            row.actor,
            row.joined,
            row.changed,
            row.departed,
            row.undone_by,
        )
        for row in connection.execute(wanted)
    ]


def undo_and_erase(context: Context, run: UUID, *, actor: str) -> Undone:
    """Put back what an import has changed, and erase those who joined with it. Raises UndoRefused.

    Who has money, or for whom a family pays, is not erased, but told.
    """
    joined, kept = undo_import(context, run, actor=actor), []
    for holder in joined:
        try:
            erase_cardholder(context, holder, actor=actor)
        except ErasureRefused as refused:
            kept.append(Kept(holder, refused.reason))
    return Undone(len(joined) - len(kept), tuple(kept))
