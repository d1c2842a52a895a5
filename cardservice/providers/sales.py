"""What a provider sold, one by one: each cardholder under the pseudonym that is the provider's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Connection, and_, func, select, tuple_

from cardservice.ids import CardholderId, ProviderId
from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.errors import StatementInvalid
from cardservice.ledger.event_models import rating
from cardservice.ledger.models import cardholder_key, ledger_transaction, transaction_proof, transfer
from cardservice.ledger.statements import Cursor, Period

_AT_ONCE = 1_000
_SALES = ("request", "advice")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sale stands among all of a period: its number, and the shard of the ledger that gave it."""

    number: Cursor
    shard: int

    def __str__(self) -> str:
        """As it is handed out, such as 2026-11-24.0.17.0."""
        return f"{self.number}.{self.shard}"

    @classmethod
    def parse(cls, text: str) -> "Place":
        """What `str` made. Raises StatementInvalid."""
        number, _, shard = text.rpartition(".")
        if not (shard.isascii() and shard.isdigit() and len(shard) < 10):
            raise StatementInvalid(f"{text[:60]!r} is no cursor; give the one of the page before")
        return cls(Cursor.parse(number), int(shard))


@dataclass(frozen=True, slots=True)
class Sold:
    """A sale, by the day on which it settled; `customer` is None of who was erased, and of no card."""

    settled_on: date
    transaction: UUID
    service: str
    action: str
    amount_minor: int
    # What was given back of it since
    given_back_minor: int
    unit: str
    customer: str | None
    place: Place


def sales_of(
    connection: Connection,
    provider_id: ProviderId,
    period: Period,
    pseudonym: Callable[[CardholderId], str],
    *,
    after: Place | None = None,
    limit: int | None = None,
) -> Iterator[Sold]:
    """The approved sales of a period, in the ledger's order; no payer and no card.

    Of them `limit`, those `after` a place; numbers only grow, in the order of days.
    """
    entry, stored, proof, key = (
        ledger_sequence.c,
        ledger_transaction.c,
        transaction_proof.c,
        cardholder_key.c,
    )
    back = transfer.alias("back").c
    given_back = (
        select(func.coalesce(func.sum(back.amount_minor), 0))
        .where(back.payer_id == stored.payer_id, back.reverses_transaction == stored.id)
        .scalar_subquery()
    )
    key_id = func.coalesce(proof.key_id, rating.c.key_id)
    joined = (
        ledger_sequence.join(
            ledger_transaction, and_(stored.payer_id == entry.payer_id, stored.id == entry.transaction_id)
        )
        .outerjoin(
            transaction_proof, and_(proof.payer_id == stored.payer_id, proof.transaction_id == stored.id)
        )
        .outerjoin(rating, and_(rating.c.payer_id == stored.payer_id, rating.c.transaction_id == stored.id))
        .outerjoin(cardholder_key, key.id == key_id)
    )
    where_it_stands = (entry.settled_on, entry.epoch, entry.sequence, entry.shard)
    wanted = (
        select(
            *where_it_stands,
            *(stored.id, stored.service, stored.action),
            *(stored.amount_minor, given_back.label("given_back"), stored.unit, key.cardholder_id),
        )
        .select_from(joined)
        .where(stored.provider_id == provider_id, stored.decision == "approved", stored.kind.in_(_SALES))
        .where(entry.settled_on.between(period.first, period.last))
        .order_by(*where_it_stands)
        .limit(limit)
    )
    if after is not None:
        last = after.number
        wanted = wanted.where(
            tuple_(*where_it_stands) > tuple_(last.settled_on, last.epoch, last.sequence, after.shard)
        )
    for row in connection.execute(wanted).yield_per(_AT_ONCE):
        known = row.cardholder_id is not None
        yield Sold(
            settled_on=row.settled_on,
            transaction=row.id,
            service=row.service or "",
            action=row.action or "",
            amount_minor=row.amount_minor or 0,
            given_back_minor=int(row.given_back),
            unit=row.unit or "",
            customer=pseudonym(CardholderId(row.cardholder_id)) if known else None,
            place=Place(Cursor(row.settled_on, row.epoch, row.sequence), row.shard),
        )
