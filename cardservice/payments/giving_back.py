"""Refunds through the provider: posted first, asked for once, and paid in again where they fail."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, insert, select, update

from cardservice.context import Context
from cardservice.errors import RefundRefused
from cardservice.ids import PayerId, TransactionId, companion
from cardservice.ledger.posting import locked
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import ReadQuery, scheme_clearing
from cardservice.payments.attempts import Attempt, attempt_of
from cardservice.payments.matters import close_done, open_matter
from cardservice.payments.models import payment_refund
from cardservice.payments.money import pay_in
from cardservice.payments.provider import PaymentProvider, ProviderRefused, ToldRefund
from cardservice.payments.references import post_payment
from cardservice.payments.service import payment_posting
from cardservice.payments.taking_back import TakeBack, take_payment_back

# The provider's objection that another sum could be given back than was said: something else has come of it.
_MISMATCH = frozenset({"412", "P0604"})
_EVERY = timedelta(minutes=5)
_IDS_AT_ONCE = 500
_PENDING_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Given:
    """A refund as it is known here."""

    id: TransactionId
    attempt_id: TransactionId
    payer_id: PayerId
    amount_minor: int
    provider_refund: str | None
    state: str
    begun_at: datetime


def give_back(context: Context, provider: PaymentProvider, wanted: TakeBack, *, actor: str) -> Given:
    """Give some of a payment back by its provider; asked again with the same id, it is the same refund.

    Raises AttemptUnknown, RefundRefused, IdConflict, Busy, and ProviderAway: it is posted then, and the
    worker goes on with it.
    """
    with context.database.reading() as connection:
        attempt = attempt_of(connection, wanted.payment)
        known = _find(connection, wanted.id)
        if known is None:
            _check(connection, attempt)

    def noted(connection: Connection, payer_id: PayerId) -> None:
        _check(connection, attempt)
        connection.execute(
            insert(payment_refund).values(
                id=wanted.id,
                attempt_id=attempt.id,
                payer_id=payer_id,
                provider=attempt.provider,
                amount_minor=wanted.amount_minor,
                state="wanted",
                begun_at=context.now(),
                check_at=context.now(),
            )
        )

    take_payment_back(context, wanted, actor=actor, also=noted)
    return go_on(context, provider, wanted.id)


def go_on(context: Context, provider: PaymentProvider, refund_id: TransactionId) -> Given:
    """Ask for a refund that is not known to the provider, or how one is that is. Raises ProviderAway."""
    with context.database.reading() as connection:
        given = refund_of(connection, refund_id)
        attempt = attempt_of(connection, given.attempt_id)
    if given.state in {"success", "error"} or attempt.provider_payment is None:
        return given
    # Before the list: what is given back between the two makes the provider refuse.
    payment = provider.payment(attempt.provider_payment)
    found = list(provider.refunds(attempt.provider_payment))
    if given.provider_refund is None:
        unclaimed = _unclaimed(context, attempt, given, found)
        if unclaimed is not None:
            return _apply(context, attempt, refund_id, unclaimed)
        refundable_minor = payment.refundable_minor
        if refundable_minor is None:
            refundable_minor = attempt.amount_minor - sum(
                each.amount_minor for each in found if each.state != "error"
            )
        try:
            told = provider.refund(attempt.provider_payment, given.amount_minor, refundable_minor)
        except ProviderRefused as refused:
            if refused.provider_code in _MISMATCH:
                return _later(context, given)
            return _apply(context, attempt, refund_id, ToldRefund("", "error", given.amount_minor))
        return _apply(context, attempt, refund_id, told)
    own = [each for each in found if each.refund == given.provider_refund]
    return _apply(context, attempt, refund_id, own[0]) if own else _later(context, given)


def refund_of(connection: Connection, refund_id: TransactionId) -> Given:
    """A refund by its id. Raises RefundRefused."""
    found = _find(connection, refund_id)
    if found is None:
        raise RefundRefused("nothing_to_refund", f"there is no refund {refund_id} by a provider")
    return found


def refunds_of(connection: Connection, attempt_id: TransactionId) -> list[Given]:
    """What has been given back of a payment, or is about to be."""
    wanted = _refunds().where(payment_refund.c.attempt_id == attempt_id).order_by(payment_refund.c.id)
    return [Given(*row) for row in connection.execute(wanted)]


def refunds_of_payer(connection: Connection, payer_id: PayerId) -> list[Given]:
    """The same of all payments of a payer."""
    wanted = _refunds().where(payment_refund.c.payer_id == payer_id).order_by(payment_refund.c.id)
    return [Given(*row) for row in connection.execute(wanted)]


def require_none_pending(refunds: Iterable[Given]) -> None:
    """Raises RefundRefused while the provider does not know of one of a payment's refunds."""
    if any(each.state == "wanted" for each in refunds):
        raise RefundRefused(
            "refund_pending", "Another refund of this payment is not known to its provider yet; wait for it."
        )


def refund_named(connection: Connection, provider: str, name: str) -> Given | None:
    """The refund that the provider calls so, or None."""
    own = payment_refund.c
    row = connection.execute(
        _refunds().where(own.provider == provider, own.provider_refund == name)
    ).one_or_none()
    return None if row is None else Given(*row)


def refunds_among(connection: Connection, ids: Collection[UUID]) -> tuple[Given, ...]:
    """Those of these that there are."""
    own, some, found = payment_refund.c, sorted(ids), []
    # SQLite bounds the variables of a statement.
    for first in range(0, len(some), _IDS_AT_ONCE):
        wanted = _refunds().where(own.id.in_(some[first : first + _IDS_AT_ONCE])).order_by(own.id)
        found += [Given(*row) for row in connection.execute(wanted)]
    return tuple(found)


def refunds_due(connection: Connection, moment: datetime, limit: int) -> list[TransactionId]:
    """The refunds to go on with now."""
    own = payment_refund.c
    found = select(own.id).where(own.check_at <= moment).order_by(own.check_at).limit(limit)
    return [TransactionId(row) for row in connection.execute(found).scalars()]


def put_refund_off(context: Context, refund_id: TransactionId, delay: timedelta) -> None:
    """Go on with a refund later."""
    with context.database.begin() as connection:
        given = refund_of(connection, refund_id)
        if given.state in {"wanted", "submitted"}:
            _set(connection, refund_id, check_at=context.now() + delay)
        if given.state == "wanted" and context.now() - given.begun_at > _PENDING_AFTER:
            open_matter(connection, "refund_pending", refund_id, context.now())


def _unclaimed(
    context: Context, attempt: Attempt, given: Given, found: list[ToldRefund]
) -> ToldRefund | None:
    """A refund at the provider that was asked for before, without an answer."""
    with context.database.reading() as connection:
        claimed = {each.provider_refund for each in refunds_of(connection, attempt.id)}
    return next(
        (
            each
            for each in found
            if each.refund not in claimed
            and each.amount_minor == given.amount_minor
            and each.state != "error"
        ),
        None,
    )


def _apply(context: Context, attempt: Attempt, refund_id: TransactionId, told: ToldRefund) -> Given:
    with locked(context.database, (attempt.payer_id,)) as connection:
        given, moment = refund_of(connection, refund_id), context.now()
        if given.state in {"success", "error"} or (given.state == "submitted" and told.state == "submitted"):
            _set(connection, refund_id, check_at=None if given.state != "submitted" else moment + _EVERY)
            return refund_of(connection, refund_id)
        values: dict[str, object] = {"state": told.state}
        close_done(connection, "refund_pending", refund_id, "the provider knows of it", moment)
        if told.refund:
            values["provider_refund"] = told.refund
        if told.state == "error":
            values["returned_as"] = _pay_in_again(context, connection, attempt, given)
        _set(connection, refund_id, check_at=moment + _EVERY if told.state == "submitted" else None, **values)
        return refund_of(connection, refund_id)


def _pay_in_again(context: Context, connection: Connection, attempt: Attempt, given: Given) -> TransactionId:
    own_id = TransactionId(companion(given.id, b"returned"))
    [found] = read_on(connection, [ReadQuery((attempt.payer_id,), (own_id,))])
    view, source = found.views[attempt.payer_id], scheme_clearing(attempt.provider)
    moved = pay_in(view, source, given.amount_minor, attempt.unit, attempt.arrears_percent)
    body = sha256(b"returned" + given.id.bytes).digest()
    post_payment(connection, payment_posting(context, view, own_id, body, moved), None)
    open_matter(connection, "refund_failed", given.id, context.now())
    return own_id


def _later(context: Context, given: Given) -> Given:
    put_refund_off(context, given.id, _EVERY)
    return given


def _check(connection: Connection, attempt: Attempt) -> None:
    if attempt.state != "success":
        raise RefundRefused("nothing_to_refund", f"payment {attempt.id} is {attempt.state}, not captured")
    require_none_pending(refunds_of(connection, attempt.id))


def _set(connection: Connection, refund_id: TransactionId, **values: object) -> None:
    connection.execute(update(payment_refund).where(payment_refund.c.id == refund_id).values(**values))


def _find(connection: Connection, refund_id: TransactionId) -> Given | None:
    row = connection.execute(_refunds().where(payment_refund.c.id == refund_id)).one_or_none()
    return None if row is None else Given(*row)


def _refunds() -> Select[Any]:
    own = payment_refund.c
    return select(
        *(own.id, own.attempt_id, own.payer_id, own.amount_minor, own.provider_refund, own.state),
        own.begun_at,
    )
