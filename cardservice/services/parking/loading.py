"""From a tariff file and the orders that it names to the content that is stored; or all is refused."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from cardservice.money import parse_minor
from cardservice.services.json_files import Sheet, read_sheet
from cardservice.services.parking.orders import Order, read_order
from cardservice.services.parking.schemas import MAX_STAY_MINUTES, TariffSchema
from cardservice.services.parking.tariff import FORMAT, OFF_STREET, ON_STREET, PERMITS, Tariff, prepare
from cardservice.services.seam import LoadedTariff, TariffError
from cardservice.services.tariff_files import check_frame
from cardservice.services.taxes import stored_taxes

MAX_BYTES = 4 << 20  # ours
# Ours: in minor units; a price beyond it is a slip of the finger.
MAX_PRICE_MINOR = 1_000_000
_BY_ORDER = ("free_minutes", "daily_maximum", "max_stay_minutes", "no_return_minutes")

Values = Mapping[str, Any]
# `places[0]`, whatever follows it within its part, or a field alone
_STEP = re.compile(r"(\w+\[\d+\])|(\w+)\Z")


def load_tariff(path: Path, orders: Sequence[Path], currency: str) -> LoadedTariff:
    """The tariff in a file and its orders; raises TariffError with the place in it that is at fault."""
    sheet = read_sheet(path, TariffSchema(), MAX_BYTES)
    values = sheet.values
    _check_frame(sheet, currency)
    loader = _Loader(sheet, {order.name: order for order in orders})
    if len(loader.orders) < len(orders):
        raise TariffError(path.name, None, "two orders have the same file name")
    content: dict[str, Any] = {
        "format": FORMAT,
        "currency": currency,
        "timezone": values["timezone"],
        "first_day": values["first_day"].isoformat(),
        "last_day": values["last_day"].isoformat(),
        "holidays": sorted({day.isoformat() for day in values["calendar"]["holidays"]}),
        "calendar_until": values["calendar"]["until"].isoformat(),
        "permits": [loader.permit(number, permit) for number, permit in enumerate(values["permits"])],
        "visits": [loader.visit(number, visit) for number, visit in enumerate(values["visits"])],
        "badge_categories": sorted(set(values["blue_badge"])),
        "places": [loader.place(number, place) for number, place in enumerate(values["places"])],
    }
    if unused := sorted(loader.orders.keys() - loader.used):
        raise TariffError(unused[0], None, f"no place of {path.name} names this order")
    # Only where it is said: a file without is the version that it always was.
    content |= stored_taxes(sheet, {ON_STREET, OFF_STREET, PERMITS}, None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    day = content["first_day"].replace("-", "")
    content["version"] = f"{day}-{hashlib.sha256(canonical).hexdigest()[:24]}"
    tariff = prepare(content)
    report = (*_report(tariff), *loader.notes)
    return LoadedTariff(version=tariff.version, valid_from=tariff.valid_from, content=content, report=report)


def _check_frame(sheet: Sheet, currency: str) -> None:
    check_frame(sheet, currency)
    values = sheet.values
    if values["calendar"]["until"] < values["first_day"]:
        raise sheet.error("calendar.until", "is before first_day")
    for field in ("places", "permits", "visits"):
        seen: dict[str, int] = {}
        for number, each in enumerate(values[field]):
            if (first := seen.setdefault(each["key"], number)) != number:
                where = f"{field}[{number}] ({each['key']})"
                raise refusal(sheet, f"{where}: key: the same as of {field}[{first}]")


def refusal(sheet: Sheet, reason: str) -> TariffError:
    """The refusal of the place that its words begin with, such as `places[0] (green): bands[1]: to: …`."""
    steps = []
    for part in reason.split(": "):
        found = _STEP.match(part)
        if found is None:
            break
        steps.append(found[0])
    return TariffError(sheet.file, sheet.line(".".join(steps)), reason)


class _Loader:
    """What a file says, one place after the other."""

    def __init__(self, sheet: Sheet, orders: Mapping[str, Path]) -> None:
        self._sheet, self._values, self.orders = sheet, sheet.values, orders
        self.used: set[str] = set()
        self.notes: list[str] = []
        self._read: dict[str, Mapping[str, Order]] = {}

    def permit(self, number: int, permit: Values) -> dict[str, Any]:
        """A permit, as it is stored."""
        where = f"permits[{number}] ({permit['key']})"
        prices = [self._price(f"{where}: prices", price) for price in permit["prices"]]
        if any(after < before for before, after in pairwise(prices)):
            raise self._error(f"{where}: prices: a further permit is cheaper than the one before it")
        stored = {
            "key": permit["key"],
            "label": permit["label"],
            "months": permit["months"],
            "prices_minor": prices,
            "categories": sorted(set(permit["categories"])),
            "vehicles": permit["vehicles"],
        }
        # What a file does not say is not stored, so that what was loaded before is the same version still.
        if permit["change_price"] is not None:
            stored["change_minor"] = self._price(f"{where}: change_price", permit["change_price"])
        return stored

    def visit(self, number: int, visit: Values) -> dict[str, Any]:
        """A visitor's session, as it is stored."""
        return {
            "key": visit["key"],
            "label": visit["label"],
            "minutes": visit["minutes"],
            "price_minor": self._price(f"visits[{number}] ({visit['key']})", visit["price"]),
            "sessions_a_year": visit["sessions_a_year"],
            "categories": sorted(set(visit["categories"])),
        }

    def place(self, number: int, place: Values) -> dict[str, Any]:
        """A place, as it is stored."""
        where = f"places[{number}] ({place['key']})"
        if (place["bands"] is None) == (place["order"] is None):
            raise self._error(f"{where}: says its charges itself (bands) or names an order (order), not both")
        for field, what in (("permits", "permit"), ("visits", "visit")):
            known = {each["key"] for each in self._values[field]}
            for key in place[field]:
                if key not in known:
                    raise self._error(f"{where}: {field}: there is no {what} {key!r}")
        if place["pay_on_exit"] and place["on_street"]:
            raise self._error(f"{where}: pay_on_exit: nobody leaves a street by a barrier")
        reserve = {}
        if place["reserve"] is not None:
            if not place["pay_on_exit"]:
                raise self._error(f"{where}: reserve: means nothing without pay_on_exit")
            reserve = {"reserve_minor": self._price(f"{where}: reserve", place["reserve"])}
        return {
            **reserve,
            "key": place["key"],
            "label": place["label"],
            "on_street": place["on_street"],
            "pay_on_exit": place["pay_on_exit"],
            "closed_outside": place["outside_hours"] == "closed",
            "discounts": dict(sorted(place["discounts"].items())),
            "permits": sorted(set(place["permits"])),
            "visits": sorted(set(place["visits"])),
            "badge_free": self._is_badge_free(where, place),
            "carries_unused": place["carries_unused"],
            **(self._own(where, place) if place["order"] is None else self._ordered(where, place)),
        }

    def _is_badge_free(self, where: str, place: Values) -> bool:
        """On a street the badge is the law's, and good in any vehicle; off street its operator says."""
        said, known = place["blue_badge"], bool(self._values["blue_badge"])
        if said is not None and not known:
            raise self._error(f"{where}: blue_badge: the tariff names no category that has one (blue_badge)")
        if said is not None and place["on_street"]:
            raise self._error(f"{where}: blue_badge: on a street it is always free; leave this out")
        if said is None and known and not place["on_street"]:
            raise self._error(f"{where}: says nothing of blue_badge: free or as-others, off street it must")
        return known and (place["on_street"] or said == "free")

    def _own(self, where: str, place: Values) -> dict[str, Any]:
        bands = [self._band(f"{where}: bands[{row}]", band) for row, band in enumerate(place["bands"])]
        for (row, band), (other_row, other) in combinations(enumerate(bands), 2):
            together = sorted(set(band["days"]) & set(other["days"]))
            overlap = band["from_minute"] < other["to_minute"] and other["from_minute"] < band["to_minute"]
            if together and overlap:
                raise self._error(f"{where}: bands[{row}] and bands[{other_row}] overlap on {together[0]}")
        most, stay = place["daily_maximum"], place["max_stay_minutes"]
        if place["no_return_minutes"] is not None and stay is None:
            raise self._error(f"{where}: no_return_minutes: means nothing without max_stay_minutes")
        return {
            "bands": bands,
            "free_minutes": place["free_minutes"],
            "daily_maximum_minor": None if most is None else self._price(f"{where}: daily_maximum", most),
            "min_minutes": 1,
            "max_minutes": MAX_STAY_MINUTES,
            "max_stay_minutes": stay,
            "no_return_minutes": place["no_return_minutes"],
            "holidays_as_weekdays": False,
            "condition": None,
            "valid_from": None,
            "valid_until": None,
        }

    def _band(self, where: str, band: Values) -> dict[str, Any]:
        if band["ends"] <= band["begins"]:
            raise self._error(f"{where}: to: is not after from; what goes beyond midnight is two bands")
        if (band["tiers"] is None) == (band["each"] is None):
            raise self._error(f"{where}: has either tiers or each")
        if len(set(band["days"])) < len(band["days"]):
            raise self._error(f"{where}: days: names one twice")
        each, step = band["each"], None
        if each is not None:
            step = [each["minutes"] * 60, self._price(f"{where}: each", each["price"])]
        return {
            "days": sorted(band["days"]),
            "from_minute": band["begins"],
            "to_minute": band["ends"],
            "tiers": self._tiers(where, band["tiers"] or ()),
            "step": step,
        }

    def _tiers(self, where: str, tiers: Sequence[Values]) -> list[list[int]]:
        reached, last_minor, found = 0, 0, []
        for row, tier in enumerate(tiers):
            here = f"{where}: tiers[{row}]"
            before = f"tiers[{row - 1}]" if row else "0 minutes"
            if tier["from_minutes"] < reached:
                raise self._error(f"{here}: overlaps with {before}")
            if tier["from_minutes"] > reached:
                raise self._error(f"{here}: leaves a gap after {before}")
            if tier["to_minutes"] <= tier["from_minutes"]:
                raise self._error(f"{here}: to_minutes: is not after from_minutes")
            price_minor = self._price(here, tier["price"])
            if price_minor < last_minor:
                raise self._error(f"{here}: price: is cheaper than {before}, which is shorter")
            reached, last_minor = tier["to_minutes"], price_minor
            found.append([reached * 60, price_minor])
        return found

    def _ordered(self, where: str, place: Values) -> dict[str, Any]:
        for field in _BY_ORDER:
            if place[field]:
                raise self._error(f"{where}: {field}: is the order's to say")
        name, provision = place["order"]["file"], place["order"]["provision"]
        if name not in self.orders:
            raise self._error(f"{where}: order: no file {name!r} was given beside this one")
        if name not in self._read:
            currency, zone = self._values["currency"], self._values["timezone"]
            self._read[name] = read_order(self.orders[name], currency, zone)
        self.used.add(name)
        found = self._read[name].get(provision)
        if found is None:
            raise self._error(f"{where}: order: {name} has no provision {provision!r}")
        self.notes.extend(f"{place['key']}: {note}" for note in found.notes)
        return dict(found.content)

    def _price(self, where: str, text: str) -> int:
        try:
            price_minor = parse_minor(text, self._values["currency"])
        except ValueError as problem:
            raise self._error(f"{where}: price: {problem}") from problem
        if not 0 <= price_minor <= MAX_PRICE_MINOR:
            raise self._error(f"{where}: price: {text[:40]} is out of range")
        return price_minor

    def _error(self, reason: str) -> TariffError:
        return refusal(self._sheet, reason)


def _report(tariff: Tariff) -> Iterator[str]:
    yield (
        f"{len(tariff.places)} places, {len(tariff.permits)} permits in {tariff.currency};"
        f" valid from {tariff.first_day} to {tariff.last_day} ({tariff.zone.key})"
    )
    if tariff.calendar_until < tariff.last_day:
        yield f"bank holidays are known until {tariff.calendar_until}: nothing is priced beyond that"
