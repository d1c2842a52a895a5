"""A prepared tariff: places with their hours and charges, permits, and the calendar of bank holidays."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cardservice.services.parking.conditions import Condition, prepare_condition
from cardservice.services.taxes import Taxes, taxes_from

FORMAT = 1  # ours: of the stored content
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# What a bank holiday is, in place of its weekday.
HOLIDAY = "holiday"
# What there is a tax on: money of the street is kept apart from that of car parks.
ON_STREET, OFF_STREET, PERMITS = "on-street", "off-street", "permit"
DAY_MINUTES = 1_440
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Tier:
    """A stay up to and including `up_to_s` costs this."""

    up_to_s: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class Step:
    """Each begun so many seconds cost this."""

    every_s: int
    price_minor: int


@dataclass(frozen=True, slots=True)
class Band:
    """What is charged on these days between two times of day, minutes after midnight by the clock."""

    days: frozenset[str]
    from_minute: int
    to_minute: int
    # Exactly one of the two.
    tiers: tuple[Tier, ...]
    step: Step | None

    def price(self, stay_s: int) -> int | None:
        """What so long costs; None where the tiers do not reach. Less than the first tier costs the first."""
        if self.step is not None:
            return -(-stay_s // self.step.every_s) * self.step.price_minor
        return next((tier.price_minor for tier in self.tiers if stay_s <= tier.up_to_s), None)


@dataclass(frozen=True, slots=True)
class Place:
    """A street or a car park, and what may be done there."""

    key: str
    label: str
    on_street: bool
    pay_on_exit: bool
    # Whether nobody parks outside the bands' hours; otherwise it is free then.
    closed_outside: bool
    # An order without a word of bank holidays holds on them as on any day.
    holidays_as_weekdays: bool
    bands: tuple[Band, ...]
    free_minutes: int
    daily_maximum_minor: int | None
    min_minutes: int
    max_minutes: int
    max_stay_minutes: int | None
    no_return_minutes: int | None
    discounts: Mapping[str, int]
    permits: frozenset[str]
    carries_unused: bool
    condition: Condition | None
    valid_from: datetime | None
    valid_until: datetime | None
    # Whether it is free, and without a longest stay, for whoever has a Blue Badge.
    badge_free: bool = False
    visits: frozenset[str] = frozenset()
    # What is set aside of the payer's money when a vehicle drives in; None: nothing is.
    reserve_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Permit:
    """What a permit costs: the first, the second and so on of one payer."""

    key: str
    label: str
    months: int
    prices_minor: tuple[int, ...]
    categories: frozenset[str]
    # How many vehicles one names.
    vehicles: int = 1
    # What it costs to name others.
    change_minor: int = 0


@dataclass(frozen=True, slots=True)
class Visit:
    """A session for a visitor's vehicle, so many of which a payer has in a calendar year."""

    key: str
    label: str
    minutes: int
    price_minor: int
    sessions_a_year: int
    categories: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A stored tariff, prepared; immutable, and shared between threads."""

    version: str
    currency: str
    zone: ZoneInfo
    first_day: date
    last_day: date
    holidays: frozenset[date]
    calendar_until: date
    places: Mapping[str, Place]
    permits: Mapping[str, Permit]
    visits: Mapping[str, Visit]
    # Of the cardholders who have a Blue Badge.
    badge_categories: frozenset[str]
    taxes: Taxes = field(default_factory=Taxes)

    @property
    def valid_from(self) -> datetime:
        """Its first day's first moment."""
        return self.at(self.first_day, 0)

    @property
    def valid_until(self) -> datetime:
        """The moment at which its last day is over."""
        return self.at(self.last_day + _DAY, 0)

    def day_of(self, moment: datetime) -> date:
        """The day by the clock of the place."""
        return moment.astimezone(self.zone).date()

    def kind_of(self, day: date, place: Place) -> str:
        """The weekday, or that it is a bank holiday."""
        return HOLIDAY if day in self.holidays and not place.holidays_as_weekdays else DAYS[day.weekday()]

    def at(self, day: date, minute: int) -> datetime:
        """The moment of a time of day; of one that the clocks leave out, the moment at which they do.

        A time that there is twice is the first of the two.
        """
        if minute == DAY_MINUTES:
            day, minute = day + _DAY, 0
        wall = datetime.combine(day, time(minute // 60, minute % 60))
        moment = wall.replace(tzinfo=self.zone).astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=None) == wall:
            return moment
        while (earlier := moment - _MINUTE).astimezone(self.zone).replace(tzinfo=None) >= wall:
            moment = earlier
        return moment


def prepare(content: Mapping[str, Any]) -> Tariff:
    """The tariff of a stored content, as `loading` wrote it; ValueError for another format."""
    if content["format"] != FORMAT:
        raise ValueError(f"the tariff is stored in format {content['format']}, and this reads {FORMAT}")
    return Tariff(
        version=content["version"],
        currency=content["currency"],
        zone=ZoneInfo(content["timezone"]),
        first_day=date.fromisoformat(content["first_day"]),
        last_day=date.fromisoformat(content["last_day"]),
        holidays=frozenset(map(date.fromisoformat, content["holidays"])),
        calendar_until=date.fromisoformat(content["calendar_until"]),
        places={stored["key"]: prepare_place(stored) for stored in content["places"]},
        permits={stored["key"]: _permit(stored) for stored in content["permits"]},
        # A tariff that was stored before there were such has none.
        visits={stored["key"]: _visit(stored) for stored in content.get("visits", ())},
        badge_categories=frozenset(content.get("badge_categories", ())),
        taxes=taxes_from(content),
    )


def prepare_place(stored: Mapping[str, Any]) -> Place:
    """A place of a stored content."""
    values = {
        **stored,
        "bands": tuple(_band(band) for band in stored["bands"]),
        "permits": frozenset(stored["permits"]),
        "visits": frozenset(stored.get("visits", ())),
        "condition": prepare_condition(stored["condition"]) if stored["condition"] else None,
        **{name: _moment(stored[name]) for name in ("valid_from", "valid_until")},
    }
    return Place(**values)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _band(stored: Mapping[str, Any]) -> Band:
    return Band(
        days=frozenset(stored["days"]),
        from_minute=stored["from_minute"],
        to_minute=stored["to_minute"],
        tiers=tuple(Tier(*tier) for tier in stored["tiers"]),
        step=Step(*stored["step"]) if stored["step"] else None,
    )


def _permit(stored: Mapping[str, Any]) -> Permit:
    return Permit(
        key=stored["key"],
        label=stored["label"],
        months=stored["months"],
        prices_minor=tuple(stored["prices_minor"]),
        categories=frozenset(stored["categories"]),
        vehicles=stored.get("vehicles", 1),
        change_minor=stored.get("change_minor", 0),
    )


def _visit(stored: Mapping[str, Any]) -> Visit:
    return Visit(**{**stored, "categories": frozenset(stored["categories"])})
