"""The catalogues that the faces have asked for, kept fresh beside the taps.

The keeper's thread fetches them; what it fetched lies in the terminal's memory, where a tap and a face find
it whether or not the service answers.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from datetime import datetime
from pathlib import Path
from time import monotonic

from reader_agent.agent import Agent
from reader_agent.catalogues import StoredCatalogue
from reader_agent.daemon.errors import CatalogueMissing, CatalogueRefused
from reader_agent.errors import AgentError, ServiceAnswerInvalid, ServiceProblem, ServiceUnreachable
from reader_agent.memory import Memory
from reader_agent.tapping.problems import is_passing

log = logging.getLogger(__name__)

MISSING = "catalogue_missing"
# After a failure that asking again at once would not change
RETRY_S = 60.0
# The service says that this terminal may sell nothing of it, now: what was stored holds no longer.
_FORGETTING = frozenset({403, 404, 422})
# It has no catalogue for this terminal, and will not have one of its own accord.
_ENDING = frozenset({403, 404})


class CatalogueKeeper:
    """Its `keep` is the keeper's thread's; the others may be called by any thread."""

    def __init__(self, memory_file: Path, now: Callable[[], datetime]) -> None:
        self._memory_file, self._now = memory_file, now
        self._lock = threading.Lock()
        self._asked: dict[str, list[Future[StoredCatalogue]]] = {}
        # Of the keeper's thread alone: services that are not to be asked before this reading of `monotonic`
        self._not_before: dict[str, float] = {}

    def want(self, service: str) -> StoredCatalogue | None:
        """Have a catalogue kept from now on; what is stored of it, if that still holds."""
        with closing(Memory(self._memory_file)) as memory:
            memory.want_catalogue(service, self._now())
            return memory.catalogue(service, self._now())

    def ask(self, service: str) -> Future[StoredCatalogue]:
        """The catalogue as the service says it next; ends with AgentError where it says none."""
        asked: Future[StoredCatalogue] = Future()
        with self._lock:
            self._asked.setdefault(service, []).append(asked)
        return asked

    def fail(self, error: BaseException) -> None:
        """Nothing can be asked now."""
        with self._lock:
            asked, self._asked = self._asked, {}
        for futures in asked.values():
            for each in futures:
                each.set_exception(error)

    def keep(self, agent: Agent, *, is_back: bool) -> None:
        """Fetch what is due; `is_back`: the service has been away, and may have changed it meanwhile."""
        agent.memory.forget_expired(agent.now())
        if is_back:
            self._not_before.clear()
        for service in self._due(agent, is_back=is_back):
            with self._lock:
                asked = self._asked.pop(service, [])
            try:
                found = self._fetch(agent, service)
            except AgentError as error:
                for each in asked:
                    each.set_exception(error)
                continue
            except BaseException as error:
                for each in asked:
                    each.set_exception(error)
                raise
            for each in asked:
                each.set_result(found)

    def _due(self, agent: Agent, *, is_back: bool) -> list[str]:
        with self._lock:
            asked = list(self._asked)
        wanted = agent.memory.wanted_catalogues()
        return asked + [
            service
            for service in wanted
            if service not in asked and (is_back or self._is_due(agent, service))
        ]

    def _is_due(self, agent: Agent, service: str) -> bool:
        if monotonic() < self._not_before.get(service, 0.0):
            return False
        moment = agent.now()
        stored = agent.memory.catalogue(service, moment)
        return stored is None or stored.is_worn(moment) or agent.memory.is_doubted(service)

    def _fetch(self, agent: Agent, service: str) -> StoredCatalogue:
        """Raises AgentError; after one the service is left in peace for a while."""
        self._not_before[service] = monotonic() + RETRY_S
        try:
            catalogue = agent.client.catalogue(service)
            if catalogue.period_at(agent.now()) is None:
                raise ServiceAnswerInvalid("its catalogue says nothing about now; are both clocks right?")
        except ServiceProblem as problem:
            log.info("the catalogue of %s: %s", service, problem.problem)
            raise _refusal(agent, service, problem) from problem
        except AgentError as error:
            log.info("the catalogue of %s: %s", service, error.code)
            raise
        del self._not_before[service]
        moment = agent.now()
        agent.memory.keep_catalogue(catalogue, moment)
        return StoredCatalogue(catalogue, moment)


def _refusal(agent: Agent, service: str, problem: ServiceProblem) -> AgentError:
    """What the service's refusal means to a face; what it takes back is forgotten."""
    if is_passing(problem):
        return ServiceUnreachable(problem.problem)
    if problem.status in _FORGETTING:
        agent.memory.forget_catalogue(service, is_wanted=problem.status not in _ENDING)
    return CatalogueMissing() if problem.problem == MISSING else CatalogueRefused(problem.problem)
