"""Who has seen and changed somebody's record, as it is told to that person."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select

from cardservice.audit.models import audit
from cardservice.cardholders.models import record_read
from cardservice.cards.models import card
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.models import cardholder_payer

_NONE = UUID(int=0)
# Above each entry of the audit log, whose numbers are signed and have 64 bits
_ABOVE = 2**63 - 1
# Each way of reading what is known of a person; whoever adds one names it here, which a test asks for.
READS = frozenset(
    {
        "account.show",
        "application.show",
        "card.puk",
        "funding.names",
        "kitchen.recall",
        "cardholder.accesses",
        "cardholder.export",
        "cardholder.find",
        "cardholder.guardians",
        "cardholder.photo",
        "cardholder.present",
        "cardholder.print",
        "cardholder.show",
        "cardholder.verify",
        "ledger.prove",
        "lending.history",
        "lending.patron",
        "payer.balance",
        "payer.history",
        "payer.show",
        "payer.statement",
        "proof.due",
        "proof.export",
        "quarantine.read",
        "transaction.day",
        "transaction.explain",
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an access stands among all of a person's: of one moment those of the audit log come first."""

    at: datetime
    # Of the audit log; or else of the person's own table, and above all of the former
    audit_id: int
    read_id: UUID = _NONE

    @classmethod
    def of_text(cls, text: str) -> Self:
        """The place that `str` has told. Raises ValueError."""
        at, audit_id, read_id = text.split("~")
        if not 0 <= int(audit_id) <= _ABOVE:
            raise ValueError("no entry of the audit log")
        moment = datetime.fromisoformat(at)
        if moment.tzinfo is None:
            raise ValueError("a moment without a zone")
        return cls(moment.astimezone(UTC), int(audit_id), UUID(read_id))

    def __str__(self) -> str:
        """For whoever goes on after it."""
        return f"{self.at.isoformat()}~{self.audit_id}~{self.read_id}"


@dataclass(frozen=True, slots=True)
class Access:
    """That somebody did something with a record or a card of the person."""

    place: Place
    actor: str
    action: str
    is_read: bool
    # What of the record was changed; never to what
    changed: str | None = None

    @property
    def at(self) -> datetime:
        """When."""
        return self.place.at


def accesses(
    connection: Connection, holder: CardholderId, *, after: Place | None = None, limit: int | None = None
) -> tuple[Access, ...]:
    """All of them, the earliest first; what was done with the person's cards and own payers among them.

    Or those after one, `limit` at most.
    """
    cards = connection.scalars(select(card.c.id).where(card.c.cardholder_id == holder))
    subjects = [str(holder), *map(str, cards), *map(str, _own_payers(connection, holder))]
    logged = select(audit.c.id, audit.c.at, audit.c.actor, audit.c.action, audit.c.detail).where(
        audit.c.subject.in_(subjects)
    )
    own = record_read.c
    apart = select(own.id, own.at, own.actor, own.action).where(own.cardholder_id == holder)
    if after is not None:
        logged = logged.where(_follows(audit.c.at, audit.c.id, after.at, after.audit_id))
        # After an entry of the audit log all of the same moment follow.
        apart = apart.where(_follows(own.at, own.id, after.at, after.read_id))
    found = [
        Access(Place(row.at, row.id), row.actor, row.action, row.action in READS, row.detail.get("changed"))
        for row in connection.execute(logged.order_by(audit.c.at, audit.c.id).limit(limit))
    ]
    found += [
        Access(Place(row.at, _ABOVE, row.id), row.actor, row.action, is_read=True)
        for row in connection.execute(apart.order_by(own.at, own.id).limit(limit))
    ]
    return tuple(sorted(found, key=lambda each: each.place)[:limit])


def _follows(
    at: ColumnElement[Any], key: ColumnElement[Any], moment: datetime, last: object
) -> ColumnElement[bool]:
    return or_(at > moment, and_(at == moment, key > last))


def note_reads(
    connection: Connection, holders: Collection[CardholderId], action: str, *, actor: str, moment: datetime
) -> None:
    """Note that people were read in a list that tells something of them: for them, not for the audit log."""
    rows = [
        {"id": new_id(), "cardholder_id": holder, "at": moment, "actor": actor, "action": action}
        for holder in sorted(holders)
    ]
    if rows:
        connection.execute(insert(record_read), rows)


def _own_payers(connection: Connection, holder: CardholderId) -> list[PayerId]:
    """Who pays, has paid or will pay for this person alone: of a family's payer others would be told, too."""
    others = cardholder_payer.alias()
    shared = select(others.c.payer_id).where(others.c.cardholder_id != holder)
    own = cardholder_payer.c
    rows = connection.scalars(
        select(own.payer_id).where(own.cardholder_id == holder, own.payer_id.not_in(shared)).distinct()
    )
    return [PayerId(row) for row in rows]
