"""Money that is held for something to come, such as a stay that is paid for on leaving: how rules see it.

A line that is `held` moves what it says from the payer's money to what is reserved of it. The hold stands as
a counter of the payer's, under the service's own key, with the transaction that made it and the moment at
which it ends by itself. What a decision releases goes back before anything else is paid.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from cardservice.services.seam import Counter, Hold

_RULE = "held"
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Held:
    """A hold that stands: which transaction made it, of how much, for whom, and when it ends by itself."""

    hold: Hold
    transaction: UUID
    amount_minor: int
    cardholder_id: UUID

    @property
    def period(self) -> str:
        """Under which its counter stands."""
        return period_of(self.hold, self.transaction)


def rule_of(service: str) -> str:
    """The rule of a service's holds."""
    return f"{service}.{_RULE}"


def is_hold(rule: str) -> bool:
    """Whether a counter's rule is that of holds."""
    return rule.rpartition(".")[2] == _RULE


def period_of(hold: Hold, transaction: UUID) -> str:
    """Under which the counter of a hold stands."""
    return f"{hold.key}/{transaction}/{hold.until.astimezone(UTC):{_MOMENT}}"


def read_period(period: str) -> tuple[Hold, UUID]:
    """What `period_of` wrote."""
    key, transaction, until = period.rsplit("/", 2)
    return Hold(key, datetime.fromisoformat(until)), UUID(transaction)


def holds_of(counters: Iterable[Counter], service: str, key: str) -> tuple[Held, ...]:
    """The holds under a key of a service's that stand."""
    return tuple(_holds_of(counters, service, key))


def _holds_of(counters: Iterable[Counter], service: str, key: str) -> Iterator[Held]:
    for counter in counters:
        if counter.rule == rule_of(service) and counter.period.startswith(f"{key}/") and counter.used:
            hold, transaction = read_period(counter.period)
            yield Held(hold, transaction, counter.used, counter.cardholder_id)
