"""A file of renewed proofs: CSV in UTF-8, all of it taken or nothing.

What a register or another office has looked at anew is noted as if staff had seen each; without copies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection

from cardservice.applications.proofs import note_proof
from cardservice.applications.service import Deciding
from cardservice.audit.service import record
from cardservice.cardholders.service import require_cardholder
from cardservice.context import Context
from cardservice.errors import CardholderUnknown, OrderInvalid
from cardservice.pupils.errors import ImportRefused, Problem
from cardservice.pupils.reading import MAX_BYTES, MAX_PROBLEMS, Line, day_of, read_sheet

COLUMNS = ("cardholder", "proof", "reference", "review_on")
NEEDED = COLUMNS


@dataclass(frozen=True, slots=True, repr=False)
class Renewal:
    """A line of a file."""

    line: int
    holder: UUID
    kind: str
    reference: str
    # Without one it counts for good, where its kind may
    review_on: date | None


def read_renewals(path: Path) -> tuple[Renewal, ...]:
    """All lines of a file. Raises ImportRefused, which names up to MAX_PROBLEMS of them."""
    with path.open("rb") as file:
        raw = file.read(MAX_BYTES + 1)
    found = list(_renewals(raw, path.name))
    if problems := [each for each in found if isinstance(each, Problem)]:
        raise ImportRefused(path.name, problems[:MAX_PROBLEMS])
    return tuple(each for each in found if isinstance(each, Renewal))


def import_renewals(context: Context, path: Path, deciding: Deciding, *, dry_run: bool = False) -> int:
    """Note all proofs of a file; how many. A dry run says whether it could be done. Raises ImportRefused."""
    renewals = read_renewals(path)
    problems: list[Problem] = []
    with context.database.begin() as connection:
        for each in renewals:
            if (reason := _noted(connection, deciding, each)) is not None:
                problems.append(Problem(each.line, reason))
            if len(problems) == MAX_PROBLEMS:
                break
        if problems:
            # Within the transaction: what was noted before it is undone.
            raise ImportRefused(path.name, problems)
        if dry_run:
            connection.rollback()
            return len(renewals)
        record(connection, deciding.actor, "import.proofs", path.name, deciding.moment, proofs=len(renewals))
    return len(renewals)


def _noted(connection: Connection, deciding: Deciding, each: Renewal) -> str | None:
    """Why it could not be."""
    try:
        holder = require_cardholder(connection, each.holder)
        said = (each.kind, each.reference, each.review_on)
        note_proof(connection, deciding.noting(holder), *said, older_from=deciding.older_from)
    except (CardholderUnknown, OrderInvalid) as error:
        return str(error)
    return None


def _renewals(raw: bytes, name: str) -> Iterator[Renewal | Problem]:
    first_line: dict[tuple[UUID, str], int] = {}
    for found in read_sheet(raw, name, NEEDED, COLUMNS):
        renewal = found if isinstance(found, Problem) else _renewal(found)
        if isinstance(renewal, Renewal):
            first = first_line.setdefault((renewal.holder, renewal.kind), renewal.line)
            if first != renewal.line:
                renewal = Problem(renewal.line, f"this person and proof are on line {first}, too")
        yield renewal


def _renewal(found: Line) -> Renewal | Problem:
    cells = found.cells
    try:
        holder = UUID(cells["cardholder"])
    except ValueError:
        return Problem(found.number, f"cardholder: {cells['cardholder'][:40]!a} is no identifier")
    review_on = day_of(cells["review_on"])
    if cells["review_on"] and review_on is None:
        return Problem(found.number, f"review_on: {cells['review_on'][:40]!a} is no day like 2027-04-01")
    return Renewal(found.number, holder, cells["proof"], cells["reference"], review_on)
