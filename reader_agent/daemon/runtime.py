"""A running daemon: its threads, and what the API asks of them."""

import re
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from pki.clock import Clock
from reader_agent.agent import Agent
from reader_agent.catalogues import Period, StoredCatalogue
from reader_agent.daemon.catalogues import CatalogueKeeper
from reader_agent.daemon.desk import Desk, Quoted
from reader_agent.daemon.errors import (
    CatalogueMissing,
    RefundRefused,
    SaleUnknown,
    StillRunning,
    Stopping,
    TapOver,
)
from reader_agent.daemon.events import EventKind, EventLog, Streams
from reader_agent.daemon.holders import Holder, Holders
from reader_agent.daemon.keeper import Keeper, ServiceView
from reader_agent.daemon.outcomes import failed, failure, recall
from reader_agent.daemon.paying_in import PayIns
from reader_agent.daemon.payments import Payments
from reader_agent.daemon.settings import MAX_STREAMS, DaemonSettings
from reader_agent.daemon.taps import Tap, Taps
from reader_agent.daemon.watch import ReaderView, Watch
from reader_agent.errors import CardError, ServiceAnswerInvalid, ServiceProblem, ServiceUnreachable
from reader_agent.known_cards import KnownCards
from reader_agent.outbox_summary import OutboxSummary, summarise
from reader_agent.paying_in import PayIn
from reader_agent.refunding import refund
from reader_agent.service_client import Refunded
from reader_agent.sync import SyncReport
from reader_agent.tapping import Outcome, TapOrder, TapResult
from reader_agent.tapping.drafts import new_id
from reader_agent.tapping.problems import is_final
from reader_agent.totals import Totals, totals
from reader_agent.wire import to_rfc3339

T = TypeVar("T")

# Longer than a tap can take: three sendings of seven seconds, and a card that is slow.
PAY_LIMIT_S = 90.0
QUOTE_LIMIT_S = 30.0
SYNC_LIMIT_S = 60.0
HOLDER_LIMIT_S = 30.0
CATALOGUE_LIMIT_S = 30.0
TOTALS_LIMIT_S = 30.0
REFUND_LIMIT_S = 30.0
_SERVICE = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class Paid:
    """How a payment ended; `is_repeated` where its key was known."""

    result: TapResult
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class OnSale:
    """What can be sold now, by which catalogue."""

    stored: StoredCatalogue
    period: Period
    # Whether the service does not answer now
    is_offline: bool


class Runtime:
    """Made in the process that serves; `start` and `stop` once each."""

    def __init__(self, settings: DaemonSettings, clock: Clock) -> None:
        self.settings, self._clock = settings, clock
        directory = settings.directory
        self._terminal = directory.settings().terminal
        self.events, self.taps = EventLog(), Taps()
        self.payments, self.pay_ins = Payments(settings.payments_file), PayIns()
        # Of all readers together: a card that was at one is known at the other.
        self._known_cards = KnownCards()
        self._catalogues = CatalogueKeeper(directory.memory_file, clock)
        self._holders = Holders(clock, self._is_offline)
        self._keeper = Keeper(
            self._open_agent,
            self.events,
            directory.outbox_file,
            self._catalogues,
            clock,
            each_turn=self._holders.forget_old,
        )
        self._desks = {
            reader: Desk(reader, self._open_agent, self.taps, settings.access) for reader in settings.readers
        }
        self._watch = Watch(
            settings.readers, self.taps, self.events, on_card=self._card_came, on_gone=self._card_went
        )
        self.streams = Streams(self.events, self.status, MAX_STREAMS)

    def start(self) -> None:
        """Begin."""
        # Opening it makes the outbox, which the counts are read from, or says why not.
        with self._open_agent() as agent:
            self._holders.start([agent.new_client() for _ in self._desks])
            self.pay_ins.start(agent.new_client())
        for desk in self._desks.values():
            desk.open()
        self._keeper.start()
        self._watch.start()

    def stop(self) -> None:
        """End what is going on; nothing is charged that was not answered."""
        self.events.close()
        self._watch.stop()
        for desk in self._desks.values():
            desk.close()
        self._holders.stop()
        self.pay_ins.stop()
        self._keeper.stop()

    # --- what is ---

    def status(self) -> dict[str, object]:
        """Readers, service and queue; nothing about a card."""
        outbox = self.outbox()
        service = self._keeper.view()
        return {
            "terminal": self._terminal,
            "readers": [_reader_json(view) for view in self._watch.view()],
            "service": _service_json(service),
            "outbox": {"waiting": outbox.waiting, "refused": outbox.refused},
        }

    def outbox(self) -> OutboxSummary:
        """Counts and ages."""
        return summarise(self.settings.directory.outbox_file)

    def now(self) -> datetime:
        """The daemon's clock."""
        return self._clock()

    # --- what is asked ---

    def quote(self, handle: str | None, order: TapOrder) -> Quoted:
        """The price for the card of a tap, or for anybody. Raises DaemonError, AgentError, PkiError."""
        tap = None if handle is None else self.taps.find(handle)
        desk = next(iter(self._desks.values())) if tap is None else self._desks[tap.reader]
        return _wait(desk.quote(tap, order), QUOTE_LIMIT_S)

    def pay(self, handle: str, key: UUID, order: TapOrder) -> Paid:
        """Have the card of a tap pay, once for each key. Raises DaemonError for what was not even begun."""
        asked = {
            "tap": handle,
            "service": order.service,
            "action": order.action,
            "details": order.details,
            "amount_minor": order.amount_minor,
            "allow_offline": order.allow_offline,
        }
        moment = self._clock()
        payment = self.payments.pay(
            key,
            asked,
            new_id(moment),
            moment,
            begin=lambda transaction: self._begin(handle, replace(order, id=transaction)),
            recall=self._recall,
        )
        return Paid(_wait(payment.result, PAY_LIMIT_S), payment.is_repeated)

    def pay_in(self, handle: str, key: UUID, amount_minor: int, return_url: str) -> PayIn:
        """Begin a payment for whoever pays for the card of a tap, once for each key.

        Raises DaemonError, AgentError, PkiError.
        """
        tap = self.taps.find(handle)
        card = _wait(self._desks[tap.reader].look(tap), HOLDER_LIMIT_S)
        return self.pay_ins.begin(key, card, amount_minor, return_url)

    def holder(self, handle: str) -> Holder:
        """Who holds the card of a tap. Raises DaemonError, AgentError, PkiError."""
        tap = self.taps.find(handle)
        asked = self._holders.asked(tap)
        if asked is None:
            card = _wait(self._desks[tap.reader].look(tap), HOLDER_LIMIT_S)
            asked = self._holders.ask(tap, card)
        holder = _wait(asked, HOLDER_LIMIT_S)
        self.taps.find(handle)  # never the last holder beside the next one's card
        return holder

    def on_sale(self, service: str) -> OnSale:
        """What can be sold of a service now. Raises DaemonError, AgentError."""
        if not _SERVICE.fullmatch(service):
            raise CatalogueMissing
        stored = self._catalogues.want(service)
        moment, is_online = self._clock(), self._keeper.view().is_online
        is_usable = is_online is False or (is_online is True and stored and not stored.is_worn(moment))
        if stored is not None and is_usable:
            return self._now_of(stored, is_offline=not is_online)
        try:
            fetched = _wait(self._keeper.fetch_catalogue(service), CATALOGUE_LIMIT_S)
        except (ServiceUnreachable, ServiceAnswerInvalid, StillRunning):
            # What is stored still holds: a till does not stand still for a bad answer.
            if stored is None:
                raise
            return self._now_of(stored, is_offline=True)
        return self._now_of(fetched, is_offline=False)

    def totals(self, service: str, since: datetime, by: str) -> dict[str, Totals]:
        """What this terminal has sold since a moment. Raises DaemonError, AgentError."""
        desk = next(iter(self._desks.values()))
        return _wait(desk.with_agent(lambda agent: totals(agent, service, since, by)), TOTALS_LIMIT_S)

    def refund(self, refund_id: UUID, sale: UUID, line: int | None) -> Refunded:
        """Give back a sale of this terminal, or a line of it. Raises DaemonError, AgentError."""
        desk = next(iter(self._desks.values()))
        asked = desk.with_agent(lambda agent: refund(agent, refund_id, sale, line))
        try:
            given = _wait(asked, REFUND_LIMIT_S)
        except ServiceProblem as error:
            if not is_final(error):
                raise
            raise RefundRefused(error.reason or error.problem) from error
        if given is None:
            raise SaleUnknown
        return given

    def sync(self) -> SyncReport:
        """Tell the service what waits. Raises AgentError."""
        return _wait(self._keeper.sync_now(), SYNC_LIMIT_S)

    # --- how ---

    def _open_agent(self) -> Agent:
        return Agent(self.settings.directory, self._clock, self._known_cards)

    def _is_offline(self) -> bool:
        is_offline = self._keeper.view().is_online is False
        if is_offline:
            self._keeper.look_again()
        return is_offline

    def _now_of(self, stored: StoredCatalogue, *, is_offline: bool) -> OnSale:
        if (period := stored.catalogue.period_at(self._clock())) is None:
            raise ServiceAnswerInvalid("its catalogue ended a moment ago")
        return OnSale(stored, period, is_offline)

    def _begin(self, handle: str, order: TapOrder) -> "Future[TapResult]":
        tap = self.taps.begin_payment(handle)
        ended: Future[TapResult] = Future()

        def end(done: "Future[TapResult]") -> None:
            error = done.exception()
            result = done.result() if error is None else failed(error)
            if isinstance(error, CardError | TapOver):
                self._holders.let_go(tap)  # another card may lie there: it is looked at first
            self.taps.end_payment(tap, has_paid=result.outcome is Outcome.APPROVED)
            # Before the answer, so that who has it finds the queue as it is.
            self._after_payment(result)
            ended.set_result(result)

        self._desks[tap.reader].pay(tap, order).add_done_callback(end)
        return ended

    def _after_payment(self, result: TapResult) -> None:
        has_no_answer = result.offline or result.replaces is not None
        needs_telling = result.outcome is Outcome.NOT_PAID
        self._keeper.after_payment(is_offline=has_no_answer, needs_telling=needs_telling)

    def _recall(self, transaction: UUID) -> "Future[TapResult]":
        desk = next(iter(self._desks.values()))
        return desk.with_agent(lambda agent: recall(agent, transaction))

    def _card_came(self, tap: Tap) -> None:
        def tell(done: "Future[UUID]") -> None:
            error = done.exception()
            if isinstance(error, TapOver | Stopping) or not self.taps.is_living(tap):
                return
            about: dict[str, object] = {"reader": tap.reader, "tap": tap.handle}
            if error is None:
                self._holders.card_read(tap, done.result())
                self.events.publish(EventKind.CARD_READY, about)
            else:
                self.events.publish(EventKind.CARD_REFUSED, {**about, "reason": failure(error).reason})

        self._desks[tap.reader].look(tap).add_done_callback(tell)

    def _card_went(self, tap: Tap) -> None:
        self._holders.let_go(tap)
        self._desks[tap.reader].let_go(tap)


def _wait(future: "Future[T]", limit_s: float) -> T:
    try:
        return future.result(limit_s)
    except FutureTimeout as error:
        raise StillRunning from error
    except CancelledError as error:
        raise Stopping from error


def _reader_json(view: ReaderView) -> dict[str, object]:
    return {"reader": view.reader, "connected": view.is_connected, "tap": view.tap}


def _service_json(view: ServiceView) -> dict[str, object]:
    return {"online": view.is_online, "reason": view.reason, "since": to_rfc3339(view.since)}
