"""What goes on behind the taps: is the service there, what waits is told, and what a tap needs is kept fresh.

One thread with an agent of its own. A tap never waits for it: what it fetches lies in the agent's folder when
the tap needs it.
"""

import logging
import random
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic

from reader_agent.agent import Agent
from reader_agent.catalogues import StoredCatalogue
from reader_agent.daemon.catalogues import CatalogueKeeper
from reader_agent.daemon.errors import Stopping
from reader_agent.daemon.events import EventKind, EventLog
from reader_agent.errors import AgentError, ServiceProblem, ServiceUnreachable, TrustMissing
from reader_agent.outbox_summary import summarise
from reader_agent.sync import SyncReport, settle_abandoned, sync
from reader_agent.tapping.problems import is_passing

log = logging.getLogger(__name__)

# A nonce is good for 120 s, and the agent takes none older than 60 s: a tap always finds a fresh one.
PROBE_INTERVAL_S = 30.0
# While the service does not answer: doubled each time up to the last. A till's clerk sees the badge go.
OFFLINE_PAUSES_S = (1.0, 15.0)
# While it answers, and something in the outbox cannot be told all the same
SYNC_PAUSES_S = (2.0, 300.0)
# Before a tap would have to fetch the lists itself (`agent.TRUST_MAX_AGE`)
TRUST_REFRESH = timedelta(minutes=4)


@dataclass(frozen=True, slots=True)
class ServiceView:
    """Whether the service answers; None before anybody has asked it."""

    is_online: bool | None
    # Why not, a stable code
    reason: str | None
    since: datetime


class Pauses:
    """How long to wait before trying again: longer each time, never all terminals at once."""

    def __init__(self, shortest_s: float, longest_s: float) -> None:
        self._shortest_s, self._longest_s = shortest_s, longest_s
        self._next_s = shortest_s

    def reset(self) -> None:
        """It has worked."""
        self._next_s = self._shortest_s

    def next_s(self) -> float:
        """The next pause, in seconds."""
        pause_s = self._next_s
        self._next_s = min(self._longest_s, 2 * pause_s)
        return pause_s * random.uniform(0.8, 1.2)  # noqa: S311 -- spreads load, keeps no secret


class Keeper:
    """Works until it is stopped. Its public methods may be called by any thread."""

    def __init__(
        self,
        open_agent: Callable[[], Agent],
        events: EventLog,
        outbox_file: Path,
        catalogues: CatalogueKeeper,
        now: Callable[[], datetime],
        *,
        each_turn: Callable[[], None],
    ) -> None:
        self._open_agent, self._events, self._outbox_file, self._now = open_agent, events, outbox_file, now
        self._catalogues, self._each_turn = catalogues, each_turn
        self._lock = threading.Lock()
        self._view = ServiceView(None, None, now())
        self._waiting: int | None = None
        self._asked: list[Future[SyncReport]] = []
        self._wake, self._ending = threading.Event(), threading.Event()
        self._offline_pauses, self._sync_pauses = Pauses(*OFFLINE_PAUSES_S), Pauses(*SYNC_PAUSES_S)
        self._sync_not_before = 0.0
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._waiting = summarise(self._outbox_file).waiting
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._ending.set()
        self._wake.set()
        self._thread.join()
        self._fail_asked(Stopping())

    def view(self) -> ServiceView:
        """Whether the service answers."""
        with self._lock:
            return self._view

    def sync_now(self) -> "Future[SyncReport]":
        """Tell the service what waits, as soon as may be; ends with AgentError where that is not possible."""
        asked: Future[SyncReport] = Future()
        with self._lock:
            self._asked.append(asked)
        self._wake.set()
        return asked

    def fetch_catalogue(self, service: str) -> "Future[StoredCatalogue]":
        """A service's catalogue as it is now, as soon as may be; ends with AgentError where there is none."""
        asked = self._catalogues.ask(service)
        self._wake.set()
        return asked

    def look_again(self) -> None:
        """Somebody would need the service now: see whether it is back, without waiting for the next time."""
        self._wake.set()

    def after_payment(self, *, is_offline: bool, needs_telling: bool) -> None:
        """A payment has ended: its queue is shown at once, and what has to be told is told soon."""
        if is_offline:
            self._set_online(False, ServiceUnreachable.code)
        self.publish_queue()
        if is_offline or needs_telling:
            self._sync_not_before = 0.0
            self._wake.set()

    def publish_queue(self) -> None:
        """Tell how many entries wait, if that has changed."""
        waiting = summarise(self._outbox_file).waiting
        with self._lock:
            if waiting == self._waiting:
                return
            self._waiting = waiting
            self._events.publish(EventKind.QUEUE, {"waiting": waiting})

    # --- the thread ---

    def _run(self) -> None:
        with self._open_agent() as agent:
            # What an earlier run has left, whether or not the service answers.
            with suppress(AgentError):
                settle_abandoned(agent)
            while not self._ending.is_set():
                self._wake.clear()
                self._wake.wait(self._safe_turn(agent))

    def _safe_turn(self, agent: Agent) -> float:
        try:
            return self._turn(agent)
        except Exception as error:  # noqa: BLE001 -- without this loop nothing is told: it goes on
            log.error("keeping up failed: %s", type(error).__name__)  # noqa: TRY400 -- no card data in logs
            self._fail_asked(error)
            return self._offline_pauses.next_s()

    def _turn(self, agent: Agent) -> float:
        """One round; how long to wait for the next, in seconds."""
        self._each_turn()
        if (reason := self._probe(agent)) is not None:
            self._set_online(False, reason)
            self._fail_asked(ServiceUnreachable(reason))
            self.publish_queue()
            agent.memory.forget_expired(agent.now())
            return self._offline_pauses.next_s()
        self._offline_pauses.reset()
        is_back = self._set_online(True, None)
        pause_s = PROBE_INTERVAL_S
        # First, for a face may be waiting for it; the queue is told to nobody who waits.
        self._catalogues.keep(agent, is_back=is_back)
        if self._is_sync_due(agent):
            self._sync(agent)
        self.publish_queue()
        if self._sync_not_before:
            pause_s = min(pause_s, max(0.1, self._sync_not_before - monotonic()))
        return pause_s

    def _probe(self, agent: Agent) -> str | None:
        """Fetch a nonce; why that did not work."""
        try:
            nonce = agent.client.nonce()
        except ServiceProblem as problem:
            # "I cannot decide now" is as good as no answer; "I refuse this terminal" is told as such.
            return ServiceUnreachable.code if is_passing(problem) else problem.problem
        except AgentError as error:
            return error.code
        agent.memory.keep_nonce(nonce, agent.now())
        return None

    def _is_sync_due(self, agent: Agent) -> bool:
        with self._lock:
            if self._asked:
                return True
        agent.reload_trust()  # a desk may have fetched it
        try:
            is_old = abs(agent.now() - agent.stored_trust().fetched_at) > TRUST_REFRESH
        except TrustMissing:
            is_old = True
        has_work = is_old or summarise(self._outbox_file).unfinished > 0
        return has_work and monotonic() >= self._sync_not_before

    def _sync(self, agent: Agent) -> None:
        with self._lock:
            asked, self._asked = self._asked, []
        try:
            report = sync(agent)
        except Exception as error:
            for each in asked:
                each.set_exception(error)
            self._sync_not_before = monotonic() + self._sync_pauses.next_s()
            if isinstance(error, AgentError):
                log.warning("sync: %s", error.code)
                return
            raise
        if report.waiting:
            self._sync_not_before = monotonic() + self._sync_pauses.next_s()
        else:
            self._sync_not_before = 0.0
            self._sync_pauses.reset()
        for each in asked:
            each.set_result(report)

    def _set_online(self, is_online: bool, reason: str | None) -> bool:
        """Whether that is news."""
        with self._lock:
            if (self._view.is_online, self._view.reason) == (is_online, reason):
                return False
            self._view = ServiceView(is_online, reason, self._now())
            if is_online:
                self._events.publish(EventKind.SERVICE_ONLINE, {})
            else:
                self._events.publish(EventKind.SERVICE_OFFLINE, {"reason": reason})
            return True

    def _fail_asked(self, error: BaseException) -> None:
        with self._lock:
            asked, self._asked = self._asked, []
        for each in asked:
            each.set_exception(error)
        self._catalogues.fail(error)
