"""The map's `travel` and `passes`: what a feed cannot say of days, caps, passes and concessions.

Read with the map, checked against the feed, stored with the tariff.
"""

from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema, fields, validate

from cardservice.services.json_files import Sheet
from cardservice.services.transport.calendar import TravelDays
from cardservice.services.transport.concessions import ConcessionSchema, minor_of, stored_concessions
from cardservice.services.transport.feed import Feed
from cardservice.services.transport.journeys import Cap, Rules, SingleMaximum

# Ours: taps of so long before and after a week are rated with it, so that no journey may be longer.
LONGEST_MINUTES = 12 * 60
_TEXT = validate.Length(min=1, max=255)


class CapSchema(Schema):
    """The most that a day or a week costs."""

    period = fields.String(required=True, validate=validate.OneOf(["day", "week"]))
    amount = fields.String(required=True)
    operator = fields.String(load_default=None, validate=_TEXT)
    zones = fields.List(
        fields.String(validate=_TEXT), load_default=None, validate=validate.Length(min=1, max=100)
    )


class SingleMaximumSchema(Schema):
    """The most that a journey costs, between two days."""

    first_day = fields.Date(required=True)
    last_day = fields.Date(required=True)
    amount = fields.String(required=True)


class TravelSchema(Schema):
    """Tapping in and out."""

    day_starts = fields.Time(required=True, format="%H:%M")
    incomplete = fields.String(required=True)
    longest_minutes = fields.Integer(strict=True, required=True, validate=validate.Range(1, LONGEST_MINUTES))
    passback_minutes = fields.Integer(strict=True, required=True, validate=validate.Range(0, 60))
    transfer_minutes = fields.Integer(
        strict=True, load_default=None, allow_none=True, validate=validate.Range(1, LONGEST_MINUTES)
    )
    hopper_minutes = fields.Integer(strict=True, load_default=0, validate=validate.Range(0, 24 * 60))
    caps = fields.List(fields.Nested(CapSchema), load_default=list)
    single_maxima = fields.List(fields.Nested(SingleMaximumSchema), load_default=list)
    concessions = fields.List(fields.Nested(ConcessionSchema), load_default=list)


class PassSchema(Schema):
    """How long a product of the feed holds, and from when."""

    product = fields.String(required=True, validate=_TEXT)
    # Unless said, the card's own: a feed may sell passes on paper alone that are now on the card.
    fare_medium = fields.String(allow_none=True, validate=_TEXT)
    days = fields.Integer(strict=True, load_default=None, validate=validate.Range(1, 366))
    months = fields.Integer(strict=True, load_default=None, validate=validate.Range(1, 12))
    # At once when it is bought, or on a day that the holder names.
    activation = fields.String(
        load_default="purchase", validate=validate.OneOf(["purchase", "chosen", "first-ride"])
    )
    # Of one that begins with its first ride: after so many days it begins without one.
    within_days = fields.Integer(strict=True, load_default=None, validate=validate.Range(1, 60))
    zones = fields.List(
        fields.String(validate=_TEXT), load_default=None, validate=validate.Length(min=1, max=100)
    )


def stored_travel(sheet: Sheet, feed: Feed, currency: str) -> dict[str, Any] | None:
    """`travel` as it is stored; raises TariffError with file and line."""
    said = sheet.values["travel"]
    if said is None:
        return None
    _check_changing(sheet, feed)
    stored = {
        "timezone": feed.zone.key,
        "day_starts": said["day_starts"].isoformat("minutes"),
        "incomplete_minor": minor_of(sheet, "travel.incomplete", said["incomplete"], currency),
        "longest_minutes": said["longest_minutes"],
        "passback_minutes": said["passback_minutes"],
        "hopper_minutes": said["hopper_minutes"],
        "caps": list(_caps(sheet, feed, currency)),
        "single_maxima": list(_maxima(sheet, currency)),
        "concessions": list(stored_concessions(sheet, feed, currency)),
    }
    if said["transfer_minutes"] is not None:
        stored["transfer_minutes"] = said["transfer_minutes"]
    return stored


def _check_changing(sheet: Sheet, feed: Feed) -> None:
    """GTFS does not say when somebody who boards again is still on the same journey."""
    said = sheet.values["travel"]
    if not (feed.joins or feed.transfers):
        if said["transfer_minutes"] is not None:
            raise sheet.error("travel.transfer_minutes", "the feed has neither transfer nor join rules")
        return
    if said["transfer_minutes"] is None:
        raise sheet.error("travel", "transfer_minutes is missing: the feed has transfer or join rules")
    if said["hopper_minutes"]:
        raise sheet.error("travel.hopper_minutes", "the feed has transfer or join rules of its own")


def _caps(sheet: Sheet, feed: Feed, currency: str) -> Iterator[dict[str, Any]]:
    first: dict[tuple[object, ...], str] = {}
    for number, cap in enumerate(sheet.values["travel"]["caps"]):
        place = f"travel.caps[{number}]"
        zones = _zones(sheet, f"{place}.zones", cap["zones"], feed)
        scope = (cap["period"], cap["operator"], tuple(zones or ()))
        if (before := first.setdefault(scope, place)) != place:
            raise sheet.error(place, f"bounds the same as {before}")
        yield {
            "period": cap["period"],
            "amount_minor": minor_of(sheet, f"{place}.amount", cap["amount"], currency),
            "operator": cap["operator"],
            "zones": zones,
        }


def _maxima(sheet: Sheet, currency: str) -> Iterator[dict[str, Any]]:
    spans: list[tuple[date, date, str]] = []
    for number, each in enumerate(sheet.values["travel"]["single_maxima"]):
        place = f"travel.single_maxima[{number}]"
        first, last = each["first_day"], each["last_day"]
        if last < first:
            raise sheet.error(f"{place}.last_day", "is before first_day")
        for other_first, other_last, other in spans:
            if first <= other_last and other_first <= last:
                raise sheet.error(place, f"overlaps {other}")
        spans.append((first, last, place))
        yield {
            "first_day": first.isoformat(),
            "last_day": last.isoformat(),
            "amount_minor": minor_of(sheet, f"{place}.amount", each["amount"], currency),
        }


def stored_passes(sheet: Sheet, feed: Feed, medium: str | None) -> dict[str, Any]:
    """`passes` as they are stored, with the feed's prices on the card's medium; raises TariffError."""
    with_rule = {row.values["fare_product_id"] for row in feed.rules}
    if sheet.values["passes"] and sheet.values["travel"] is None:
        raise sheet.error("passes", "nothing says when a travel day begins: add travel")
    found: dict[str, Any] = {}
    for number, each in enumerate(sheet.values["passes"]):
        place, product = f"passes[{number}]", each["product"]
        _check_pass(sheet, place, each)
        if product in found:
            raise sheet.error(f"{place}.product", f"{product!r} is there twice")
        if product in with_rule:
            raise sheet.error(f"{place}.product", f"{product!r} is the fare of a leg rule, and no pass")
        sold_on = each.get("fare_medium", medium)
        prices = [price for price in feed.prices if (price.product, price.medium) == (product, sold_on)]
        if not prices:
            on = "without a fare medium" if sold_on is None else f"on fare medium {sold_on!r}"
            raise sheet.error(f"{place}.product", f"the feed sells no {product!r} {on}")
        for price in prices:
            if price.amount_minor < 0:
                raise price.row.error("amount: is below zero, and it is the price of a pass")
        found[product] = {
            "name": prices[0].name,
            "prices": [{"rider": price.rider_category, "minor": price.amount_minor} for price in prices],
            "days": each["days"],
            "months": each["months"],
            "activation": each["activation"],
            "zones": _zones(sheet, f"{place}.zones", each["zones"], feed),
        }
        if each["within_days"] is not None:
            found[product]["first_ride_days"] = each["within_days"]
    return found


def _check_pass(sheet: Sheet, place: str, each: Mapping[str, Any]) -> None:
    if (each["days"] is None) == (each["months"] is None):
        raise sheet.error(place, "says either days or months")
    if (each["activation"] == "first-ride") != (each["within_days"] is not None):
        raise sheet.error(place, "within_days goes with the activation first-ride, and that with it")
    if each["activation"] == "first-ride" and each["zones"] is not None:
        raise sheet.error(f"{place}.zones", "any ride begins such a pass, so it is good everywhere")


def _zones(sheet: Sheet, place: str, zones: list[str] | None, feed: Feed) -> list[str] | None:
    for number, zone in enumerate(zones or ()):
        if zone not in feed.places.areas:
            raise sheet.error(f"{place}[{number}]", f"the feed has no area {zone!r}")
    return None if zones is None else sorted(set(zones))


def rules_from(stored: Mapping[str, Any], areas: Mapping[str, tuple[str, ...]]) -> Rules:
    """The rules of journeys as `stored_travel` wrote them."""
    change = stored.get("transfer_minutes")
    return Rules(
        days=TravelDays(ZoneInfo(stored["timezone"]), _clock(stored["day_starts"])),
        maximum_minor=stored["incomplete_minor"],
        passback=timedelta(minutes=stored["passback_minutes"]),
        longest=timedelta(minutes=stored["longest_minutes"]),
        hopper=timedelta(minutes=stored["hopper_minutes"]),
        change=None if change is None else timedelta(minutes=change),
        caps=tuple(
            Cap(
                cap["period"],
                cap["amount_minor"],
                cap["operator"],
                None if cap["zones"] is None else frozenset(cap["zones"]),
            )
            for cap in stored["caps"]
        ),
        single_maxima=tuple(
            SingleMaximum(
                date.fromisoformat(each["first_day"]),
                date.fromisoformat(each["last_day"]),
                each["amount_minor"],
            )
            for each in stored["single_maxima"]
        ),
        areas_of=lambda stop: areas.get(stop, ()),
    )


def _clock(text: str) -> time:
    return time.fromisoformat(text)
