"""What a service of which programmes pay a part says beside the seam: which there are, and for whom.

A programme pays towards what somebody buys, up to an amount a day. Whether a person is entitled is found by a
check elsewhere and recorded with its dates; what was paid is counted from postings. Values alone, as in the
seam. A service that nobody funds leaves it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """A programme from `first_day` to `last_day`, both included.

    `years` are the school years that it is for, all if empty. Of the programmes that somebody is entitled to
    the one with the lowest precedence pays; one that `adds` pays in any case, towards what is left.
    """

    key: str
    label: str
    nation: str
    years: frozenset[str]
    services: frozenset[str]
    amount_minor: int
    funder: str
    precedence: int
    adds: bool
    first_day: date
    last_day: date

    def holds_on(self, day: date) -> bool:
        """Whether it is one of its days."""
        return self.first_day <= day <= self.last_day


@runtime_checkable
class Funded(Protocol):
    """What a service keeps, too, if programmes pay for some of what it sells."""

    def programme_rule(self, programme: str) -> str:
        """The counter's rule of what a programme has paid; its periods are days, YYYY-MM-DD."""
        ...

    def programmes(self, tariff: object) -> Sequence[Programme]:
        """All that the tariff names, whatever their days; one key may be several, one after another."""
        ...
