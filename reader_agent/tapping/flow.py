"""The order of a tap, online and offline.

Online: identify the card, ask for the price, store the request, have the card sign it, send it. The same
bytes are sent again until an answer comes or the time is up. Then the request is closed: its annulment is
stored before anything else happens, so that whatever the service did with it is undone. Only then may the
terminal serve offline, by an advice under a new id that names the old one, so that the service settles both.
"""

import time
from collections.abc import Callable
from uuid import UUID

from reader_agent.agent import Agent
from reader_agent.answers import APPROVED, ServiceAnswer
from reader_agent.errors import (
    AgentError,
    CardError,
    OfflineRefused,
    PriceChanged,
    ServiceAnswerInvalid,
    ServiceProblem,
    ServiceUnreachable,
)
from reader_agent.outbox_entries import Entry
from reader_agent.piv.session import PivSession
from reader_agent.service_client import Price
from reader_agent.tapping.card import PresentCard, identify
from reader_agent.tapping.drafts import Prepared, close_request, prepare
from reader_agent.tapping.problems import is_final, is_passing
from reader_agent.tapping.values import Outcome, Progress, Step, TapOrder, TapResult, ignore_progress
from reader_agent.transport.connection import CardConnection

# How often, and for how long, a request is sent while somebody stands there with a card.
MAX_SENDINGS = 3
ANSWER_WINDOW_S = 8.0
PAUSE_S = 0.3

Sleep = Callable[[float], None]


def tap(
    agent: Agent,
    connection: CardConnection,
    order: TapOrder,
    progress: Progress = ignore_progress,
    *,
    sleep: Sleep = time.sleep,
) -> TapResult:
    """Do what is ordered with the card of this connection, which is closed in the end.

    The goods may be given if and only if the outcome is APPROVED. Raises AgentError, and the
    VerificationError of `pki` for a card that is refused; then nothing will be charged.
    """
    session = PivSession(connection)
    try:
        with agent.tapping():
            card = identify(session, agent.trust(), agent.now(), agent.known_cards)
            progress(Step.CARD_VERIFIED)
            return _Tap(agent, order, progress, sleep).run(card)
    finally:
        session.close()


def tap_identified(
    agent: Agent,
    card: PresentCard,
    order: TapOrder,
    progress: Progress = ignore_progress,
    *,
    sleep: Sleep = time.sleep,
) -> TapResult:
    """Do what is ordered with a card that was identified before, and whose session stays open.

    That it is still this card is proven by its signature, under the key that it was identified by. Otherwise
    like `tap`.
    """
    with agent.tapping():
        return _Tap(agent, order, progress, sleep).run(card)


class _Tap:
    """One tap; its methods are its phases."""

    def __init__(self, agent: Agent, order: TapOrder, progress: Progress, sleep: Sleep) -> None:
        self.agent, self.order = agent, order
        self.progress, self.sleep = progress, sleep

    def run(self, card: PresentCard) -> TapResult:
        try:
            price = self._price(card)
            nonce = self.agent.nonce()
        except ServiceUnreachable:
            return self._offline(card, replaces=None)
        except ServiceProblem as problem:
            if is_passing(problem):
                return self._offline(card, replaces=None)
            raise
        self.progress(Step.PRICED)
        request = prepare(self.agent, card, self.order, price, nonce=nonce)
        message = self._sign(card, request)
        answer = self._ask(card, request.entry, message)
        if answer is None:
            return self._offline(card, replaces=request.entry.id)
        self.progress(Step.ANSWERED)
        return _result(answer)

    def _price(self, card: PresentCard) -> Price:
        """What the service asks for this card; what it lets us ask offline is kept for later."""
        order = self.order
        quote = self.agent.client.quote(order.service, order.action, card.card, order.details)
        self.agent.memory.keep_quote(order.service, order.action, order.details, quote, self.agent.now())
        return self._as_shown(quote.price)

    def _as_shown(self, price: Price) -> Price:
        """Raises PriceChanged where the holder was shown another amount."""
        if self.order.amount_minor not in (None, price.amount_minor):
            raise PriceChanged(price.amount_minor, price.currency)
        return price

    def _sign(self, card: PresentCard, prepared: Prepared) -> bytes:
        """The message, which is stored."""
        self.progress(Step.STORED)
        try:
            signed = card.sign(prepared.scheme, prepared.payload)
        except AgentError:
            self.agent.outbox.void(prepared.entry.id, self.agent.now())
            raise
        message = prepared.message(signed)
        self.agent.outbox.sign(prepared.entry.id, message)
        self.progress(Step.SIGNED)
        return message

    def _ask(self, card: PresentCard, request: Entry, message: bytes) -> ServiceAnswer | None:
        """The service's answer; None where none came, and the request was closed.

        Raises ServiceProblem and ServiceAnswerInvalid where what came is no answer that can be relied on, and
        CardError where the card was taken away meanwhile; the request is closed in each case.
        """
        try:
            return self._ask_repeatedly(card, request, message)
        except ServiceUnreachable:
            self._close(request)
            return None
        except ServiceProblem as problem:
            if is_final(problem):
                self.agent.outbox.refused(request.id, problem.problem, self.agent.now())
                raise
            self._close(request)
            if is_passing(problem):
                return None
            raise
        except (ServiceAnswerInvalid, CardError):
            self._close(request)
            raise

    def _ask_repeatedly(self, card: PresentCard, request: Entry, message: bytes) -> ServiceAnswer:
        """The same id and the same bytes while the card is there, a few times. Raises what came last."""
        deadline = time.monotonic() + ANSWER_WINDOW_S
        for sending in range(1, MAX_SENDINGS + 1):
            try:
                return self.agent.send(request, message)
            except (ServiceUnreachable, ServiceAnswerInvalid, ServiceProblem) as error:
                is_certain = isinstance(error, ServiceProblem) and not is_passing(error)
                if is_certain or sending == MAX_SENDINGS or time.monotonic() > deadline:
                    raise
            self.sleep(PAUSE_S)
            card.check_present()
            self.progress(Step.REPEATED)
        raise AssertionError("the last sending returns or raises")

    def _close(self, request: Entry) -> None:
        close_request(self.agent, request.id)
        self.progress(Step.ANNULLED)

    def _offline(self, card: PresentCard, replaces: UUID | None) -> TapResult:
        """Serve on the terminal's own decision, within what the service allowed beforehand."""
        try:
            price = self._offline_price()
        except OfflineRefused as refused:
            return TapResult(
                Outcome.NOT_PAID, refused.code, f"Not paid: {refused.reason}.", replaces=replaces
            )
        advice = prepare(self.agent, card, self.order, price, nonce=None, replaces=replaces)
        self._sign(card, advice)
        self.progress(Step.SERVED_OFFLINE)
        return TapResult(
            Outcome.APPROVED,
            "offline",
            "Accepted. The payment is posted when the service answers again.",
            id=advice.entry.id,
            offline=True,
            amount_minor=price.amount_minor,
            currency=price.currency,
            replaces=replaces,
        )

    def _offline_price(self) -> Price:
        """Raises OfflineRefused; ClockBehind where no moment of this terminal can be trusted."""
        order, moment = self.order, self.agent.now()
        if not order.allow_offline:
            raise OfflineRefused("the service does not answer, and offline service was not asked for")
        self.agent.check_clock(moment)
        price = self.agent.memory.offline_price(order.service, order.action, order.details, moment)
        if price is None:
            raise OfflineRefused(
                "the service does not answer, and this terminal has no offline price for this"
            )
        return self._as_shown(price)


def _result(answer: ServiceAnswer) -> TapResult:
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
