"""Losses told where nobody takes them: at a kiosk, or on the scheme's web pages.

Nobody is there to find the person, so who tells it says a name, a date of birth and a postcode. If these are
one person's in every part, all of that person's cards are revoked as lost, as a desk would by telephone
(`losses`). If not, nothing is stopped: else whoever knows a name could put cards to rest. Either way the
answer is the same, so that nobody learns here whether somebody has a card, or where they live.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.audit.service import record
from cardservice.cardholders.finding import find
from cardservice.cardholders.tokens import Wanted, words
from cardservice.cards.errors import LossRefused
from cardservice.cards.losses import Question, answers_fit, tell_lost
from cardservice.cards.models import card
from cardservice.cards.states import LEADS_TO, CardState
from cardservice.context import Context
from cardservice.ids import CardholderId

# By the role of the terminal that tells it; a portal is the server of the scheme's web pages.
CHANNEL_OF: Mapping[str, str] = {"kiosk": "kiosk", "portal": "web"}
_STOPPABLE = sorted(state for state, wanted in LEADS_TO.items() if CardState.LOST in wanted)


def tell_lost_alone(
    context: Context, channel: str, name: str, born_on: str, postcode: str, *, actor: str
) -> None:
    """Stop the cards of whom this describes, if it is one person; what came of it is told to nobody."""
    answers = {Question.BORN_ON: born_on, Question.POSTCODE: postcode}
    with context.database.begin() as connection:
        holder = _who(context, connection, name, answers, actor)
        if holder is None:
            record(connection, actor, "card.loss_of_nobody", channel, context.now())
            return
        cards = _cards(connection, holder)
    for each in cards:
        # In a transaction of its own, and under the count of attempts that holds by telephone, too.
        try:
            tell_lost(context, each, channel, answers, actor=actor)
        except LossRefused:
            continue  # it rests since the first of these attempts


def _who(
    context: Context, connection: Connection, name: str, answers: Mapping[Question, str], actor: str
) -> CardholderId | None:
    """The one person whom all of it describes; who was looked at is told so, as of each search."""
    if not words(name):
        return None
    wanted, kek = Wanted(name=name, born_on=answers[Question.BORN_ON]), context.keys.cardholder_kek
    found = find(connection, kek, wanted, actor=actor, moment=context.now())
    meant = [
        each.id
        for each in found.people
        if set(words(each.name)) == set(words(name)) and answers_fit(context, connection, each.id, answers)
    ]
    return meant[0] if len(meant) == 1 and not found.more else None


def _cards(connection: Connection, holder: CardholderId) -> list[UUID]:
    own = card.c
    wanted = select(own.id).where(own.cardholder_id == holder, own.state.in_(_STOPPABLE)).order_by(own.id)
    return list(connection.scalars(wanted))
