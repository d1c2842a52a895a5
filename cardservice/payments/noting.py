"""What staff note of a payment: given back, or taken back by a bank, by other ways than this program.

Of a payment through a provider it stands beside what that tells, under the provider's own name for it: so it
is posted once, whoever tells of it, its settled line matches, and the daily equation holds.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, insert

from cardservice.context import Context
from cardservice.errors import Busy, IdConflict, OrderInvalid, RefundRefused
from cardservice.ids import PayerId, TransactionId
from cardservice.payments.attempts import Attempt, attempt_if_any
from cardservice.payments.disputes import charge_back
from cardservice.payments.giving_back import refund_named, refunds_of, require_none_pending
from cardservice.payments.models import payment_refund
from cardservice.payments.provider import ToldDispute
from cardservice.payments.taking_back import TakeBack, take_payment_back


@dataclass(frozen=True, slots=True)
class Noted:
    """What was posted: as which transaction, None where nothing was left of the payment, and how much."""

    transaction: TransactionId | None
    amount_minor: int


def note_taken_back(context: Context, wanted: TakeBack, *, actor: str) -> Noted:
    """Post it, once. Of a chargeback beyond what is left of a provider's payment the scheme bears the rest.

    Raises as `take_payment_back`; and OrderInvalid where a provider's payment is named without what the
    provider calls what was taken back.
    """
    with context.database.reading() as connection:
        attempt = attempt_if_any(connection, wanted.payment)
    if attempt is None:
        return Noted(take_payment_back(context, wanted, actor=actor), wanted.amount_minor)
    if wanted.reference is None or wanted.reference.provider != attempt.provider:
        raise OrderInvalid(
            f"payment {attempt.id} came through {attempt.provider}: give it back by `payment refund`, or"
            f" note what was given or taken back there by its name (--reference {attempt.provider} NAME)"
        )
    if attempt.state != "success" or attempt.provider_payment is None:
        raise RefundRefused("nothing_to_refund", f"payment {attempt.id} is {attempt.state}, not captured")
    name = wanted.reference.reference
    if wanted.kind == "repayment":
        return Noted(_given_back(context, attempt, wanted, name, actor), wanted.amount_minor)
    told = ToldDispute(name, attempt.provider_payment, "lost", wanted.amount_minor)
    posted = charge_back(context, attempt, told, wanted.id, actor=actor)
    return Noted(posted.posted_as, posted.posted_minor)


def _given_back(context: Context, attempt: Attempt, wanted: TakeBack, name: str, actor: str) -> TransactionId:
    with context.database.reading() as connection:
        known = refund_named(connection, attempt.provider, name)
    if known is not None:
        if (known.attempt_id, known.amount_minor, known.state) != (
            attempt.id,
            wanted.amount_minor,
            "success",
        ):
            raise IdConflict(f"{name} of {attempt.provider} is refund {known.id}, which says otherwise")
        return known.id

    def noted(connection: Connection, payer_id: PayerId) -> None:
        # One that is on its way could be this very one.
        require_none_pending(refunds_of(connection, attempt.id))
        if refund_named(connection, attempt.provider, name) is not None:
            raise Busy("this refund is being posted; try again")
        connection.execute(
            insert(payment_refund).values(
                id=wanted.id,
                attempt_id=attempt.id,
                payer_id=payer_id,
                provider=attempt.provider,
                amount_minor=wanted.amount_minor,
                provider_refund=name,
                state="success",
                begun_at=context.now(),
            )
        )

    return take_payment_back(context, wanted, actor=actor, also=noted)
