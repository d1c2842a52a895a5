"""Proofs that staff have seen: what of, how the document is called, until when it counts. No copies."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from cardservice.applications.concessions import CONCESSIONS, STATE_PENSION, check_concession
from cardservice.applications.eligibility import PROOFS, Known
from cardservice.applications.models import proof
from cardservice.audit.service import record
from cardservice.cardholders.details import Noting
from cardservice.cardholders.records import read_many, record_key, record_keys
from cardservice.cardholders.sealing import Field
from cardservice.cardholders.service import lock_cardholder
from cardservice.errors import OrderInvalid
from cardservice.ids import CardholderId, new_id
from cardservice.ledger.key_ring import KeyRing

# Ours: characters of what a document is called, and people in one list of those that are due.
MAX_REFERENCE, MAX_DUE = 64, 200
# Ours: no document is trusted longer without another look.
_LONGEST = timedelta(days=3653)


@dataclass(frozen=True, slots=True, repr=False)
class Proof:
    """That a document was seen."""

    id: UUID
    cardholder_id: CardholderId
    kind: str
    reference: str
    seen_by: str
    seen_at: datetime
    # The first day on which it does not count any more
    review_on: date | None
    ended_at: datetime | None


def note_proof(
    connection: Connection,
    noting: Noting,
    kind: str,
    reference: str,
    review_on: date | None,
    *,
    older_from: str = STATE_PENSION,
) -> UUID:
    """Note that a proof was seen; one of the same kind that stood before ends. Raises OrderInvalid.

    Of what changes there is a day of review; who somebody is does not change. A concession for age is had
    from `older_from` on, and each is looked at again after five years at most.
    """
    today = noting.today
    if kind not in PROOFS:
        raise OrderInvalid(f"{kind[:40]!r} is no kind of proof; there are {', '.join(PROOFS)}")
    if not (1 <= len(reference) <= MAX_REFERENCE and reference.isprintable()):
        raise OrderInvalid(f"say what the document is called, in up to {MAX_REFERENCE} characters")
    if review_on is None and kind != "identity":
        raise OrderInvalid(f"say until when the proof of {kind} counts: --review-on, such as {today}")
    if review_on is not None and not today < review_on <= today + _LONGEST:
        raise OrderInvalid(f"{review_on} is no day to look at it again; it is to come, within ten years")
    lock_cardholder(connection, noting.holder)
    if kind in CONCESSIONS:
        born_on = known_of(connection, noting.kek, noting.holder).born_on
        check_concession(kind, born_on, older_from, today, review_on)
    _end(connection, noting, kind)
    made = new_id()
    key = record_key(connection, noting.kek, noting.holder)
    connection.execute(
        insert(proof).values(
            id=made,
            cardholder_id=noting.holder,
            sealed=key.seal(Field.PROOF, {"kind": kind, "reference": reference}),
            seen_by=noting.actor,
            seen_at=noting.moment,
            review_on=review_on,
        )
    )
    # Not which: the audit log outlives the record.
    record(connection, noting.actor, "proof.seen", noting.holder, noting.moment)
    return made


def end_proof(connection: Connection, noting: Noting, kind: str) -> None:
    """Let a proof count no more. Raises OrderInvalid where there is none."""
    lock_cardholder(connection, noting.holder)
    if not _end(connection, noting, kind):
        raise OrderInvalid(f"no proof of {kind[:40]} of this person counts")
    record(connection, noting.actor, "proof.end", noting.holder, noting.moment)


def proofs_of(connection: Connection, kek: KeyRing, holder: CardholderId) -> tuple[Proof, ...]:
    """All of a person's, the earliest first, also those that ended."""
    rows = connection.execute(select(proof).where(proof.c.cardholder_id == holder).order_by(proof.c.id)).all()
    return tuple(_opened(connection, kek, row) for row in rows)


def known_of(connection: Connection, kek: KeyRing, holder: CardholderId) -> Known:
    """What eligibility goes by."""
    return known_of_many(connection, kek, [holder])[holder]


def known_of_many(
    connection: Connection, kek: KeyRing, holders: Collection[CardholderId]
) -> dict[CardholderId, Known]:
    """The same of many persons, some hundreds at once."""
    values = read_many(connection, kek, holders, [Field.BORN_ON, Field.FLAGS])
    keys, own = record_keys(connection, kek, holders), proof.c
    standing: dict[CardholderId, dict[str, date | None]] = {holder: {} for holder in holders}
    rows = connection.execute(
        select(proof).where(own.cardholder_id.in_(holders), own.ended_at.is_(None)).order_by(own.id)
    )
    for row in rows:
        holder = CardholderId(row.cardholder_id)
        if holder in keys:
            standing[holder][keys[holder].open(Field.PROOF, row.sealed)["kind"]] = row.review_on
    return {holder: _known(values.get(holder, {}), standing[holder]) for holder in holders}


def _known(values: Mapping[Field, Any], standing: Mapping[str, date | None]) -> Known:
    born_on = values.get(Field.BORN_ON)
    return Known(
        None if born_on is None else date.fromisoformat(born_on), standing, tuple(values.get(Field.FLAGS, ()))
    )


def due_by(
    connection: Connection,
    kek: KeyRing,
    day: date,
    *,
    actor: str,
    moment: datetime,
    after: UUID | None = None,
    limit: int = MAX_DUE,
) -> tuple[Proof, ...]:
    """Proofs that are to be looked at again by a day, the most urgent first; whose they are is noted as seen.

    At most `limit`; or after one.
    """
    own = proof.c
    wanted = select(proof).where(own.ended_at.is_(None), own.review_on <= day)
    if after is not None:
        then = select(own.review_on).where(own.id == after).scalar_subquery()
        wanted = wanted.where(or_(own.review_on > then, and_(own.review_on == then, own.id > after)))
    rows = connection.execute(wanted.order_by(own.review_on, own.id).limit(limit)).all()
    found = tuple(_opened(connection, kek, row) for row in rows)
    for holder in dict.fromkeys(each.cardholder_id for each in found):
        record(connection, actor, "proof.due", holder, moment)
    return found


def _end(connection: Connection, noting: Noting, kind: str) -> bool:
    ended = [each for each in _standing(connection, noting.kek, noting.holder) if each.kind == kind]
    for each in ended:
        # Another machine's clock may be a little ahead.
        since = max(noting.moment, each.seen_at)
        connection.execute(update(proof).where(proof.c.id == each.id).values(ended_at=since))
    return bool(ended)


def _standing(connection: Connection, kek: KeyRing, holder: CardholderId) -> Iterator[Proof]:
    return (each for each in proofs_of(connection, kek, holder) if each.ended_at is None)


def _opened(connection: Connection, kek: KeyRing, row: Row[tuple[object, ...]]) -> Proof:
    holder = CardholderId(row.cardholder_id)
    said = record_key(connection, kek, holder).open(Field.PROOF, row.sealed)
    return Proof(
        row.id,
        holder,
        said["kind"],
        said["reference"],
        row.seen_by,
        row.seen_at,
        row.review_on,
        row.ended_at,
    )
