"""A file of funding programmes: who pays how much of which meals, from when to when, and before whom."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from cardservice.services.json_files import Sheet
from cardservice.services.meals.placing import Place, distinct, price_of


def programmes_of(sheet: Sheet, menu: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The programmes as they are stored. Raises TariffError, with the lines of two that clash."""
    programmes = sheet.values["programmes"]
    places = [Place(sheet, "programmes", at, each["key"]) for at, each in enumerate(programmes)]
    stored = [_programme(place, each, menu) for place, each in zip(places, programmes, strict=True)]
    for first, second in combinations(range(len(stored)), 2):
        one, other = stored[first], stored[second]
        if one["first_day"] > other["last_day"] or other["first_day"] > one["last_day"]:
            continue
        for field in ("key", "precedence"):
            if one[field] == other[field]:
                line = sheet.line(f"programmes[{first}]")
                where = f"{places[first]} (line {line})"
                raise places[second].error(f"{field}: the same as of {where}, on one day")
    return stored


def _programme(place: Place, each: Mapping[str, Any], menu: Mapping[str, Any]) -> dict[str, Any]:
    if each["last_day"] < each["first_day"]:
        raise place.error("last_day: is before first_day")
    for service in each["services"]:
        if service not in menu["services"]:
            raise place.error(f"services: the menu has no service {service[:64]!r}")
    for field in ("services", "years"):
        distinct(place, field, each[field])
    amount_minor = price_of(each["amount"], menu["currency"], lambda it: place.error(f"amount: {it}"))
    if amount_minor == 0:
        raise place.error("amount: a programme that pays nothing is none")
    return {
        "key": each["key"],
        "label": each["label"],
        "nation": each["nation"],
        "years": sorted(each["years"]),
        "services": sorted(each["services"]),
        "amount_minor": amount_minor,
        "funder": each["funder"],
        "precedence": each["precedence"],
        "adds": each["adds"],
        "first_day": each["first_day"].isoformat(),
        "last_day": each["last_day"].isoformat(),
    }
