"""Refunds by staff: small ones at once, large ones once a second person has agreed."""

from cardservice.authorisation.refunds import Refund, Refunded, give, payer_of, preview
from cardservice.context import Context
from cardservice.errors import TransactionUnknown
from cardservice.staff import second_person
from cardservice.staff.acting import Acting
from cardservice.staff.second_person import Asked

# Ours, in minor units, where the settings say nothing.
LIMIT_OF_STAFF = 10_000


def give_within_limit(context: Context, refund: Refund, by: Acting) -> Refunded | Asked:
    """Give back what may be given back alone; what is above the limit waits, of the amount that it is now.

    What was given back under this id is told again. Raises as `give` does.
    """
    limit = _limit(context, by)
    if limit is not None and not _was_given(context, refund):
        planned = preview(context, refund)
        if planned.amount_minor > limit:
            return _ask(context, refund, planned.amount_minor, by.actor)
    return give(context, refund, actor=by.actor)


def _was_given(context: Context, refund: Refund) -> bool:
    with context.database.reading() as connection:
        try:
            payer_of(connection, refund.id)
        except TransactionUnknown:
            return False
    return True


def _limit(context: Context, by: Acting) -> int | None:
    """What one person gives back alone, in minor units; None: whatever it is."""
    if context.settings.refund_limit_minor is not None:
        return context.settings.refund_limit_minor
    return None if by.person is None else LIMIT_OF_STAFF


def _ask(context: Context, refund: Refund, amount_minor: int, actor: str) -> Asked:
    wish = refund.wish
    detail = {
        "refund": str(refund.id),
        "sale": str(wish.sale),
        "line": wish.line,
        "amount_minor": amount_minor,
    }
    with context.database.begin() as connection:
        return second_person.ask(connection, second_person.REFUND, detail, actor=actor, moment=context.now())
