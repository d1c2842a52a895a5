"""Read, decide, post; and again, where the payer's state has changed in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cardservice.authorisation.answers import Given, stored_answer
from cardservice.authorisation.facts import Facts, gather, gathered_under_lock
from cardservice.authorisation.messages import Message
from cardservice.context import Context
from cardservice.errors import Busy
from cardservice.ids import TransactionId
from cardservice.ledger.posting import post, post_on
from cardservice.ledger.values import Outcome, Posting
from cardservice.terminals.service import Terminal

# Only another change of the same payer makes an attempt fail; after these it is decided under the lock.
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be posted, and the answer once it is."""

    posting: Posting
    answer: Mapping[str, Any]


def settle(
    context: Context,
    terminal: Terminal,
    message: Message,
    wanted: Sequence[TransactionId],
    decide: Callable[[Facts], Prepared],
) -> Given:
    """The stored answer of a message that is known (check 4), else what `decide` made of it, posted once.

    Raises MessageRefused from the checks, and Busy where nothing was posted: the message may be sent again.
    """
    for _ in range(ATTEMPTS):
        found = _known_or_prepared(context, terminal, message, gather(context, message, wanted), decide)
        if isinstance(found, Given):
            return found
        [result] = post(context.database, [found.posting])
        if result.outcome is Outcome.POSTED:
            return _given(message, found)
    with gathered_under_lock(context, message, wanted) as (connection, facts):
        found = _known_or_prepared(context, terminal, message, facts, decide)
        if isinstance(found, Given):
            return found
        [result] = post_on(connection, [found.posting])
    # The transaction is committed: only now may the answer leave.
    if result.outcome is not Outcome.POSTED:
        raise Busy("this payer's account is in use; send the same message again")
    return _given(message, found)


def _known_or_prepared(
    context: Context,
    terminal: Terminal,
    message: Message,
    facts: Facts,
    decide: Callable[[Facts], Prepared],
) -> Given | Prepared:
    known = facts.known.get(message.id)
    if known is not None:
        return stored_answer(known, message, terminal.id, context.scheme.currency)
    return decide(facts)


def _given(message: Message, posted: Prepared) -> Given:
    answered_at = posted.posting.transaction.posted_at
    return Given(body=message.body, answer=posted.answer, answered_at=answered_at)
