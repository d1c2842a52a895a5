"""What a service says beside the seam so that people can compare two of its tariffs: all prices, in words.

Values alone, as in the seam. Of a service that leaves it out, tariffs are compared field by field.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, order=True)
class Listed:
    """One line of a price list: what it is about, the same in every tariff, and what holds of it.

    `what` is all that lines are compared by, such as `High Street, monday 08:00 to 18:00, up to 60 minutes`;
    `says` is a price or a term, such as `1.20 GBP`.
    """

    what: str
    says: str


@runtime_checkable
class PriceListed(Protocol):
    """What a service keeps, too, if its tariffs can be written as lists of prices and terms."""

    def price_list(self, tariff: object) -> tuple[Listed, ...]:
        """All that holds by a tariff, which `prepare` made; no two lines are about the same."""
        ...
