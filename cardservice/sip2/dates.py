"""Moments as SIP2 writes them, and as real machines do: blank, zero, or none that there is.

Eighteen characters, YYYYMMDDZZZZHHMMSS; the zone is four blanks for local time, or ends in Z for universal
time. Any other zone's letter is read as local time: machines send them at random.
"""

import re
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

_STAMP = re.compile(r"([0-9]{8})(.{4})([0-9]{6})\Z", re.ASCII)
# Before it there was no such machine; at the end, zones have nowhere to go.
_FIRST_YEAR, _LAST_YEAR = 1970, 9999
# A due date is written as its day's last second, so that no machine takes the day before for it.
_LAST = time(23, 59, 59)


def written(moment: datetime, zone: ZoneInfo, *, universal: bool = False) -> str:
    """A moment in local time, or in universal time with its Z."""
    if universal:
        return moment.astimezone(UTC).strftime("%Y%m%d   Z%H%M%S")
    return moment.astimezone(zone).strftime("%Y%m%d    %H%M%S")


def written_day(day: date) -> str:
    """A day's end, in local time."""
    return datetime.combine(day, _LAST).strftime("%Y%m%d    %H%M%S")


def read(text: str, zone: ZoneInfo) -> datetime | None:
    """A moment; None for what is blank, zero, or no moment at all."""
    match = _STAMP.match(text)
    if match is None:
        return None
    try:
        local = datetime.strptime(match[1] + match[3], "%Y%m%d%H%M%S")  # noqa: DTZ007 - its zone follows
    except ValueError:
        return None
    if not _FIRST_YEAR <= local.year < _LAST_YEAR:
        return None
    return local.replace(tzinfo=UTC if match[2].endswith("Z") else zone).astimezone(UTC)


def read_day(text: str) -> date | None:
    """The day that a due date begins with, in whatever form: YYYYMMDD…, YYYY-MM-DD; None for others."""
    for pattern, form in ((r"([0-9]{8})", "%Y%m%d"), (r"([0-9]{4}-[0-9]{2}-[0-9]{2})", "%Y-%m-%d")):
        match = re.match(pattern, text, re.ASCII)
        if match is not None:
            try:
                return datetime.strptime(match[1], form).date()  # noqa: DTZ007 - a day has no zone
            except ValueError:
                return None
    return None
