"""How long what is kept of people is kept, class by class; what is over is erased in portions.

The periods are ours, and for the scheme to set (`retention_days`). What erases is the role that may
(`grants.py`), but for consents, which are written anew without what is over.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, delete, func, or_, select, update

from cardservice.applications.eligibility import age_on
from cardservice.applications.models import application, proof
from cardservice.audit.models import audit, audit_link
from cardservice.audit.service import record
from cardservice.cardholders.accesses import READS
from cardservice.cardholders.erasure import eraser, new_pseudonym
from cardservice.cardholders.models import cardholder, guardianship, record_field, record_read
from cardservice.cardholders.records import read_many, write_field
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import lock_cardholder
from cardservice.cards.models import card, card_state
from cardservice.circulation.models import member
from cardservice.context import Context
from cardservice.database import Database
from cardservice.ids import CardholderId
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.quiet import count_quiet, quiet_holders
from cardservice.pupils.models import import_change, import_run
from cardservice.quarantine.models import quarantine

APPLICATIONS, PROOFS, CONSENTS, GUARDIANSHIPS = "applications", "proofs", "consents", "guardianships"
IMPORTS, READ_LOG, QUARANTINE, DORMANT = "imports", "reads", "quarantine", "dormant"
RECORD_DAYS: Mapping[str, int] = MappingProxyType(
    {
        # Refused or withdrawn, and approved ones whose card has ended, since then.
        APPLICATIONS: 365,
        # That another took the place of, or that were taken away.
        PROOFS: 365,
        # What was said before, and what was withdrawn: for as long as somebody may ask whether there was one.
        CONSENTS: 1096,
        # That have ended by hand, by their last day or by the child's age.
        GUARDIANSHIPS: 365,
        # What a record said before an import.
        IMPORTS: 400,
        # Of whom somebody read; recalls among them.
        READ_LOG: 730,
        # What a terminal told and could not be posted, since somebody has dismissed it.
        QUARANTINE: 396,
        # Who has no card, and with whom nothing has happened.
        DORMANT: 1096,
    }
)
ROWS_AT_ONCE = 500
# Ours: dormant people in one run, each of whom is erased by themselves.
MAX_DORMANT = 1_000
_THERE = ("ordered", "personalised", "dispatched", "active", "suspended")


@dataclass(frozen=True, slots=True)
class Over:
    """What is over of a class: how many there are, and after how many days."""

    record_class: str
    days: int
    due: int


def record_periods(configured: Mapping[str, int]) -> dict[str, int]:
    """Days by class: what the scheme has set comes before ours."""
    return {name: configured.get(name, days) for name, days in RECORD_DAYS.items()}


def survey_records(
    context: Context, connection: Connection, days: Mapping[str, int], moment: datetime
) -> tuple[Over, ...]:
    """What is over, by class; `days` has a period for each."""
    found = []
    for name in RECORD_DAYS:
        before = moment - timedelta(days=days[name])
        if name == CONSENTS:
            due = sum(removed for _, removed in _over_consents(context, connection, before))
        elif name == GUARDIANSHIPS:
            due = len(_over_guardianships(context, connection, before))
        elif name == READ_LOG:
            due = sum(_count(connection, each) for each in (_reads(before), _audited(before)))
        elif name == IMPORTS:
            due = _count(connection, _changes(before))
        elif name == DORMANT:
            due = count_quiet(connection, _dormant(before, moment), _posted(before))
        else:
            due = _count(connection, _SIMPLE[name](before, moment))
        found.append(Over(name, days[name], due))
    return tuple(found)


def erase_records(context: Context, over: Over, moment: datetime, *, actor: str) -> int:
    """Erase what is over of a class other than dormant people; how many there were.

    Broken off, it goes on when it is done again.
    """
    before = moment - timedelta(days=over.days)

    def note(connection: Connection, erased: int) -> None:
        record(connection, actor, "retention.erase", over.record_class, moment, records=erased)

    if over.record_class == CONSENTS:
        return _erase_consents(context, before, moment, note)
    with eraser(context) as database:
        if over.record_class == APPLICATIONS:
            return _delete(database, application, _applications(before, moment), note)
        if over.record_class == PROOFS:
            return _delete(database, proof, _proofs(before, moment), note)
        if over.record_class == IMPORTS:
            return _erase_changes(database, before, note)
        if over.record_class == QUARANTINE:
            return _delete(database, quarantine, _dismissed(before, moment), note)
        if over.record_class == READ_LOG:
            return _delete(database, record_read, _reads(before), note) + _forget_reads(
                database, before, moment, actor
            )
        with database.begin() as connection:
            ids = _over_guardianships(context, connection, before)
            erased = connection.execute(delete(guardianship).where(guardianship.c.id.in_(ids))).rowcount
            if erased:
                note(connection, erased)
        return erased


def dormant(connection: Connection, days: int, moment: datetime) -> tuple[CardholderId, ...]:
    """People with whom nothing has happened for so long, the one who has waited longest first."""
    before = moment - timedelta(days=days)
    found = quiet_holders(connection, _dormant(before, moment), _posted(before), MAX_DORMANT)
    return tuple(CardholderId(each) for each in found)


def _applications(before: datetime, _: datetime) -> Select[UUID]:
    own, ended = application.c, card_state.c
    since = select(func.max(ended.valid_from)).where(ended.card_id == own.card_id).scalar_subquery()
    over = select(card.c.id).where(card.c.id == own.card_id, card.c.state.not_in(_THERE), since < before)
    unheard = own.state.in_(("refused", "withdrawn"))
    return select(own.id).where(own.decided_at < before, or_(unheard, over.exists())).order_by(own.decided_at)


def _proofs(before: datetime, _: datetime) -> Select[UUID]:
    return select(proof.c.id).where(proof.c.ended_at < before).order_by(proof.c.ended_at)


def _dismissed(before: datetime, _: datetime) -> Select[Any]:
    own = quarantine.c
    return select(own.id).where(own.state == "dismissed", own.closed_at < before).order_by(own.id)


def _reads(before: datetime) -> Select[UUID]:
    return select(record_read.c.id).where(record_read.c.at < before).order_by(record_read.c.at)


def _changes(before: datetime) -> Select[UUID]:
    own = import_change.c
    return (
        select(own.cardholder_id)
        .join(import_run, import_run.c.id == own.run_id)
        .where(import_run.c.at < before)
    )


def _audited(before: datetime) -> Select[int]:
    """Entries that say whose record was read, and that have not been made nobody's."""
    linked = select(audit_link.c.audit_id).where(
        audit_link.c.audit_id == audit.c.id, audit_link.c.salt.is_not(None)
    )
    return (
        select(audit.c.id)
        .where(audit.c.at < before, audit.c.action.in_(sorted(READS)), linked.exists())
        .order_by(audit.c.id)
    )


def _dormant(before: datetime, moment: datetime) -> Select[UUID]:
    """With whom nothing has happened, whatever the ledger has of them (`_posted`)."""
    own, today = cardholder.c, moment.date()
    cards = select(card.c.id).where(card.c.cardholder_id == own.id)
    happened = (
        cards.where(card.c.state.in_(_THERE)),
        cards.join(card_state, card_state.c.card_id == card.c.id).where(card_state.c.valid_from >= before),
        select(record_field.c.field).where(
            record_field.c.cardholder_id == own.id, record_field.c.changed_at >= before
        ),
        select(application.c.id).where(
            application.c.cardholder_id == own.id,
            or_(application.c.decided_at.is_(None), application.c.decided_at >= before),
        ),
        select(guardianship.c.id).where(
            or_(guardianship.c.child_id == own.id, guardianship.c.person_id == own.id),
            guardianship.c.ended_at.is_(None),
            or_(guardianship.c.last_day.is_(None), guardianship.c.last_day >= today),
        ),
        select(member.c.cardholder_id).where(member.c.cardholder_id == own.id),
    )
    quiet = (~each.exists() for each in happened)
    return select(own.id).where(own.created_at < before, *quiet).order_by(own.created_at, own.id)


def _posted(before: datetime) -> ColumnElement[bool]:
    return ledger_transaction.c.posted_at >= before


_SIMPLE: Mapping[str, Callable[[datetime, datetime], Select[Any]]] = {
    APPLICATIONS: _applications,
    PROOFS: _proofs,
    QUARANTINE: _dismissed,
}


def _count(connection: Connection, wanted: Select[Any]) -> int:
    return connection.execute(select(func.count()).select_from(wanted.order_by(None).subquery())).scalar_one()


def _over_guardianships(context: Context, connection: Connection, before: datetime) -> list[UUID]:
    own = guardianship.c
    ended = or_(own.ended_at < before, own.last_day < before.date())
    found = list(connection.scalars(select(own.id).where(ended)))
    standing = connection.execute(
        select(own.id, own.child_id).where(own.ended_at.is_(None), own.last_day.is_(None))
    ).all()
    children = {CardholderId(row.child_id) for row in standing}
    known = read_many(connection, context.keys.cardholder_kek, children, [Field.BORN_ON])
    born = {child: date.fromisoformat(values[Field.BORN_ON]) for child, values in known.items()}
    until_age = context.settings.guardian_age
    # Of age already on the day from which it would be kept no longer: it has counted for nothing since.
    day = before.date()
    return found + [
        row.id
        for row in standing
        if (born_on := born.get(CardholderId(row.child_id))) is not None and age_on(born_on, day) >= until_age
    ]


def _over_consents(
    context: Context, connection: Connection, before: datetime
) -> Iterator[tuple[CardholderId, int]]:
    """Whose record has statements that are over, and how many."""
    after, own = UUID(int=0), record_field.c
    while True:
        wanted = select(own.cardholder_id).where(own.field == Field.CONSENTS.value, own.cardholder_id > after)
        holders = connection.scalars(wanted.order_by(own.cardholder_id).limit(ROWS_AT_ONCE)).all()
        if not holders:
            return
        people = [CardholderId(each) for each in holders]
        for holder, values in read_many(
            connection, context.keys.cardholder_kek, people, [Field.CONSENTS]
        ).items():
            if removed := _kept(values[Field.CONSENTS], before)[1]:
                yield holder, removed
        after = holders[-1]


def _kept(consents: Mapping[str, Any], before: datetime) -> tuple[dict[str, Any], int]:
    """What stays of what somebody has said, and how many statements do not."""
    kept, removed = {}, 0
    for purpose, said in consents.items():
        earlier = [each for each in said.get("before", []) if datetime.fromisoformat(each["since"]) >= before]
        removed += len(said.get("before", [])) - len(earlier)
        if not said["given"] and not earlier and datetime.fromisoformat(said["since"]) < before:
            removed += 1
            continue
        own = {name: value for name, value in said.items() if name != "before"}
        kept[purpose] = own | ({"before": earlier} if earlier else {})
    return kept, removed


def _erase_consents(
    context: Context, before: datetime, moment: datetime, note: Callable[[Connection, int], None]
) -> int:
    kek, erased = context.keys.cardholder_kek, 0
    with context.database.reading() as connection:
        holders = [holder for holder, _ in _over_consents(context, connection, before)]
    for holder in holders:
        with context.database.begin() as connection:
            lock_cardholder(connection, holder)
            read = read_many(connection, kek, [holder], [Field.CONSENTS]).get(holder, {})
            kept, removed = _kept(read.get(Field.CONSENTS, {}), before)
            if removed:
                write_field(connection, kek, holder, Field.CONSENTS, kept or None, moment)
                note(connection, removed)
            erased += removed
    return erased


def _delete(
    database: Database, table: Any, wanted: Select[UUID], note: Callable[[Connection, int], None]
) -> int:
    erased = 0
    while True:
        with database.begin() as connection:
            ids = connection.scalars(wanted.limit(ROWS_AT_ONCE)).all()
            if not ids:
                return erased
            portion = connection.execute(delete(table).where(table.c.id.in_(ids))).rowcount
            note(connection, portion)
        erased += portion


def _erase_changes(database: Database, before: datetime, note: Callable[[Connection, int], None]) -> int:
    old = select(import_run.c.id).where(import_run.c.at < before)
    with database.begin() as connection:
        erased = connection.execute(delete(import_change).where(import_change.c.run_id.in_(old))).rowcount
        if erased:
            note(connection, erased)
    return erased


def _forget_reads(database: Database, before: datetime, moment: datetime, actor: str) -> int:
    """Take out of the audit log whose records were read: who read, and when, stays, and the chain holds."""
    erased = 0
    while True:
        with database.begin() as connection:
            ids = connection.scalars(_audited(before).limit(ROWS_AT_ONCE)).all()
            if not ids:
                return erased
            # One for all of a portion: it says no more than that somebody's record was read.
            pseudonym = new_pseudonym()
            connection.execute(update(audit_link).where(audit_link.c.audit_id.in_(ids)).values(salt=None))
            connection.execute(update(audit).where(audit.c.id.in_(ids)).values(subject=pseudonym))
            record(connection, actor, "retention.reads", pseudonym, moment, records=len(ids))
        erased += len(ids)
