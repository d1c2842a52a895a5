"""Many cards, one after the other on one or more readers: while one is changed by hand, the next is made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from reader_agent.agent import Agent
from reader_agent.errors import AgentError, CardDataMissing, ServiceProblem
from reader_agent.personalise.batch_files import BEGUN, MADE, WRITTEN, ResultFile, ResultLine, StockOrder
from reader_agent.personalise.flow import DONE, Stage, personalise
from reader_agent.personalise.uids import HoldCard
from reader_agent.piv.session import PivSession
from reader_agent.transport.connection import CardConnection

# The stages of a card that are written down when it reaches them
_STEP_AT: Mapping[Stage, str] = {Stage.AUTHENTICATED: BEGUN, Stage.IDENTITY_WRITTEN: WRITTEN}


_ONLY_BEGUN = (
    "only orders that have a card already are left; put those cards on, and blank ones in the next run"
)


class FedReader(Protocol):
    """A reader that a card has come onto."""

    @property
    def reader(self) -> str:
        """Its name."""
        ...

    def connect(self) -> CardConnection:
        """To the card. Raises CardError, ReaderError."""
        ...


class Cards(Protocol):
    """Where cards come from: a hand, or a feeder."""

    def next(self) -> FedReader | None:
        """The next reader onto which a card has come that was not there before; None if none comes in time.

        Raises PcscUnavailable.
        """
        ...


@dataclass(frozen=True, slots=True)
class Summary:
    """How a batch went, with those that earlier runs have made."""

    made: int
    failed: int
    left: int

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return not self.failed and not self.left

    def as_json(self) -> dict[str, object]:
        """For scripts."""
        return {"made": self.made, "failed": self.failed, "left": self.left}


def run_batch(
    agent: Agent,
    orders: Sequence[StockOrder],
    cards: Cards,
    results: ResultFile,
    progress: Callable[[int], None] = lambda _: None,
    remark: Callable[[str], None] = lambda _: None,
    hold: HoldCard | None = None,
) -> Summary:
    """Make a card for each order that none was made for, until all are or no card comes any more.

    A card that was begun goes on with its own order, a blank one gets the next. What goes wrong with one is
    written down, and the next card has the next order. `progress` is told how many orders are done with,
    `remark` what a person should know of a card. `hold`: see `personalise`.
    """
    return _Batch(agent, orders, cards, results, progress, remark, hold).run()


class _Batch:
    def __init__(
        self,
        agent: Agent,
        orders: Sequence[StockOrder],
        cards: Cards,
        results: ResultFile,
        progress: Callable[[int], None],
        remark: Callable[[str], None],
        hold: HoldCard | None,
    ) -> None:
        self._agent, self._cards, self._results = agent, cards, results
        self._progress, self._remark, self._hold = progress, remark, hold
        self._total = len(orders)
        # Those that a card was begun for come last: it may be at hand, and no blank is to become a second one
        # of the same order.
        ordered = sorted(orders, key=lambda each: results.step(each.order))
        self._waiting = {each.order: each for each in ordered if not results.is_made(each.order)}
        self._made, self._failed = self._total - len(self._waiting), 0
        # For these a card has failed in this run.
        self._again: list[UUID] = []

    def run(self) -> Summary:
        by_card = self._ask_for_orders()
        self._tell()
        while self._waiting and (fed := self._cards.next()) is not None:
            self._make_one(fed, by_card)
            self._tell()
        return Summary(self._made, self._failed, len(self._waiting))

    def _ask_for_orders(self) -> dict[UUID, StockOrder]:
        """The orders by their cards. What the service will have nothing made for is done with at once."""
        found = {}
        for each in list(self._waiting.values()):
            try:
                found[self._agent.client.personalisation_order(each.order).card] = each
            except ServiceProblem as problem:
                card = self._made_before(each.order, problem)
                self._note(each.order, card, "", None if card else problem)
        return found

    def _made_before(self, order: UUID, problem: ServiceProblem) -> UUID | None:
        """The card, if an earlier run has made it, and broke off before it could write that down.

        To report a closed order again as it was reported changes nothing; otherwise it is refused.
        """
        if problem.problem != "order_closed":
            return None
        try:
            return self._agent.client.report(order, DONE).card
        except ServiceProblem:
            return None

    def _make_one(self, fed: FedReader, by_card: Mapping[UUID, StockOrder]) -> None:
        """The card on this reader, if it is of the batch; another is left alone until it is taken away."""
        try:
            found = self._card_on(fed)
            each = by_card.get(found) if found is not None else self._for_a_blank()
            if found is None and each is None:
                self._remark(f"{fed.reader}: {_ONLY_BEGUN}")
                return
            if each is None or each.order not in self._waiting:
                self._remark(f"{fed.reader}: this is {found} already; put a blank card in its place")
                return
            connection = fed.connect()
        except AgentError as error:
            self._remark(f"{fed.reader}: {error}")
            return
        card = next(card for card, order in by_card.items() if order == each)
        stock = each.stock

        def note(stage: Stage) -> None:
            if (step := _STEP_AT.get(stage)) is not None and found is None:
                self._results.add(ResultLine(each.order, card, step, "", fed.reader, self._agent.now()))

        try:
            personalise(
                self._agent,
                connection,
                each.order,
                stock.management_key,
                note,
                transport_puk=stock.puk,
                hold=self._hold,
            )
        except AgentError as error:
            self._remark(f"{fed.reader}: {error}")
            self._again.append(each.order)
            self._note(each.order, card, fed.reader, error)
        else:
            self._note(each.order, card, fed.reader, None)

    def _for_a_blank(self) -> StockOrder | None:
        """What a blank card becomes: of those that wait, the first of which least was begun.

        None where one of which less was begun has failed in this run: the blank is for that one, in the next
        run, and not to become a second card of an order whose first is still to come.
        """
        first = next(iter(self._waiting.values()))
        step = self._results.step(first.order)
        return None if any(self._results.step(order) < step for order in self._again) else first

    def _card_on(self, fed: FedReader) -> UUID | None:
        """Whose card it was begun as; None for a blank one. Raises CardError."""
        session = PivSession(fed.connect())
        try:
            with session.exclusive():
                return session.chuid().guid
        except CardDataMissing:
            return None
        finally:
            session.close()

    def _note(self, order: UUID, card: UUID | None, reader: str, error: AgentError | None) -> None:
        code, detail = (MADE, "") if error is None else (_code(error), str(error))
        self._results.add(ResultLine(order, card, code, detail, reader, self._agent.now()))
        del self._waiting[order]
        self._made += error is None
        self._failed += error is not None

    def _tell(self) -> None:
        self._progress(self._total - len(self._waiting))


def _code(error: AgentError) -> str:
    return error.problem if isinstance(error, ServiceProblem) else error.code
