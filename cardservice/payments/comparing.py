"""After a restore: what the provider has, beside what is known here. What was begun since the backup is not.

For whom such a payment was, nobody but a person can say: the provider was never told.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from cardservice.context import Context
from cardservice.errors import CardServiceError, OrderInvalid
from cardservice.ids import CardholderId, TransactionId
from cardservice.payments.attempts import (
    Attempt,
    Start,
    apply,
    attempt_if_any,
    named,
    note_attempt,
    refresh,
)
from cardservice.payments.matters import close_done, open_matter
from cardservice.payments.provider import FINAL, PaymentProvider, Told

MATTER = "payment_unknown"


@dataclass(frozen=True, slots=True)
class Compared:
    """How many payments the provider told of, and which are not known here: captured, or still open."""

    told: int
    unknown: tuple[Told, ...]
    # Could not be posted now, and are looked at again when this is asked again
    failed: int


def compare(context: Context, provider: PaymentProvider, since: datetime) -> Compared:
    """Take over what the provider tells of all payments since, and list what is not known here.

    Raises ProviderAway and ProviderRefused.
    """
    every = provider.payments(since)
    unknown: list[Told] = []
    failed = 0
    for told in every:
        with context.database.reading() as connection:
            attempt = _known(connection, provider.name, told)
        if attempt is None:
            # What has come to nothing is missed by nobody; what is not called as ours is another's.
            if _own_id(told) is not None and (told.state == "success" or told.state not in FINAL):
                unknown.append(told)
            continue
        try:
            apply(context, attempt.id, told)
        except CardServiceError:
            failed += 1
    with context.database.begin() as connection:
        for told in unknown:
            open_matter(connection, MATTER, told.reference, context.now())
    return Compared(len(every), tuple(unknown), failed)


def adopt(
    context: Context, provider: PaymentProvider, payment: TransactionId, holder: CardholderId, *, actor: str
) -> Attempt:
    """Note for whom a payment was that the provider has and we do not, and post it if it was captured.

    `payment` is its reference at the provider, which was its id here. Raises OrderInvalid where the provider
    has none, or it is known here as another's; PayerUnknown, ProviderAway and ProviderRefused.
    """
    found = sorted(
        provider.find(str(payment)), key=lambda told: (told.state != "success", told.state in FINAL)
    )
    if not found:
        raise OrderInvalid(f"{provider.name} has no payment of the reference {payment}")
    wanted = Start(holder, found[0].amount_minor, payment, return_url="")
    note_attempt(context, provider.name, wanted, actor, action="payment.adopt")
    refresh(context, provider, payment)
    # Once more: what had been given back of it before shows when it is posted.
    attempt = refresh(context, provider, payment)
    with context.database.begin() as connection:
        close_done(connection, MATTER, payment, "adopted", context.now())
    return attempt


def _known(connection: Connection, provider: str, told: Told) -> Attempt | None:
    found = named(connection, provider, told.payment)
    own_id = _own_id(told)
    return found if found is not None or own_id is None else attempt_if_any(connection, own_id)


def _own_id(told: Told) -> TransactionId | None:
    """What a payment of ours has as its reference; None for another's."""
    try:
        own_id = UUID(told.reference)
    except ValueError:
        return None
    return TransactionId(own_id) if str(own_id) == told.reference and own_id.version == 7 else None
