"""Telling the service what is in the outbox: what it was not told yet, in the order in which it happened."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from pki.errors import PkiError
from reader_agent import health
from reader_agent.agent import Agent
from reader_agent.chunks import Told, join, readable
from reader_agent.enrolling import renew_if_due
from reader_agent.errors import (
    AgentError,
    OutboxConflict,
    OutboxDamaged,
    ServiceAnswerInvalid,
    ServiceProblem,
    ServiceUnreachable,
)
from reader_agent.outbox_entries import Entry, EntryKind, EntryState
from reader_agent.resending import SentAgain, send_if_asked
from reader_agent.tapping.drafts import close_request
from reader_agent.tapping.problems import is_final

log = logging.getLogger(__name__)

# One entry that the service cannot digest must not keep the others back; a service that is down, must.
MAX_FAILURES_IN_A_ROW = 3
# More than this wait after an hour without the service: they are told together.
HANDFUL = 8
# Some seconds of the service's work: what is lost of an answer is told again.
CHUNK_ENTRIES = 500


class Delivery(StrEnum):
    """What became of an entry in this round."""

    ANSWERED = "answered"
    REFUSED = "refused"
    # Still there, and tried again in the next round
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivered:
    """One entry of the round."""

    id: UUID
    kind: EntryKind
    delivery: Delivery
    # The service's decision, or its problem's or our error's code
    detail: str


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a round has done."""

    delivered: tuple[Delivered, ...]
    # Requests that nobody waited for any more, and that were annulled
    closed: int
    # Entries past their time that were deleted
    purged: int
    # What is still to be told
    waiting: int
    # What a restored service has asked for
    sent_again: SentAgain | None = None


def sync(agent: Agent) -> SyncReport:
    """Fetch the scheme's revocation lists, tell what is open and how the terminal is, delete what is past.

    Raises ServiceUnreachable where the service does not answer at the start, and what else `fetch_trust`
    raises; what happens later is in the report.
    """
    agent.fetch_trust()
    # First: what is told now may be about what was lost.
    sent_again = send_if_asked(agent)
    closed, damaged = settle_abandoned(agent)
    delivered = _deliver(agent)
    moment = agent.now()
    agent.memory.forget_expired(moment)
    purged = agent.outbox.purge(moment)
    waiting = len(agent.outbox.entries(EntryState.OPEN))
    health.tell(agent)
    _renew(agent)
    return SyncReport((*damaged, *delivered), closed, purged, waiting, sent_again)


def _renew(agent: Agent) -> None:
    """Renew the terminal's certificate in time; what hinders that is tried again, and doctor says it."""
    try:
        if renew_if_due(agent):
            log.info("the terminal's certificate is renewed")
    except (AgentError, PkiError) as error:
        log.warning("the terminal's certificate is not renewed: %s", error)


def settle_abandoned(agent: Agent) -> tuple[int, list[Delivered]]:
    """Close the requests that a tap which broke off has left: nobody was told that they were paid.

    What was never signed is void. How many were closed, and those that cannot be; nothing is done while a tap
    is going on, whose request may be among them.
    """
    with agent.no_tap_going_on() as is_quiet:
        if not is_quiet:
            return 0, []
        for entry in agent.outbox.entries(EntryState.PREPARED):
            agent.outbox.void(entry.id, agent.now())
        closed = 0
        damaged: list[Delivered] = []
        for entry in agent.outbox.entries(EntryState.OPEN):
            if entry.kind is not EntryKind.REQUEST:
                continue
            try:
                close_request(agent, entry.id)
                closed += 1
            except OutboxDamaged as error:
                damaged.append(Delivered(entry.id, entry.kind, Delivery.FAILED, error.code))
        return closed, damaged


def _deliver(agent: Agent) -> list[Delivered]:
    waiting = _waiting(agent)
    delivered: list[Delivered] = []
    if len(waiting) > HANDFUL:
        for first in range(0, len(waiting), CHUNK_ENTRIES):
            told = _tell_together(agent, waiting[first : first + CHUNK_ENTRIES])
            if told is None:
                break  # one by one it comes out what the matter is
            delivered += told
    known = {each.id for each in delivered}
    return delivered + _tell_each(agent, [entry for entry in _waiting(agent) if entry.id not in known])


def _waiting(agent: Agent) -> list[Entry]:
    """What is to be told; a request is a tap's that is going on, or damaged."""
    return [entry for entry in agent.outbox.entries(EntryState.OPEN) if entry.kind is not EntryKind.REQUEST]


def _tell_together(agent: Agent, entries: Sequence[Entry]) -> list[Delivered] | None:
    """What became of each entry of a chunk; None where nothing did."""
    delivered: list[Delivered] = []
    sent: list[tuple[Entry, bytes]] = []
    for entry, found in readable(agent.outbox, entries):
        if isinstance(found, OutboxDamaged):
            delivered.append(Delivered(entry.id, entry.kind, Delivery.FAILED, found.code))
        else:
            sent.append((entry, found))
    try:
        told = agent.send_chunk([entry for entry, _ in sent], join(chunk for _, chunk in sent))
    except (ServiceUnreachable, ServiceProblem, ServiceAnswerInvalid):
        return None
    for (entry, _), one in zip(sent, told, strict=True):
        try:
            delivered.append(_kept(agent, entry, one))
        except OutboxConflict:
            continue  # another program has told it meanwhile
    return delivered


def _kept(agent: Agent, entry: Entry, told: Told) -> Delivered:
    if isinstance(told, ServiceProblem):
        return _refused(agent, entry, told)
    agent.keep(entry, told)
    return Delivered(entry.id, entry.kind, Delivery.ANSWERED, told.decision)


def _refused(agent: Agent, entry: Entry, problem: ServiceProblem) -> Delivered:
    if is_final(problem):
        agent.outbox.refused(entry.id, problem.problem, agent.now())
        return Delivered(entry.id, entry.kind, Delivery.REFUSED, problem.problem)
    return Delivered(entry.id, entry.kind, Delivery.FAILED, problem.problem)


def _tell_each(agent: Agent, entries: Sequence[Entry]) -> list[Delivered]:
    delivered: list[Delivered] = []
    failures = 0
    for entry in entries:
        try:
            delivered.append(_tell(agent, entry))
        except OutboxConflict:
            continue  # another program has told it meanwhile
        except ServiceUnreachable as error:
            delivered.append(Delivered(entry.id, entry.kind, Delivery.FAILED, error.code))
            break
        failures = failures + 1 if delivered[-1].delivery is Delivery.FAILED else 0
        if failures == MAX_FAILURES_IN_A_ROW:
            break
    return delivered


def _tell(agent: Agent, entry: Entry) -> Delivered:
    try:
        answer = agent.send(entry)
    except ServiceProblem as problem:
        return _refused(agent, entry, problem)
    except (ServiceAnswerInvalid, OutboxDamaged) as error:
        return Delivered(entry.id, entry.kind, Delivery.FAILED, error.code)
    return Delivered(entry.id, entry.kind, Delivery.ANSWERED, answer.decision)
