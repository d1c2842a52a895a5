"""Paying in: a transaction like any other, which settles arrears first."""

from dataclasses import dataclass, field
from hashlib import sha256

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import IdConflict, OrderInvalid
from cardservice.ids import CardholderId, PayerId, TransactionId, new_id
from cardservice.ledger.errors import PayerUnknown
from cardservice.ledger.payers import payer_at, payers_of
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read, read_accounts, read_on
from cardservice.ledger.values import (
    AccountView,
    Kind,
    NewTransaction,
    NewTransfer,
    PayerView,
    Posting,
    ReadQuery,
    scheme_clearing,
)
from cardservice.payments.money import arrears_percent, pay_in
from cardservice.payments.references import Reference, known_as, post_payment
from pki.statements import deterministic

METHODS = ("cash", "card", "transfer")


@dataclass(frozen=True, slots=True)
class TopUp:
    """A payment that was captured for a cardholder; the same id again is the same payment."""

    cardholder_id: CardholderId
    amount_minor: int
    method: str
    id: TransactionId = field(default_factory=lambda: TransactionId(new_id()))
    # What its provider calls it: under that it is paid in once, whatever the id.
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise OrderInvalid(f"{self.method!r} is no way to pay; there are {', '.join(METHODS)}")
        if self.amount_minor <= 0:
            raise OrderInvalid("a payment is of more than nothing")

    @property
    def body(self) -> bytes:
        """SHA-256 of the deterministic CBOR of what was asked."""
        asked = [self.id.bytes, self.cardholder_id.bytes, self.amount_minor, self.method]
        return sha256(deterministic(asked)).digest()


def top_up(context: Context, paid: TopUp, *, actor: str) -> tuple[AccountView, ...]:
    """Post a payment, once; the payer's accounts after it. Raises PayerUnknown, IdConflict and Busy."""
    payer_id, others = _payers(context, paid.cardholder_id)
    payers = (payer_id, *others)
    with locked(context.database, payers) as connection:
        [found] = read_on(connection, [ReadQuery(payers, (paid.id,))])
        view = found.views[payer_id]
        if known := found.known.get(paid.id):
            if known.body != paid.body:
                raise IdConflict("this id is taken by another transaction")
            return view.accounts
        if known_as(connection, "topup", paid.reference, paid.amount_minor, payers) is not None:
            return view.accounts
        also_under = tuple((other, found.views[other].version) for other in others)
        percent = arrears_percent(connection, paid.cardholder_id)
        source = scheme_clearing(paid.method)
        moved = pay_in(view, source, paid.amount_minor, context.scheme.currency, percent)
        posting = payment_posting(context, view, paid.id, paid.body, moved, also_under=also_under)
        post_payment(connection, posting, paid.reference)
        # Who has taken the money, of the transaction: whose it is, the ledger knows.
        record(connection, actor, "payment.top_up", paid.id, context.now(), method=paid.method)
        return read_accounts(connection, [payer_id])[payer_id]


def accounts_of(context: Context, cardholder_id: CardholderId) -> tuple[AccountView, ...]:
    """The accounts of whoever pays for the cardholder now. Raises PayerUnknown."""
    payer_id, _ = _payers(context, cardholder_id)
    [found] = read(context.database, [ReadQuery((payer_id,))])
    return found.views[payer_id].accounts


def _payers(context: Context, cardholder_id: CardholderId) -> tuple[PayerId, list[PayerId]]:
    """Who pays now, and who has paid or will."""
    with context.database.reading() as connection:
        payer_id = payer_at(connection, cardholder_id, context.now())
        every = payers_of(connection, cardholder_id)
    if payer_id is None:
        raise PayerUnknown(f"nobody pays for cardholder {cardholder_id}")
    return payer_id, [other for other in every if other != payer_id]


def payment_posting(
    context: Context,
    view: PayerView,
    own_id: TransactionId,
    body: bytes,
    transfers: tuple[NewTransfer, ...],
    *,
    kind: Kind = "topup",
    also_under: tuple[tuple[PayerId, int], ...] = (),
) -> Posting:
    """A payment's transaction with what it moves, as of now."""
    moment = context.now()
    return Posting(
        payer_id=view.payer_id,
        expected_version=view.version,
        transaction=NewTransaction(
            id=own_id,
            origin="payment",
            kind=kind,
            decision="approved",
            reason="approved" if kind == "topup" else kind,
            unit=context.scheme.currency,
            body=body,
            occurred_at=moment,
            posted_at=moment,
            amount_minor=sum(transfer.amount_minor for transfer in transfers),
        ),
        transfers=transfers,
        also_under=also_under,
    )
