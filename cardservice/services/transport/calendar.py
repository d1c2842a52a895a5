"""Travel days and the hours of the concession: data of the operator's and the authority's, by their clock.

A travel day begins at a time that is data, such as 04:30, and has 23 or 25 hours when the clocks change; a
week is the seven travel days from Monday's. For the concession the moment of boarding decides (England:
Transport Act 2000, section 145A).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cardservice.services.seam import Refusal

CALENDAR_ENDED = "calendar_ended"
_DAY = timedelta(days=1)
_SATURDAY = 5
_DAYS_IN_MEMORY = 4_096


@dataclass(frozen=True, slots=True)
class TravelDays:
    """How moments fall on travel days."""

    zone: ZoneInfo
    starts: time

    def begins(self, day: date) -> datetime:
        """A travel day's first moment."""
        return _begins(self, day)

    def day_of(self, moment: datetime) -> date:
        """The travel day of a moment, by the calendar day on which it began."""
        day = moment.astimezone(self.zone).date()
        return day if moment >= self.begins(day) else day - _DAY

    def length(self, day: date) -> timedelta:
        """How long a travel day is."""
        return self.begins(day + _DAY) - self.begins(day)


@lru_cache(maxsize=_DAYS_IN_MEMORY)
def _begins(days: TravelDays, day: date) -> datetime:
    """The same few days are asked for with every tap."""
    return datetime.combine(day, days.starts, days.zone).astimezone(UTC)


def week_of(travel_day: date) -> date:
    """The Monday of a travel day's week."""
    return travel_day - timedelta(days=travel_day.weekday())


@dataclass(frozen=True, slots=True)
class ConcessionHours:
    """From `starts` until before `ends` on working days; all day at weekends and on bank holidays.

    Which days are bank holidays is known until `last_day`, included.
    """

    zone: ZoneInfo
    starts: time
    ends: time
    bank_holidays: frozenset[date]
    last_day: date

    def cover(self, boarded: datetime) -> bool | Refusal:
        """Whether who boards then rides by the concession; a day beyond the calendar is not guessed at."""
        local = boarded.astimezone(self.zone)
        day = local.date()
        if day > self.last_day:
            message = "The calendar of bank holidays has ended. Load a newer one."
            return Refusal(
                reason=CALENDAR_ENDED, message=message, data={"last_day": self.last_day.isoformat()}
            )
        if day.weekday() >= _SATURDAY or day in self.bank_holidays:
            return True
        return self.starts <= local.time() < self.ends
