"""A rate table of a D-TRO: its lines in order, none overlapping, none missing between minTime and maxTime.

The lines' times of day are durations, and their ends are inclusive: 01:59:59 meets 02:00:00.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Any

from cardservice.money import parse_minor
from cardservice.services.json_files import Document
from cardservice.services.parking.durations import minutes_of
from cardservice.services.seam import TariffError

_HMS = re.compile(r"([0-9]{2}):([0-5][0-9]):([0-5][0-9])\Z", re.ASCII)
_TABLE = {"additionalInformation", "type", "rateLineCollection"}
_COLLECTION = {
    *("applicableCurrency", "maxTime", "maxValueCollection", "minTime", "minValueCollection"),
    *("rateLine", "resetTime", "sequence", "startValidUsagePeriod", "endValidUsagePeriod"),
}
_LINE = {"description", "durationEnd", "durationStart", "sequence", "type", "usageCondition", "value"}

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices by the end of each tier, inclusive, in seconds; what can be bought; from when to when."""

    tiers: tuple[tuple[int, int], ...]
    min_minutes: int
    max_minutes: int
    # Minutes after midnight.
    reset: int | None
    begins: str | None
    ends: str | None
    # Where they stand in the order.
    node: Values


@dataclass(frozen=True, slots=True)
class _Line:
    sequence: int
    first_s: int
    # Inclusive.
    last_s: int
    price_minor: int
    # In the order.
    node: Values

    def __str__(self) -> str:
        return f"rateLine {self.sequence} ({_told(self.first_s)} to {_told(self.last_s)})"


def read_rates(document: Document, provision: str, table: Values, currency: str) -> Rates:
    """The one collection of a rate table; raises TariffError with the lines that are at fault."""
    return _Table(document, provision, currency).read(table)


class _Table:
    def __init__(self, document: Document, provision: str, currency: str) -> None:
        self._document, self._provision, self._currency = document, provision, currency
        # What is being read, and is at fault where nothing else is named.
        self._node: Values = document.values

    def read(self, table: Values) -> Rates:
        self._node = table
        self._only("rateTable", table, _TABLE)
        collections = table["rateLineCollection"]
        if len(collections) != 1:
            raise self._error(f"rateLineCollection: there are {len(collections)}, and one is read")
        values = self._node = collections[0]
        self._only("rateLineCollection", values, _COLLECTION)
        if values["applicableCurrency"] != self._currency:
            found = values["applicableCurrency"]
            said = f"applicableCurrency: is {found}, and the scheme's is {self._currency}"
            raise self._error(said, field="applicableCurrency")
        bounds = {name: minutes_of(values[name]) for name in ("minTime", "maxTime")}
        least, most = bounds["minTime"], bounds["maxTime"]
        if least is None or most is None or most < least:
            raise self._error(
                "minTime, maxTime: are not two durations in minutes, the shorter first", field="minTime"
            )
        lines = sorted((self._line(line) for line in values["rateLine"]), key=lambda line: line.first_s)
        self._check(lines, least * 60, most * 60)
        self._check_values(lines, values)
        return Rates(
            tiers=_tiers(lines, most * 60),
            min_minutes=least,
            max_minutes=most,
            reset=self._reset(values.get("resetTime")),
            begins=values.get("startValidUsagePeriod"),
            ends=values.get("endValidUsagePeriod"),
            node=values,
        )

    def _line(self, values: Values) -> _Line:
        name = f"rateLine {values.get('sequence')}"
        around, self._node = self._node, values
        self._only(name, values, _LINE)
        for field, known in (("type", "flatRateTier"), ("usageCondition", "fixedDuration")):
            if values[field] != known:
                said = f"{name}: {field} {str(values[field])[:40]!r} is not read, {known} is"
                raise self._error(said, field=field)
        first_s, last_s = (self._seconds(name, values[field]) for field in ("durationStart", "durationEnd"))
        if last_s < first_s:
            raise self._error(f"{name}: durationEnd is before durationStart")
        line = _Line(values["sequence"], first_s, last_s, self._price(name, values["value"]), values)
        self._node = around
        return line

    def _seconds(self, name: str, text: str) -> int:
        match = _HMS.match(text)
        if match is None:
            raise self._error(f"{name}: {text[:40]!r} is no duration like 01:59:59")
        return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])

    def _price(self, name: str, value: object) -> int:
        # `value` is as it stands in the file, never a float.
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self._error(f"{name}: {str(value)[:40]!r} is no amount")
        try:
            price_minor = parse_minor(str(value), self._currency)
        except ValueError as problem:
            raise self._error(f"{name}: {problem}") from problem
        if price_minor < 0:
            raise self._error(f"{name}: {value} is out of range")
        return price_minor

    def _check(self, lines: list[_Line], least_s: int, most_s: int) -> None:
        for line, other in combinations(lines, 2):
            if other.first_s <= line.last_s:
                first = self._document.line(line.node)
                said = f"{line} and {other} overlap: which holds is not said; the first is in line {first}"
                raise self._error(said, other.node)
        for line, after in pairwise(lines):
            if after.first_s > line.last_s + 1 and line.last_s + 1 < most_s and after.first_s > least_s:
                raise self._error(f"between {line} and {after} there is a gap", after.node)
            if after.price_minor < line.price_minor:
                raise self._error(f"{after} is cheaper than {line}, which is shorter", after.node)
        if not lines or lines[0].first_s > least_s:
            raise self._error("there is a gap between minTime and the first rateLine")
        if lines[-1].last_s + 1 < most_s:
            raise self._error(f"there is a gap between {lines[-1]} and maxTime", lines[-1].node)

    def _check_values(self, lines: list[_Line], values: Values) -> None:
        for field, sign in (("minValueCollection", 1), ("maxValueCollection", -1)):
            if field in values:
                bound = self._price(field, values[field])
                for line in lines:
                    if sign * line.price_minor < sign * bound:
                        said = f"{line}: its value is out of the range of {field}"
                        raise self._error(said, line.node, "value")

    def _reset(self, text: str | None) -> int | None:
        if text is None:
            return None
        seconds = self._seconds("resetTime", text)
        if seconds % 60:
            raise self._error("resetTime: is not at a whole minute")
        return seconds // 60

    def _only(self, name: str, node: Values, known: set[str]) -> None:
        if unknown := sorted(node.keys() - known):
            raise self._error(
                f"{name}: {unknown[0]} is not read, and could change the price", node, unknown[0]
            )

    def _error(self, reason: str, node: Values | None = None, field: str = "") -> TariffError:
        line = self._document.line(self._node if node is None else node, field)
        return TariffError(self._document.file, line, f"provision {self._provision}: {reason}")


def _tiers(lines: list[_Line], most_s: int) -> tuple[tuple[int, int], ...]:
    """What is bought for just maxTime is the last line's, whose last second is the one before."""
    ends = [line.last_s for line in lines]
    if ends[-1] + 1 == most_s:
        ends[-1] = most_s
    return tuple((end, line.price_minor) for end, line in zip(ends, lines, strict=True))


def _told(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
