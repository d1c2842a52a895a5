"""Sending again what was answered: to a service whose database was restored, and has lost it.

The service asks for it, and takes a request by its own signed answer alone, which the outbox has kept. What
is in the outbox stays as it is.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reader_agent.agent import Agent
from reader_agent.answers import read_answer
from reader_agent.errors import OutboxDamaged, ServiceAnswerInvalid, ServiceProblem
from reader_agent.outbox_entries import Entry, EntryKind, EntryState
from reader_agent.wire import Document

# Of the largest messages there are, less than the service takes together
AT_ONCE = 7


@dataclass(frozen=True, slots=True)
class SentAgain:
    """What became of what was sent again."""

    # The service had lost them, and has them again
    posted: int
    # It had them
    known: int
    # By its problem's code, or ours
    refused: Mapping[str, int]


def send_if_asked(agent: Agent) -> SentAgain | None:
    """Send again what the service asks for, once for each recovery; None where it asks for nothing.

    Raises what ServiceClient does; all of it is sent again the next time then.
    """
    try:
        wanted = agent.client.recovery()
    except ServiceProblem as problem:
        if problem.status == 404:  # a service of an earlier version
            return None
        raise
    if wanted is None or agent.memory.was_sent_again(wanted.number):
        return None
    done = send_again(agent, wanted.since)
    agent.memory.keep_sent_again(wanted.number)
    return done


def send_again(agent: Agent, since: datetime) -> SentAgain:
    """Send again what was answered since then, in its order. Raises what ServiceClient does."""
    counts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    entries = [
        entry
        for entry in agent.outbox.entries(EntryState.ANSWERED)
        if entry.settled_at is not None and entry.settled_at >= since
    ]
    readable: list[tuple[Entry, Mapping[str, Any]]] = []
    for entry in entries:
        try:
            readable.append((entry, _message(agent, entry)))
        except OutboxDamaged as error:
            refused[error.code] += 1
        if len(readable) == AT_ONCE:
            _send(agent, readable, counts, refused, is_last=False)
            readable = []
    # Also where nothing is left: the service is told that this was all.
    _send(agent, readable, counts, refused, is_last=True)
    return SentAgain(counts["posted"], counts["known"], dict(refused))


def _message(agent: Agent, entry: Entry) -> Mapping[str, Any]:
    """The message as it was sent; a request with its answer. Raises OutboxDamaged."""
    content = agent.outbox.content(entry.id)
    message: dict[str, Any] = json.loads(content.message)
    if entry.kind is not EntryKind.REQUEST:
        return message
    if content.answer is None or "signed_answer" not in content.answer:
        raise OutboxDamaged(entry.id)
    return message | {"signed_answer": content.answer["signed_answer"]}


def _send(
    agent: Agent,
    sent: Sequence[tuple[Entry, Mapping[str, Any]]],
    counts: Counter[str],
    refused: Counter[str],
    *,
    is_last: bool,
) -> None:
    """Raises ServiceAnswerInvalid where an answer is not the service's to its message."""
    document = agent.client.send_again([message for _, message in sent], complete=is_last)
    answers = Document(document, "answer").documents("answers", AT_ONCE)
    if len(answers) != len(sent):
        raise ServiceAnswerInvalid("it does not answer each message")
    trust, moment = agent.stored_trust(), agent.now()
    for (entry, _), one in zip(sent, answers, strict=True):
        if one.is_null("answer"):
            refused[one.document("problem").text("code")] += 1
            continue
        answer = read_answer(one.document("answer").value, entry.id, entry.digest, trust, moment)
        counts["known" if answer.repeated else "posted"] += 1
