"""Who may act for a child: what for, from when until when; and who may not, since a court has barred them.

A guardian is a person with a record of their own. What binds the two is sealed under the child's key. A right
counts on the days that it was given for, until the child has the age that the scheme sets, and never while
the person is barred. All of the rules are ours.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, insert, select, update
from sqlalchemy.sql import ColumnElement

from cardservice.applications.eligibility import age_on
from cardservice.audit.service import record
from cardservice.cardholders.details import COURT_ORDER, Noting, set_flag
from cardservice.cardholders.errors import GuardianshipUnknown
from cardservice.cardholders.models import guardianship
from cardservice.cardholders.records import read_fields, record_key
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import lock_cardholder, require_cardholder
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.key_ring import KeyRing

# Ours: characters of what a court's order is called, and guardians of one child that count on a day.
MAX_ORDER, MAX_GUARDIANS = 64, 12


class May(StrEnum):
    """What a guardian may do for a child."""

    SEE = "see"
    PAY = "pay"
    LIMITS = "limits"
    REPORT_LOSS = "report-loss"


MAY: Mapping[May, str] = {
    May.SEE: "be told what is kept of the child (subject access)",
    May.PAY: "pay in, and let a payer pay for the child",
    May.LIMITS: "set limits, and switch services off and on",
    May.REPORT_LOSS: "report the child's card lost",
}
RELATIONS = ("parent", "carer", "foster-carer", "social-worker", "other")


@dataclass(frozen=True, slots=True, repr=False)
class Guardianship:
    """That somebody may act for a child; or, where there is an `order`, that they may not."""

    id: UUID
    child_id: CardholderId
    person_id: CardholderId
    relation: str | None
    may: frozenset[May]
    # What the court's order is called that bars them
    order: str | None
    first_day: date
    last_day: date | None
    is_ended: bool

    @property
    def bars(self) -> bool:
        """Whether it is one that keeps the person from the child."""
        return self.order is not None

    def holds_on(self, day: date) -> bool:
        """Whether a day is one of those that it was made for."""
        return not self.is_ended and self.first_day <= day and (self.last_day is None or day <= self.last_day)


@dataclass(frozen=True, slots=True)
class Days:
    """From which day on, and until which; both are included."""

    first: date
    last: date | None = None


def add_guardian(
    connection: Connection,
    noting: Noting,
    person: UUID,
    relation: str,
    may: Collection[May],
    days: Days,
    until_age: int,
) -> UUID:
    """Note that a person may act for a child, `noting.holder`; one that stood before ends.

    Raises CardholderUnknown, and OrderInvalid: the child has the age already, or nobody knows its age.
    """
    guardian = require_cardholder(connection, person)
    if relation not in RELATIONS:
        raise OrderInvalid(f"{relation[:40]!r} is no relation; there are {', '.join(RELATIONS)}")
    if not may:
        raise OrderInvalid(f"say what they may do: {', '.join(MAY)}")
    _check(noting, guardian, days)
    lock_cardholder(connection, noting.holder)
    if not is_child(connection, noting.kek, noting.holder, until_age, noting.today):
        raise OrderInvalid(
            f"guardians act for who is under {until_age} by the date of birth that is noted (cardholder born)"
        )
    standing = [each for each in guardians_of(connection, noting.kek, noting.holder) if not each.is_ended]
    for each in standing:
        if each.person_id == guardian and not each.bars:
            _end(connection, noting, each.id)
    if sum(not each.bars and each.person_id != guardian for each in standing) >= MAX_GUARDIANS:
        raise OrderInvalid(f"{MAX_GUARDIANS} guardians stand already; end one first")
    return _insert(connection, noting, guardian, {"relation": relation, "may": sorted(may)}, days, "add")


def bar(connection: Connection, noting: Noting, person: UUID, order: str, days: Days) -> UUID:
    """Note that a court has barred a person from a child; no right of theirs counts while that holds.

    The child's record is flagged with it. Raises CardholderUnknown and OrderInvalid.
    """
    barred = require_cardholder(connection, person)
    if not (1 <= len(order) <= MAX_ORDER and order.isprintable()):
        raise OrderInvalid(f"say what the court's order is called, in up to {MAX_ORDER} characters")
    _check(noting, barred, days)
    set_flag(connection, noting, COURT_ORDER, on=True)
    return _insert(connection, noting, barred, {"order": order}, days, "bar")


def end(connection: Connection, noting: Noting, guardianship_id: UUID) -> None:
    """Let a guardianship, or a bar, hold no more. Raises GuardianshipUnknown and OrderInvalid."""
    lock_cardholder(connection, noting.holder)
    found = {each.id: each for each in guardians_of(connection, noting.kek, noting.holder)}
    if (known := found.get(guardianship_id)) is None:
        raise GuardianshipUnknown(guardianship_id)
    if known.is_ended:
        raise OrderInvalid(f"guardianship {guardianship_id} has ended already")
    _end(connection, noting, known.id)
    for concerned in (known.child_id, known.person_id):
        record(connection, noting.actor, "guardian.end", concerned, noting.moment)


def guardians_of(connection: Connection, kek: KeyRing, child: CardholderId) -> tuple[Guardianship, ...]:
    """All of a child's, also those that ended, the earliest first."""
    return _found(connection, kek, guardianship.c.child_id == child)


def children_of(connection: Connection, kek: KeyRing, person: CardholderId) -> tuple[Guardianship, ...]:
    """For whom a person may act, or is barred from, also what ended, the earliest first."""
    return _found(connection, kek, guardianship.c.person_id == person)


def is_child(
    connection: Connection, kek: KeyRing, holder: CardholderId, until_age: int, day: date
) -> bool | None:
    """Whether guardians may act for somebody on a day; None where nobody knows when they were born."""
    born_on = read_fields(connection, kek, holder, [Field.BORN_ON]).get(Field.BORN_ON)
    return None if born_on is None else age_on(date.fromisoformat(born_on), day) < until_age


def _check(noting: Noting, person: CardholderId, days: Days) -> None:
    if person == noting.holder:
        raise OrderInvalid("nobody is their own guardian")
    if days.last is not None and not max(days.first, noting.today) <= days.last:
        raise OrderInvalid(f"from {days.first} to {days.last} is over, or no time at all")


def _insert(
    connection: Connection,
    noting: Noting,
    person: CardholderId,
    said: Mapping[str, Any],
    days: Days,
    did: str,
) -> UUID:
    made, key = new_id(), record_key(connection, noting.kek, noting.holder)
    connection.execute(
        insert(guardianship).values(
            id=made,
            child_id=noting.holder,
            person_id=person,
            sealed=key.seal(Field.GUARDIAN, dict(said)),
            first_day=days.first,
            last_day=days.last,
        )
    )
    # Of each by themselves: when one of them is erased, nothing that stays names the other.
    for concerned in (noting.holder, person):
        record(connection, noting.actor, f"guardian.{did}", concerned, noting.moment)
    return made


def _end(connection: Connection, noting: Noting, guardianship_id: UUID) -> None:
    own = guardianship.c
    connection.execute(update(guardianship).where(own.id == guardianship_id).values(ended_at=noting.moment))


def _found(connection: Connection, kek: KeyRing, whose: ColumnElement[bool]) -> tuple[Guardianship, ...]:
    rows = connection.execute(select(guardianship).where(whose).order_by(guardianship.c.id)).all()
    return tuple(_opened(connection, kek, row) for row in rows)


def _opened(connection: Connection, kek: KeyRing, row: Row[tuple[object, ...]]) -> Guardianship:
    child = CardholderId(row.child_id)
    said = record_key(connection, kek, child).open(Field.GUARDIAN, row.sealed)
    return Guardianship(
        row.id,
        child,
        CardholderId(row.person_id),
        said.get("relation"),
        frozenset(map(May, said.get("may", ()))),
        said.get("order"),
        row.first_day,
        row.last_day,
        row.ended_at is not None,
    )
