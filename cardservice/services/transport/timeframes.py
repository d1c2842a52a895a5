"""Times of day and days of service that a fare can depend on: timeframes.txt, with the calendars it names.

Times are those of the clock on the wall where the agency is ("Local Time Semantics"), so that the hour that
comes twice is in a timeframe twice. A timeframe ends before its `end_time`; 24:00:00 is the day's end.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cardservice.services.seam import TariffError
from cardservice.services.transport.archive import Archive
from cardservice.services.transport.places import optional_rows
from cardservice.services.transport.rows import Row
from cardservice.services.transport.schemas import CalendarDatesSchema, TimeframeSchema, WeekSchema

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ADDED = 1  # calendar_dates.txt, exception_type
_DAY_S = 24 * 3600
_DAY = timedelta(days=1)
MAX_DAYS = 3_700  # ours: ten years are looked at for two prices of one ride


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a service: some of the week between two days, and what differs from that."""

    weekdays: frozenset[int]
    first: date
    last: date
    added: frozenset[date]
    removed: frozenset[date]

    def __contains__(self, day: date) -> bool:
        if day in self.added:
            return True
        return day not in self.removed and day.weekday() in self.weekdays and self.first <= day <= self.last


@dataclass(frozen=True, slots=True)
class Timeframe:
    """A row of timeframes.txt: from `start_s` until before `end_s` of the day, in seconds."""

    group: str
    service: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Timeframes:
    """All of a feed."""

    zone: ZoneInfo
    services: Mapping[str, Days]
    frames: tuple[Timeframe, ...]

    def at(self, moment: datetime | None) -> frozenset[str]:
        """The groups that a moment falls in; none for a moment that nobody knows."""
        if moment is None or not self.frames:
            return frozenset()
        local = moment.astimezone(self.zone)
        second = local.hour * 3600 + local.minute * 60 + local.second
        return self._groups(second, self._active(local.date()))

    def _active(self, day: date) -> frozenset[str]:
        return frozenset(name for name, days in self.services.items() if day in days)

    def _groups(self, second: int, services: frozenset[str]) -> frozenset[str]:
        return frozenset(
            frame.group
            for frame in self.frames
            if frame.service in services and frame.start_s <= second < frame.end_s
        )

    def next_change(self, moment: datetime) -> datetime | None:
        """The first moment afterwards at which another fare could hold; None: there are no timeframes."""
        if not self.frames:
            return None
        today = moment.astimezone(self.zone).date()
        bounds = sorted({0, *(each for frame in self.frames for each in (frame.start_s, frame.end_s))})
        # Both comings of an hour that comes twice: a bound is one in each of them.
        moments = (
            datetime.combine(day, _clock(second), self.zone).replace(fold=fold).astimezone(UTC)
            for day in (today, today + _DAY)
            for second in bounds
            if second < _DAY_S
            for fold in (0, 1)
        )
        return min(each for each in moments if each > moment)

    def together(self, first: date, last: date) -> tuple[frozenset[str], ...]:
        """Which groups can hold at one moment between two days; the last look is at `MAX_DAYS`."""
        if not self.frames:
            return (frozenset(),)
        seconds = {0, *(each for frame in self.frames for each in (frame.start_s, frame.end_s))} - {_DAY_S}
        count = min((last - first).days + 1, MAX_DAYS)
        active = {self._active(first + timedelta(days=number)) for number in range(count)}
        found = {self._groups(second, services) for services in active for second in seconds}
        return tuple(sorted(found, key=sorted))


def _clock(second: int) -> time:
    return time(second // 3600, second // 60 % 60, second % 60)


def read_timeframes(archive: Archive, zone: ZoneInfo) -> Timeframes:
    """The feed's timeframes; raises TariffError."""
    rows = optional_rows(archive, TimeframeSchema())
    if not rows:
        return Timeframes(zone, {}, ())
    services = _services(archive)
    frames: list[tuple[Row, Timeframe]] = []
    for row in rows:
        frame = _frame(row)
        if frame.service not in services:
            raise row.error(
                f"service_id: there is no service {frame.service!r} in calendar.txt or calendar_dates.txt"
            )
        _check_apart(row, frame, frames)
        frames.append((row, frame))
    used = {frame.service for _, frame in frames}
    return Timeframes(
        zone,
        {name: days for name, days in services.items() if name in used},
        tuple(frame for _, frame in frames),
    )


def _frame(row: Row) -> Timeframe:
    values = row.values
    start_s, end_s = values.get("start_time"), values.get("end_time")
    if (start_s is None) != (end_s is None):
        missing = "start_time" if start_s is None else "end_time"
        raise row.error(f"{missing}: is empty, and the other end of the timeframe is not")
    if start_s is None or end_s is None:
        start_s, end_s = 0, _DAY_S
    if end_s <= start_s:
        raise row.error("end_time: is not after start_time; what goes beyond midnight is two rows")
    return Timeframe(values["timeframe_group_id"], values["service_id"], start_s, end_s)


def _check_apart(row: Row, frame: Timeframe, before: Iterable[tuple[Row, Timeframe]]) -> None:
    for other_row, other in before:
        same = (other.group, other.service) == (frame.group, frame.service)
        if same and frame.start_s < other.end_s and other.start_s < frame.end_s:
            raise row.error(f"start_time: overlaps line {other_row.line} of the same group and service")


def _services(archive: Archive) -> dict[str, Days]:
    changes: dict[str, dict[bool, set[date]]] = {}
    for row in optional_rows(archive, CalendarDatesSchema()):
        of_service = changes.setdefault(row.values["service_id"], {True: set(), False: set()})
        of_service[row.values["exception_type"] == _ADDED].add(row.values["date"])
    found = {}
    for row in optional_rows(archive, WeekSchema()):
        values = row.values
        if values["end_date"] < values["start_date"]:
            raise row.error("end_date: is before start_date")
        weekdays = frozenset(number for number, name in enumerate(_WEEKDAYS) if values[name])
        found[values["service_id"]] = (weekdays, values["start_date"], values["end_date"])
    services = {}
    for name in (*found, *(name for name in changes if name not in found)):
        own = changes.get(name, {True: set(), False: set()})
        week = found.get(name, (frozenset(), date.min, date.min))
        services[name] = Days(*week, frozenset(own[True]), frozenset(own[False]))
    return services


def stored_timeframes(frames: Timeframes) -> dict[str, Any]:
    """As they are stored with a tariff."""
    return {
        "services": {
            name: {
                "weekdays": sorted(days.weekdays),
                "first": days.first.isoformat(),
                "last": days.last.isoformat(),
                "added": sorted(day.isoformat() for day in days.added),
                "removed": sorted(day.isoformat() for day in days.removed),
            }
            for name, days in frames.services.items()
        },
        "frames": sorted([frame.group, frame.service, frame.start_s, frame.end_s] for frame in frames.frames),
    }


def timeframes_from(stored: Mapping[str, Any] | None, zone: ZoneInfo) -> Timeframes:
    """As `stored_timeframes` wrote them."""
    if stored is None:
        return Timeframes(zone, {}, ())
    return Timeframes(
        zone,
        {
            name: Days(
                frozenset(days["weekdays"]),
                date.fromisoformat(days["first"]),
                date.fromisoformat(days["last"]),
                frozenset(_dates(days["added"])),
                frozenset(_dates(days["removed"])),
            )
            for name, days in stored["services"].items()
        },
        tuple(Timeframe(*frame) for frame in stored["frames"]),
    )


def _dates(stored: Iterable[str]) -> Iterator[date]:
    return map(date.fromisoformat, stored)


def require_known(row: Row, column: str, known: frozenset[str]) -> None:
    """Refuse a row of another file that names a timeframe that there is not."""
    value = row.values.get(column)
    if value is not None and value not in known:
        raise TariffError(row.file, row.line, f"{column}: there is no {value!r} in timeframes.txt")
