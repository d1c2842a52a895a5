"""What a service whose goods can be put on keys says beside the seam: what is offered, when, for how much.

Values alone, as in the seam. A service that sells nothing of the kind leaves it out.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from cardservice.services.seam import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueItem:
    """What stands on one key of a terminal. The allergens are codes of `cardservice.allergens`."""

    key: str
    label: str
    category: str
    amount_minor: int
    contains: tuple[str, ...] = ()
    may_contain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueSection:
    """What is offered together, such as at lunch; it may be nothing."""

    key: str
    label: str
    items: tuple[CatalogueItem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguePeriod:
    """What is offered from a moment on, until the moment at which that is over."""

    begins: datetime
    ends: datetime
    sections: tuple[CatalogueSection, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What can be sold by an action, for as long as a terminal may go on without being told anew.

    A basket's details are `{"service": <section>, "items": [{"item": <key>, "quantity": n}, …]}`, and it
    costs the sum of its amounts: what is not here has no price. Each period ends where the next begins; the
    first begins at the moment asked about, and the last ends at `valid_until`.
    """

    action: str
    currency: str
    tariff_version: str
    valid_until: datetime
    periods: tuple[CataloguePeriod, ...]


@runtime_checkable
class Catalogued(Protocol):
    """What a service keeps, too, if what it sells can be put on keys."""

    def catalogue(self, tariff: object, moment: datetime) -> Catalogue | Refusal:
        """What is offered from `moment` on; `tariff` is what `prepare` made."""
        ...
