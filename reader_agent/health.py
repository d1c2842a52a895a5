"""What a terminal says of itself to the service: its clock, what waits, what it has of lists and tariffs."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from reader_agent.agent import Agent
from reader_agent.errors import ServiceAnswerInvalid, ServiceProblem, ServiceUnreachable, TrustMissing
from reader_agent.outbox_entries import EntryState
from reader_agent.wire import to_rfc3339


@dataclass(frozen=True, slots=True)
class Health:
    """How a terminal is; times are UTC."""

    time: datetime
    waiting: int
    oldest_waiting_at: datetime | None
    trust_fetched_at: datetime | None
    lists_end_at: datetime | None
    version: str
    # Versions of what it may charge without the service, by service
    tariffs: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        """The body of POST /v1/health."""
        return {
            "time": to_rfc3339(self.time),
            "waiting": self.waiting,
            "oldest_waiting_at": _text(self.oldest_waiting_at),
            "trust_fetched_at": _text(self.trust_fetched_at),
            "lists_end_at": _text(self.lists_end_at),
            "version": self.version,
            "tariffs": dict(self.tariffs),
        }


def look(agent: Agent) -> Health:
    """How this terminal is now."""
    moment = agent.now()
    waiting = agent.outbox.entries(EntryState.OPEN)
    fetched_at: datetime | None = None
    ends: tuple[datetime, ...] = ()
    with suppress(TrustMissing):
        trust = agent.stored_trust()
        fetched_at, ends = trust.fetched_at, trust.status_ends
    stored = {name: agent.memory.catalogue(name, moment) for name in agent.memory.wanted_catalogues()}
    return Health(
        time=moment,
        waiting=len(waiting),
        oldest_waiting_at=min((entry.created_at for entry in waiting), default=None),
        trust_fetched_at=fetched_at,
        lists_end_at=min(ends, default=None),
        version=version("citizen-card"),
        tariffs={name: kept.catalogue.tariff_version for name, kept in stored.items() if kept is not None},
    )


def tell(agent: Agent) -> bool:
    """Tell the service, and whether it heard: nothing else hangs on that."""
    try:
        agent.client.health(look(agent).to_json())
    except (ServiceUnreachable, ServiceProblem, ServiceAnswerInvalid):
        return False
    return True


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else to_rfc3339(moment)
