"""The worker's round with a payment provider: what is due is asked for, notified or not."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select, update

from cardservice.config import Settings
from cardservice.context import Context
from cardservice.errors import CardServiceError
from cardservice.ids import TransactionId
from cardservice.payments import attempts, giving_back
from cardservice.payments.disputes import look_for_disputes
from cardservice.payments.errors import NoProvider
from cardservice.payments.govuk_pay import GovUkPay
from cardservice.payments.models import payment_attempt, payment_provider, payment_refund
from cardservice.payments.provider import PaymentProvider, ProviderAway, ProviderRefused

log = logging.getLogger(__name__)

# Of payments, and of refunds, in one round; the rest waits for the next.
MOST = 100
_PUT_OFF = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Polled:
    """What a round has asked about."""

    payments: int = 0
    refunds: int = 0
    disputes: int = 0
    failed: int = 0
    # The provider gave no answer: the round ended there.
    away: bool = False


def provider_of(settings: Settings) -> PaymentProvider | None:
    """The payment provider that the settings name, or None. Raises SettingsInvalid and OSError."""
    if settings.pay_url is None or settings.pay_key_file is None:
        return None
    return GovUkPay(settings.pay_url, settings.pay_key_file.read_text(encoding="ascii").strip())


def require_provider_of(settings: Settings) -> PaymentProvider:
    """The same. Raises NoProvider where the settings name none."""
    found = provider_of(settings)
    if found is None:
        raise NoProvider
    return found


def poll(context: Context, provider: PaymentProvider) -> Polled:
    """Ask about everything that is due; what fails is put off, and keeps nothing else waiting."""
    moment = context.now()
    with context.database.reading() as connection:
        payments = attempts.due(connection, moment, MOST)
        refunds = giving_back.refunds_due(connection, moment, MOST)
    failed = 0
    try:
        for attempt_id in payments:
            failed += _one(context, provider, attempt_id, attempts.refresh, attempts.put_off)
        for refund_id in refunds:
            failed += _one(context, provider, refund_id, giving_back.go_on, giving_back.put_refund_off)
        disputes = look_for_disputes(context, provider)
    except ProviderRefused as refused:
        # Such as a key that does not hold any more: it ends neither the round nor the worker.
        log.warning("the payment provider refuses to be asked", extra={"members": {"code": refused.code}})
        return Polled(len(payments), len(refunds), failed=failed + 1)
    except ProviderAway:
        log.warning("the payment provider does not answer")
        return Polled(len(payments), len(refunds), failed=failed, away=True)
    return Polled(len(payments), len(refunds), disputes, failed)


def notified(context: Context, provider: str, kind: str, payment: str) -> None:
    """Something has changed at the provider: it is asked in the next round. Nothing else is believed."""
    moment = context.now()
    own, back, known = payment_attempt.c, payment_refund.c, payment_provider.c
    with context.database.begin() as connection:
        if kind == "dispute":
            connection.execute(
                update(payment_provider).where(known.provider == provider).values(disputes_check_at=moment)
            )
        of_payment = (own.provider == provider) & (own.provider_payment == payment)
        if kind == "refund":
            attempt = select(own.id).where(of_payment).scalar_subquery()
            connection.execute(
                update(payment_refund)
                .where(back.attempt_id == attempt, back.state.in_(("wanted", "submitted")))
                .values(check_at=moment)
            )
        if kind in {"payment", "refund"}:
            connection.execute(update(payment_attempt).where(of_payment).values(check_at=moment))


def _one(
    context: Context,
    provider: PaymentProvider,
    own_id: TransactionId,
    ask: Callable[[Context, PaymentProvider, TransactionId], object],
    put_off: Callable[[Context, TransactionId, timedelta], None],
) -> int:
    """Whether asking about one failed, as a number."""
    try:
        ask(context, provider, own_id)
    except ProviderAway:
        put_off(context, own_id, _PUT_OFF)
        raise
    except CardServiceError as error:
        log.warning("a payment could not be looked at", extra={"members": {"code": error.code}})
        put_off(context, own_id, _PUT_OFF)
        return 1
    return 0
