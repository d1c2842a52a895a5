"""The seam to a payment provider: what it can be asked, what it tells. Shaped after GOV.UK Pay's public API.

A provider is asked, never believed by what it sends of its own accord: a notification says that something
has changed, not what.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from cardservice.errors import CardServiceError

State = Literal["created", "started", "submitted", "capturable", "success", "failed", "cancelled", "error"]
AttemptState = Literal["wanted", State]
RefundState = Literal["submitted", "success", "error"]
DisputeState = Literal["needs_response", "under_review", "lost", "won"]
# No further step is expected of these; only a capture can still follow what was given up.
FINAL: frozenset[str] = frozenset({"success", "failed", "cancelled", "error"})
_ORDER = ("wanted", "created", "started", "submitted", "capturable")


class ProviderAway(CardServiceError):
    """The provider gave no answer that can be used: what has become of it is not known; ask again later."""

    code = "payment_provider_away"


class ProviderRefused(CardServiceError):
    """The provider refuses what it was asked, for good; `provider_code` is its own."""

    code = "payment_refused"

    def __init__(self, provider_code: str) -> None:
        super().__init__(f"the payment provider refuses this ({provider_code}); see its documentation")
        self.provider_code = provider_code


@dataclass(frozen=True, slots=True)
class Told:
    """A payment, as its provider tells it; `reference` is the id of our attempt."""

    payment: str
    reference: str
    state: State
    amount_minor: int
    # What can still be given back, where the provider says it.
    refundable_minor: int | None = None
    # Where the person pays; it lets whoever has it pay, and is kept nowhere.
    next_url: str | None = None


@dataclass(frozen=True, slots=True)
class ToldRefund:
    """A refund of a payment, as its provider tells it."""

    refund: str
    state: RefundState
    amount_minor: int


@dataclass(frozen=True, slots=True)
class ToldDispute:
    """A dispute about a payment, as its provider tells it."""

    dispute: str
    payment: str
    state: DisputeState
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A payment to be made; the same reference again is the same payment."""

    reference: str
    amount_minor: int
    description: str
    return_url: str


class PaymentProvider(Protocol):
    """What a payment provider can be asked. Every call raises ProviderAway and ProviderRefused."""

    @property
    def name(self) -> str:
        """What its payments, accounts and settlement files are filed under."""

    def create(self, wish: Wish) -> Told:
        """A payment to send somebody to; made once by its reference, however often it is asked for."""

    def find(self, reference: str) -> Sequence[Told]:
        """The payments of a reference."""

    def payments(self, since: datetime) -> Sequence[Told]:
        """Every payment that was made since."""

    def payment(self, payment: str) -> Told:
        """A payment as it is now."""

    def cancel(self, payment: str) -> None:
        """Give a payment up that is not captured."""

    def refund(self, payment: str, amount_minor: int, refundable_minor: int) -> ToldRefund:
        """Give some of it back, if exactly so much could still be: asked twice, the second is refused."""

    def refunds(self, payment: str) -> Sequence[ToldRefund]:
        """Every refund of a payment."""

    def disputes(self, since: datetime) -> Sequence[ToldDispute]:
        """Every dispute that was raised since."""


def follows(before: str, told: str) -> bool:
    """Whether `told` is news after `before`: answers may overtake each other, and an old one changes nothing.

    Money that was captured is there whatever was said before, and stays.
    """
    if before in {told, "success"}:
        return False
    if told == "success":
        return True
    if before in FINAL:
        return False
    return told in FINAL or _ORDER.index(told) > _ORDER.index(before)
