"""How payments end: each error of a tap as a result that a face can show, and what an earlier run has left.

A tap that ends with an error has charged nothing, and never will: that is its promise (see `tapping`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from pki.errors import PkiError, VerificationError
from pki.statements import open_statement
from reader_agent.agent import Agent
from reader_agent.answers import APPROVED, read_answer
from reader_agent.daemon.errors import DaemonError
from reader_agent.errors import AgentError, OfflineRefused, PriceChanged, ServiceProblem
from reader_agent.outbox_entries import Entry, EntryKind, EntryState
from reader_agent.tapping import Outcome, TapResult
from reader_agent.tapping.problems import is_final
from reader_agent.wire import from_base64url

OFFLINE_REASON = "offline"
INTERRUPTED = "interrupted"
INTERNAL_ERROR = "internal_error"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why nothing was paid; `message` is for the holder."""

    outcome: Outcome
    reason: str
    message: str


def failure(error: BaseException) -> Failure:
    """What a tap's error means to the holder."""
    match error:
        case ServiceProblem() if is_final(error):
            return Failure(Outcome.DECLINED, error.problem, error.detail)
        case ServiceProblem():
            return Failure(Outcome.NOT_PAID, error.problem, error.detail)
        case VerificationError():
            # The scheme has decided about this card: it was revoked, has expired, or is none of its cards.
            return Failure(Outcome.DECLINED, error.code, "this card is refused")
        case OfflineRefused():
            return Failure(Outcome.NOT_PAID, error.code, error.reason)
        case AgentError() | PkiError():
            return Failure(Outcome.NOT_PAID, error.code, _words(error))
    return Failure(Outcome.NOT_PAID, INTERNAL_ERROR, "the reader agent failed; ask for help")


def failed(error: BaseException) -> TapResult:
    """The result of a payment that ended with an error."""
    found = failure(error)
    message = f"Not paid: {found.message.rstrip('.')}."
    if isinstance(error, PriceChanged):
        return TapResult(
            found.outcome,
            found.reason,
            message,
            amount_minor=error.amount_minor,
            currency=error.currency,
        )
    return TapResult(found.outcome, found.reason, message)


def recall(agent: Agent, transaction: UUID) -> TapResult:
    """How a payment of an earlier run of the daemon has ended, by its first transaction, from the outbox."""
    entry = agent.outbox.find(transaction)
    if entry is None:
        return _interrupted()
    if entry.kind is EntryKind.ADVICE:
        return _recall_advice(agent, entry)
    match entry.state:
        case EntryState.ANSWERED:
            return _recall_answer(agent, entry)
        case EntryState.REFUSED:
            return TapResult(Outcome.DECLINED, str(entry.problem), "Not paid: the service has refused it.")
        case EntryState.CLOSED:
            for other in agent.outbox.entries():
                if other.kind is EntryKind.ADVICE and other.relates_to == transaction:
                    return _recall_advice(agent, other)
    # Never signed; or signed and nobody was told that it is paid: it is annulled, if it is not yet.
    return _interrupted()


def _recall_answer(agent: Agent, entry: Entry) -> TapResult:
    document: Mapping[str, object] | None = agent.outbox.content(entry.id).answer
    assert document is not None  # noqa: S101 -- a constraint of the table
    answer = read_answer(document, entry.id, entry.digest, agent.stored_trust(), agent.now())
    return TapResult(
        Outcome.APPROVED if answer.decision == APPROVED else Outcome.DECLINED,
        answer.reason,
        answer.message,
        id=answer.id,
        amount_minor=answer.amount_minor,
        currency=answer.currency,
        receipt=answer.receipt,
        balances=answer.balances,
        flags=answer.flags,
    )


def _recall_advice(agent: Agent, entry: Entry) -> TapResult:
    if entry.state in {EntryState.PREPARED, EntryState.VOID}:
        return _interrupted()
    message = json.loads(agent.outbox.content(entry.id).message)
    statement = open_statement(from_base64url(message["statement"])).statement
    return TapResult(
        Outcome.APPROVED,
        OFFLINE_REASON,
        "Accepted. The payment is posted when the service answers again.",
        id=entry.id,
        offline=True,
        amount_minor=statement.amount_minor,
        currency=statement.currency,
        replaces=entry.relates_to,
    )


def _interrupted() -> TapResult:
    return TapResult(Outcome.NOT_PAID, INTERRUPTED, "Not paid: the reader agent was interrupted; pay again.")


def _words(error: AgentError | PkiError) -> str:
    """What an error says, where that is written for the holder; other texts may name what is no face's."""
    if isinstance(error, DaemonError) or error.code in _PUBLIC_TEXTS:
        return str(error)
    return _PLAIN.get(error.code, "the card could not be used")


_PUBLIC_TEXTS = frozenset(
    {"card_removed", "card_reset", "card_silent", "card_proof_invalid", "price_changed"}
)
_PLAIN = {
    "no_card": "there is no card on the reader",
    "card_not_piv": "this is not one of our cards",
    "card_data_missing": "this card is not finished",
    "pcsc_unavailable": "the reader does not work",
    "reader_unknown": "the reader does not work",
    "reader_busy": "another program holds the reader",
    "service_unreachable": "the card service does not answer",
    "service_answer_invalid": "the card service does not answer as it must",
    "trust_missing": "this terminal is not ready yet",
    "clock_behind": "this terminal's clock is wrong",
    "clock": "this terminal's clock is wrong",
}
