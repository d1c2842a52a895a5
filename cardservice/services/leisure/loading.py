"""From a tariff file to the content that is stored: what is ambiguous, or left open, is refused."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time, timedelta
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cardservice.money import parse_minor
from cardservice.services.json_files import Sheet, read_sheet
from cardservice.services.leisure.schemas import TariffSchema
from cardservice.services.leisure.tariff import FORMAT, GROUPS, Dated, Pass, Tariff, at, prepare
from cardservice.services.seam import LoadedTariff
from cardservice.services.tariff_files import check_frame
from cardservice.services.taxes import stored_taxes

MAX_BYTES = 4 << 20  # ours
# Ours: in minor units; a price beyond it is a slip of the finger.
MAX_PRICE_MINOR = 1_000_000

Row = dict[str, Any]


def load_tariff(path: Path, currency: str) -> LoadedTariff:
    """The tariff in a file; raises TariffError with the line and the place that is at fault."""
    sheet = read_sheet(path, TariffSchema(), MAX_BYTES)
    zone = check_frame(sheet, currency)
    _groups(sheet)
    values = sheet.values
    content: Row = {
        "format": FORMAT,
        "groups": {group: sorted(members) for group, members in values["groups"].items()},
        "prices": _each(sheet, "prices", _price),
        "passes": _each(sheet, "passes", _pass),
        "products": _each(sheet, "products", _product),
        "sessions": [_session(sheet, f"sessions[{n}]", row, zone) for n, row in _rows(sheet, "sessions")],
        **{name: values[name] for name in ("timezone", "currency", "offline_quote_hours", "activities")},
        **{name: values[name].isoformat() for name in ("first_day", "last_day")},
    }
    _check_prices(sheet, content)
    _check_keys(sheet)
    # Only where it is said: a file without is the version that it always was.
    sold = {*content["activities"], *(row["key"] for row in content["products"])}
    content |= stored_taxes(sheet, sold, None)
    content["version"] = _version(content)
    tariff = prepare(content)
    _check_passes(sheet, tariff.passes)
    return LoadedTariff(
        version=content["version"],
        valid_from=tariff.valid_from,
        content=content,
        report=tuple(_report(tariff)),
        capacities={row["key"]: row["places"] for row in content["sessions"]},
    )


def _rows(sheet: Sheet, name: str) -> Iterator[tuple[int, Row]]:
    return enumerate(sheet.values[name])


def _each(sheet: Sheet, name: str, read: Callable[[Sheet, str, Row], Row]) -> list[Row]:
    return [read(sheet, f"{name}[{number}]", row) for number, row in _rows(sheet, name)]


def _groups(sheet: Sheet) -> None:
    seen: dict[str, str] = {}
    for group, members in sheet.values["groups"].items():
        for category in members:
            if category in seen:
                raise sheet.error(f"groups.{group}", f"{category!r} is in {seen[category]}, too")
            seen[category] = group


def _price(sheet: Sheet, place: str, row: Row) -> Row:
    _known(sheet, f"{place}.activity", [row["activity"]])
    return {
        "activity": row["activity"],
        "group": row["group"],
        "price_minor": _minor(sheet, place, row["price"]),
        **_days(sheet, place, row),
    }


def _pass(sheet: Sheet, place: str, row: Row) -> Row:
    _known(sheet, f"{place}.activities", row["activities"])
    if not (row["categories"] or row["card_kinds"]):
        raise sheet.error(place, "name the categories or the card_kinds that have it, or both")
    if row["last_day"] < row["first_day"]:
        raise sheet.error(f"{place}.last_day", "is before first_day")
    sets = {name: sorted(set(row[name])) for name in ("categories", "card_kinds", "activities")}
    days = {name: row[name].isoformat() for name in ("first_day", "last_day")}
    return {**{name: row[name] for name in ("key", "label", "visits", "per")}, **sets, **days}


def _product(sheet: Sheet, place: str, row: Row) -> Row:
    _known(sheet, f"{place}.activities", row["activities"])
    return {
        **{name: row[name] for name in ("key", "label", "visits", "valid_days")},
        "activities": sorted(set(row["activities"])),
        "price_minor": _minor(sheet, place, row["price"]),
        **_days(sheet, place, row),
    }


def _session(sheet: Sheet, place: str, row: Row, zone: ZoneInfo) -> Row:
    _known(sheet, f"{place}.activity", [row["activity"]])
    if not sheet.values["first_day"] <= row["day"] <= sheet.values["last_day"]:
        raise sheet.error(f"{place}.day", f"{row['day']} is none of the tariff's days")
    moments = []
    for end in ("starts", "ends"):
        try:
            moments.append(at(row["day"], time.fromisoformat(row[end]), zone))
        except ValueError as problem:
            raise sheet.error(f"{place}.{end}", str(problem)) from problem
    if moments[1] <= moments[0]:
        raise sheet.error(f"{place}.ends", "is not after it starts")
    return {**row, "day": row["day"].isoformat()}


def _known(sheet: Sheet, place: str, activities: list[str]) -> None:
    for activity in activities:
        if activity not in sheet.values["activities"]:
            raise sheet.error(place, f"there is no activity {activity[:60]!r}")


def _days(sheet: Sheet, place: str, row: Row) -> dict[str, str]:
    """A row's days, the tariff's unless it says its own within them."""
    first, last = sheet.values["first_day"], sheet.values["last_day"]
    own_first, own_last = row["first_day"] or first, row["last_day"] or last
    if own_last < own_first:
        raise sheet.error(f"{place}.last_day", "is before first_day")
    if own_first < first or own_last > last:
        raise sheet.error(place, "holds on days that are not the tariff's")
    return {"first_day": own_first.isoformat(), "last_day": own_last.isoformat()}


def _minor(sheet: Sheet, place: str, text: str) -> int:
    try:
        price_minor = parse_minor(text, sheet.values["currency"])
    except ValueError as problem:
        raise sheet.error(f"{place}.price", str(problem)) from problem
    if not 0 <= price_minor <= MAX_PRICE_MINOR:
        raise sheet.error(f"{place}.price", f"{text[:40]} is out of range")
    return price_minor


def _check_prices(sheet: Sheet, content: Mapping[str, Any]) -> None:
    """Each activity has one price for each group on each of the tariff's days."""
    for activity in content["activities"]:
        for group in GROUPS:
            found = sorted(
                (date.fromisoformat(row["first_day"]), date.fromisoformat(row["last_day"]), number)
                for number, row in enumerate(content["prices"])
                if (row["activity"], row["group"]) == (activity, group)
            )
            _check_dates(sheet, activity, group, found)


def _check_dates(sheet: Sheet, activity: str, group: str, found: list[tuple[date, date, int]]) -> None:
    if not found:
        raise sheet.error(f"activities.{activity}", f"has no {group} price")
    first, last = sheet.values["first_day"], sheet.values["last_day"]
    whose = f"the {group} price of {activity}"
    for (_, ends, before), (begins, _, after) in pairwise(found):
        other = f"prices[{before}] (line {sheet.line(f'prices[{before}]')})"
        if begins <= ends:
            raise sheet.error(f"prices[{after}]", f"overlaps with {other}, {whose}, too")
        if (begins - ends).days > 1:
            raise sheet.error(f"prices[{after}]", f"leaves a gap after {other}: {whose} ends on {ends}")
    if found[0][0] > first:
        raise sheet.error(f"prices[{found[0][2]}]", f"leaves a gap: nothing says {whose} from {first} on")
    final = max(found, key=lambda one: one[1])
    if final[1] < last:
        after_it = final[1] + timedelta(days=1)
        raise sheet.error(f"prices[{final[2]}]", f"leaves a gap: nothing says {whose} from {after_it} on")


def _check_keys(sheet: Sheet) -> None:
    for name in ("passes", "products", "sessions"):
        seen: dict[str, int] = {}
        for number, row in _rows(sheet, name):
            first = seen.setdefault(row["key"], number)
            if first != number:
                raise sheet.error(f"{name}[{number}].key", f"the same as of {name}[{first}]")


def _check_passes(sheet: Sheet, passes: tuple[Pass, ...]) -> None:
    """Nobody has two passes for one activity on one day: which of them would a visit be counted on?"""
    for (first, one), (second, other) in combinations(enumerate(passes), 2):
        if Dated.meets(one, other) and one.activities & other.activities and _shared(one, other):
            line = sheet.line(f"passes[{first}]")
            reason = f"somebody could have it and passes[{first}] (line {line}) for one activity on one day"
            raise sheet.error(f"passes[{second}]", reason)


def _shared(one: Pass, other: Pass) -> bool:
    pairs = (one.categories, other.categories), (one.card_kinds, other.card_kinds)
    return all(not mine or not yours or mine & yours for mine, yours in pairs)


def _version(content: Mapping[str, Any]) -> str:
    """First day and a hash of the content: the same wherever and whenever it is read."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    day = content["first_day"].replace("-", "")
    return f"{day}-{hashlib.sha256(canonical).hexdigest()[:24]}"


def _report(tariff: Tariff) -> Iterator[str]:
    yield (
        f"{len(tariff.activities)} activities, {len(tariff.passes)} passes, {len(tariff.products)} products,"
        f" {len(tariff.sessions)} sessions in {tariff.currency};"
        f" valid from {tariff.first_day} to {tariff.last_day} ({tariff.zone.key})"
    )
    for (activity, group), prices in sorted(tariff.prices.items()):
        for price in prices:
            standard = tariff.price(activity, None, price.first_day)
            if price.price_minor > standard.price_minor:
                yield f"{activity}: the {group} price is above the standard price from {price.first_day} on"
