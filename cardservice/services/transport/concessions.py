"""Who rides free by a concession, when, on what, with whom, and which authority pays for it: the map's data.

What the law grants stands in the concession itself; what an authority adds of its own (earlier hours, more
routes, a companion) is an addition to it. The first that holds counts, and its authority pays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import Schema, fields, validate

from cardservice.money import parse_minor
from cardservice.services.json_files import Sheet
from cardservice.services.rated import Reimbursement
from cardservice.services.transport.calendar import ConcessionHours
from cardservice.services.transport.feed import Feed

_TEXT = validate.Length(min=1, max=255)
_CLOCK = "%H:%M"


class ReimbursementSchema(Schema):
    """What an authority pays an operator for a ride; unless said, the concession's own."""

    operator = fields.String(required=True, validate=_TEXT)
    authority = fields.String(load_default=None, validate=_TEXT)
    average_fare = fields.String(required=True)
    # A decimal as text: 0.6512
    factor = fields.String(required=True, validate=validate.Regexp(r"[01](\.[0-9]{1,6})?\Z"))
    additional_cost = fields.String(required=True)


class AdditionSchema(Schema):
    """What an authority adds of its own; what is not said is as in the concession, and the routes are all."""

    authority = fields.String(load_default=None, validate=_TEXT)
    categories = fields.List(
        fields.String(validate=_TEXT), load_default=None, validate=validate.Length(min=1, max=100)
    )
    starts = fields.Time(load_default=None, format=_CLOCK)
    ends = fields.Time(load_default=None, format=_CLOCK)
    routes = fields.List(fields.String(validate=_TEXT), load_default=None)
    companion = fields.Boolean(load_default=False, truthy={True}, falsy={False})


class ConcessionSchema(Schema):
    """Who rides free, when, and on what."""

    authority = fields.String(required=True, validate=_TEXT)
    # By the area where a journey begins, where it is another than that.
    authorities = fields.Dict(
        keys=fields.String(validate=_TEXT),
        values=fields.String(validate=_TEXT),
        load_default=dict,
        validate=validate.Length(max=1_000),
    )
    categories = fields.List(fields.String(validate=_TEXT), required=True, validate=validate.Length(min=1))
    starts = fields.Time(required=True, format=_CLOCK)
    ends = fields.Time(required=True, format=_CLOCK)
    bank_holidays = fields.List(fields.Date(), required=True)
    calendar_until = fields.Date(required=True)
    routes = fields.List(fields.String(validate=_TEXT), load_default=None)
    additions = fields.List(
        fields.Nested(AdditionSchema), load_default=list, validate=validate.Length(max=100)
    )
    reimbursement = fields.List(
        fields.Nested(ReimbursementSchema), load_default=list, validate=validate.Length(max=1000)
    )


@dataclass(frozen=True, slots=True)
class Boarding:
    """Somebody who boards: when, in which category, on which route, at a stop in which areas."""

    moment: datetime
    category: str
    route: str | None
    areas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """Who rides free, when, and on which routes; None: on all."""

    authority: str
    categories: frozenset[str]
    hours: ConcessionHours
    routes: frozenset[str] | None
    companion: bool = False

    def holds(self, boarding: Boarding) -> bool:
        """Whether it is good for a boarding; beyond the calendar nobody knows, and it is not."""
        return (
            boarding.category in self.categories
            and (self.routes is None or boarding.route in self.routes)
            and self.hours.cover(boarding.moment) is True
        )


@dataclass(frozen=True, slots=True)
class Concession:
    """What is granted and what is added to it; what is paid for a ride, by authority and operator."""

    own: Grant
    # By the area where a journey begins
    authorities: Mapping[str, str]
    additions: tuple[Grant, ...]
    reimbursement: Mapping[tuple[str, str], Reimbursement]

    @property
    def categories(self) -> frozenset[str]:
        """Whose it is."""
        return self.own.categories

    @property
    def hours(self) -> ConcessionHours:
        """When it holds, of its own."""
        return self.own.hours

    def payer_for(self, boarding: Boarding) -> str | None:
        """The authority that pays for the holder who boards so; None: nobody does."""
        if self.own.holds(boarding):
            here = (self.authorities[area] for area in boarding.areas if area in self.authorities)
            return next(here, self.own.authority)
        return next((each.authority for each in self.additions if each.holds(boarding)), None)

    def payer_for_companion(self, boarding: Boarding) -> str | None:
        """The same for somebody who goes with the holder."""
        found = (each.authority for each in self.additions if each.companion and each.holds(boarding))
        return next(found, None)


def stored_concessions(sheet: Sheet, feed: Feed, currency: str) -> Iterator[dict[str, Any]]:
    """The concessions as they are stored; raises TariffError with file and line."""
    taken: dict[str, str] = {}
    for number, each in enumerate(sheet.values["travel"]["concessions"]):
        place = f"travel.concessions[{number}]"
        if each["ends"] <= each["starts"]:
            raise sheet.error(f"{place}.ends", "is not after starts")
        if each["calendar_until"] < feed.first_day:
            raise sheet.error(f"{place}.calendar_until", "is before the feed begins")
        for row, category in enumerate(each["categories"]):
            if category not in sheet.values["rider_categories"]:
                raise sheet.error(f"{place}.categories[{row}]", f"{category!r} is not in rider_categories")
            if taken.setdefault(category, place) != place:
                raise sheet.error(f"{place}.categories[{row}]", f"{category!r} is in {taken[category]} too")
        stored = {
            "authority": each["authority"],
            "categories": sorted(set(each["categories"])),
            "starts": each["starts"].isoformat("minutes"),
            "ends": each["ends"].isoformat("minutes"),
            "bank_holidays": sorted({day.isoformat() for day in each["bank_holidays"]}),
            "calendar_until": each["calendar_until"].isoformat(),
            "routes": _routes(sheet, place, each["routes"], feed),
        }
        # What a map does not say is not stored: it is the version that it always was.
        if each["authorities"]:
            stored["authorities"] = _authorities(sheet, place, each["authorities"], feed)
        if each["additions"]:
            stored["additions"] = list(_additions(sheet, place, each, feed))
        yield stored | _reimbursements(sheet, place, each, currency)


def _routes(sheet: Sheet, place: str, routes: list[str] | None, feed: Feed) -> list[str] | None:
    for row, route in enumerate(routes or ()):
        if route not in feed.places.routes:
            raise sheet.error(f"{place}.routes[{row}]", f"the feed has no route {route!r}")
    return None if routes is None else sorted(set(routes))


def _authorities(sheet: Sheet, place: str, said: dict[str, str], feed: Feed) -> dict[str, str]:
    for area in said:
        if area not in feed.places.areas:
            raise sheet.error(f"{place}.authorities", f"the feed has no area {area!r}")
    for stop, known in feed.places.stops.items():
        if len({said[area] for area in known.areas if area in said}) > 1:
            raise sheet.error(f"{place}.authorities", f"stop {stop!r} is in areas of two authorities")
    return dict(said)


def _additions(sheet: Sheet, place: str, of: Mapping[str, Any], feed: Feed) -> Iterator[dict[str, Any]]:
    for number, each in enumerate(of["additions"]):
        own = f"{place}.additions[{number}]"
        starts, ends = each["starts"] or of["starts"], each["ends"] or of["ends"]
        if ends <= starts:
            raise sheet.error(own, "does not end after it starts")
        categories = of["categories"] if each["categories"] is None else each["categories"]
        for row, category in enumerate(categories):
            if category not in of["categories"]:
                reason = f"{category!r} is none of the concession's categories"
                raise sheet.error(f"{own}.categories[{row}]", reason)
        yield {
            "authority": each["authority"] or of["authority"],
            "categories": sorted(set(categories)),
            "starts": starts.isoformat("minutes"),
            "ends": ends.isoformat("minutes"),
            "routes": _routes(sheet, own, each["routes"], feed),
            "companion": each["companion"],
        }


def _reimbursements(sheet: Sheet, place: str, of: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """By operator, and by authority where a row names another than the concession's own."""
    others = {*of["authorities"].values(), *(each["authority"] for each in of["additions"])} - {None}
    own: dict[str, dict[str, Any]] = {}
    elsewhere: dict[str, dict[str, dict[str, Any]]] = {}
    for number, each in enumerate(of["reimbursement"]):
        where, authority = f"{place}.reimbursement[{number}]", each["authority"] or of["authority"]
        if authority not in {of["authority"], *others}:
            raise sheet.error(f"{where}.authority", f"{authority!r} pays for nothing here")
        found = own if authority == of["authority"] else elsewhere.setdefault(authority, {})
        if each["operator"] in found:
            raise sheet.error(f"{where}.operator", f"{each['operator']!r} is there twice")
        if Decimal(each["factor"]) > 1:
            raise sheet.error(f"{where}.factor", "is above one")
        found[each["operator"]] = {
            "average_fare_minor": minor_of(sheet, f"{where}.average_fare", each["average_fare"], currency),
            "factor": each["factor"],
            "additional_cost_minor": minor_of(
                sheet, f"{where}.additional_cost", each["additional_cost"], currency
            ),
        }
    stored = {"reimbursement": own, "reimbursement_elsewhere": elsewhere}
    return {name: rows for name, rows in stored.items() if rows}


def minor_of(sheet: Sheet, place: str, text: str, currency: str) -> int:
    """An amount in minor units; raises TariffError."""
    try:
        amount_minor = parse_minor(text, currency)
    except ValueError as problem:
        raise sheet.error(place, str(problem)) from problem
    if amount_minor < 0:
        raise sheet.error(place, "is below zero")
    return amount_minor


def concessions_from(stored: Mapping[str, Any]) -> tuple[Concession, ...]:
    """The concessions of a stored `travel`."""
    zone = ZoneInfo(stored["timezone"])
    return tuple(_concession(each, zone) for each in stored["concessions"])


def _concession(each: Mapping[str, Any], zone: ZoneInfo) -> Concession:
    paid = {each["authority"]: each.get("reimbursement", {})} | each.get("reimbursement_elsewhere", {})
    return Concession(
        own=_grant(each, each, zone),
        authorities=dict(each.get("authorities", {})),
        additions=tuple(_grant(addition, each, zone) for addition in each.get("additions", ())),
        reimbursement={
            (authority, operator): Reimbursement(
                row["average_fare_minor"], Decimal(row["factor"]), row["additional_cost_minor"]
            )
            for authority, rows in paid.items()
            for operator, row in rows.items()
        },
    )


def _grant(each: Mapping[str, Any], of: Mapping[str, Any], zone: ZoneInfo) -> Grant:
    """What is granted; its calendar is the concession's."""
    return Grant(
        authority=each["authority"],
        categories=frozenset(each["categories"]),
        hours=ConcessionHours(
            zone=zone,
            starts=time.fromisoformat(each["starts"]),
            ends=time.fromisoformat(each["ends"]),
            bank_holidays=frozenset(map(date.fromisoformat, of["bank_holidays"])),
            last_day=date.fromisoformat(of["calendar_until"]),
        ),
        routes=None if each["routes"] is None else frozenset(each["routes"]),
        companion=each.get("companion", False),
    )
