"""One tap, one sale: which payments were asked for, under which key, and how each has ended.

The agent makes one payment for a key, however often it is asked. The page makes the key and this keeps it:
where no answer came the same is asked again, by a page that was loaded anew (the key is here) and by a
program that was started anew (the page has it still). At most one sale is undecided: until it is known how
it has ended, no other begins.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from kiosk.agent.asked import Asked
from kiosk.agent.client import AgentAway, AgentClient, AgentProblem, handle
from kiosk.errors import KioskError

KEPT_SALES = 64
# What the daemon answers while it does not know yet itself, or while the tap pays under another key: one
# that is lost. After any other problem no payment was begun.
_UNDECIDED = frozenset({"still_running", "internal_error", "tap_busy"})
# Said of a key that the daemon has never met: had it, it would have answered with how the payment ended.
_NEVER_BEGUN = frozenset({"tap_unknown", "tap_over", "tap_spent", "malformed"})


class State(StrEnum):
    """How far a sale is."""

    PAYING = "paying"
    # Asked, and no answer came: it may be paid
    OPEN = "open"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Answer:
    """How a sale ended, as the page shows it: no balance, no flag, nothing of the person."""

    decision: str
    reason: str
    message: str
    is_offline: bool = False
    amount_minor: int | None = None
    currency: str | None = None
    receipt: tuple[tuple[str, int], ...] = ()
    # By which it can be given back; the page knows it by its tap
    transaction: str | None = None

    @property
    def is_approved(self) -> bool:
        """Whether the goods may be given."""
        return self.decision == "approved"

    def to_json(self) -> Mapping[str, object]:
        """For the page."""
        return {
            "decision": self.decision,
            "reason": self.reason,
            "message": self.message,
            "offline": self.is_offline,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "receipt": [{"label": label, "amount_minor": amount} for label, amount in self.receipt],
        }


@dataclass(frozen=True, slots=True)
class Sale:
    """A payment under its key."""

    tap: str
    key: str
    order: Mapping[str, object]
    state: State
    answer: Answer | None = None

    @property
    def is_refused(self) -> bool:
        """Whether it has ended without a payment."""
        return self.answer is not None and not self.answer.is_approved

    def to_json(self) -> Mapping[str, object]:
        """For the page; the key stays here."""
        answer = None if self.answer is None else self.answer.to_json()
        return {"tap": self.tap, "state": self.state, "outcome": answer}


class SaleUndecided(KioskError):
    """Another sale has no answer yet."""

    code = "sale_undecided"

    def __init__(self) -> None:
        super().__init__("another sale has no answer yet; ask for that one first")


class Sales:
    """The sales of this face, for any number of threads."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self._lock = threading.Lock()
        # By tap, the latest last
        self._sales: OrderedDict[str, Sale] = OrderedDict()

    @property
    def latest(self) -> Sale | None:
        """The sale that was begun last, and so the one that may be undecided."""
        with self._lock:
            return next(reversed(self._sales.values()), None)

    def find(self, tap: str) -> Sale | None:
        """The sale of a tap."""
        with self._lock:
            return self._sales.get(tap)

    def pay(self, tap: str, payment: Asked, order: Mapping[str, object], *, may_retry: bool) -> Sale:
        """Begin the sale of this tap, or go on with it; returns when it is decided, or no answer came.

        One that is paid, or may be, is not begun again. One that was refused is, under a new key, if
        `may_retry`. Raises SaleUndecided, and AgentProblem for what is no handle.
        """
        with self._lock:
            latest = self._latest()
            if latest is not None and latest.state is not State.DONE and latest.tap != tap:
                raise SaleUndecided
            found = self._sales.get(tap)
            key = str(payment.key)
            begins = found is None or (may_retry and found.is_refused and found.key != key)
            if begins:
                self._put(Sale(handle(tap), key, order, State.PAYING))
            sale, is_claimed = self._claim(tap, begins=begins)
        return self._ask(sale, is_first=begins and not payment.again) if is_claimed else sale

    def settle(self) -> Sale | None:
        """Ask again for the sale that has no answer; the latest sale, however it stands then."""
        with self._lock:
            latest = self._latest()
            if latest is None:
                return None
            sale, is_claimed = self._claim(latest.tap, begins=False)
        return self._ask(sale, is_first=False) if is_claimed else sale

    def _claim(self, tap: str, *, begins: bool) -> tuple[Sale, bool]:
        """The sale of a tap, and whether the caller is the one to ask the agent about it."""
        sale = self._sales[tap]
        if sale.state is State.OPEN:
            sale = replace(sale, state=State.PAYING)
            self._put(sale)
            return sale, True
        return sale, begins

    def _ask(self, sale: Sale, *, is_first: bool) -> Sale:
        """Ask the agent, and note what became of the sale."""
        answer: Answer | None = None
        try:
            answer = _answer(self._agent.pay(sale.tap, sale.key, sale.order))
        except AgentAway as error:
            if is_first and not error.was_sent:
                answer = _not_begun(error.code)
        except AgentProblem as error:
            if error.code in _NEVER_BEGUN or (is_first and error.code not in _UNDECIDED):
                answer = _not_begun(error.reason or error.code)
        finally:
            ended = replace(sale, state=State.OPEN if answer is None else State.DONE, answer=answer)
            with self._lock:
                self._put(ended)
        return ended

    def _latest(self) -> Sale | None:
        return next(reversed(self._sales.values()), None)

    def _put(self, sale: Sale) -> None:
        self._sales[sale.tap] = sale
        self._sales.move_to_end(sale.tap)
        while len(self._sales) > KEPT_SALES:
            self._sales.popitem(last=False)


def _answer(paid: Mapping[str, Any]) -> Answer:
    """What is shown of the agent's answer. Raises AgentAway for one that is not as documented."""
    try:
        return Answer(
            str(paid["decision"]),
            str(paid["reason"]),
            str(paid["message"]),
            bool(paid["offline"]),
            paid["amount_minor"],
            paid["currency"],
            tuple((str(line["label"]), int(line["amount_minor"])) for line in paid["receipt"]),
            None if paid["transaction"] is None else str(paid["transaction"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AgentAway("not an answer", was_sent=True) from error


def _not_begun(reason: str) -> Answer:
    return Answer("not_paid", reason, "")
