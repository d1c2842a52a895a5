"""The account: its payments, and what people, banks and the provider do to them."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from threading import Event, RLock
from typing import Any, Literal

Fault = Literal["away", "twice", "lost_answer", "slow"]
# How long a slow answer takes at most: longer than anybody waits.
SLOW_S = 60.0
FINISHED = frozenset({"success", "failed", "cancelled", "error"})


@dataclass(slots=True)
class Refund:
    """What was given back of a payment."""

    id: str
    amount: int
    created: str
    status: str = "success"


@dataclass(slots=True)
class Payment:
    """A payment and what has become of it."""

    id: str
    asked: dict[str, Any]
    created: str
    status: str = "created"
    history: list[tuple[str, str]] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def amount(self) -> int:
        """Of the payment, in pence."""
        return int(self.asked["amount"])

    @property
    def available(self) -> int:
        """What can be given back."""
        given = sum(refund.amount for refund in self.refunds if refund.status != "error")
        return self.amount - given if self.status == "success" else 0


@dataclass(slots=True)
class Dispute:
    """What a payer's bank has raised."""

    id: str
    payment: str
    amount: int
    status: str
    created: str


class Pay:
    """The account: its payments, and what happens to them. Safe to use from several threads."""

    def __init__(self, key: str = "stand-in", origin: str = "http://127.0.0.1") -> None:
        self.key, self.origin = key, origin
        self.payments: dict[str, Payment] = {}
        self.disputes: list[Dispute] = []
        self.refund_status = "success"
        self.lock = RLock()
        self._by_key: dict[str, str] = {}
        self._faults: deque[Fault] = deque()
        self._well = Event()
        self._numbers = count(1)

    def fault(self, *faults: Fault) -> None:
        """Behave so with the next requests, one each."""
        self._well.clear()
        self._faults.extend(faults)

    def clear(self) -> None:
        """Behave well again, and let go what is held back."""
        self._faults.clear()
        self._well.set()

    def next_fault(self) -> Fault | None:
        """What to do with this request."""
        return self._faults.popleft() if self._faults else None

    def hold(self) -> None:
        """Wait until it behaves well again, or nobody waits any more."""
        self._well.wait(SLOW_S)

    def move(self, payment: str, status: str) -> None:
        """What a person, a bank or the provider does with a payment; also what the API would refuse."""
        with self.lock:
            moved = self.payments[payment]
            moved.status = status
            moved.history.append((status, now()))

    def dispute(self, payment: str, status: str = "needs_response", amount: int | None = None) -> str:
        """The payer's bank raises a dispute; its id."""
        with self.lock:
            found = amount if amount is not None else self.payments[payment].amount
            made = Dispute(f"du{next(self._numbers):024}", payment, found, status, now())
            self.disputes.append(made)
            return made.id

    def create(self, asked: dict[str, Any], key: str | None) -> Payment:
        """A payment, or the one that was made with this key before."""
        with self.lock:
            if key and key in self._by_key:
                return self.payments[self._by_key[key]]
            made = Payment(f"pa{next(self._numbers):024}", asked, now())
            made.history.append(("created", made.created))
            self.payments[made.id] = made
            if key:
                self._by_key[key] = made.id
            return made

    def refund(self, payment: Payment, amount: int) -> Refund:
        """Some of a payment goes back."""
        with self.lock:
            made = Refund(f"re{next(self._numbers):024}", amount, now(), self.refund_status)
            payment.refunds.append(made)
            return made


def now() -> str:
    """This moment, as the provider writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
