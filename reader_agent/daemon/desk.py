"""The desk of one reader: whatever is done with its cards is done here, one thing after the other.

A card is read once when it comes, and its connection is held until it goes: what is asked of it later needs
its signature alone. A swap that nobody saw does no harm: the signature would not be that of the key that was
read.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import monotonic
from typing import TypeVar
from uuid import UUID

from reader_agent.agent import Agent
from reader_agent.answers import ReceiptLine
from reader_agent.daemon.errors import Stopping, TapOver
from reader_agent.daemon.taps import Tap, Taps
from reader_agent.errors import AgentError, CardError, ReaderError, ServiceProblem, ServiceUnreachable
from reader_agent.piv.session import PivSession
from reader_agent.service_client import Price
from reader_agent.tapping import PresentCard, TapOrder, TapResult, identify, tap_identified
from reader_agent.tapping.problems import is_passing
from reader_agent.transport.access import SHARED, Access
from reader_agent.transport.slots import Slot, SlotReaders

log = logging.getLogger(__name__)

T = TypeVar("T")

# So that a revocation list that came meanwhile is looked at for a card that stays.
IDENTITY_MAX_AGE_S = 60.0


@dataclass(frozen=True, slots=True)
class Quoted:
    """A price for now, and the one for when the service does not answer."""

    price: Price
    lines: tuple[ReceiptLine, ...]
    # Whether the service does not answer now: then both are the same.
    is_offline: bool
    offline: Price | None


@dataclass(frozen=True, slots=True)
class _Held:
    """A card that was read and is held."""

    tap: Tap
    card: PresentCard
    read_at: float


class Desk:
    """Its methods may be called by any thread; what they begin runs in the desk's own."""

    def __init__(
        self, reader: str, open_agent: Callable[[], Agent], taps: Taps, access: Access = SHARED
    ) -> None:
        self.reader, self._taps, self._access = reader, taps, access
        self._open_agent = open_agent
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"desk {reader}")
        self._lock = threading.Lock()
        self._is_ending = False
        # Of the desk's thread alone:
        self._agent_: Agent | None = None
        self._readers: SlotReaders | None = None
        self._held: _Held | None = None
        # Which card a tap was first found to be: also after an error it is no other.
        self._bound: tuple[Tap, UUID] | None = None
        self._trust_seen = 0

    def open(self) -> Future[None]:
        """Get ready: opening the keys takes a moment that no card should wait for."""

        def get_ready() -> None:
            self._agent()

        return self._do(get_ready)

    def look(self, tap: Tap) -> Future[UUID]:
        """Read the card of a tap and verify it; its number.

        Ends with CardError, ReaderError, PkiError or TapOver.
        """
        return self._do(lambda: self._present(tap).card)

    def quote(self, tap: Tap | None, order: TapOrder) -> Future[Quoted]:
        """The price of something for the card of a tap, or for anybody; the price for offline is kept."""

        def ask() -> Quoted:
            card = None if tap is None else self._present(tap).card
            return _quote(self._agent(), card, order)

        return self._do(ask)

    def pay(self, tap: Tap, order: TapOrder) -> Future[TapResult]:
        """Have the card of a tap pay. Where it ends with an error, nothing will be charged."""
        return self._do(lambda: tap_identified(self._agent(), self._present(tap), order))

    def with_agent(self, act: Callable[[Agent], T]) -> Future[T]:
        """Something that needs an agent and no card."""
        return self._do(lambda: act(self._agent()))

    def let_go(self, tap: Tap) -> None:
        """The card has gone."""

        def drop() -> None:
            if self._held is not None and self._held.tap == tap:
                self._drop()

        self._do(drop)

    def close(self) -> None:
        """Finish what is going on, begin nothing new, and let go of everything."""
        with self._lock:
            self._is_ending = True
            self._thread.submit(self._close)
        self._thread.shutdown()

    def _do(self, act: Callable[[], T]) -> Future[T]:
        with self._lock:
            if not self._is_ending:
                return self._thread.submit(self._guarded, act)
        refused: Future[T] = Future()
        refused.set_exception(Stopping())
        return refused

    def _guarded(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except AgentError as error:
            # By its code alone: what an error says in words may name a card.
            log.info("at %s: %s", self.reader, error.code)
            if isinstance(error, CardError | ReaderError | TapOver):
                self._drop()  # the connection is of no more use: the card is read anew
            raise
        except BaseException:
            self._drop()
            raise

    def _present(self, tap: Tap) -> PresentCard:
        """The card of this tap, and no other. Raises TapOver, CardError, ReaderError, PkiError."""
        if not self._taps.is_living(tap):
            raise TapOver
        held = self._held
        if held is not None and held.tap == tap and monotonic() - held.read_at < IDENTITY_MAX_AGE_S:
            return held.card
        self._drop()
        readers = self._slot_readers()
        session = PivSession(readers.connect(tap.slot.name))
        try:
            # Only now: the connection is to whatever card was there when it was made.
            self._check_slot(tap, readers.slot(tap.slot.name))
            agent = self._agent()
            card = identify(session, agent.trust(), agent.now(), agent.known_cards)
            self._check_bound(tap, card)
        except BaseException:
            session.close()
            raise
        self._bound = (tap, card.card)
        self._held = _Held(tap, card, monotonic())
        return card

    def _check_slot(self, tap: Tap, slot: Slot) -> None:
        """Raises TapOver where the reader holds another card than when the tap began, or none."""
        is_same = slot.has_card and slot.event_count == tap.slot.event_count
        if not (is_same and self._taps.is_living(tap)):
            raise TapOver

    def _check_bound(self, tap: Tap, card: PresentCard) -> None:
        """Raises TapOver where this tap was another card before: a swap that pcscd did not see."""
        if self._bound is not None and self._bound[0] == tap and self._bound[1] != card.card:
            self._taps.end(tap)
            raise TapOver

    def _agent(self) -> Agent:
        """The desk's agent, with the trust that was fetched last, by whomever."""
        if self._agent_ is None:
            self._agent_ = self._open_agent()
        try:
            seen = self._agent_.directory.trust_file.stat().st_mtime_ns
        except FileNotFoundError:
            seen = 0
        if seen != self._trust_seen:
            self._trust_seen = seen
            self._agent_.reload_trust()
        return self._agent_

    def _slot_readers(self) -> SlotReaders:
        if self._readers is None:
            self._readers = SlotReaders(self._access)
        return self._readers

    def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.card.session.close()

    def _close(self) -> None:
        self._drop()
        if self._readers is not None:
            self._readers.close()
        if self._agent_ is not None:
            self._agent_.close()


def _quote(agent: Agent, card: UUID | None, order: TapOrder) -> Quoted:
    """Raises ServiceProblem; ServiceUnreachable where no price is kept for offline either."""
    try:
        quote = agent.client.quote(order.service, order.action, card, order.details)
    except (ServiceUnreachable, ServiceProblem) as error:
        if isinstance(error, ServiceProblem) and not is_passing(error):
            raise
        kept = agent.memory.offline_price(order.service, order.action, order.details, agent.now())
        if kept is None:
            raise
        return Quoted(kept, (), is_offline=True, offline=kept)
    agent.memory.keep_quote(order.service, order.action, order.details, quote, agent.now())
    return Quoted(quote.price, quote.lines, is_offline=False, offline=quote.offline)
