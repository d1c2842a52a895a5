"""What is on a tray: found on the menu, priced for whoever buys it, with the lines of its receipt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from cardservice.services.meals import reasons
from cardservice.services.meals.deals import Piece, with_deals
from cardservice.services.meals.menu import Item, Menu
from cardservice.services.seam import Ask, Line, Refusal

_TIMES = "\N{MULTIPLICATION SIGN}"


@dataclass(frozen=True, slots=True)
class Portion:
    """So many of an item; `promised` is what the kitchen does not have, and for whose price it is given."""

    item: Item
    quantity: int
    promised: Item | None = None

    @property
    def priced(self) -> Item:
        """The item that its price is of."""
        return self.promised or self.item


@dataclass(frozen=True, slots=True)
class Tray:
    """What is sold at a service to a buyer of a category; `at_list`: at everybody's prices, without deals."""

    menu: Menu
    service: str
    buyer: str
    portions: tuple[Portion, ...]
    at_list: bool = False

    @property
    def total_minor(self) -> int:
        """What it costs."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def list_minor(self) -> int:
        """What it costs a terminal that cannot ask: everybody's prices, one by one."""
        return sum(portion.priced.price_minor * portion.quantity for portion in self.portions)

    @property
    def mains(self) -> int:
        """How many main meals there are."""
        return sum(portion.quantity for portion in self.portions if portion.item.is_main)

    @property
    def is_of_mains_alone(self) -> bool:
        """Whether there is nothing else on it."""
        return all(portion.item.is_main for portion in self.portions)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many pieces of each item."""
        counts: dict[str, int] = {}
        for portion in self.portions:
            counts[portion.item.key] = counts.get(portion.item.key, 0) + portion.quantity
        return counts

    @property
    def lines(self) -> tuple[Line, ...]:
        """A line for each item, and one more where some of its pieces are part of a deal."""
        pieces = [
            Piece(portion.priced.key, portion.item.category, self._price(portion.priced))
            for portion in self.portions
            for _ in range(portion.quantity)
        ]
        deals = () if self.at_list else self.menu.deals
        sold = with_deals(pieces, deals, self.service, self.buyer)
        return tuple(
            line
            for at, portion in enumerate(self.portions)
            for line in self._of(portion, self._own(at, sold))
        )

    def _price(self, item: Item) -> int:
        return item.price_minor if self.at_list else item.price_for(self.buyer)

    def _own(self, number: int, sold: Sequence[Piece]) -> Sequence[Piece]:
        before = sum(portion.quantity for portion in self.portions[:number])
        return sold[before : before + self.portions[number].quantity]

    def _of(self, portion: Portion, pieces: Sequence[Piece]) -> list[Line]:
        tax = self.menu.tax_on(portion.item, self.buyer)
        lines = []
        for deal, alike in groupby(sorted(pieces, key=attrgetter("deal")), key=attrgetter("deal")):
            amounts = [piece.amount_minor for piece in alike]
            label = (
                portion.item.label if len(amounts) == 1 else f"{len(amounts)} {_TIMES} {portion.item.label}"
            )
            lines.append(
                Line(
                    label=f"{label} ({deal})" if deal else label,
                    amount_minor=sum(amounts),
                    product=portion.item.key,
                    tax_code=None if tax is None else tax.code,
                    may_end_in_arrears=portion.item.is_main,
                    tax_rate_bp=None if tax is None else tax.rate_bp,
                )
            )
        return lines


def tray_of(ask: Ask, menu: Menu, buyer: str) -> Tray | Refusal:
    """What a sale is of; or why there is no such thing now."""
    if ask.currency != menu.currency:
        message = f"The amount is in {ask.currency[:10]}, the menu is in {menu.currency}."
        return Refusal(reason=reasons.CURRENCY_MISMATCH, message=message)
    if (closed := out_of_force(menu, ask.occurred_at)) is not None:
        return closed
    service = str(ask.details["service"])
    if service not in menu.services:
        message = f"The menu has no service {service[:60]!r}."
        return Refusal(reason=reasons.SERVICE_UNKNOWN, message=message, data={"service": service})
    sold: Any = ask.details["items"]
    portions = portions_of(menu, service, menu.day_of(ask.occurred_at), sold)
    return portions if isinstance(portions, Refusal) else Tray(menu, service, buyer, portions)


def out_of_force(menu: Menu, moment: datetime) -> Refusal | None:
    """Why nothing of the menu is sold at a moment; None within its days."""
    if moment >= menu.valid_until:
        return Refusal(reason=reasons.TARIFF_EXPIRED, message="The menu is over. Load a newer one.")
    if moment < menu.valid_from:
        return Refusal(reason=reasons.TARIFF_NOT_YET_VALID, message="The menu is not in force yet.")
    return None


def portions_of(
    menu: Menu, service: str, day: date, sold: Sequence[Mapping[str, Any]]
) -> tuple[Portion, ...] | Refusal:
    """The items of a day by their keys; or the first that is not there."""
    if menu.calendar.week_of(day) is None:
        return Refusal(reason=reasons.NO_SCHOOL, message="There is no school on that day.")
    portions: list[Portion] = []
    for part in sold:
        found = _portion(menu, service, day, part)
        if isinstance(found, Refusal):
            return found
        portions.append(found)
    return tuple(portions)


def _portion(menu: Menu, service: str, day: date, part: Mapping[str, Any]) -> Portion | Refusal:
    key, instead_of = part["item"], part.get("instead_of")
    offered = menu.offered(key if instead_of is None else instead_of, service, day)
    if offered is None:
        return _not_there(menu, service, key if instead_of is None else instead_of)
    if instead_of is None:
        return Portion(offered, part["quantity"])
    given = menu.known(key, day)
    if given is None:
        return _not_there(menu, service, key)
    return Portion(given, part["quantity"], promised=offered)


def _not_there(menu: Menu, service: str, key: str) -> Refusal:
    if key not in menu.items:
        message = f"The menu has no item {key[:60]!r}."
        return Refusal(reason=reasons.ITEM_UNKNOWN, message=message, data={"item": key})
    label = menu.items[key][0].label
    message = f"{label} is not offered at {menu.services[service]} today."
    return Refusal(reason=reasons.ITEM_NOT_OFFERED, message=message, data={"item": key})
