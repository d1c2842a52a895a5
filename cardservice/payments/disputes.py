"""Disputes: what a payer's bank has taken back is owed by the payer, up to what was left of the payment."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import getLogger

from sqlalchemy import Connection, insert, select, update

from cardservice.context import Context
from cardservice.errors import CardServiceError, IdConflict, RefundRefused
from cardservice.ids import TransactionId, companion
from cardservice.payments.attempts import Attempt, named
from cardservice.payments.matters import open_matter
from cardservice.payments.models import payment_dispute, payment_provider
from cardservice.payments.provider import PaymentProvider, ProviderRefused, ToldDispute
from cardservice.payments.references import Reference
from cardservice.payments.taking_back import TakeBack, take_payment_back

log = getLogger(__name__)

# A bank takes a payment back within 120 days of it; what comes of a dispute takes some more.
LOOKED_BACK = timedelta(days=240)
EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Dispute:
    """A dispute as it is known here."""

    attempt_id: TransactionId
    amount_minor: int
    state: str
    posted_as: TransactionId | None
    # Less than the amount where some of the payment had been given back before
    posted_minor: int


def look_for_disputes(context: Context, provider: PaymentProvider) -> int:
    """Ask for all disputes, where it is time; how many there were. One that cannot be posted keeps no other.

    Raises ProviderAway, and ProviderRefused: it is asked again in an hour then.
    """
    moment, own = context.now(), payment_provider.c
    with context.database.begin() as connection:
        next_at = connection.scalar(select(own.disputes_check_at).where(own.provider == provider.name))
        if next_at is None:
            connection.execute(
                insert(payment_provider).values(provider=provider.name, disputes_check_at=moment)
            )
    if next_at is not None and next_at > moment:
        return 0
    try:
        told = provider.disputes(moment - LOOKED_BACK)
    except ProviderRefused:
        _ask_later(context, provider, moment)
        raise
    for each in told:
        try:
            take_over(context, provider.name, each)
        except CardServiceError as error:
            log.warning("a dispute could not be posted", extra={"members": {"code": error.code}})
    _ask_later(context, provider, moment)
    return len(told)


def take_over(context: Context, provider: str, told: ToldDispute) -> None:
    """Take over what the provider tells of a dispute; one that is lost is posted once."""
    moment = context.now()
    with context.database.begin() as connection:
        attempt = named(connection, provider, told.payment)
        if attempt is None or attempt.state != "success":
            open_matter(connection, "dispute_unknown", told.dispute, moment)
            return
        before = dispute_of(connection, provider, told.dispute)
        if before is not None:
            other_end = before.state == "lost" != told.state
            if other_end or before.amount_minor != told.amount_minor:
                open_matter(connection, "dispute_changed", told.dispute, moment)
                return
            if before.state == "lost":
                return
        if told.state != "lost":
            _keep(connection, attempt, told, state=told.state)
            if before is None and told.state != "won":
                open_matter(connection, "dispute_open", told.dispute, moment)
            return
    own_id = TransactionId(companion(attempt.id, b"dispute " + told.dispute.encode()))
    charge_back(context, attempt, told, own_id, actor="provider")


def charge_back(
    context: Context, attempt: Attempt, told: ToldDispute, own_id: TransactionId, *, actor: str
) -> Dispute:
    """Post a dispute that was lost, once: up to what is left of the payment, and the scheme bears the rest.

    Raises IdConflict where the id, or the provider's name, is something else's, and Busy.
    """
    amount_minor = told.amount_minor
    while (known := _lost(context, attempt, told)) is None:
        try:
            _post(context, attempt, told, own_id, amount_minor, actor)
        except RefundRefused as refused:
            # Some of it had been given back: what is left of it is all that the payer has had.
            amount_minor = refused.left_minor
    return known


def dispute_of(connection: Connection, provider: str, dispute: str) -> Dispute | None:
    """A dispute by its provider's name for it, or None."""
    own = payment_dispute.c
    row = connection.execute(
        select(own.attempt_id, own.amount_minor, own.state, own.posted_as, own.posted_minor).where(
            own.provider == provider, own.provider_dispute == dispute
        )
    ).one_or_none()
    return None if row is None else Dispute(*row)


def _ask_later(context: Context, provider: PaymentProvider, moment: datetime) -> None:
    own = payment_provider.c
    with context.database.begin() as connection:
        # Unless a notification has come meanwhile.
        connection.execute(
            update(payment_provider)
            .where(own.provider == provider.name, own.disputes_check_at <= moment)
            .values(disputes_check_at=moment + EVERY)
        )


def _lost(context: Context, attempt: Attempt, told: ToldDispute) -> Dispute | None:
    with context.database.reading() as connection:
        known = dispute_of(connection, attempt.provider, told.dispute)
    if known is None:
        return None
    if (known.attempt_id, known.amount_minor) != (attempt.id, told.amount_minor):
        raise IdConflict(f"{told.dispute} of {attempt.provider} is of another amount, or another payment's")
    return known if known.state == "lost" else None


def _post(
    context: Context,
    attempt: Attempt,
    told: ToldDispute,
    own_id: TransactionId,
    amount_minor: int,
    actor: str,
) -> None:
    def note(connection: Connection, posted_as: TransactionId | None) -> None:
        moment = context.now()
        _keep(connection, attempt, told, state="lost", posted_as=posted_as, posted_minor=amount_minor)
        if amount_minor:
            open_matter(connection, "charged_back", told.dispute, moment)
        if amount_minor < told.amount_minor:
            open_matter(connection, "charged_back_beyond", told.dispute, moment)

    posted: TransactionId | None = None
    if amount_minor:
        reference = Reference(attempt.provider, told.dispute)
        wanted = TakeBack(attempt.id, amount_minor, "chargeback", own_id, reference)
        posted = take_payment_back(
            context, wanted, actor=actor, also=lambda connection, _: note(connection, own_id)
        )
    if posted != own_id:
        # Nothing was left of it; or it was posted by its name before disputes were noted beside it.
        with context.database.begin() as connection:
            note(connection, posted)
    elif _lost(context, attempt, told) is None:
        raise IdConflict("this id is another chargeback's; a new one takes a new id")


def _keep(connection: Connection, attempt: Attempt, told: ToldDispute, **values: object) -> None:
    own = payment_dispute.c
    changed = connection.execute(
        update(payment_dispute)
        .where(own.provider == attempt.provider, own.provider_dispute == told.dispute)
        .values(**values)
    )
    if changed.rowcount:
        return
    connection.execute(
        insert(payment_dispute).values(
            provider=attempt.provider,
            provider_dispute=told.dispute,
            attempt_id=attempt.id,
            payer_id=attempt.payer_id,
            amount_minor=told.amount_minor,
            **values,
        )
    )
