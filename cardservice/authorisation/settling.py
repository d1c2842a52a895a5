"""Read, decide, post; and again, where the payer's state has changed in between."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cardservice.authorisation.answers import Given, stored_answer
from cardservice.authorisation.facts import Facts, gather
from cardservice.authorisation.messages import Message
from cardservice.context import Context
from cardservice.errors import Busy
from cardservice.ids import TransactionId
from cardservice.ledger.posting import post
from cardservice.ledger.values import Outcome, Posting
from cardservice.terminals.service import Terminal

# Only another posting for the same payer makes an attempt fail.
ATTEMPTS = 8


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
        facts = gather(context, message, wanted)
        known = facts.known.get(message.id)
        if known is not None:
            return stored_answer(known, message, terminal.id, context.scheme.currency)
        prepared = decide(facts)
        [result] = post(context.database, [prepared.posting])
        if result.outcome is Outcome.POSTED:
            posted_at = prepared.posting.transaction.posted_at
            return Given(body=message.body, answer=prepared.answer, answered_at=posted_at)
    raise Busy("this payer's account is in use; send the same message again")
