"""What a service that cooks says beside the seam: what was ordered, and what of a sale was which dish.

Values alone, as in the seam. A service without a kitchen leaves it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True, order=True)
class Dish:
    """An item at a service on a day."""

    day: date
    service: str
    item: str


@dataclass(frozen=True, slots=True)
class Portions:
    """So many of a dish, by a version of its recipe where that is known."""

    dish: Dish
    quantity: int
    recipe: str = ""


@runtime_checkable
class Kitchened(Protocol):
    """What a service keeps, too, if a kitchen cooks what it sells."""

    @property
    def ordered_rule(self) -> str:
        """The counter's rule of what was ordered."""
        ...

    @property
    def collected_rule(self) -> str:
        """That of what was collected of it."""
        ...

    @property
    def sale_actions(self) -> frozenset[str]:
        """The actions by which something is eaten."""
        ...

    def dish_of(self, period: str) -> Dish:
        """The dish that an order's counter is of."""
        ...

    def periods_of(self, day: date) -> str:
        """What the periods of a day's orders begin with."""
        ...

    def portions_of(self, details: Mapping[str, Any], inputs: Mapping[str, Any]) -> Sequence[Portions]:
        """What was eaten by a sale with these details, decided with these inputs."""
        ...
