"""A prepared menu: what is offered at which service on which day, to whom for how much, and who funds it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cardservice.services.funded import Programme
from cardservice.services.meals.calendar import Calendar, prepare_calendar
from cardservice.services.meals.deals import Deal, prepare_deal

# Ours: of the stored content. What the first did not know is not there in it.
FORMATS = (1, 2)
FORMAT = FORMATS[-1]
# What a pupil is given even where the money does not reach.
MAIN = "main"
CATEGORIES = (MAIN, "side", "dessert", "snack", "drink")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Item:
    """What is offered from `first_day` to `last_day`, both included, at these services.

    `weeks` of the cycle and `weekdays` (0: Monday) narrow that; all where empty. `prices` are those of
    categories of buyers that pay another price.
    """

    key: str
    label: str
    category: str
    price_minor: int
    contains: tuple[str, ...]
    may_contain: tuple[str, ...]
    services: frozenset[str]
    first_day: date
    last_day: date
    prices: Mapping[str, int]
    diets: tuple[str, ...] = ()
    recipe: str = ""
    weeks: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()

    @property
    def is_main(self) -> bool:
        """Whether it is a main meal."""
        return self.category == MAIN

    def price_for(self, buyer: str) -> int:
        """What a person of this category pays."""
        return self.prices.get(buyer, self.price_minor)

    def is_on(self, day: date, week: int) -> bool:
        """Whether it is offered on a day, which is in this week of the cycle."""
        return (
            self.first_day <= day <= self.last_day
            and (not self.weekdays or day.weekday() in self.weekdays)
            and (not self.weeks or week in self.weeks)
        )


@dataclass(frozen=True, slots=True)
class TaxRow:
    """A tax on what is sold to some buyers and of some categories; to and of all where empty."""

    role: str
    buyers: frozenset[str]
    categories: frozenset[str]
    code: str
    rate_bp: int

    def is_of(self, role: str, buyer: str, category: str) -> bool:
        """Whether it is on what a provider in this role sells."""
        return (
            self.role == role
            and (not self.buyers or buyer in self.buyers)
            and (not self.categories or category in self.categories)
        )


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
    calendar: Calendar
    deals: tuple[Deal, ...] = ()
    # The most that may be owed after a main meal; None: any.
    arrears_limit_minor: int | None = None
    second_meal_warning: bool = False
    allergen_stop: bool = False
    # By the school's clock, on the day; None: until the day begins.
    order_until: time | None = None
    supplier_role: str = ""
    taxes: tuple[TaxRow, ...] = ()
    programmes: tuple[Programme, ...] = ()

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
        week = self.calendar.week_of(day)
        if week is None:
            return None
        found = (
            item for item in self.items.get(key, ()) if service in item.services and item.is_on(day, week)
        )
        return next(found, None)

    def offered_at(self, service: str, day: date) -> tuple[Item, ...]:
        """All that is offered at a service on a day, in the menu's order."""
        found = (self.offered(key, service, day) for key in self.items)
        return tuple(item for item in found if item is not None)

    def known(self, key: str, day: date) -> Item | None:
        """What this key stands for, offered or not, best as on a day; None: nobody knows it."""
        dated = self.items.get(key, ())
        there = (item for item in dated if item.first_day <= day <= item.last_day)
        return next(there, dated[0] if dated else None)

    def ends(self, item: Item) -> datetime:
        """The moment from which an item is not offered any more, or not for this price."""
        return self.beginning(item.last_day + _DAY)

    def beginning(self, day: date) -> datetime:
        """A day's first moment."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)

    def orders_end(self, day: date) -> datetime:
        """The moment from which nothing is ordered for a day any more."""
        return datetime.combine(day, self.order_until or time.min, self.zone).astimezone(UTC)

    def tax_on(self, item: Item, buyer: str) -> TaxRow | None:
        """The first tax that is on an item for a buyer; None where the menu says nothing of tax."""
        found = (row for row in self.taxes if row.is_of(self.supplier_role, buyer, item.category))
        return next(found, None)


def prepare(content: Mapping[str, Any]) -> Menu:
    """The menu of a stored content, as `loading` wrote it; ValueError for another format."""
    if content["format"] not in FORMATS:
        raise ValueError(f"the menu is stored in format {content['format']}, and this reads {FORMAT}")
    items: defaultdict[str, list[Item]] = defaultdict(list)
    for stored in content["items"]:
        items[stored["key"]].append(prepare_item(stored))
    until = content.get("order_until")
    return Menu(
        version=content["version"],
        currency=content["currency"],
        zone=ZoneInfo(content["timezone"]),
        first_day=date.fromisoformat(content["first_day"]),
        last_day=date.fromisoformat(content["last_day"]),
        offline_quote_hours=content["offline_quote_hours"],
        services=dict(content["services"]),
        items={key: tuple(dated) for key, dated in items.items()},
        calendar=prepare_calendar(content),
        deals=tuple(prepare_deal(stored) for stored in content.get("deals", ())),
        arrears_limit_minor=content.get("arrears_limit_minor"),
        second_meal_warning=content.get("second_meal_warning", False),
        allergen_stop=content.get("allergen_stop", False),
        order_until=None if until is None else time.fromisoformat(until),
        supplier_role=content.get("supplier_role", ""),
        taxes=tuple(_tax(stored) for stored in content.get("taxes", ())),
        programmes=tuple(prepare_programme(stored) for stored in content.get("programmes", ())),
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
        prices=dict(stored.get("prices", {})),
        diets=tuple(stored.get("diets", ())),
        recipe=stored.get("recipe", ""),
        weeks=frozenset(stored.get("weeks", ())),
        weekdays=frozenset(stored.get("weekdays", ())),
    )


def prepare_programme(stored: Mapping[str, Any]) -> Programme:
    """A funding programme of a stored content."""
    return Programme(
        key=stored["key"],
        label=stored["label"],
        nation=stored["nation"],
        years=frozenset(stored["years"]),
        services=frozenset(stored["services"]),
        amount_minor=stored["amount_minor"],
        funder=stored["funder"],
        precedence=stored["precedence"],
        adds=stored["adds"],
        first_day=date.fromisoformat(stored["first_day"]),
        last_day=date.fromisoformat(stored["last_day"]),
    )


def _tax(stored: Mapping[str, Any]) -> TaxRow:
    return TaxRow(
        role=stored["role"],
        buyers=frozenset(stored["buyers"]),
        categories=frozenset(stored["categories"]),
        code=stored["code"],
        rate_bp=stored["rate_bp"],
    )
