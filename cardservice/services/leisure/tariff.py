"""A prepared tariff: activities with their dated prices, passes, products of several visits, and sessions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from cardservice.services.taxes import Taxes, taxes_from

FORMAT = 1  # ours: of the stored content
STANDARD, RESIDENT, CONCESSION = GROUPS = ("standard", "resident", "concession")
PERIODS = ("day", "week", "month", "pass")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """What holds from `first_day` to `last_day`, both included."""

    first_day: date
    last_day: date

    def holds(self, day: date) -> bool:
        """Whether it holds on a day."""
        return self.first_day <= day <= self.last_day

    def meets(self, other: "Dated") -> bool:
        """Whether both hold on one day."""
        return self.first_day <= other.last_day and other.first_day <= self.last_day


@dataclass(frozen=True, slots=True, kw_only=True)
class Price(Dated):
    """What a group of people pays for an activity."""

    activity: str
    group: str
    price_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass(Dated):
    """A membership or a visitor's card: so many visits a day, week or month, or in all, without paying.

    It is that of all cards of these kinds whose holders are of these categories; without any, of all.
    """

    key: str
    label: str
    categories: frozenset[str]
    card_kinds: frozenset[str]
    activities: frozenset[str]
    visits: int
    per: str

    def is_of(self, category: str, card_kind: str) -> bool:
        """Whether somebody has it."""
        return (not self.categories or category in self.categories) and (
            not self.card_kinds or card_kind in self.card_kinds
        )

    def period(self, day: date) -> str:
        """What visits on a day are counted under."""
        year, week, _ = day.isocalendar()
        names = {
            "day": day.isoformat(),
            "week": f"{year:04}-W{week:02}",
            "month": day.isoformat()[:7],
            "pass": self.first_day.isoformat(),
        }
        return f"{self.key}/{names[self.per]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product(Dated):
    """Several visits that are bought at once, to be made within so many days; it is sold on its own days."""

    key: str
    label: str
    activities: frozenset[str]
    visits: int
    valid_days: int
    price_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A time with so many places; people are let in from `opens` until it is over."""

    key: str
    activity: str
    day: date
    opens: datetime
    starts: datetime
    ends: datetime
    places: int


@dataclass(frozen=True, slots=True)
class Tariff:
    """A stored tariff, prepared; immutable, and shared between threads."""

    version: str
    currency: str
    zone: ZoneInfo
    first_day: date
    last_day: date
    offline_quote_hours: int
    groups: Mapping[str, str]
    activities: Mapping[str, str]
    prices: Mapping[tuple[str, str], tuple[Price, ...]]
    passes: tuple[Pass, ...]
    products: Mapping[str, Product]
    sessions: Mapping[str, Session]
    with_sessions: frozenset[str]
    taxes: Taxes = field(default_factory=Taxes)

    @property
    def valid_from(self) -> datetime:
        """Its first day's first moment."""
        return self.beginning(self.first_day)

    @property
    def valid_until(self) -> datetime:
        """The moment at which its last day is over."""
        return self.beginning(self.last_day + _DAY)

    def beginning(self, day: date) -> datetime:
        """A day's first moment."""
        return datetime.combine(day, time.min, self.zone).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """The day by the venue's clock."""
        return moment.astimezone(self.zone).date()

    def price(self, activity: str, category: str | None, day: date) -> Price:
        """The one price of an activity for somebody on a day; without a category, the standard one."""
        group = STANDARD if category is None else self.groups.get(category, STANDARD)
        return next(price for price in self.prices[activity, group] if price.holds(day))


def prepare(content: Mapping[str, Any]) -> Tariff:
    """The tariff of a stored content, as `loading` wrote it; ValueError for another format."""
    if content["format"] != FORMAT:
        raise ValueError(f"the tariff is stored in format {content['format']}, and this reads {FORMAT}")
    zone = ZoneInfo(content["timezone"])
    prices: dict[tuple[str, str], tuple[Price, ...]] = {}
    for price in (Price(**_typed(stored)) for stored in content["prices"]):
        key = price.activity, price.group
        prices[key] = (*prices.get(key, ()), price)
    sessions = {stored["key"]: _session(stored, zone) for stored in content["sessions"]}
    return Tariff(
        version=content["version"],
        currency=content["currency"],
        zone=zone,
        first_day=date.fromisoformat(content["first_day"]),
        last_day=date.fromisoformat(content["last_day"]),
        offline_quote_hours=content["offline_quote_hours"],
        groups={category: group for group, members in content["groups"].items() for category in members},
        activities=dict(content["activities"]),
        prices=prices,
        passes=tuple(Pass(**_typed(stored)) for stored in content["passes"]),
        products={stored["key"]: Product(**_typed(stored)) for stored in content["products"]},
        sessions=sessions,
        with_sessions=frozenset(session.activity for session in sessions.values()),
        taxes=taxes_from(content),
    )


def _typed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A row as its class has it: days for texts, sets for lists."""
    values = {key: frozenset(value) if isinstance(value, list) else value for key, value in stored.items()}
    days = {key: date.fromisoformat(stored[key]) for key in ("first_day", "last_day")}
    return {**values, **days}


def _session(stored: Mapping[str, Any], zone: ZoneInfo) -> Session:
    day = date.fromisoformat(stored["day"])
    starts, ends = (at(day, time.fromisoformat(stored[end]), zone) for end in ("starts", "ends"))
    opens = starts - timedelta(minutes=stored["opens_minutes"])
    return Session(
        key=stored["key"],
        activity=stored["activity"],
        day=day,
        opens=opens,
        starts=starts,
        ends=ends,
        places=stored["places"],
    )


def at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """The moment at which a clock in the zone shows a time; ValueError where it does so never, or twice."""
    local = datetime.combine(day, clock, zone)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise ValueError(f"{clock:%H:%M} does not come on {day}: the clocks go forward")
    if local.replace(fold=1).astimezone(UTC) != moment:
        raise ValueError(f"{clock:%H:%M} comes twice on {day}: the clocks go back")
    return moment
