"""From a menu and a file of programmes to the content that is stored: nothing ambiguous, or it is refused."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

from cardservice.services.json_files import Sheet, read_document, read_sheet
from cardservice.services.meals.calendar import WEEKDAYS, prepare_calendar
from cardservice.services.meals.menu import FORMAT, Item, prepare, prepare_item
from cardservice.services.meals.placing import Place, distinct, price_of, prices_of
from cardservice.services.meals.programmes import programmes_of
from cardservice.services.meals.report import report_of
from cardservice.services.meals.schemas import MenuSchema, ProgrammesSchema
from cardservice.services.meals.taxing import taxes_of
from cardservice.services.seam import LoadedTariff, TariffError
from cardservice.services.tariff_files import check_frame

MAX_BYTES = 1 << 20  # ours
_DAY = timedelta(days=1)

Values = Mapping[str, Any]


def load_menu(files: Sequence[Path], currency: str) -> LoadedTariff:
    """A menu with its programmes; raises TariffError with the place in the file that is at fault."""
    menu_file, programmes_file = _told_apart(files)
    sheet = read_sheet(menu_file, MenuSchema(), MAX_BYTES)
    check_frame(sheet, currency)
    content = _content(sheet)
    if programmes_file is not None:
        programmes = read_sheet(programmes_file, ProgrammesSchema(), MAX_BYTES)
        content["programmes"] = programmes_of(programmes, sheet.values)
    content["version"] = _version(content)
    menu = prepare(content)
    _check_unambiguous(sheet, [prepare_item(stored) for stored in content["items"]], content)
    return LoadedTariff(
        version=content["version"],
        valid_from=menu.valid_from,
        content=content,
        report=tuple(report_of(menu)),
    )


def _told_apart(files: Sequence[Path]) -> tuple[Path, Path | None]:
    """The menu, and the file of programmes if there is one: that which says `programmes`."""
    if not 1 <= len(files) <= 2:
        raise TariffError("menu", None, "name one menu file, MENU.json, and at most one of PROGRAMMES.json")
    if len(files) == 1:
        return files[0], None
    first_is = "programmes" in read_document(files[0], MAX_BYTES).values
    if first_is == ("programmes" in read_document(files[1], MAX_BYTES).values):
        raise TariffError(files[1].name, None, "one of two files is the menu, the other says `programmes`")
    return (files[1], files[0]) if first_is else (files[0], files[1])


def _content(sheet: Sheet) -> dict[str, Any]:
    values = sheet.values
    content: dict[str, Any] = {
        "format": FORMAT,
        "currency": values["currency"],
        "timezone": values["timezone"],
        "first_day": values["first_day"].isoformat(),
        "last_day": values["last_day"].isoformat(),
        "offline_quote_hours": values["offline_quote_hours"],
        "services": values["services"],
        "items": [
            _item(Place(sheet, "items", number, item["key"]), item, values)
            for number, item in enumerate(values["items"])
        ],
        "deals": [
            _deal(Place(sheet, "deals", number, deal["key"]), deal, values)
            for number, deal in enumerate(values["deals"])
        ],
        "cycle_weeks": values["cycle_weeks"],
        "terms": _terms(sheet),
        "closed_days": sorted(day.isoformat() for day in values["closed_days"]),
        "second_meal_warning": values["second_meal_warning"],
        "allergen_stop": values["allergen_stop"],
        "order_until": values["order_until"],
        "arrears_limit_minor": None,
        "supplier_role": values["supplier_role"] or "",
        "taxes": taxes_of(sheet),
    }
    if values["arrears_limit"] is not None:
        content["arrears_limit_minor"] = price_of(
            values["arrears_limit"], values["currency"], lambda reason: sheet.error("arrears_limit", reason)
        )
    return content


def _terms(sheet: Sheet) -> list[dict[str, Any]]:
    menu, before = sheet.values, None
    for number, term in enumerate(menu["terms"]):
        place = f"terms[{number}]"
        if term["last_day"] < term["first_day"]:
            raise sheet.error(place, "last_day: is before first_day")
        if term["first_day"] < menu["first_day"] or term["last_day"] > menu["last_day"]:
            raise sheet.error(place, "has days that are not the menu's")
        if before is not None and term["first_day"] <= before:
            raise sheet.error(place, f"begins before terms[{number - 1}] is over")
        if term["week"] > menu["cycle_weeks"]:
            raise sheet.error(place, f"week: the cycle has {menu['cycle_weeks']} weeks")
        before = term["last_day"]
    return [
        {
            "first_day": term["first_day"].isoformat(),
            "last_day": term["last_day"].isoformat(),
            "week": term["week"],
        }
        for term in menu["terms"]
    ]


def _item(place: Place, item: Values, menu: Values) -> dict[str, Any]:
    first_day, last_day = item["first_day"] or menu["first_day"], item["last_day"] or menu["last_day"]
    if last_day < first_day:
        raise place.error("last_day: is before first_day")
    if first_day < menu["first_day"] or last_day > menu["last_day"]:
        raise place.error("is offered on days that are not the menu's")
    for allergen in item["contains"]:
        if allergen in item["may_contain"]:
            raise place.error(f"may_contain: {allergen} is what it contains")
    for field in ("contains", "may_contain", "weeks", "weekdays", "diets"):
        distinct(place, field, item[field])
    if any(week > menu["cycle_weeks"] for week in item["weeks"]):
        raise place.error(f"weeks: the cycle has {menu['cycle_weeks']} weeks")
    return {
        "key": item["key"],
        "label": item["label"],
        "category": item["category"],
        "price_minor": price_of(item["price"], menu["currency"], lambda it: place.error(f"price: {it}")),
        "prices": prices_of(place, item, menu),
        "contains": sorted(item["contains"]),
        "may_contain": sorted(item["may_contain"]),
        "diets": sorted(item["diets"]),
        "recipe": item["recipe"],
        "services": _services(place, item, menu),
        "first_day": first_day.isoformat(),
        "last_day": last_day.isoformat(),
        "weeks": sorted(item["weeks"]),
        "weekdays": sorted(map(WEEKDAYS.index, item["weekdays"])),
    }


def _services(place: Place, what: Values, menu: Values) -> list[str]:
    services = what["services"] or sorted(menu["services"])
    for service in services:
        if service not in menu["services"]:
            raise place.error(f"services: the menu has no service {service!r}")
    distinct(place, "services", services)
    return sorted(services)


def _deal(place: Place, deal: Values, menu: Values) -> dict[str, Any]:
    keys = {item["key"] for item in menu["items"]}
    for number, part in enumerate(deal["parts"]):
        if not part["items"] and not part["categories"]:
            raise place.error(f"parts[{number}]: names neither items nor categories")
        for key in part["items"]:
            if key not in keys:
                raise place.error(f"parts[{number}]: the menu has no item {key[:64]!r}")
    if any(other["key"] == deal["key"] for other in menu["deals"][: place.number]):
        raise place.error("key: another deal has it, too")
    return {
        "key": deal["key"],
        "label": deal["label"],
        "price_minor": price_of(deal["price"], menu["currency"], lambda it: place.error(f"price: {it}")),
        "prices": prices_of(place, deal, menu),
        "services": _services(place, deal, menu),
        "parts": [
            {"items": sorted(set(part["items"])), "categories": sorted(set(part["categories"]))}
            for part in deal["parts"]
        ],
    }


def _check_unambiguous(sheet: Sheet, items: Sequence[Item], content: Values) -> None:
    """One key is one item at a service on a day; and nobody can tell two keys of one label apart."""
    for field in ("key", "label"):
        alike: defaultdict[str, list[int]] = defaultdict(list)
        for number, item in enumerate(items):
            alike[getattr(item, field).casefold()].append(number)
        for numbers in alike.values():
            for first, second in combinations(numbers, 2):
                if _clash(items[first], items[second], content):
                    place = Place(sheet, "items", second, items[second].key)
                    other = Place(sheet, "items", first, items[first].key)
                    raise place.error(f"{field}: the same as of {other}, at one service on one day")


def _clash(one: Item, other: Item, content: Values) -> bool:
    """Whether both are offered at one service on one day of school."""
    first, last = max(one.first_day, other.first_day), min(one.last_day, other.last_day)
    if first > last or not one.services & other.services:
        return False
    apart = ((one.weeks, other.weeks), (one.weekdays, other.weekdays))
    if any(each and others and not each & others for each, others in apart):
        return False
    calendar = prepare_calendar(content)
    return any(_both(one, other, day, calendar.week_of(day)) for day in _days(first, last))


def _both(one: Item, other: Item, day: date, week: int | None) -> bool:
    return week is not None and one.is_on(day, week) and other.is_on(day, week)


def _days(first: date, last: date) -> list[date]:
    # Beyond a year of days what comes again has come.
    return [first + number * _DAY for number in range(min((last - first).days, 800) + 1)]


def _version(content: Values) -> str:
    """First day and a hash of the content: the same wherever and whenever it is read."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    day = content["first_day"].replace("-", "")
    return f"{day}-{hashlib.sha256(canonical).hexdigest()[:24]}"
