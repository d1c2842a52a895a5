"""What a service whose taps are charged by the day says beside the seam.

A tap has no amount: what a person's day costs is computed from all their taps, again whenever one comes. The
ledger reads the taps and posts what a day now costs more or less; which taps make which journeys, and at what
price, the service says here. Values alone, as in the seam. A service that charges at once leaves it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol, runtime_checkable
from uuid import UUID

from cardservice.services.seam import Counter


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTap:
    """A tap as it was approved and has not been annulled; `inputs` is what its decision kept."""

    id: UUID
    action: str
    occurred_at: datetime
    provider: str
    inputs: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class DayShare:
    """What of a day is owed to one provider, under one tax code."""

    provider: str
    amount_minor: int
    tax_code: str | None = None


@dataclass(frozen=True, slots=True, order=True)
class FreeRides:
    """Journeys of a day that an authority pays for, by the provider that carried."""

    authority: str
    provider: str
    tariff_version: str
    count: int


@dataclass(frozen=True, slots=True)
class Reimbursement:
    """What an authority pays for such a journey: average fare × factor + additional cost."""

    average_fare_minor: int
    factor: Decimal
    additional_cost_minor: int

    def of(self, count: int) -> int:
        """For so many, in minor units; the sum is rounded, half up, and not each journey."""
        exact = count * (self.average_fare_minor * self.factor + self.additional_cost_minor)
        return int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCharge:
    """What a travel day should cost, by which taps; `told` says why, journey by journey, in JSON."""

    travel_day: date
    shares: tuple[DayShare, ...]
    taps: tuple[UUID, ...]
    tariff_version: str
    told: tuple[Mapping[str, object], ...]
    free_rides: tuple[FreeRides, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Days that are rated together, both included, and the moments between which their taps lie."""

    first_day: date
    last_day: date
    begins: datetime
    ends: datetime


@runtime_checkable
class Rated(Protocol):
    """What a service keeps, too, if its taps are rated."""

    @property
    def tap_actions(self) -> frozenset[str]:
        """The actions whose transactions are taps."""
        ...

    @property
    def bears_on_days(self) -> frozenset[str]:
        """The actions after which days are rated anew: the taps, and what else changes their price."""
        ...

    def spans(self, moment: datetime, tariff: object, action: str | None = None) -> tuple[Span, ...]:
        """The spans whose price an action at `moment` can change; without one, those around it alone."""
        ...

    def tariff_named(self, tap: StoredTap) -> str | None:
        """The version of the tariff that a tap was decided by; None where there was none: it has no price."""
        ...

    def day_charges(
        self,
        taps: Sequence[StoredTap],
        counters: Sequence[Counter],
        tariffs: Mapping[str, object],
        span: Span,
    ) -> tuple[DayCharge, ...]:
        """What each day of the span with taps should cost; the order of the taps does not matter.

        `counters` are the person's; `tariffs` has every version that a tap names, prepared.
        """
        ...


@runtime_checkable
class Claimed(Rated, Protocol):
    """What a service keeps, too, if authorities pay for journeys that are free."""

    def reimbursement(self, tariff: object, authority: str, provider: str) -> Reimbursement | None:
        """What the authority pays a provider for such a journey; None where the tariff does not say."""
        ...
