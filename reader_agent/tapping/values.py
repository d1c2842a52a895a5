"""What a face asks of a tap, is told while it goes on, and gets in the end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from reader_agent.answers import Balance, ReceiptLine


class Step(StrEnum):
    """How far a tap has come. A step tells nothing about the card or its holder."""

    CARD_VERIFIED = "card_verified"
    PRICED = "priced"
    # On the disk, before the card signs
    STORED = "stored"
    # Signed by the card and on the disk, before a byte is sent
    SIGNED = "signed"
    # Sent, and no answer yet: it is sent again
    REPEATED = "repeated"
    # No answer: the annulment is on the disk
    ANNULLED = "annulled"
    # Served without the service
    SERVED_OFFLINE = "served_offline"
    ANSWERED = "answered"


Progress = Callable[[Step], None]


def ignore_progress(_: Step) -> None:
    """For callers who only want the result."""


@dataclass(frozen=True, slots=True)
class TapOrder:
    """What is to be done with the card that is on the reader."""

    service: str
    action: str
    details: Mapping[str, object]
    # Whether the goods may be given on the terminal's own decision while the service does not answer
    allow_offline: bool = True
    # What the holder was shown; another price is not charged. None: whatever it costs
    amount_minor: int | None = None
    # The id of the transaction, where the caller has stored it beforehand; None: a new one
    id: UUID | None = None


class Outcome(StrEnum):
    """Whether the goods may be given: for the first only."""

    APPROVED = "approved"
    DECLINED = "declined"
    # Nobody has decided, and nothing will be charged
    NOT_PAID = "not_paid"


@dataclass(frozen=True, slots=True)
class TapResult:
    """How a tap ended."""

    outcome: Outcome
    # Stable code: the service's, or "offline", or why it was not paid
    reason: str
    message: str
    # The transaction's id; None where none was made
    id: UUID | None = None
    offline: bool = False
    amount_minor: int | None = None
    currency: str | None = None
    receipt: tuple[ReceiptLine, ...] = ()
    balances: tuple[Balance, ...] = ()
    flags: tuple[str, ...] = ()
    # The unanswered request that this one stands for, or that was annulled
    replaces: UUID | None = None
