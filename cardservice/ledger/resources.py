"""Resources: what there is only so much of, claimed before posting and confirmed after it.

A copy of a book, a vehicle at a place, a session's places, a permit's quota: a row with a version, outside
any payer. A *reservation* stands under the transaction's id, so that the same message claims once. It is held
for a while; then the posting confirms it, or it is released. What a crash leaves between is settled by
`settle_reservations`, which a worker calls now and then.

A reservation may expire while its transaction is on its way to be posted. Whoever releases it therefore
changes the payer's version in the same database transaction, after it has found nothing posted under the
payer's lock: what was decided with the reservation is then decided anew, and claims again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Row, and_, exists, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.errors import ResourceInvalid, ResourceTaken
from cardservice.ledger.event_models import reservation, resource
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.payers import touch_payers

# Ours: longer than any posting takes, and not so long that others notice.
HELD_FOR = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Claim:
    """So much of a resource that a transaction needs; with a `capacity` it is made where it is not there."""

    service: str
    key: str
    quantity: int = 1
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class ResourceView:
    """A resource as read."""

    service: str
    key: str
    capacity: int
    taken: int
    version: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of reservations that were left."""

    confirmed: int = 0
    released: int = 0


def set_capacity(connection: Connection, service: str, key: str, capacity: int) -> None:
    """Make a resource, or change how much there is of it. Raises ResourceInvalid: more than that is taken."""
    own = resource.c
    row = update(resource).where(own.service == service, own.key == key)
    try:
        if connection.execute(row.values(capacity=capacity, version=own.version + 1)).rowcount == 0:
            connection.execute(insert(resource).values(service=service, key=key, capacity=capacity))
    except IntegrityError as error:
        raise ResourceInvalid(f"{service} {key} cannot be {capacity}: more is taken of it") from error


def read_resource(connection: Connection, service: str, key: str) -> ResourceView | None:
    """A resource as of now."""
    own = resource.c
    row = connection.execute(select(resource).where(own.service == service, own.key == key)).one_or_none()
    return ResourceView(*row) if row is not None else None


def claim(
    database: Database,
    payer_id: PayerId,
    transaction: TransactionId,
    claims: Sequence[Claim],
    moment: datetime,
) -> None:
    """Hold all of these for a transaction, or none. Raises ResourceTaken where one has too little left.

    What the transaction holds already is held for longer; what it has confirmed stays so.
    """
    with database.begin() as connection:
        claim_on(connection, payer_id, transaction, claims, moment)


def claim_on(
    connection: Connection,
    payer_id: PayerId,
    transaction: TransactionId,
    claims: Sequence[Claim],
    moment: datetime,
) -> None:
    """`claim` in the caller's transaction."""
    with connection.begin_nested():
        # In one order, so that two who want the same two wait for each other in one direction only.
        for wanted in sorted(claims, key=lambda wanted: (wanted.service, wanted.key)):
            _claim(connection, payer_id, transaction, wanted, moment)


def _claim(
    connection: Connection, payer_id: PayerId, transaction: TransactionId, wanted: Claim, moment: datetime
) -> None:
    own = reservation.c
    row = and_(own.transaction_id == transaction, own.service == wanted.service, own.key == wanted.key)
    found = connection.execute(select(reservation).where(row).with_for_update()).one_or_none()
    expires_at = moment + HELD_FOR
    if found is not None and found.state != "released":
        connection.execute(update(reservation).where(row).values(expires_at=expires_at))
        return
    if not take(connection, wanted) and not (_make(connection, wanted) and take(connection, wanted)):
        raise ResourceTaken(wanted.service, wanted.key)
    if found is not None:
        connection.execute(update(reservation).where(row).values(state="held", expires_at=expires_at))
        return
    connection.execute(
        insert(reservation).values(
            transaction_id=transaction,
            service=wanted.service,
            key=wanted.key,
            payer_id=payer_id,
            quantity=wanted.quantity,
            state="held",
            held_at=moment,
            expires_at=expires_at,
        )
    )


def take(connection: Connection, wanted: Claim) -> bool:
    """Take so much, if there is so much left: in one statement, so that whoever waited looks again."""
    own = resource.c
    row = update(resource).where(
        own.service == wanted.service, own.key == wanted.key, own.taken + wanted.quantity <= own.capacity
    )
    values = {"taken": own.taken + wanted.quantity, "version": own.version + 1}
    return connection.execute(row.values(values)).rowcount == 1


def _make(connection: Connection, wanted: Claim) -> bool:
    """Make a resource if it is not there; False where its service did not say how much of it there is."""
    if wanted.capacity is None:
        return False
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = {"service": wanted.service, "key": wanted.key, "capacity": wanted.capacity}
    # Of two that make it at once the second waits here for the first, and takes what that leaves.
    connection.execute(dialect.insert(resource).values(**new).on_conflict_do_nothing())
    return True


def confirm(connection: Connection, transaction: TransactionId) -> int:
    """The transaction is posted: what is held for it is its. Returns how many there were."""
    own = reservation.c
    held = update(reservation).where(own.transaction_id == transaction, own.state == "held")
    return connection.execute(held.values(state="confirmed")).rowcount


def release(connection: Connection, transaction: TransactionId) -> int:
    """What was held for a transaction, or confirmed, is free again: a book is back, a sale was annulled.

    For what may still be posted it is not this, but `settle_reservations`. Returns how many there were.
    """
    own = reservation.c
    mine = own.transaction_id == transaction, own.state != "released"
    rows = connection.execute(
        select(reservation).where(*mine).order_by(own.service, own.key).with_for_update()
    ).all()
    for row in rows:
        _give_back(connection, row)
    connection.execute(update(reservation).where(*mine).values(state="released"))
    return len(rows)


def _give_back(connection: Connection, row: Row[*tuple[object, ...]]) -> None:
    own = resource.c
    found = update(resource).where(own.service == row.service, own.key == row.key)
    connection.execute(found.values(taken=own.taken - row.quantity, version=own.version + 1))


def settle_reservations(database: Database, moment: datetime, *, limit: int = 1_000) -> Settlement:
    """Settle what was left: what is posted is confirmed; what expired without, or was annulled, is released.

    Each transaction's in a database transaction of its own, at most `limit` of them. May run beside itself.
    """
    confirmed = released = 0
    with database.reading() as connection:
        left = [
            (PayerId(row.payer_id), TransactionId(row.transaction_id))
            for row in _left(connection, moment, limit)
        ]
    for payer_id, transaction in left:
        with database.begin() as connection:
            # Nothing of this payer is posted from here on, and what was decided before is decided anew.
            touch_payers(connection, (payer_id,))
            if _stands(connection, payer_id, transaction):
                confirmed += confirm(connection, transaction)
            else:
                released += release(connection, transaction)
    return Settlement(confirmed, released)


def _left(connection: Connection, moment: datetime, limit: int) -> Sequence[Row[*tuple[object, ...]]]:
    own = reservation.c
    annul = ledger_transaction.c
    annulled = and_(annul.payer_id == own.payer_id, annul.annuls == own.transaction_id)
    expired = select(own.payer_id, own.transaction_id).where(own.state == "held", own.expires_at <= moment)
    undone = (
        select(own.payer_id, own.transaction_id)
        .select_from(reservation.join(ledger_transaction, annulled))
        .where(own.state == "confirmed")
    )
    found = expired.union(undone).limit(limit)
    return connection.execute(found).all()


def _stands(connection: Connection, payer_id: PayerId, transaction: TransactionId) -> bool:
    """Whether it was posted as approved and is not annulled."""
    own = ledger_transaction.c
    approved = exists().where(own.payer_id == payer_id, own.id == transaction, own.decision == "approved")
    other = ledger_transaction.alias().c
    kept = exists().where(other.payer_id == payer_id, other.duplicate_of == transaction)
    annulled = exists().where(other.payer_id == payer_id, other.annuls == transaction)
    return bool(connection.scalar(select(and_(approved, kept | ~annulled))))
