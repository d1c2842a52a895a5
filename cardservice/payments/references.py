"""What a payment provider calls what it tells of: a payment, a refund or a dispute is posted once."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, and_, insert, select
from sqlalchemy.exc import IntegrityError

from cardservice.errors import Busy, IdConflict
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.event_models import payment_reference
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.posting import post_on
from cardservice.ledger.values import Outcome, Posting

Event = Literal["topup", "repayment", "chargeback"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A provider, and its own name for an event."""

    provider: str
    reference: str


def known_as(
    connection: Connection,
    kind: Event,
    reference: Reference | None,
    amount_minor: int,
    payer_ids: Collection[PayerId],
) -> TransactionId | None:
    """The transaction that an event was posted as. Raises IdConflict for another amount or payer."""
    if reference is None:
        return None
    own, stored = payment_reference.c, ledger_transaction.c
    posted = and_(stored.payer_id == own.payer_id, stored.id == own.transaction_id)
    row = connection.execute(
        select(own.transaction_id, own.payer_id, stored.amount_minor)
        .select_from(payment_reference.join(ledger_transaction, posted))
        .where(own.provider == reference.provider, own.kind == kind, own.reference == reference.reference)
    ).one_or_none()
    if row is None:
        return None
    if row.amount_minor != amount_minor or row.payer_id not in payer_ids:
        raise IdConflict(
            f"{reference.reference} of {reference.provider} was another amount or another payer's"
        )
    return TransactionId(row.transaction_id)


def post_payment(connection: Connection, posting: Posting, reference: Reference | None) -> None:
    """Post an event under its payer's lock, with its reference. Raises Busy: nothing of it is posted then."""
    [result] = post_on(connection, [posting])
    if result.outcome is not Outcome.POSTED:
        raise Busy("this payer's account is in use; try again")
    if reference is None:
        return
    values = {
        "provider": reference.provider,
        "kind": posting.transaction.kind,
        "reference": reference.reference,
        "payer_id": posting.payer_id,
        "transaction_id": posting.transaction.id,
    }
    try:
        connection.execute(insert(payment_reference).values(values))
    except IntegrityError as error:
        # Posted under another payer a moment ago: leaving by an error takes this one back.
        raise Busy("this payment is being posted; try again") from error
