"""The school's calendar: its terms, the days on which it is closed, and the weeks of the menu's cycle."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Term:
    """Days of school, both included; its first week, from a Monday on, is this week of the cycle."""

    first_day: date
    last_day: date
    week: int

    def week_of(self, day: date, weeks: int) -> int:
        """The week of a cycle of so many weeks that a day of the term is in, from 1."""
        monday = self.first_day - timedelta(days=self.first_day.weekday())
        return (self.week - 1 + (day - monday) // _WEEK) % weeks + 1


@dataclass(frozen=True, slots=True)
class Calendar:
    """When there is school; terms do not overlap."""

    terms: tuple[Term, ...]
    closed: frozenset[date]
    weeks: int

    def week_of(self, day: date) -> int | None:
        """The week of the cycle that a day of school is in, from 1; None where there is no school."""
        if day in self.closed:
            return None
        found = (term for term in self.terms if term.first_day <= day <= term.last_day)
        term = next(found, None)
        return None if term is None else term.week_of(day, self.weeks)


def prepare_calendar(content: Mapping[str, Any]) -> Calendar:
    """The calendar of a stored content; without terms all of the menu's days are one."""
    stored = content.get("terms") or [
        {"first_day": content["first_day"], "last_day": content["last_day"], "week": 1}
    ]
    return Calendar(
        terms=tuple(
            Term(date.fromisoformat(term["first_day"]), date.fromisoformat(term["last_day"]), term["week"])
            for term in stored
        ),
        closed=frozenset(date.fromisoformat(day) for day in content.get("closed_days", ())),
        weeks=content.get("cycle_weeks", 1),
    )
