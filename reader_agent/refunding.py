"""Giving back what this terminal has sold: which card paid, its outbox knows."""

from uuid import UUID

from reader_agent.agent import Agent
from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.service_client import Refunded
from reader_agent.tapping.drafts import card_of

_SALES = frozenset({EntryKind.REQUEST, EntryKind.ADVICE})


def refund(agent: Agent, refund_id: UUID, sale: UUID, line: int | None) -> Refunded | None:
    """Have the service give back a sale, or a line of its receipt (from 1); None where there is no such sale.

    It is no entry of the outbox: asked again under the same id it is given back once, and under another the
    service knows what is left of the sale. Raises ServiceUnreachable, ServiceProblem, ServiceAnswerInvalid.
    """
    entry = agent.outbox.find(sale)
    if entry is None or entry.kind not in _SALES or entry.state is not EntryState.ANSWERED:
        return None
    return agent.client.refund(refund_id, sale, card_of(agent, sale), line)
