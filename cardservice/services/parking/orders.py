"""Digital traffic regulation orders (D-TRO data model, 3.5 and 4.0): rate tables, hours, longest stays.

What a regulation says that is not read here is refused by its name, since it could change what is charged
or allowed. Two shapes of the model differ in where lists are: 4.0 has one regulation with `conditions`, 3.5
has lists of regulations, condition sets and conditions.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cardservice.services.json_files import Document, read_document
from cardservice.services.parking.durations import minutes_of
from cardservice.services.parking.rate_tables import Rates, read_rates
from cardservice.services.parking.tariff import DAY_MINUTES, DAYS
from cardservice.services.seam import TariffError

MAX_BYTES = 4 << 20  # ours
_VERSION = re.compile(r"(3\.5|4\.0)\.[0-9]+\Z", re.ASCII)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9]):00\Z", re.ASCII)
_OPERATORS = {"and": "and", "or": "or", "xor": "xor", "not": "not"}
_MAX_DEPTH = 20  # ours

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Order:
    """What a provision says of a place, as it is stored, and what people should compare."""

    content: Mapping[str, Any]
    notes: tuple[str, ...]


def read_order(path: Path, currency: str, zone: str) -> Mapping[str, Order]:
    """The provisions of an order by their reference; raises TariffError."""
    document = read_document(path, MAX_BYTES)
    content = document.values
    version = content.get("schemaVersion")
    if not (isinstance(version, str) and _VERSION.match(version)):
        line = document.line(content, "schemaVersion")
        raise TariffError(path.name, line, f"schemaVersion: {str(version)[:20]!r} is neither 3.5 nor 4.0")
    try:
        provisions = content["data"]["source"]["provision"]
        return {
            each["reference"]: _Provision(document, each, currency, ZoneInfo(zone)).read()
            for each in provisions
        }
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        reason = f"does not have the shape of an order: {type(problem).__name__} {problem}"
        raise TariffError(path.name, document.line(content), reason) from problem


class _Provision:
    """A provision that is being read."""

    def __init__(self, document: Document, values: Values, currency: str, zone: ZoneInfo) -> None:
        self._document, self._values, self._currency, self._zone = document, values, currency, zone
        self._times: list[Values] = []
        self._rates: list[Rates] = []

    def read(self) -> Order:
        """What it says; raises TariffError."""
        [regulation, *more] = _listed(self._values["regulation"])
        if more:
            raise self._error("regulation: there are several, and which of them holds here is not said")
        if regulation["timeZone"] != self._zone.key:
            said = f"timeZone: is {regulation['timeZone']}, and the tariff's is {self._zone.key}"
            raise self._error(said, regulation)
        self._only(regulation, {"condition", "conditionSet", "generalRegulation", "isDynamic", "timeZone"})
        if regulation.get("isDynamic"):
            raise self._error("isDynamic: what changes by itself cannot be loaded", regulation)
        condition = self._set(regulation, "and", negate=False, certain=True, depth=0)
        if len(self._times) != 1:
            raise self._error(f"timeValidity: there are {len(self._times)}, and one is read", regulation)
        if len(self._rates) > 1:
            raise self._error("rateTable: there are several, and which of them holds is not said", regulation)
        return self._made(self._times[0], self._rates[0] if self._rates else None, condition)

    def _made(self, validity: Values, rates: Rates | None, condition: dict[str, Any] | None) -> Order:
        self._only(validity, {"start", "end", "isPlaceholderTro", "validPeriod"})
        periods = _listed(validity["validPeriod"])
        stays = [self._stay(period) for period in periods]
        if any(stay != stays[0] for stay in stays):
            raise self._error("maxStayNoReturn: differs from one validPeriod to another", validity)
        # Waiting without a rate table costs nothing, for as long as it is allowed.
        tiers = [[DAY_MINUTES * 60, 0]] if rates is None else [list(tier) for tier in rates.tiers]
        bands = [self._window(window) | {"tiers": tiers, "step": None} for window in self._windows(periods)]
        begins = [self._moment(validity["start"]), *([rates.begins] if rates and rates.begins else ())]
        ends = [moment for moment in (validity.get("end"), rates.ends if rates else None) if moment]
        content = {
            "bands": bands,
            "free_minutes": 0,
            "daily_maximum_minor": None,
            "min_minutes": 1 if rates is None else rates.min_minutes,
            "max_minutes": DAY_MINUTES if rates is None else rates.max_minutes,
            "max_stay_minutes": stays[0][0],
            "no_return_minutes": stays[0][1],
            "holidays_as_weekdays": True,
            "condition": condition,
            "valid_from": max(
                self._moment(each) if isinstance(each, str) else each for each in begins
            ).isoformat(),
            "valid_until": min(map(self._moment, ends)).isoformat() if ends else None,
        }
        if rates and rates.reset is not None and any(band["to_minute"] != rates.reset for band in bands):
            raise self._error("rateTable: resetTime is not where the hours of charge end", rates.node)
        return Order(content, tuple(self._notes(bands)))

    def _set(
        self, node: Values, operator: str, *, negate: bool, certain: bool, depth: int
    ) -> dict[str, Any] | None:
        """The vehicles that a set of conditions is for; None where it says nothing of vehicles.

        `certain`: it holds on its own, not as one of several; only there a time or a rate table is read.
        """
        if depth > _MAX_DEPTH:
            raise self._error(f"conditionSet: goes deeper than {_MAX_DEPTH}", node)
        certain = certain and operator == "and" and not negate
        parts = []
        for child in (*_listed(node.get("conditions")), *_listed(node.get("condition"))):
            if "conditionSet" in child and not child.keys() - {"conditionSet", "negate"}:
                negated = bool(child.get("negate"))
                parts += [
                    self._nested(each, negated=negated, certain=certain, depth=depth)
                    for each in _listed(child["conditionSet"])
                ]
            else:
                parts.append(self._leaf(child, certain=certain))
        parts += [
            self._nested(each, negated=False, certain=certain, depth=depth)
            for each in _listed(node.get("conditionSet"))
        ]
        found = [part for part in parts if part is not None]
        if operator == "not" and len(found) != 1:
            said = f"conditionSet: 'not' is of one condition, and here are {len(found)}"
            raise self._error(said, node)
        if operator == "not":
            operator, negate = "and", not negate
        return _tree(operator, found, negate=negate) if found else None

    def _nested(self, node: Values, *, negated: bool, certain: bool, depth: int) -> dict[str, Any] | None:
        self._only(node, {"operator", "conditions", "condition", "conditionSet", "negate"})
        operator = _OPERATORS.get(str(node.get("operator")).lower())
        if operator is None:
            said = f"conditionSet: {str(node.get('operator'))[:20]!r} is none of and, or, xor, not"
            raise self._error(said, node)
        negate = bool(node.get("negate")) is not negated
        return self._set(node, operator, negate=negate, certain=certain, depth=depth + 1)

    def _leaf(self, node: Values, *, certain: bool) -> dict[str, Any] | None:
        self._only(node, {"negate", "vehicleCharacteristics", "timeValidity", "rateTable"})
        negate = bool(node.get("negate"))
        for name in ("timeValidity", "rateTable"):
            if name in node and (negate or not certain):
                raise self._error(f"{name}: is one of several conditions or negated, which is not read", node)
        if "timeValidity" in node:
            self._times.append(node["timeValidity"])
        if "rateTable" in node:
            self._rates.append(read_rates(self._document, self._reference, node["rateTable"], self._currency))
        if "vehicleCharacteristics" not in node:
            return None
        vehicle = node["vehicleCharacteristics"]
        self._only(vehicle, {"vehicleType"})
        kinds = [
            {**_tree("is", [], negate=False), "vehicle": kind} for kind in _listed(vehicle["vehicleType"])
        ]
        return _tree("or", kinds, negate=negate)

    def _windows(self, periods: list[Values]) -> Iterator[Values]:
        for period in periods:
            known = {"recurringDayWeekMonthPeriod", "recurringTimePeriodOfDay", "maxStayNoReturn"}
            self._only(period, known)
            days: list[str] = []
            for recurring in _listed(period.get("recurringDayWeekMonthPeriod")):
                self._only(recurring, {"applicableDay"})
                days += recurring["applicableDay"]
            if unknown := set(days) - set(DAYS):
                raise self._error(f"applicableDay: {min(unknown)!r} is no day of the week", period)
            for times in _listed(period.get("recurringTimePeriodOfDay")) or [_ALL_DAY]:
                self._only(times, {"startTimeOfPeriod", "endTimeOfPeriod"})
                yield {"days": sorted(set(days) or DAYS), **times}

    def _window(self, window: Values) -> dict[str, Any]:
        begins, ends = self._clock(window["startTimeOfPeriod"]), self._clock(window["endTimeOfPeriod"])
        ends = ends or DAY_MINUTES
        if ends <= begins:
            raise self._error("endTimeOfPeriod: is not after startTimeOfPeriod", self._times[0])
        return {"days": window["days"], "from_minute": begins, "to_minute": ends}

    def _stay(self, period: Values) -> tuple[int | None, int | None]:
        limits = period.get("maxStayNoReturn", {})
        self._only(limits, {"maximumOccupancy", "minimumPeriodForReturn"})
        found = [limits.get(name) for name in ("maximumOccupancy", "minimumPeriodForReturn")]
        stay, away = (None if text is None else self._minutes(text) for text in found)
        if away is not None and stay is None:
            raise self._error("minimumPeriodForReturn: is there without maximumOccupancy", limits)
        return stay, away

    def _minutes(self, text: str) -> int:
        return minutes_of(text) or self._fail(f"{text[:40]!r} is no duration in minutes, such as PT20M")

    def _fail(self, reason: str) -> int:
        raise self._error(reason)

    def _clock(self, text: str) -> int:
        match = _CLOCK.match(text)
        if match is None:
            raise self._error(f"{text[:40]!r} is no time of day at a whole minute")
        return int(match[1]) * 60 + int(match[2])

    def _moment(self, text: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(text)
        except (TypeError, ValueError) as problem:
            raise self._error(f"{str(text)[:40]!r} is no date and time") from problem
        return (moment if moment.tzinfo else moment.replace(tzinfo=self._zone)).astimezone(UTC)

    def _notes(self, bands: list[dict[str, Any]]) -> Iterator[str]:
        hours = "; ".join(
            f"{', '.join(day for day in DAYS if day in band['days'])}"
            f" {_told(band['from_minute'])} to {_told(band['to_minute'])}"
            for band in bands
        )
        yield f"the order's text, which is not read, is {self._values['provisionDescription']!r}"
        yield f"the order's data, which is what counts, has {hours}; bank holidays are as other days"

    def _only(self, node: Values, known: set[str]) -> None:
        if unknown := sorted(node.keys() - known):
            raise self._error(f"{unknown[0]}: is not read, and could change what holds", node)

    @property
    def _reference(self) -> str:
        return str(self._values["reference"])

    def _error(self, reason: str, node: Values | None = None) -> TariffError:
        """The refusal of a field, which the reason begins with, of an object of the order's."""
        line = self._document.line(self._values if node is None else node, reason.partition(":")[0])
        return TariffError(self._document.file, line, f"provision {self._reference}: {reason}")


_ALL_DAY = {"startTimeOfPeriod": "00:00:00", "endTimeOfPeriod": "00:00:00"}


def _tree(operator: str, parts: list[dict[str, Any]], *, negate: bool) -> dict[str, Any]:
    return {"operator": operator, "negate": negate, "vehicle": None, "parts": parts}


def _told(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
