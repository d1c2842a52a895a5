"""Lent cards whose time is over end by themselves, each in a transaction of its own."""

from contextlib import suppress

from cardservice.cards.errors import LendingRefused
from cardservice.cards.service import AUTHORITY
from cardservice.cards.temporary import due, take_back
from cardservice.context import Context

_AT_ONCE = 100
ACTOR = "worker"


def end_lendings(context: Context) -> int:
    """End what is due; how many that were. What is left is for the next round."""
    moment = context.now()
    with context.database.reading() as connection:
        found = due(connection, moment, _AT_ONCE)
    ended = 0
    for each in found:
        # Somebody may have taken it back this moment.
        with suppress(LendingRefused), context.database.begin() as connection:
            authority = context.authority(AUTHORITY, connection)
            take_back(connection, authority, each, actor=ACTOR, moment=moment)
            ended += 1
    return ended
