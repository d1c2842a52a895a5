"""Who asks for something that concerns a person: they themselves, or a guardian who may.

Whoever serves somebody says who it is that asks; what a guardian may not, is refused and noted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.cardholders.details import COURT_ORDER
from cardservice.cardholders.errors import AskerRefused
from cardservice.cardholders.guardians import Guardianship, May, children_of, guardians_of, is_child
from cardservice.cardholders.records import read_fields
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import require_cardholder
from cardservice.context import Context
from cardservice.database import Database
from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.payers import assignments, payer_at

_NOT_THEIRS = "not_a_guardian"


@dataclass(frozen=True, slots=True)
class Asked:
    """Who serves whom, when; and until which age of a child its guardians may act."""

    kek: KeyRing
    until_age: int
    actor: str
    moment: datetime
    today: date


@dataclass(frozen=True, slots=True)
class Child:
    """A child of a family: what its guardian may, who pays for it, and for whom that payer pays, too."""

    guardianship: Guardianship
    payer_id: PayerId | None
    siblings: tuple[CardholderId, ...]


def asking(context: Context, actor: str) -> Asked:
    """Whom somebody of the staff serves now, by the rules of this scheme."""
    return Asked(
        context.keys.cardholder_kek, context.settings.guardian_age, actor, context.now(), context.today()
    )


@contextmanager
def asked_of(context: Context, actor: str, holder: UUID) -> Iterator[Connection]:
    """A transaction about somebody, in which it is looked at who asks; what is refused is noted."""
    with (
        noting_refusals(context.database, asking(context, actor), holder),
        context.database.begin() as connection,
    ):
        yield connection


def require_asker(
    connection: Connection, asked: Asked, holder: CardholderId, asker: UUID, may: May
) -> CardholderId:
    """Who asks, if they may; that a guardian acted is noted of both.

    Raises CardholderUnknown, and AskerRefused with one of the reasons `not_a_guardian`, `barred`, `of_age`,
    `right_missing`.
    """
    person, day = require_cardholder(connection, asker), asked.today
    if person == holder:
        return person
    own = [each for each in guardians_of(connection, asked.kek, holder) if each.person_id == person]
    standing = [each for each in own if each.holds_on(day)]
    if any(each.bars for each in standing):
        raise AskerRefused("barred", "a court has barred this person; do nothing, and ask a manager")
    if not standing:
        raise AskerRefused(
            _NOT_THEIRS, "this person may not act for that one; ask for what shows that they may"
        )
    if not is_child(connection, asked.kek, holder, asked.until_age, day):
        raise AskerRefused("of_age", f"from the age of {asked.until_age} on somebody acts for themself")
    if not any(may in each.may for each in standing):
        raise AskerRefused(
            "right_missing", f"this guardian may not do that: the right {may.value} is missing"
        )
    for concerned in (holder, person):
        record(connection, asked.actor, "guardian.acted", concerned, asked.moment, may=may.value)
    return person


def require_asker_named(connection: Connection, kek: KeyRing, holder: CardholderId, day: date) -> None:
    """Nothing is told of somebody about whom a court has ordered something without saying who asks.

    Raises AskerRefused.
    """
    flags = read_fields(connection, kek, holder, [Field.FLAGS]).get(Field.FLAGS, {})
    barred = any(each.bars and each.holds_on(day) for each in guardians_of(connection, kek, holder))
    if barred or COURT_ORDER in flags:
        raise AskerRefused(
            "asker_needed", "a court has ordered who may be told what: say who asks (--asked-by)"
        )


@contextmanager
def noting_refusals(database: Database, asked: Asked, holder: UUID) -> Iterator[None]:
    """Let what is refused to an asker be in the audit trail; the transaction in which it was is undone."""
    try:
        yield
    except AskerRefused as refused:
        with database.begin() as connection:
            record(connection, asked.actor, "guardian.refused", holder, asked.moment, reason=refused.reason)
        raise


def family_of(connection: Connection, asked: Asked, person: CardholderId) -> tuple[Child, ...]:
    """For whom a person may act today, and who pays for each: one payer for all, or one for each."""
    day, found = asked.today, []
    kept = [each for each in children_of(connection, asked.kek, person) if each.holds_on(day)]
    barred = {each.child_id for each in kept if each.bars}
    for each in kept:
        if each.bars or each.child_id in barred:
            continue
        if not is_child(connection, asked.kek, each.child_id, asked.until_age, day):
            continue
        payer = payer_at(connection, each.child_id, asked.moment)
        found.append(Child(each, payer, _siblings(connection, payer, each.child_id, asked.moment)))
    return tuple(found)


def _siblings(
    connection: Connection, payer: PayerId | None, child: CardholderId, moment: datetime
) -> tuple[CardholderId, ...]:
    """For whom else the payer pays now."""
    if payer is None:
        return ()
    return tuple(
        each.cardholder_id
        for each in assignments(connection, payer)
        if each.cardholder_id != child
        and each.valid_from <= moment
        and (each.valid_until is None or moment < each.valid_until)
    )
