"""Prepared terms: classes of members and things, what holds between any two, and days that are closed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

FORMAT = 1  # ours: of the stored content
# Ours: the categories of cardholders who are never fined, whatever a file says.
YOUNG = frozenset({"baby", "child", "pupil", "young"})
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberClass:
    """A class of member. Nobody borrows who owes `blocked_from_minor`, or has so many things overdue."""

    key: str
    label: str
    loans: int
    holds: int
    overdue: int
    blocked_from_minor: int | None
    pc_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lending:
    """What holds for a class of member and a class of thing; no `loans` means that it is not lent to them."""

    loans: int
    days: int
    renewals: int
    fine_per_day_minor: int
    fine_cap_minor: int
    grace_days: int


@dataclass(frozen=True, slots=True)
class Terms:
    """Stored terms, prepared; immutable, and shared between threads."""

    version: str
    currency: str
    zone: ZoneInfo
    first_day: date
    last_day: date
    offline_quote_hours: int
    hold_shelf_days: int
    classes: Mapping[str, MemberClass]
    # The class of each category of cardholder.
    members: Mapping[str, MemberClass]
    items: Mapping[str, str]
    lending: Mapping[tuple[str, str], Lending]
    # 0 is Monday.
    closed_weekdays: frozenset[int]
    closed_days: frozenset[date]

    @property
    def valid_from(self) -> datetime:
        """Their first day's first moment."""
        return self.beginning(self.first_day)

    @property
    def valid_until(self) -> datetime:
        """The moment at which their last day is over."""
        return self.beginning(self.last_day + _DAY)

    def beginning(self, day: date) -> datetime:
        """A day's first moment."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """The day by the clock there."""
        return moment.astimezone(self.zone).date()

    def is_open(self, day: date) -> bool:
        """Whether things can be brought back on a day."""
        return day.weekday() not in self.closed_weekdays and day not in self.closed_days

    def next_open(self, day: date) -> date:
        """This day, or the first after it that is open; loading sees to it that there is one."""
        while not self.is_open(day):
            day += _DAY
        return day

    def open_days(self, after: date, until: date) -> int:
        """How many open days there are after a day, up to and with another."""
        return sum(self.is_open(after + _DAY * n) for n in range(1, (until - after).days + 1))


def prepare(content: Mapping[str, Any]) -> Terms:
    """The terms of a stored content, as `loading` wrote it; ValueError for another format."""
    if content["format"] != FORMAT:
        raise ValueError(f"the terms are stored in format {content['format']}, and this reads {FORMAT}")
    classes = {row["key"]: _member_class(row) for row in content["members"]}
    return Terms(
        version=content["version"],
        currency=content["currency"],
        zone=ZoneInfo(content["timezone"]),
        first_day=date.fromisoformat(content["first_day"]),
        last_day=date.fromisoformat(content["last_day"]),
        offline_quote_hours=content["offline_quote_hours"],
        hold_shelf_days=content["hold_shelf_days"],
        classes=classes,
        members={
            category: classes[row["key"]] for row in content["members"] for category in row["categories"]
        },
        items=dict(content["items"]),
        lending={(row["members"], row["items"]): _lending(row) for row in content["lending"]},
        closed_weekdays=frozenset(content["closed_weekdays"]),
        closed_days=frozenset(date.fromisoformat(day) for day in content["closed_days"]),
    )


def _member_class(row: Mapping[str, Any]) -> MemberClass:
    return MemberClass(**{name: value for name, value in row.items() if name != "categories"})


def _lending(row: Mapping[str, Any]) -> Lending:
    return Lending(**{name: value for name, value in row.items() if name not in ("members", "items")})
