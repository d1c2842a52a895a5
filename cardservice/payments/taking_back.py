"""A payment taken back: repaid to where it came from, or charged back by the payer's bank."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.authorisation.refunds import payer_of
from cardservice.context import Context
from cardservice.errors import IdConflict, OrderInvalid, RefundRefused
from cardservice.ids import PayerId, TransactionId, new_id
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import KnownTransaction, NewTransaction, PayerView, Posting, ReadQuery
from cardservice.payments.money import take_back
from cardservice.payments.references import Reference, known_as, post_payment
from pki.statements import deterministic


@dataclass(frozen=True, slots=True)
class TakeBack:
    """So much of a payment goes back to its source; the same id or reference again is the same event.

    A repayment is given: never more than there is to spend. A chargeback is told: what was spent is owed.
    """

    payment: TransactionId
    amount_minor: int
    kind: Literal["repayment", "chargeback"] = "repayment"
    id: TransactionId = field(default_factory=lambda: TransactionId(new_id()))
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise OrderInvalid("what is taken back is more than nothing")

    @property
    def body(self) -> bytes:
        """SHA-256 of the deterministic CBOR of what was asked."""
        asked = [self.kind, self.id.bytes, self.payment.bytes, self.amount_minor]
        return sha256(deterministic(asked)).digest()


def take_payment_back(
    context: Context,
    wanted: TakeBack,
    *,
    actor: str,
    also: Callable[[Connection, PayerId], None] | None = None,
) -> TransactionId:
    """Post it, once; the transaction that it was posted as. `also` is done with it, or neither.

    Raises TransactionUnknown, RefundRefused (not a payment, more than is left of it, or more than there is to
    spend), IdConflict and Busy.
    """
    with context.database.reading() as connection:
        payer_id = payer_of(connection, wanted.payment)
    with locked(context.database, (payer_id,)) as connection:
        [found] = read_on(connection, [ReadQuery((payer_id,), (wanted.id, wanted.payment))])
        if known := found.known.get(wanted.id):
            if known.body != wanted.body:
                raise IdConflict("this id is taken by another transaction")
            return wanted.id
        before = known_as(connection, wanted.kind, wanted.reference, wanted.amount_minor, (payer_id,))
        if before is not None:
            return before
        view, payment = found.views[payer_id], found.known[wanted.payment]
        _check(view, payment, wanted)
        post_payment(connection, _posting(context, payer_id, view, payment, wanted), wanted.reference)
        moment = context.now()
        record(connection, actor, f"payment.{wanted.kind}", wanted.id, moment, payment=str(wanted.payment))
        if also is not None:
            also(connection, payer_id)
    return wanted.id


def _check(view: PayerView, payment: KnownTransaction, wanted: TakeBack) -> None:
    if payment.kind != "topup":
        raise RefundRefused("nothing_to_refund", f"{payment.id} is no payment; a sale is refunded")
    left_minor = payment.moved_minor - payment.reversed_minor
    if wanted.amount_minor > left_minor:
        raise RefundRefused("more_than_left", "That is more than is left of the payment.", left_minor)
    available_minor = max(0, view.prepaid.available_minor)
    if wanted.kind == "repayment" and wanted.amount_minor > available_minor:
        raise RefundRefused("more_than_left", "That is more than there is to spend.", available_minor)


def _posting(
    context: Context, payer_id: PayerId, view: PayerView, payment: KnownTransaction, wanted: TakeBack
) -> Posting:
    moment = context.now()
    return Posting(
        payer_id=payer_id,
        expected_version=view.version,
        transaction=NewTransaction(
            id=wanted.id,
            origin="payment",
            kind=wanted.kind,
            decision="approved",
            reason=wanted.kind,
            unit=payment.unit,
            body=wanted.body,
            occurred_at=moment,
            posted_at=moment,
            amount_minor=wanted.amount_minor,
        ),
        transfers=take_back(view, payment, wanted.amount_minor),
    )
