"""What rating reads: what has come since, whose it is, and a person's taps."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, and_, or_, select, tuple_

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
    ).all()
    return [
        Bearing(
            Place(row.epoch, row.sequence),
            Rider(PayerId(row.payer_id), row.key_id),
            row.occurred_at,
            row.action,
        )
        for row in rows
    ]


def holders_of(connection: Connection, key_ids: Collection[UUID]) -> Mapping[UUID, CardholderId]:
    """Whose keys they are; those of who was erased are left out."""
    own = cardholder_key.c
    rows = connection.execute(select(own.id, own.cardholder_id).where(own.id.in_(key_ids)))
    return {row.id: CardholderId(row.cardholder_id) for row in rows if row.cardholder_id is not None}


def read_taps(
    connection: Connection,
    riders: Collection[Rider],
    service: str,
    actions: frozenset[str],
    begins: datetime,
    ends: datetime,
) -> Mapping[Rider, list[StoredTap] | None]:
    """Each rider's taps between two moments that stand; None where what prices one of them was erased."""
    found: dict[Rider, list[StoredTap] | None] = {rider: [] for rider in riders}
    undone = _undone(connection, riders)
    for row in connection.execute(_taps(riders, service, actions, begins, ends)).all():
        # A payer's other persons may have tapped, too.
        rider = Rider(PayerId(row.payer_id), row.key_id)
        taps = found.get(rider)
        if taps is None or (undone and (row.payer_id, row.id) in undone):
            continue
        if row.inputs is None:
            found[rider] = None
            continue
        taps.append(
            StoredTap(
                id=row.id,
                action=row.action,
                occurred_at=row.occurred_at,
                provider=row.provider_id,
                inputs=row.inputs,
            )
        )
    return found


def payers_tapped(
    connection: Connection,
    riders: Collection[Rider],
    service: str,
    actions: frozenset[str],
    begins: datetime,
    ends: datetime,
) -> frozenset[PayerId]:
    """Those of the riders' payers that have any tap between two moments, annulled or not, anybody's."""
    stored = ledger_transaction.c
    tapped = select(stored.payer_id).where(
        stored.payer_id.in_({rider.payer_id for rider in riders}),
        stored.service == service,
        stored.action.in_(actions),
        stored.occurred_at >= begins,
        stored.occurred_at < ends,
    )
    return frozenset(PayerId(payer) for payer in connection.scalars(tapped.distinct()))


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


def _undone(connection: Connection, riders: Collection[Rider]) -> frozenset[tuple[UUID, UUID]]:
    """The payers' transactions that were annulled and that no duplicate keeps: few, looked up by index."""
    stored = ledger_transaction.c
    of_payers = stored.payer_id.in_({rider.payer_id for rider in riders})
    kept = select(stored.payer_id, stored.duplicate_of).where(of_payers, stored.duplicate_of.is_not(None))
    annulled = select(stored.payer_id, stored.annuls).where(
        of_payers, stored.annuls.is_not(None), stored.decision == "approved"
    )
    found = {(payer, id_) for payer, id_ in connection.execute(annulled)}
    return frozenset(found.difference((payer, id_) for payer, id_ in connection.execute(kept)))


def _taps(
    riders: Collection[Rider], service: str, actions: frozenset[str], begins: datetime, ends: datetime
) -> Select[*tuple[Any, ...]]:
    stored, proof, kept = ledger_transaction.c, transaction_proof.c, transaction_details.c
    return (
        select(
            *(stored.payer_id, proof.key_id, stored.id, stored.action, stored.occurred_at),
            *(stored.provider_id, kept.answer["inputs"].label("inputs")),
        )
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
            stored.payer_id.in_({rider.payer_id for rider in riders}),
            stored.service == service,
            stored.action.in_(actions),
            stored.decision == "approved",
            stored.occurred_at >= begins,
            stored.occurred_at < ends,
        )
        .order_by(stored.occurred_at, stored.id)
    )
