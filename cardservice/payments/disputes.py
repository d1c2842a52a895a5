"""Disputes: what a payer's bank has taken back is owed by the payer, up to what was left of the payment."""

from datetime import timedelta

from sqlalchemy import Connection, insert, select, update

from cardservice.context import Context
from cardservice.errors import RefundRefused
from cardservice.ids import PayerId, TransactionId, companion
from cardservice.payments.attempts import Attempt, named
from cardservice.payments.matters import open_matter
from cardservice.payments.models import payment_dispute, payment_provider
from cardservice.payments.provider import PaymentProvider, ToldDispute
from cardservice.payments.references import Reference
from cardservice.payments.taking_back import TakeBack, take_payment_back

# A bank takes a payment back within 120 days of it; what comes of a dispute takes some more.
LOOKED_BACK = timedelta(days=240)
EVERY = timedelta(hours=1)


def look_for_disputes(context: Context, provider: PaymentProvider) -> int:
    """Ask for all disputes, where it is time; how many there were. Raises ProviderAway."""
    moment, own = context.now(), payment_provider.c
    with context.database.begin() as connection:
        next_at = connection.scalar(select(own.disputes_check_at).where(own.provider == provider.name))
        if next_at is None:
            connection.execute(
                insert(payment_provider).values(provider=provider.name, disputes_check_at=moment)
            )
    if next_at is not None and next_at > moment:
        return 0
    told = provider.disputes(moment - LOOKED_BACK)
    for each in told:
        take_over(context, provider.name, each)
    with context.database.begin() as connection:
        # Unless a notification has come meanwhile.
        connection.execute(
            update(payment_provider)
            .where(own.provider == provider.name, own.disputes_check_at <= moment)
            .values(disputes_check_at=moment + EVERY)
        )
    return len(told)


def take_over(context: Context, provider: str, told: ToldDispute) -> None:
    """Take over what the provider tells of a dispute; one that is lost is posted once."""
    moment = context.now()
    with context.database.begin() as connection:
        attempt = named(connection, provider, told.payment)
        if attempt is None or attempt.state != "success":
            open_matter(connection, "dispute_unknown", told.dispute, moment)
            return
        before = _state(connection, provider, told.dispute)
        if before is None:
            _insert(connection, provider, told, attempt)
            if told.state in {"needs_response", "under_review"}:
                open_matter(connection, "dispute_open", told.dispute, moment)
        elif before == "lost":
            if told.state != "lost":
                open_matter(connection, "dispute_changed", told.dispute, moment)
                return
        elif told.state != "lost":
            _update(connection, provider, told.dispute, state=told.state)
            return
    if told.state == "lost":
        _charge_back(context, provider, told, attempt)


def _charge_back(context: Context, provider: str, told: ToldDispute, attempt: Attempt) -> None:
    amount_minor = told.amount_minor
    own_id = TransactionId(companion(attempt.id, b"dispute " + told.dispute.encode()))

    def noted(connection: Connection, payer_id: PayerId) -> None:
        del payer_id
        _update(
            *(connection, provider, told.dispute),
            state="lost",
            posted_as=own_id,
            posted_minor=amount_minor,
        )
        open_matter(connection, "charged_back", told.dispute, context.now())

    while amount_minor:
        reference = Reference(provider, told.dispute)
        wanted = TakeBack(attempt.id, amount_minor, "chargeback", own_id, reference)
        with context.database.reading() as connection:
            if _posted(connection, provider, told.dispute):
                return
        try:
            take_payment_back(context, wanted, actor="provider", also=noted)
        except RefundRefused as refused:
            # Some of it had been given back: what is left of it is all that the payer has had.
            amount_minor = refused.left_minor
            continue
        break
    if amount_minor < told.amount_minor:
        with context.database.begin() as connection:
            _update(connection, provider, told.dispute, state="lost")
            open_matter(connection, "charged_back_beyond", told.dispute, context.now())


def _state(connection: Connection, provider: str, dispute: str) -> str | None:
    own = payment_dispute.c
    return connection.scalar(
        select(own.state).where(own.provider == provider, own.provider_dispute == dispute)
    )


def _posted(connection: Connection, provider: str, dispute: str) -> bool:
    own = payment_dispute.c
    found = select(own.posted_as).where(own.provider == provider, own.provider_dispute == dispute)
    return connection.scalar(found) is not None


def _insert(connection: Connection, provider: str, told: ToldDispute, attempt: Attempt) -> None:
    connection.execute(
        insert(payment_dispute).values(
            provider=provider,
            provider_dispute=told.dispute,
            attempt_id=attempt.id,
            payer_id=attempt.payer_id,
            amount_minor=told.amount_minor,
            state="under_review" if told.state == "lost" else told.state,
        )
    )


def _update(connection: Connection, provider: str, dispute: str, **values: object) -> None:
    own = payment_dispute.c
    connection.execute(
        update(payment_dispute)
        .where(own.provider == provider, own.provider_dispute == dispute)
        .values(**values)
    )
