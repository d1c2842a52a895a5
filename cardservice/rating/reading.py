"""What rating reads: what has come since, whose it is, and a person's taps."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, and_, exists, or_, select, tuple_

from cardservice.ids import CardholderId, PayerId
from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.models import (
    cardholder_key,
    ledger_transaction,
    transaction_details,
    transaction_proof,
)
from cardservice.rating.models import rating_position
from cardservice.services.rated import StoredTap


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the ledger's sequence; before everything: of no epoch."""

    epoch: int = -1
    sequence: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Rider:
    """Whose days they are: one payer's for one person, by the person's key."""

    payer_id: PayerId
    key_id: UUID


@dataclass(frozen=True, slots=True)
class Bearing:
    """Something that can change what a person's days cost, and when it occurred."""

    place: Place
    rider: Rider
    occurred_at: datetime
    action: str


def read_place(connection: Connection, service: str) -> Place:
    """How far a service's days have been rated."""
    own = rating_position.c
    row = connection.execute(select(own.epoch, own.sequence).where(own.service == service)).one_or_none()
    return Place() if row is None else Place(*row)


def newest(connection: Connection, after: Place, at_most: int) -> Place:
    """The last of so many entries after a place; the same place where there is none."""
    own = ledger_sequence.c
    numbers = (
        select(own.epoch, own.sequence)
        .where(tuple_(own.epoch, own.sequence) > tuple_(after.epoch, after.sequence))
        .order_by(own.epoch, own.sequence)
        .limit(at_most)
        .subquery()
    )
    last = select(numbers).order_by(numbers.c.epoch.desc(), numbers.c.sequence.desc()).limit(1)
    row = connection.execute(last).one_or_none()
    return after if row is None else Place(*row)


def bearings(
    connection: Connection, service: str, actions: frozenset[str], after: Place, until: Place
) -> list[Bearing]:
    """What bears on days between two places, itself or by an annulment."""
    # An annulment, or what replaces, is told of by the transaction that it names.
    told = ledger_transaction.alias("told")
    stored, entry, proof = ledger_transaction.c, ledger_sequence.c, transaction_proof.c
    same = and_(told.c.payer_id == entry.payer_id, told.c.id == entry.transaction_id)
    named = and_(
        stored.payer_id == told.c.payer_id,
        or_(stored.id == told.c.id, stored.id == told.c.annuls, stored.id == told.c.duplicate_of),
    )
    rows = connection.execute(
        select(
            *(entry.epoch, entry.sequence, stored.payer_id, proof.key_id, stored.occurred_at, stored.action)
        )
        .select_from(
            ledger_sequence.join(told, same)
            .join(ledger_transaction, named)
            .join(
                transaction_proof,
                and_(proof.payer_id == stored.payer_id, proof.transaction_id == stored.id),
            )
        )
        .where(
            tuple_(entry.epoch, entry.sequence) > tuple_(after.epoch, after.sequence),
            tuple_(entry.epoch, entry.sequence) <= tuple_(until.epoch, until.sequence),
            stored.service == service,
            stored.action.in_(actions),
            stored.decision == "approved",
        )
        .order_by(entry.epoch, entry.sequence)
    )
    return [
        Bearing(
            Place(row.epoch, row.sequence),
            Rider(PayerId(row.payer_id), row.key_id),
            row.occurred_at,
            row.action,
        )
        for row in rows
    ]


def holder_of(connection: Connection, key_id: UUID) -> CardholderId | None:
    """Whose key it is; None once the person was erased."""
    own = cardholder_key.c
    found = connection.scalar(select(own.cardholder_id).where(own.id == key_id))
    return None if found is None else CardholderId(found)


def read_taps(
    connection: Connection,
    rider: Rider,
    service: str,
    actions: frozenset[str],
    begins: datetime,
    ends: datetime,
) -> list[StoredTap] | None:
    """The taps between two moments that stand; None where what prices one of them was erased."""
    rows = connection.execute(_taps(rider, service, actions, begins, ends)).all()
    if any(row.answer is None for row in rows):
        return None
    return [
        StoredTap(
            id=row.id,
            action=row.action,
            occurred_at=row.occurred_at,
            provider=row.provider_id,
            inputs=row.answer["inputs"],
        )
        for row in rows
    ]


def has_tapped(
    connection: Connection,
    rider: Rider,
    service: str,
    actions: frozenset[str],
    begins: datetime,
    ends: datetime,
) -> bool:
    """Whether the payer has any tap between two moments, annulled or not, anybody's."""
    stored = ledger_transaction.c
    tapped = exists().where(
        stored.payer_id == rider.payer_id,
        stored.service == service,
        stored.action.in_(actions),
        stored.occurred_at >= begins,
        stored.occurred_at < ends,
    )
    return bool(connection.scalar(select(tapped)))


def riders_between(
    connection: Connection, service: str, actions: frozenset[str], begins: datetime, ends: datetime
) -> list[Rider]:
    """Whose taps there are between two moments."""
    stored, proof = ledger_transaction.c, transaction_proof.c
    same = and_(proof.payer_id == stored.payer_id, proof.transaction_id == stored.id)
    query = (
        select(stored.payer_id, proof.key_id)
        .select_from(ledger_transaction.join(transaction_proof, same))
        .where(
            stored.service == service,
            stored.action.in_(actions),
            stored.decision == "approved",
            stored.occurred_at >= begins,
            stored.occurred_at < ends,
        )
        .distinct()
    )
    return sorted(Rider(PayerId(row.payer_id), row.key_id) for row in connection.execute(query))


def _taps(
    rider: Rider, service: str, actions: frozenset[str], begins: datetime, ends: datetime
) -> Select[*tuple[Any, ...]]:
    stored, proof, kept = ledger_transaction.c, transaction_proof.c, transaction_details.c
    other = ledger_transaction.alias("other").c
    annulled = exists().where(
        other.payer_id == stored.payer_id, other.annuls == stored.id, other.decision == "approved"
    )
    kept_by = exists().where(other.payer_id == stored.payer_id, other.duplicate_of == stored.id)
    return (
        select(stored.id, stored.action, stored.occurred_at, stored.provider_id, kept.answer)
        .select_from(
            ledger_transaction.join(
                transaction_proof,
                and_(proof.payer_id == stored.payer_id, proof.transaction_id == stored.id),
            ).outerjoin(
                transaction_details,
                and_(kept.payer_id == stored.payer_id, kept.transaction_id == stored.id),
            )
        )
        .where(
            stored.payer_id == rider.payer_id,
            proof.key_id == rider.key_id,
            stored.service == service,
            stored.action.in_(actions),
            stored.decision == "approved",
            stored.occurred_at >= begins,
            stored.occurred_at < ends,
            or_(kept_by, ~annulled),
        )
        .order_by(stored.occurred_at, stored.id)
    )
