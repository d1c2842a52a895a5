"""What two people have and owe, by a model of a few lines, and what of it has been told the service."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from cardservice.ids import PayerId


@dataclass(slots=True)
class Charge:
    """What is left of a charge, by what it was paid from."""

    payer: PayerId
    own: int
    owed: int

    @property
    def left(self) -> int:
        return self.own + self.owed


class Model:
    """What each payer has and owes."""

    def __init__(self, *payers: PayerId) -> None:
        self.has, self.owes = dict.fromkeys(payers, 0), dict.fromkeys(payers, 0)

    def pay_in(self, payer: PayerId, amount: int, settles: int | None = None) -> None:
        settled = min(amount if settles is None else settles, self.owes[payer])
        self.owes[payer] -= settled
        self.has[payer] += amount - settled

    def charge(self, payer: PayerId, amount: int) -> Charge:
        own = min(amount, self.has[payer])
        self.has[payer] -= own
        self.owes[payer] += amount - own
        return Charge(payer, own, amount - own)

    def give_back(self, charge: Charge, amount: int) -> None:
        late = min(amount, charge.owed)
        charge.owed -= late
        charge.own -= amount - late
        self.pay_in(charge.payer, amount, settles=late)


@dataclass(slots=True)
class Trip:
    """A request, and what has become of it as far as the service has been told."""

    card: int
    request: UUID
    # None: not heard of yet. Closed: annulled or replaced before it came. Kept: by a duplicate.
    state: str | None = None
    payer: PayerId | None = None
    charge: Charge | None = None


@dataclass(slots=True)
class Sent:
    """A message that its terminal keeps, to send it now, later, or again."""

    kind: str
    id: UUID
    body: dict[str, Any]
    time: datetime
    trip: Trip
    amount: int
    answered: str | None = None
    erased: bool = False


@dataclass(slots=True)
class Day:
    """What has been rated of a person's day with a payer, the newest last."""

    charges: list[Charge] = field(default_factory=list)

    @property
    def rated(self) -> int:
        return sum(charge.left for charge in self.charges)
