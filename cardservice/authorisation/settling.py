"""Read, decide, post; and again, where the payer's state has changed in between.

Any number of messages together: in rounds of distinct payers, in the order in which they came.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from cardservice.authorisation.answers import Given, stored_answer
from cardservice.authorisation.facts import Facts, facts_of, gathered_under_lock
from cardservice.authorisation.found import Found, Wanted
from cardservice.authorisation.messages import Message
from cardservice.context import Context
from cardservice.errors import Busy
from cardservice.ids import CardId, TransactionId
from cardservice.ledger.errors import ResourceTaken
from cardservice.ledger.payers import open_reserved
from cardservice.ledger.posting import post_on
from cardservice.ledger.resources import Claim, claim, claim_on, confirm, release
from cardservice.ledger.values import Outcome, Posting
from cardservice.terminals.service import Terminal

P = ParamSpec("P")
T = TypeVar("T")

# Only another change of the same payer makes an attempt fail; after these it is decided under the lock.
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be posted, and the answer once it is."""

    posting: Posting
    answer: Mapping[str, Any]
    # What it takes of what there is only so much of: held before it is posted, its own once it is.
    claims: tuple[Claim, ...] = ()
    # The unit of the account for what is set aside, where the payer has none yet: opened before it is posted.
    opens: str | None = None
    # What is posted instead where too little of that is left.
    otherwise: Callable[[], "Prepared"] | None = None
    # The transaction that it undoes, with what that had taken.
    undoes: TransactionId | None = None

    @property
    def wants_first(self) -> bool:
        """Whether something has to be done before it can be posted."""
        return bool(self.claims) or self.opens is not None


@dataclass(frozen=True, slots=True)
class Question:
    """A message to settle: from whom, what to read for it, and what decides it."""

    terminal: Terminal
    message: Message
    wanted: Wanted
    # Raises MessageRefused from the checks.
    decide: Callable[[Facts], Prepared]
    # What was read for it already, for the first attempt.
    found: Found | None = None


# What becomes of a message; whatever goes wrong with one is its own and costs no other anything.
Settled = Given | Exception


def settle(context: Context, question: Question) -> Given:
    """The stored answer of a message that is known (check 4), else what `decide` made of it, posted once.

    Raises MessageRefused from the checks, and Busy where nothing was posted: the message may be sent again.
    """
    [settled] = settle_all(context, [question])
    if isinstance(settled, Exception):
        raise settled
    return settled


def settle_all(context: Context, questions: Sequence[Question]) -> list[Settled]:
    """What becomes of each message, in their order; those of one payer are settled in the order they came."""
    settlement = _Settlement(context, questions)
    while waiting := [row for row in range(len(questions)) if row not in settlement.settled]:
        settlement.play(_firsts(questions, waiting))
    return [settlement.settled[row] for row in range(len(questions))]


class _Settlement:
    """Questions that are being settled, by their row; each round is one attempt at some of them."""

    def __init__(self, context: Context, questions: Sequence[Question]) -> None:
        self._context, self._questions = context, questions
        self.settled: dict[int, Settled] = {}
        self._misses: dict[int, int] = {}
        # Read before; good for one attempt.
        self._at_hand = {
            row: question.found for row, question in enumerate(questions) if question.found is not None
        }

    def play(self, rows: Sequence[int]) -> None:
        """Read, decide and post for as many of these as have different payers."""
        prepared = {}
        taken: set[UUID] = set()
        for row, found in self._read(rows):
            touched = {*found.views, *self._questions[row].wanted.ids}
            # What shares a payer or an id with one before it waits until that one is settled.
            if taken.isdisjoint(touched):
                done = _attempt(self._decide, row, found)
                if isinstance(done, Prepared):
                    prepared[row] = done
                else:
                    self.settled[row] = done
            taken |= touched
        if prepared:
            self._post(prepared)

    def _read(self, rows: Sequence[int]) -> list[tuple[int, Found]]:
        missing = [row for row in rows if row not in self._at_hand]
        found = {row: self._at_hand.pop(row) for row in rows if row in self._at_hand}
        if missing:
            read = _attempt(self._context.exchange.read, [self._questions[row].wanted for row in missing])
            if isinstance(read, Exception):
                self.settled |= dict.fromkeys(missing, read)
            else:
                found |= zip(missing, read, strict=True)
        return [(row, found[row]) for row in rows if row in found]

    def _decide(self, row: int, found: Found) -> Given | Prepared:
        question = self._questions[row]
        return _known_or_prepared(self._context, question, facts_of(self._context, question.wanted, found))

    def _post(self, decided: Mapping[int, Prepared]) -> None:
        prepared = {}
        for row, each in decided.items():
            held = _attempt(_held, self._context, each, None) if each.wants_first else each
            if isinstance(held, Exception):
                self.settled[row] = held
            else:
                prepared[row] = held
        outcomes = _attempt(self._context.exchange.post, [each.posting for each in prepared.values()])
        if isinstance(outcomes, Exception):
            self.settled |= dict.fromkeys(prepared, outcomes)
            return
        for (row, each), outcome in zip(prepared.items(), outcomes, strict=True):
            if isinstance(outcome, Exception):
                self.settled[row] = outcome
            elif outcome.outcome is Outcome.POSTED:
                self.settled[row] = _attempt(_given, self._context, each)
            elif outcome.outcome is Outcome.BUSY:
                # It was waited for; its terminal repeats it.
                self.settled[row] = _busy()
            else:
                self._missed(row)

    def _missed(self, row: int) -> None:
        self._misses[row] = self._misses.get(row, 0) + 1
        if self._misses[row] == ATTEMPTS:
            self.settled[row] = _attempt(_under_lock, self._context, self._questions[row])


def _attempt(do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
    try:
        return do(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer to this one alone
        return error


def _firsts(questions: Sequence[Question], rows: Sequence[int]) -> list[int]:
    """The first of each card: a later one is not worth reading for yet."""
    firsts: dict[CardId, int] = {}
    for row in rows:
        firsts.setdefault(questions[row].wanted.card_id, row)
    return list(firsts.values())


def _under_lock(context: Context, question: Question) -> Given:
    with gathered_under_lock(context, question.wanted) as (connection, facts):
        found = _known_or_prepared(context, question, facts)
        if isinstance(found, Given):
            return found
        found = _held(context, found, connection) if found.wants_first else found
        [result] = post_on(connection, [found.posting])
    # The transaction is committed: only now may the answer leave.
    if result.outcome is not Outcome.POSTED:
        raise _busy()
    return _given(context, found)


def _busy() -> Busy:
    return Busy("this payer's account is in use; send the same message again")


def _known_or_prepared(context: Context, question: Question, facts: Facts) -> Given | Prepared:
    known = facts.known.get(question.message.id)
    if known is not None:
        return stored_answer(known, question.message, question.terminal.id, context.scheme.currency)
    return question.decide(facts)


def _held(context: Context, prepared: Prepared, connection: Connection | None) -> Prepared:
    """As it was prepared, with all that it takes held for it; or what is posted instead.

    `connection`: of whoever holds the payers' locks. What is held and then not posted is settled by whoever
    calls `settle_reservations`.
    """
    posting = prepared.posting
    wanted = (posting.payer_id, posting.transaction.id, prepared.claims, posting.transaction.posted_at)
    if prepared.opens is not None:
        with context.database.begin() if connection is None else nullcontext(connection) as own:
            open_reserved(own, posting.payer_id, prepared.opens)
    try:
        if connection is None:
            claim(context.database, *wanted)
        else:
            claim_on(connection, *wanted)
    except ResourceTaken:
        if prepared.otherwise is None:
            raise
        return prepared.otherwise()
    return prepared


def _given(context: Context, posted: Prepared) -> Given:
    if posted.claims or posted.undoes:
        with context.database.begin() as connection:
            confirm(connection, posted.posting.transaction.id)
            if posted.undoes is not None:
                release(connection, posted.undoes)
    transaction = posted.posting.transaction
    return Given(body=transaction.body, answer=posted.answer, answered_at=transaction.posted_at)
