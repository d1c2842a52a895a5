"""Who has seen and changed somebody's record, as it is told to that person."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select

from cardservice.audit.models import audit
from cardservice.cardholders.models import record_read
from cardservice.cards.models import card
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.models import cardholder_payer

# Each way of reading what is known of a person; whoever adds one names it here, which a test asks for.
READS = frozenset(
    {
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
        "lending.history",
        "lending.patron",
        "payer.history",
        "payer.show",
        "payer.statement",
        "proof.due",
    }
)


@dataclass(frozen=True, slots=True)
class Access:
    """That somebody did something with a record or a card of the person."""

    at: datetime
    actor: str
    action: str
    is_read: bool


def accesses(connection: Connection, holder: CardholderId) -> tuple[Access, ...]:
    """All of them, the earliest first; what was done with the person's cards and own payers among them."""
    cards = connection.scalars(select(card.c.id).where(card.c.cardholder_id == holder))
    subjects = [str(holder), *map(str, cards), *map(str, _own_payers(connection, holder))]
    rows = connection.execute(
        select(audit.c.at, audit.c.actor, audit.c.action)
        .where(audit.c.subject.in_(subjects))
        .order_by(audit.c.id)
    )
    found = [Access(row.at, row.actor, row.action, row.action in READS) for row in rows]
    own = record_read.c
    apart = connection.execute(
        select(own.at, own.actor, own.action).where(own.cardholder_id == holder).order_by(own.id)
    )
    found += [Access(row.at, row.actor, row.action, is_read=True) for row in apart]
    return tuple(sorted(found, key=lambda each: each.at))


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
