"""Payments that a terminal or one of the staff begins: for whoever pays for a card, or for a cardholder."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Connection

from cardservice.cardholders.service import require_cardholder
from cardservice.context import Context
from cardservice.ids import TransactionId
from cardservice.ledger.reading import read_on
from cardservice.ledger.values import PayerView, ReadQuery
from cardservice.payments import attempts
from cardservice.payments.attempts import Attempt, AttemptUnknown, Start
from cardservice.payments.errors import NoProvider
from cardservice.payments.polling import provider_of
from cardservice.payments.provider import FINAL, PaymentProvider, ProviderAway, ProviderRefused
from cardservice.presentations.service import usable_card

# Whoever has just paid in stands there still; later a payment says nothing of what there is.
TOLD_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A payment that somebody asks for; the same id again is the same payment."""

    id: UUID
    amount_minor: int
    # Where the provider sends the person back to
    return_url: str
    # For whom it is: a card's identifier or a cardholder's
    of: UUID
    is_card: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How a payment stands."""

    attempt: Attempt
    # Where to pay; told to whoever begins it, and kept nowhere
    next_url: str | None = None
    # What there is to spend, and what is owed, once it is captured
    available_minor: int | None = None
    owed_minor: int | None = None


def begin(context: Context, wanted: Wanted, *, actor: str) -> Standing:
    """Begin a payment, and say where to pay. Asked again with the same id, it is the same one.

    Raises NoProvider, CardNotInScheme, CardUnusable, CardholderUnknown, OrderInvalid, ProviderRefused, and
    ProviderAway: then ask again with the same id.
    """
    provider, moment = _provider(context), context.now()
    with context.database.reading() as connection:
        if wanted.is_card:
            holder = usable_card(connection, wanted.of, moment).cardholder_id
        else:
            holder = require_cardholder(connection, wanted.of)
    asked = Start(holder, wanted.amount_minor, TransactionId(wanted.id), return_url=wanted.return_url)
    attempt, next_url = attempts.start(context, provider, asked, actor=actor)
    return _standing(context, attempt, next_url if attempt.state not in FINAL else None)


def look(context: Context, payment: UUID, *, of: str | None) -> Standing:
    """How a payment is now, by the provider's word where that answers; what is captured is posted first.

    `of`: whose it must be, as the audit trail names them; None: anybody's. Raises NoProvider, AttemptUnknown.
    """
    provider = _provider(context)
    attempt = _own(context, payment, of)
    if attempt.state not in FINAL:
        # What is known here stands where it is away; the worker asks again by itself.
        with suppress(ProviderAway):
            attempt = attempts.refresh(context, provider, attempt.id)
    return _standing(context, attempt)


def give_up(context: Context, payment: UUID, *, of: str | None, actor: str) -> Standing:
    """Give a payment up; one that has been captured meanwhile stays. Raises as `look`, and ProviderAway."""
    provider = _provider(context)
    attempt = _own(context, payment, of)
    try:
        attempt = attempts.cancel(context, provider, attempt.id, actor=actor)
    except ProviderRefused:
        # It has ended meanwhile: how, it says when it is asked.
        attempt = attempts.refresh(context, provider, attempt.id)
    return _standing(context, attempt)


def _provider(context: Context) -> PaymentProvider:
    if (found := provider_of(context.settings)) is None:
        raise NoProvider
    return found


def _own(context: Context, payment: UUID, of: str | None) -> Attempt:
    """Whose it is not, is told what somebody is told who made the id up."""
    with context.database.reading() as connection:
        attempt = attempts.attempt_of(connection, TransactionId(payment))
    if of is not None and attempt.begun_by != of:
        raise AttemptUnknown(payment)
    return attempt


def _standing(context: Context, attempt: Attempt, next_url: str | None = None) -> Standing:
    if attempt.state != "success" or context.now() - attempt.begun_at > TOLD_FOR:
        return Standing(attempt, next_url)
    with context.database.reading() as connection:
        view = _view(connection, attempt)
    return Standing(
        attempt, None, max(0, view.prepaid.available_minor), owed_minor=max(0, -view.arrears.balance)
    )


def _view(connection: Connection, attempt: Attempt) -> PayerView:
    [found] = read_on(connection, [ReadQuery((attempt.payer_id,))])
    return found.views[attempt.payer_id]
