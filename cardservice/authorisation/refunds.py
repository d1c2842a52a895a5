"""Refunds by staff: planned and shown first where that is wanted, posted once, noted in the audit trail."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, select

from cardservice.audit.service import record
from cardservice.authorisation.answers import new_answer
from cardservice.authorisation.refunding import Objection, Plan, Wish, plan
from cardservice.context import Context
from cardservice.errors import Busy, IdConflict, OrderInvalid, RefundRefused, TransactionUnknown
from cardservice.ids import PayerId, ProviderId, TerminalId, TransactionId, new_id
from cardservice.ledger.by_id import payers_with
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.posting import locked, post_on
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import (
    NewDetails,
    NewTransaction,
    NewTransfer,
    Outcome,
    PayerView,
    Posting,
    ReadQuery,
)
from pki.statements import deterministic

RETENTION = "refund"


@dataclass(frozen=True, slots=True)
class Refund:
    """What staff want given back; the same id again is the same refund."""

    wish: Wish
    id: TransactionId = field(default_factory=lambda: TransactionId(new_id()))

    def __post_init__(self) -> None:
        if self.wish.amount_minor is not None and self.wish.amount_minor <= 0:
            raise OrderInvalid("a refund is of more than nothing")

    @property
    def body(self) -> bytes:
        """SHA-256 of the deterministic CBOR of what was asked."""
        wish = self.wish
        asked = ["refund", self.id.bytes, wish.sale.bytes, wish.line, wish.amount_minor]
        return sha256(deterministic(asked)).digest()


@dataclass(frozen=True, slots=True)
class Refunded:
    """What was given back, or would be; `repeated` where it had been before."""

    payer_id: PayerId
    amount_minor: int
    transfers: tuple[NewTransfer, ...] = ()
    repeated: bool = False


def preview(context: Context, refund: Refund) -> Refunded:
    """What `give` would do now. Raises TransactionUnknown and RefundRefused."""
    with context.database.reading() as connection:
        payer_id = payer_of(connection, refund.wish.sale)
        return _shown(payer_id, _planned(connection, payer_id, refund)[1])


def give(context: Context, refund: Refund, *, actor: str) -> Refunded:
    """Post a refund, once. Raises TransactionUnknown, RefundRefused, IdConflict and Busy."""
    with context.database.reading() as connection:
        payer_id = payer_of(connection, refund.wish.sale)
    with locked(context.database, (payer_id,)) as connection:
        [found] = read_on(connection, [ReadQuery((payer_id,), (refund.id,))])
        if known := found.known.get(refund.id):
            if known.body != refund.body:
                raise IdConflict("this id is taken by another transaction")
            return Refunded(payer_id, known.amount_minor or 0, repeated=True)
        view, planned = _planned(connection, payer_id, refund)
        [result] = post_on(connection, [refund_posting(context, refund, view, planned)[0]])
        if result.outcome is not Outcome.POSTED:
            raise Busy("this payer's account is in use; try again")
        detail = {"sale": str(refund.wish.sale), "line": refund.wish.line}
        record(connection, actor, "refund.give", refund.id, context.now(), **detail)
    return _shown(payer_id, planned)


def payer_of(connection: Connection, transaction: TransactionId) -> PayerId:
    """Under whom a transaction is. Raises TransactionUnknown."""
    own = ledger_transaction.c
    under = own.payer_id.in_(payers_with(connection, transaction))
    found = connection.scalar(
        select(own.payer_id).where(under, own.id == transaction, own.kind != "tombstone")
    )
    if found is None:
        raise TransactionUnknown(transaction)
    return PayerId(found)


def _planned(connection: Connection, payer_id: PayerId, refund: Refund) -> tuple[PayerView, Plan]:
    [found] = read_on(connection, [ReadQuery((payer_id,), (refund.wish.sale,))])
    view = found.views[payer_id]
    planned = plan(view, found.known.get(refund.wish.sale), refund.wish)
    if isinstance(planned, Objection):
        raise RefundRefused(planned.reason, planned.message, planned.left_minor)
    return view, planned


def _shown(payer_id: PayerId, planned: Plan) -> Refunded:
    return Refunded(payer_id, planned.amount_minor, planned.transfers)


def refund_posting(
    context: Context,
    refund: Refund,
    view: PayerView,
    planned: Plan,
    *,
    terminal: TerminalId | None = None,
    also_under: tuple[tuple[PayerId, int], ...] = (),
) -> tuple[Posting, dict[str, Any]]:
    """What posts a planned refund, and its answer."""
    sale, moment = planned.sale, context.now()
    answer = new_answer(
        transaction_id=refund.id,
        kind="refund",
        decision="approved",
        reason="refunded",
        message="Given back.",
        amount_minor=planned.amount_minor,
        currency=context.scheme.currency,
        lines=planned.lines,
        balances=planned.balances,
        has_proof=False,
        moment=moment,
    )
    posting = Posting(
        payer_id=view.payer_id,
        expected_version=view.version,
        transaction=NewTransaction(
            id=refund.id,
            origin="staff",
            kind="refund",
            decision="approved",
            reason="refunded",
            unit=context.scheme.currency,
            body=refund.body,
            occurred_at=moment,
            posted_at=moment,
            terminal_id=terminal,
            provider_id=None if sale.provider_id is None else ProviderId(sale.provider_id),
            service=sale.service,
            action=sale.action,
            amount_minor=planned.amount_minor,
            tariff_version=sale.tariff_version,
        ),
        transfers=planned.transfers,
        counters=planned.counters,
        details=NewDetails(RETENTION, None, None, {"given": answer, "sale": str(sale.id)}),
        also_under=also_under,
    )
    return posting, answer
