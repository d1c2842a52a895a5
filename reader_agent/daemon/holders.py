"""Who the cards on the readers belong to, fetched as soon as a card is read, so that a face need not wait.

What the service said is remembered for when it does not answer: in this process alone, a bounded number of
holders, for a day at most, under a keyed hash of the card's number. No card's number is kept beside a name.
"""

import hmac
import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from queue import SimpleQueue
from uuid import UUID

from reader_agent.daemon.errors import CardUnusable, RoleNotAllowed, Stopping
from reader_agent.daemon.taps import Tap
from reader_agent.errors import AgentError, ServiceProblem, ServiceUnreachable
from reader_agent.presentations import Presentation
from reader_agent.service_client import ServiceClient
from reader_agent.tapping.problems import is_final, is_passing

log = logging.getLogger(__name__)

# A large school's pupils; with a photograph each, some 40 MB.
KEPT_HOLDERS = 1_000
KEPT_FOR = timedelta(hours=24)
# A terminal's role changes seldom: one that was refused asks again when a face asks, and not more often.
REFUSED_FOR = timedelta(minutes=10)
# More than there are readers: what is left of a tap whose end came between two looks gives way.
KEPT_TAPS = 64
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False)
class Holder:
    """A card's holder, as the service said at `as_of`."""

    presentation: Presentation
    as_of: datetime
    # Whether the service does not answer now, and this is what it said before
    is_offline: bool


class RememberedHolders:
    """What the service said of the last holders. Not for several threads at once."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._holders: OrderedDict[bytes, Holder] = OrderedDict()

    def __len__(self) -> int:
        return len(self._holders)

    def keep(self, card: UUID, holder: Holder) -> None:
        """Remember; the one that was used longest ago gives way."""
        name = self._name(card)
        self._holders[name] = holder
        self._holders.move_to_end(name)
        while len(self._holders) > KEPT_HOLDERS:
            self._holders.popitem(last=False)

    def find(self, card: UUID, moment: datetime) -> Holder | None:
        """What was said of this card in the last day."""
        self.forget_old(moment)
        name = self._name(card)
        if name not in self._holders:
            return None
        self._holders.move_to_end(name)
        return self._holders[name]

    def forget(self, card: UUID) -> None:
        """The card may not be used any more."""
        self._holders.pop(self._name(card), None)

    def forget_old(self, moment: datetime) -> None:
        """Let go of what was said longer ago than a day, or later than now by a clock that was set back."""
        for name, holder in list(self._holders.items()):
            if not timedelta(0) <= moment - holder.as_of < KEPT_FOR:
                del self._holders[name]

    def _name(self, card: UUID) -> bytes:
        return hmac.digest(self._key, card.bytes, "sha256")


class Holders:
    """The holders of the taps, for any number of threads; asks in threads of its own, one for each client."""

    def __init__(self, now: Callable[[], datetime], is_offline: Callable[[], bool]) -> None:
        """`is_offline`: whether the service is known not to answer, so that nobody waits to find out."""
        self._now, self._is_offline = now, is_offline
        self._lock = threading.Lock()
        self._remembered = RememberedHolders()
        self._asked: OrderedDict[str, Future[Holder]] = OrderedDict()
        self._refused_at: datetime | None = None
        self._clients: SimpleQueue[ServiceClient] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None

    def start(self, clients: Sequence[ServiceClient]) -> None:
        """Begin; the clients are this object's from now on."""
        for client in clients:
            self._clients.put(client)
        self._threads = ThreadPoolExecutor(len(clients), thread_name_prefix="holders")

    def stop(self) -> None:
        """Finish what is being asked, and forget everybody."""
        with self._lock:
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(cancel_futures=True)
        while not self._clients.empty():
            self._clients.get().close()
        with self._lock:
            self._asked.clear()
            self._remembered = RememberedHolders()

    def card_read(self, tap: Tap, card: UUID) -> None:
        """Ask ahead, for the face that will; not where the service has refused this terminal before."""
        with self._lock:
            is_refused = self._refused_at is not None
        if not is_refused:
            self.ask(tap, card)

    def asked(self, tap: Tap) -> Future[Holder] | None:
        """What was asked for this tap, if its answer came or may still come, and is of use."""
        with self._lock:
            return self._useful(tap)

    def ask(self, tap: Tap, card: UUID) -> Future[Holder]:
        """Ask who holds the card of this tap, unless that is known or asked already.

        Ends with ServiceUnreachable where nothing is remembered either, with CardUnusable, RoleNotAllowed,
        and what else ServiceClient raises.
        """
        with self._lock:
            if (known := self._useful(tap)) is not None:
                return known
            if self._threads is None:
                return _ended(Stopping())
            self._asked[tap.handle] = asked = self._threads.submit(self._ask, card)
            while len(self._asked) > KEPT_TAPS:
                self._asked.popitem(last=False)
            return asked

    def let_go(self, tap: Tap) -> None:
        """The card has gone, or may be another one."""
        with self._lock:
            self._asked.pop(tap.handle, None)

    def forget_old(self) -> None:
        """Let go of what was said longer ago than a day."""
        with self._lock:
            self._remembered.forget_old(self._now())

    def _useful(self, tap: Tap) -> Future[Holder] | None:
        """None where it has to be asked anew: after an error, or where the service did not answer."""
        asked = self._asked.get(tap.handle)
        if asked is None or not asked.done():
            return asked
        has_failed = asked.cancelled() or asked.exception() is not None
        return None if has_failed or asked.result().is_offline else asked

    def _ask(self, card: UUID) -> Holder:
        try:
            return self._ask_service(card)
        except AgentError as error:
            # By its code alone: what an error says in words may name somebody.
            log.info("a holder: %s", error.problem if isinstance(error, ServiceProblem) else error.code)
            raise

    def _ask_service(self, card: UUID) -> Holder:
        self._check_role()
        if self._is_offline():
            return self._recall(card, ServiceUnreachable("it did not answer just now"))
        client = self._clients.get()
        try:
            presentation = client.presentation(card)
        except ServiceUnreachable as error:
            return self._recall(card, error)
        except ServiceProblem as problem:
            if is_passing(problem):
                return self._recall(card, problem)
            raise self._refusal(card, problem) from problem
        finally:
            self._clients.put(client)
        holder = Holder(presentation, self._now(), is_offline=False)
        with self._lock:
            self._refused_at = None
            self._remembered.keep(card, holder)
        return holder

    def _check_role(self) -> None:
        """Raises RoleNotAllowed where the service has said so a short while ago."""
        with self._lock:
            refused_at = self._refused_at
        if refused_at is not None and timedelta(0) <= self._now() - refused_at < REFUSED_FOR:
            raise RoleNotAllowed

    def _recall(self, card: UUID, error: AgentError) -> Holder:
        with self._lock:
            holder = self._remembered.find(card, self._now())
        if holder is None:
            raise error
        return replace(holder, is_offline=True)

    def _refusal(self, card: UUID, problem: ServiceProblem) -> AgentError:
        """What the service's refusal means here; what it refuses is not remembered any more."""
        with self._lock:
            if problem.problem == RoleNotAllowed.code:
                self._refused_at = self._now()
                self._remembered = RememberedHolders()
                return RoleNotAllowed()
            if is_final(problem):
                self._remembered.forget(card)
                return CardUnusable(problem.problem)
        return problem


def _ended(error: Exception) -> Future[Holder]:
    ended: Future[Holder] = Future()
    ended.set_exception(error)
    return ended
