"""From a menu file to the content that is stored: nothing in it is ambiguous, or it is refused."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cardservice.money import parse_minor
from cardservice.services.json_files import Sheet, read_sheet
from cardservice.services.meals.menu import FORMAT, Item, Menu, prepare, prepare_item
from cardservice.services.meals.schemas import MenuSchema
from cardservice.services.seam import LoadedTariff, TariffError

MAX_BYTES = 1 << 20  # ours
# Ours: in minor units; a price beyond it is a slip of the finger.
MAX_PRICE_MINOR = 1_000_000

Values = Mapping[str, Any]


def load_menu(path: Path, currency: str) -> LoadedTariff:
    """The menu in a file; raises TariffError with the place in it that is at fault."""
    sheet = read_sheet(path, MenuSchema(), MAX_BYTES)
    values = sheet.values
    _check_frame(sheet, currency)
    content: dict[str, Any] = {
        "format": FORMAT,
        "currency": currency,
        "timezone": values["timezone"],
        "first_day": values["first_day"].isoformat(),
        "last_day": values["last_day"].isoformat(),
        "offline_quote_hours": values["offline_quote_hours"],
        "services": values["services"],
        "items": [
            _item(_Place(sheet, number, item["key"]), item, values)
            for number, item in enumerate(values["items"])
        ],
    }
    content["version"] = _version(content)
    menu = prepare(content)
    _check_unambiguous(sheet, [prepare_item(stored) for stored in content["items"]])
    return LoadedTariff(
        version=content["version"],
        valid_from=menu.valid_from,
        content=content,
        report=tuple(_report(menu)),
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the file an item stands, as people find it again."""

    sheet: Sheet
    number: int
    key: str

    def __str__(self) -> str:
        return f"items[{self.number}] ({self.key})"

    def error(self, reason: str) -> TariffError:
        line = self.sheet.line(f"items[{self.number}]")
        return TariffError(self.sheet.file, line, f"{self}: {reason}")


def _check_frame(sheet: Sheet, currency: str) -> None:
    values = sheet.values
    if values["currency"] != currency:
        raise sheet.error("currency", f"is {values['currency']}, and the scheme's is {currency}")
    if values["last_day"] < values["first_day"]:
        raise sheet.error("last_day", "is before first_day")
    try:
        ZoneInfo(values["timezone"])
    except (KeyError, ValueError, OSError) as problem:
        raise sheet.error("timezone", f"there is no time zone {values['timezone']!r}") from problem


def _item(place: _Place, item: Values, menu: Values) -> dict[str, Any]:
    first_day, last_day = item["first_day"] or menu["first_day"], item["last_day"] or menu["last_day"]
    if last_day < first_day:
        raise place.error("last_day: is before first_day")
    if first_day < menu["first_day"] or last_day > menu["last_day"]:
        raise place.error("is offered on days that are not the menu's")
    services = item["services"] or sorted(menu["services"])
    for service in services:
        if service not in menu["services"]:
            raise place.error(f"services: the menu has no service {service!r}")
    for allergen in item["contains"]:
        if allergen in item["may_contain"]:
            raise place.error(f"may_contain: {allergen} is what it contains")
    for field in ("contains", "may_contain", "services"):
        if len(set(item[field] or ())) < len(item[field] or ()):
            raise place.error(f"{field}: names one twice")
    return {
        "key": item["key"],
        "label": item["label"],
        "category": item["category"],
        "price_minor": _price(place, item["price"], menu["currency"]),
        "contains": sorted(item["contains"]),
        "may_contain": sorted(item["may_contain"]),
        "services": sorted(services),
        "first_day": first_day.isoformat(),
        "last_day": last_day.isoformat(),
    }


def _price(place: _Place, text: str, currency: str) -> int:
    try:
        price_minor = parse_minor(text, currency)
    except ValueError as problem:
        raise place.error(f"price: {problem}") from problem
    if not 0 <= price_minor <= MAX_PRICE_MINOR:
        raise place.error(f"price: {text[:40]} is no price of a meal")
    return price_minor


def _check_unambiguous(sheet: Sheet, items: list[Item]) -> None:
    """One key is one item at a service on a day; and nobody can tell two keys of one label apart."""
    for field in ("key", "label"):
        alike: defaultdict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(items):
            alike[getattr(item, field).casefold()].append(number)
        for numbers in alike.values():
            for first, second in combinations(numbers, 2):
                if items[first].clashes_with(items[second]):
                    place = _Place(sheet, second, items[second].key)
                    other = _Place(sheet, first, items[first].key)
                    raise place.error(f"{field}: the same as of {other}, at one service on one day")


def _version(content: Mapping[str, Any]) -> str:
    """First day and a hash of the content: the same wherever and whenever it is read."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    day = content["first_day"].replace("-", "")
    return f"{day}-{hashlib.sha256(canonical).hexdigest()[:24]}"


def _report(menu: Menu) -> Iterator[str]:
    items = [item for dated in menu.items.values() for item in dated]
    yield (
        f"{len(menu.items)} items for {', '.join(sorted(menu.services))} in {menu.currency};"
        f" valid from {menu.first_day} to {menu.last_day} ({menu.zone.key})"
    )
    if not any(item.is_main for item in items):
        yield "no item is a main meal: nothing is given where the money does not reach"
    bare = sorted({item.key for item in items if not (item.contains or item.may_contain)})
    if bare:
        yield f"declared without any allergen: {', '.join(bare)}"
    for key, dated in sorted(menu.items.items()):
        for before, after in pairwise(sorted(dated, key=lambda item: item.first_day)):
            if (after.first_day - before.last_day).days > 1:
                yield f"{key}: not offered between {before.last_day} and {after.first_day}"
