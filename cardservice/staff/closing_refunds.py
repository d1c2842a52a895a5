"""What is given back at closing an account: cash up to the limit at a desk, the rest by the books."""

from uuid import UUID

from cardservice.accounts import closing
from cardservice.accounts.closing import CASH
from cardservice.context import Context
from cardservice.payments.polling import provider_of
from cardservice.staff.acting import Acting
from cardservice.staff.roles import Right


def give_back_at_closing(
    context: Context, person: UUID, way: str, by: Acting, function: str
) -> tuple[int, bool]:
    """Give back what is left: how much, in minor units, and whether the account is closed with that.

    Raises RightMissing where it is no cash, or more than the limit, and whoever asks does not keep the books;
    and as `closing.give_back` does.
    """
    with context.database.reading() as connection:
        before = closing.standing(connection, person, context.now())
    limit = context.settings.refund_limit_minor
    if way != CASH or (limit is not None and before.to_give_back_minor > limit):
        by.require(Right.KEEP_BOOKS, function)
    given_minor = closing.give_back(context, provider_of(context.settings), person, way, actor=by.actor)
    return given_minor, closing.finish(context, person, actor=by.actor)
