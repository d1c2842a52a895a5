"""A prepared menu: what is offered at which service on which day, and for how much."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

FORMAT = 1  # ours: of the stored content
# What a pupil is given even where the money does not reach.
MAIN = "main"
CATEGORIES = (MAIN, "side", "dessert", "snack", "drink")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Item:
    """What is offered from `first_day` to `last_day`, both included, at these services."""

    key: str
    label: str
    category: str
    price_minor: int
    contains: tuple[str, ...]
    may_contain: tuple[str, ...]
    services: frozenset[str]
    first_day: date
    last_day: date

    @property
    def is_main(self) -> bool:
        """Whether it is a main meal."""
        return self.category == MAIN

    def clashes_with(self, other: "Item") -> bool:
        """Whether both are offered at one service on one day."""
        together = self.first_day <= other.last_day and other.first_day <= self.last_day
        return together and bool(self.services & other.services)


@dataclass(frozen=True, slots=True)
class Menu:
    """A stored menu, prepared; immutable, and shared between threads."""

    version: str
    currency: str
    zone: ZoneInfo
    first_day: date
    last_day: date
    offline_quote_hours: int
    services: Mapping[str, str]
    items: Mapping[str, tuple[Item, ...]]

    @property
    def valid_from(self) -> datetime:
        """Its first day's first moment."""
        return self.beginning(self.first_day)

    @property
    def valid_until(self) -> datetime:
        """The moment at which its last day is over."""
        return self.beginning(self.last_day + _DAY)

    def day_of(self, moment: datetime) -> date:
        """The day by the school's clock."""
        try:
            return moment.astimezone(self.zone).date()
        except OverflowError:  # a statement may name the last day of the year 9999
            return moment.date()

    def offered(self, key: str, service: str, day: date) -> Item | None:
        """What this key stands for at a service on a day; None where it is not offered."""
        found = (
            item
            for item in self.items.get(key, ())
            if service in item.services and item.first_day <= day <= item.last_day
        )
        return next(found, None)

    def offered_at(self, service: str, day: date) -> tuple[Item, ...]:
        """All that is offered at a service on a day, in the menu's order."""
        found = (self.offered(key, service, day) for key in self.items)
        return tuple(item for item in found if item is not None)

    def ends(self, item: Item) -> datetime:
        """The moment from which an item is not offered any more, or not for this price."""
        return self.beginning(item.last_day + _DAY)

    def beginning(self, day: date) -> datetime:
        """A day's first moment."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)


def prepare(content: Mapping[str, Any]) -> Menu:
    """The menu of a stored content, as `loading` wrote it; ValueError for another format."""
    if content["format"] != FORMAT:
        raise ValueError(f"the menu is stored in format {content['format']}, and this reads {FORMAT}")
    items: defaultdict[str, list[Item]] = defaultdict(list)
    for stored in content["items"]:
        items[stored["key"]].append(prepare_item(stored))
    return Menu(
        version=content["version"],
        currency=content["currency"],
        zone=ZoneInfo(content["timezone"]),
        first_day=date.fromisoformat(content["first_day"]),
        last_day=date.fromisoformat(content["last_day"]),
        offline_quote_hours=content["offline_quote_hours"],
        services=dict(content["services"]),
        items={key: tuple(dated) for key, dated in items.items()},
    )


def prepare_item(stored: Mapping[str, Any]) -> Item:
    """An item of a stored content."""
    return Item(
        key=stored["key"],
        label=stored["label"],
        category=stored["category"],
        price_minor=stored["price_minor"],
        contains=tuple(stored["contains"]),
        may_contain=tuple(stored["may_contain"]),
        services=frozenset(stored["services"]),
        first_day=date.fromisoformat(stored["first_day"]),
        last_day=date.fromisoformat(stored["last_day"]),
    )
