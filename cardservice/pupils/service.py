"""Taking a school's file over: who joins, who has changed, who has left; and taking that back.

The file is the whole roll of a school: a pupil who is not in it has left. What is done is one database
transaction; `before` of each change is kept, sealed, for as long as the person is known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, insert, select, update

from cardservice.audit.service import record, record_all
from cardservice.bulk import insert_many
from cardservice.cardholders.adding import add_cardholders
from cardservice.cardholders.changing import keys_of, write_many
from cardservice.cardholders.finding import having_all
from cardservice.cardholders.records import read_many
from cardservice.cardholders.sealing import Field, RecordKey
from cardservice.cardholders.tokens import school_token
from cardservice.context import Context
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.key_ring import KeyRing
from cardservice.pupils.errors import ImportRefused, Problem, UndoRefused
from cardservice.pupils.knowing import Decisions, Recognised, recognise
from cardservice.pupils.models import import_change, import_run
from cardservice.pupils.reading import MAX_PROBLEMS, Pupil, read_pupils

CATEGORY = "pupil"
MAX_SCHOOL = 40  # ours
# Ours: of more than this part of a school nobody leaves at once but by a file that is not whole.
_MANY = 0.25
_OF_A_PUPIL = (Field.PUPIL, Field.NAME, Field.BORN_ON, Field.FORM, Field.ALLERGENS)
_IDS_AT_ONCE = 500
# What is taken from who is of no school any more
_LEFT: Mapping[Field, Any] = {Field.PUPIL: None, Field.FORM: None}


@dataclass(frozen=True, slots=True, repr=False)
class Change:
    """What becomes of somebody who is known: the fields that change, and what they were."""

    holder: CardholderId
    before: Mapping[Field, Any]
    after: Mapping[Field, Any]


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """What a file comes to."""

    school: str
    joiners: Mapping[CardholderId, Mapping[Field, Any]]
    # By line, for a report
    lines: Mapping[CardholderId, int]
    changes: tuple[Change, ...]
    leavers: tuple[Change, ...]
    unchanged: int
    # Who may be known already, and of whom nobody has said whether they are
    undecided: tuple[Recognised, ...] = ()


def import_pupils(
    context: Context,
    path: Path,
    school: str,
    *,
    actor: str,
    dry_run: bool = False,
    many_leave: bool = False,
    decisions: Decisions | None = None,
) -> tuple[UUID | None, Plan]:
    """Take a file over, and its number; with `dry_run` it is only said what that would come to.

    Of who joins and may be known already, `decisions` has to say whether they are. Raises ImportRefused, and
    OrderInvalid.
    """
    if not (1 <= len(school) <= MAX_SCHOOL and school.isprintable() and school == school.strip()):
        raise OrderInvalid(f"a school is called by up to {MAX_SCHOOL} characters, such as ashcombe-primary")
    moment = context.now()
    pupils = read_pupils(path, context.today())
    with context.database.begin() as connection:
        _one_at_a_time(connection, school)
        plan = _plan(connection, context.keys.cardholder_kek, school, pupils, decisions or Decisions())
        seen = {each for one in plan.undecided for each in one.candidates}
        record_all(connection, actor, "cardholder.find", sorted(seen), moment)
        known = len(plan.changes) + len(plan.leavers) + plan.unchanged
        if len(plan.leavers) > max(1, known * _MANY) and not many_leave:
            reason = (
                f"{len(plan.leavers)} of {known} pupils are not in it; if they have left, say --many-leave"
            )
            raise ImportRefused(path.name, [Problem(1, reason)])
        if dry_run:
            return None, plan
        if plan.undecided:
            raise ImportRefused(path.name, [_asked(each) for each in plan.undecided[:MAX_PROBLEMS]])
        run = _note(connection, plan, path, actor, moment)
        _apply(context, connection, plan, run, actor, moment)
    return run, plan


def undo_import(context: Context, run: UUID, *, actor: str) -> tuple[CardholderId, ...]:
    """Put back what an import has changed; those who joined with it, who are to be erased one by one.

    Raises UndoRefused: the newest import of a school alone can be undone, once.
    """
    moment, kek = context.now(), context.keys.cardholder_kek
    with context.database.begin() as connection:
        _require_newest(connection, run)
        changes = connection.execute(select(import_change).where(import_change.c.run_id == run)).all()
        if not changes:
            raise UndoRefused(f"of import {run} there is nothing to undo, or it is kept no longer")
        joined = [CardholderId(row.cardholder_id) for row in changes if row.what == "joined"]
        back: dict[CardholderId, Mapping[Field, Any]] = dict.fromkeys(joined, _LEFT)
        known = [CardholderId(row.cardholder_id) for row in changes if row.what != "joined"]
        keys = keys_of(connection, kek, known)
        sealed = {CardholderId(row.cardholder_id): row.before for row in changes}
        back |= {holder: _opened(keys[holder], sealed[holder]) for holder in known}
        write_many(connection, kek, back, moment)
        record_all(connection, actor, "cardholder.set", sorted(back), moment, changed="import undone")
        connection.execute(update(import_run).where(import_run.c.id == run).values(undone_by=actor))
        record(connection, actor, "import.undo", run, moment)
    return tuple(joined)


def _one_at_a_time(connection: Connection, school: str) -> None:
    """Two who import the same roll at once do so one after the other; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"pupils of {school}"))))


def _asked(found: Recognised) -> Problem:
    who = " or ".join(map(str, found.candidates))
    how = f"--same {found.number}" if len(found.candidates) == 1 else f"--same {found.number}=CARDHOLDER"
    return Problem(found.line, f"this may be {who}, who is known; say {how}, or --new {found.number}")


def _plan(
    connection: Connection, kek: KeyRing, school: str, pupils: Sequence[Pupil], decisions: Decisions
) -> Plan:
    known = _pupils_of(connection, kek, school)
    joiners: dict[CardholderId, Mapping[Field, Any]] = {}
    lines: dict[CardholderId, int] = {}
    changes: list[Change] = []
    numbers = {pupil.number for pupil in pupils}
    # Who is in the file by their number is nobody else in it.
    staying = {holder for number, (holder, _) in known.items() if number in numbers}
    joining = [pupil for pupil in pupils if pupil.number not in known]
    recognised = recognise(connection, kek, joining, staying)
    decisions.require_known(recognised.values())
    decided = {number: decisions.of(each) for number, each in recognised.items()}
    again = _again(connection, kek, decided.values())
    undecided = tuple(each for number, each in recognised.items() if decided[number] is None)
    for holder in again:
        known = {number: one for number, one in known.items() if one[0] != holder}
    for pupil in pupils:
        wanted = _wanted(school, pupil)
        found = known.pop(pupil.number, None)
        if isinstance(same := decided.get(pupil.number), UUID):
            found = same, again[same]
        if found is None:
            holder = CardholderId(new_id())
            joiners[holder] = wanted
        else:
            holder, values = found
            after = {field: value for field, value in wanted.items() if values.get(field) != value}
            if after:
                changes.append(Change(holder, {field: values.get(field) for field in after}, after))
        lines[holder] = pupil.line
    leavers = tuple(
        Change(holder, {field: values.get(field) for field in _LEFT}, _LEFT)
        for holder, values in known.values()
    )
    unchanged = len(pupils) - len(joiners) - len(changes)
    return Plan(school, joiners, lines, tuple(changes), leavers, unchanged, undecided)


def _again(
    connection: Connection, kek: KeyRing, decided: Iterable[CardholderId | bool | None]
) -> dict[CardholderId, Mapping[Field, Any]]:
    """The records of those who are known. Raises OrderInvalid for one who would be two pupils."""
    same = [each for each in decided if isinstance(each, UUID)]
    if len(set(same)) < len(same):
        raise OrderInvalid("two pupils of the file cannot be the same person; say --new for one of them")
    known = read_many(connection, kek, same, _OF_A_PUPIL)
    return {holder: known.get(holder, {}) for holder in same}


def _wanted(school: str, pupil: Pupil) -> dict[Field, Any]:
    wanted: dict[Field, Any] = {
        Field.PUPIL: {"school": school, "number": pupil.number},
        Field.NAME: pupil.name,
        Field.BORN_ON: pupil.born_on.isoformat(),
        Field.FORM: pupil.form,
    }
    if pupil.allergens is not None:
        wanted[Field.ALLERGENS] = list(pupil.allergens) or None
    return wanted


def _pupils_of(
    connection: Connection, kek: KeyRing, school: str
) -> dict[str, tuple[CardholderId, Mapping[Field, Any]]]:
    """Who is at the school now, by what it calls them."""
    holders = having_all(connection, kek, lambda key: [school_token(key, school)])
    found: dict[str, tuple[CardholderId, Mapping[Field, Any]]] = {}
    for first in range(0, len(holders), _IDS_AT_ONCE):
        known = read_many(connection, kek, holders[first : first + _IDS_AT_ONCE], _OF_A_PUPIL)
        found.update({values[Field.PUPIL]["number"]: (holder, values) for holder, values in known.items()})
    return found


def _note(connection: Connection, plan: Plan, path: Path, actor: str, moment: datetime) -> UUID:
    run = new_id()
    counts = {
        "joined": len(plan.joiners),
        "changed": len(plan.changes),
        "departed": len(plan.leavers),
    }
    connection.execute(
        insert(import_run).values(
            id=run,
            school=plan.school,
            file=path.name,
            sha256=sha256(path.read_bytes()).digest(),
            actor=actor,
            at=moment,
            **counts,
        )
    )
    record(connection, actor, "import.pupils", run, moment, school=plan.school, **counts)
    return run


def _apply(
    context: Context, connection: Connection, plan: Plan, run: UUID, actor: str, moment: datetime
) -> None:
    kek, currency = context.keys.cardholder_kek, context.scheme.currency
    add_cardholders(connection, plan.joiners, CATEGORY, currency, kek, actor=actor, moment=moment)
    rows: list[dict[str, Any]] = [
        {"run_id": run, "cardholder_id": holder, "what": "joined", "before": None} for holder in plan.joiners
    ]
    for what, changes in (("changed", plan.changes), ("left", plan.leavers)):
        keys = write_many(connection, kek, {each.holder: each.after for each in changes}, moment)
        people = [each.holder for each in changes]
        record_all(connection, actor, "cardholder.set", people, moment, changed=f"import, {what}")
        rows += [
            {"run_id": run, "cardholder_id": each.holder, "what": what, "before": _sealed(keys, each)}
            for each in changes
        ]
    insert_many(connection, import_change, rows)


def _sealed(keys: Mapping[CardholderId, RecordKey], change: Change) -> bytes:
    said = {field.value: value for field, value in change.before.items()}
    return keys[change.holder].seal(Field.IMPORT, said)


def _opened(key: RecordKey, sealed: bytes) -> dict[Field, Any]:
    return {Field(name): value for name, value in key.open(Field.IMPORT, sealed).items()}


def _require_newest(connection: Connection, run: UUID) -> None:
    known = connection.execute(select(import_run).where(import_run.c.id == run)).one_or_none()
    if known is None:
        raise UndoRefused(f"there is no import {run}")
    if known.undone_by is not None:
        raise UndoRefused(f"import {run} was undone by {known.undone_by}")
    newest = connection.scalar(
        select(import_run.c.id)
        .where(import_run.c.school == known.school, import_run.c.undone_by.is_(None))
        .order_by(import_run.c.at.desc(), import_run.c.id.desc())
        .limit(1)
    )
    if newest != run:
        raise UndoRefused(f"import {newest} of {known.school} came after it; undo that one first")
