"""Money of staff's own decision: moved from one payer to another, or given for nothing."""

from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import Connection

from cardservice.audit.service import record
from cardservice.context import Context
from cardservice.errors import Busy, IdConflict, OrderInvalid, RefundRefused
from cardservice.ids import PayerId, TransactionId, companion, new_id
from cardservice.ledger.errors import PayerUnknown, no_payer
from cardservice.ledger.posting import locked, post_on
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import (
    PAYER_PREPAID,
    SCHEME_GOODWILL,
    SCHEME_IN_TRANSIT,
    Kind,
    NewTransaction,
    NewTransfer,
    Outcome,
    PayerView,
    Posting,
    ReadQuery,
)
from cardservice.payments.money import pay_in
from pki.statements import deterministic


@dataclass(frozen=True, slots=True)
class CarryOver:
    """What one payer had becomes another's; the same id again is the same movement."""

    source: PayerId
    target: PayerId
    # None: all that can be spent.
    amount_minor: int | None = None
    id: TransactionId = field(default_factory=lambda: TransactionId(new_id()))

    def __post_init__(self) -> None:
        if self.source == self.target:
            raise OrderInvalid("money is carried over from one payer to another")
        if self.amount_minor is not None and self.amount_minor <= 0:
            raise OrderInvalid("what is carried over is more than nothing")

    @property
    def arrival(self) -> TransactionId:
        """The id of the second half, under the payer that it goes to."""
        return TransactionId(companion(self.id, b"arrival"))

    @property
    def body(self) -> bytes:
        """SHA-256 of the deterministic CBOR of what was asked."""
        asked = ["carry_over", self.id.bytes, self.source.bytes, self.target.bytes, self.amount_minor]
        return sha256(deterministic(asked)).digest()


@dataclass(frozen=True, slots=True)
class Goodwill:
    """What a payer is given for nothing, and no refund; the same id again is the same gift."""

    payer_id: PayerId
    amount_minor: int
    id: TransactionId = field(default_factory=lambda: TransactionId(new_id()))

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise OrderInvalid("a goodwill is of more than nothing")

    @property
    def body(self) -> bytes:
        """SHA-256 of the deterministic CBOR of what was asked."""
        asked = ["goodwill", self.id.bytes, self.payer_id.bytes, self.amount_minor]
        return sha256(deterministic(asked)).digest()


def carry_over(context: Context, wanted: CarryOver, *, actor: str) -> int:
    """Move it, once; how much it was. A debt stays with who owes it; what arrives settles the other's first.

    Two transfers through `in_transit`, posted together under both payers' locks. Raises PayerUnknown,
    RefundRefused where there is too little, IdConflict and Busy.
    """
    both = (wanted.source, wanted.target)
    with locked(context.database, both) as connection:
        [found] = read_on(connection, [ReadQuery(both, (wanted.id,))])
        if missing := set(both) - set(found.views):
            raise PayerUnknown(no_payer(", ".join(map(str, sorted(missing)))))
        if known := found.known.get(wanted.id):
            if known.body != wanted.body:
                raise IdConflict("this id is taken by another transaction")
            return known.amount_minor or 0
        source, target = (found.views[payer] for payer in both)
        amount_minor = _amount(source, wanted)
        unit = context.scheme.currency
        leaves = (NewTransfer(PAYER_PREPAID, SCHEME_IN_TRANSIT, amount_minor, unit),)
        arrives = pay_in(target, SCHEME_IN_TRANSIT, amount_minor, unit)
        halves = [
            _posting(context, "carry_over", source, wanted.id, wanted.body, leaves),
            _posting(context, "carry_over", target, wanted.arrival, wanted.body, arrives),
        ]
        _post(connection, halves)
        record(connection, actor, "payer.carry_over", wanted.source, context.now(), to=str(wanted.target))
    return amount_minor


def give_goodwill(context: Context, wanted: Goodwill, *, actor: str) -> None:
    """Give it, once; it settles arrears first. Raises PayerUnknown, IdConflict and Busy."""
    with locked(context.database, (wanted.payer_id,)) as connection:
        [found] = read_on(connection, [ReadQuery((wanted.payer_id,), (wanted.id,))])
        if wanted.payer_id not in found.views:
            raise PayerUnknown(no_payer(wanted.payer_id))
        if known := found.known.get(wanted.id):
            if known.body != wanted.body:
                raise IdConflict("this id is taken by another transaction")
            return
        view = found.views[wanted.payer_id]
        given = pay_in(view, SCHEME_GOODWILL, wanted.amount_minor, context.scheme.currency)
        _post(connection, [_posting(context, "goodwill", view, wanted.id, wanted.body, given)])
        record(
            connection, actor, "payer.goodwill", wanted.payer_id, context.now(), transaction=str(wanted.id)
        )


def _amount(source: PayerView, wanted: CarryOver) -> int:
    available_minor = max(0, source.prepaid.available_minor)
    amount_minor = available_minor if wanted.amount_minor is None else wanted.amount_minor
    if amount_minor == 0 or amount_minor > available_minor:
        raise RefundRefused("more_than_left", "That is more than there is to spend.", available_minor)
    return amount_minor


def _posting(
    context: Context,
    kind: Kind,
    view: PayerView,
    own_id: TransactionId,
    body: bytes,
    transfers: tuple[NewTransfer, ...],
) -> Posting:
    moment = context.now()
    return Posting(
        payer_id=view.payer_id,
        expected_version=view.version,
        transaction=NewTransaction(
            id=own_id,
            origin="staff",
            kind=kind,
            decision="approved",
            reason=kind,
            unit=context.scheme.currency,
            body=body,
            occurred_at=moment,
            posted_at=moment,
            amount_minor=sum(transfer.amount_minor for transfer in transfers),
        ),
        transfers=transfers,
    )


def _post(connection: Connection, postings: list[Posting]) -> None:
    results = post_on(connection, postings)
    if any(result.outcome is not Outcome.POSTED for result in results):
        raise Busy("this payer's account is in use; try again")
