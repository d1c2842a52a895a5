"""A whole feed, read and checked: every reference leads somewhere, and nothing is guessed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from cardservice.money import parse_minor
from cardservice.services.seam import TariffError
from cardservice.services.transport.archive import Archive, open_archive
from cardservice.services.transport.changing import JoinRule, TransferRule, read_joins, read_transfers
from cardservice.services.transport.places import Places, optional_rows, read_places
from cardservice.services.transport.rows import Row, Table, read_table
from cardservice.services.transport.schemas import (
    AgencySchema,
    CalendarDatesSchema,
    CalendarSchema,
    FareLegRuleSchema,
    FareMediaSchema,
    FareProductSchema,
    FeedInfoSchema,
    RiderCategorySchema,
)
from cardservice.services.transport.timeframes import Timeframes, read_timeframes, require_known

_ALWAYS_READ = frozenset(
    {
        *("agency.txt", "feed_info.txt", "stops.txt", "areas.txt", "stop_areas.txt"),
        *("routes.txt", "networks.txt", "route_networks.txt"),
        *("rider_categories.txt", "fare_media.txt", "fare_products.txt", "fare_leg_rules.txt"),
        *("timeframes.txt", "fare_leg_join_rules.txt", "fare_transfer_rules.txt"),
    }
)
_CALENDARS = frozenset({"calendar.txt", "calendar_dates.txt"})
_ADDED = 1  # calendar_dates.txt, exception_type


@dataclass(frozen=True, slots=True)
class Price:
    """A row of fare_products.txt, in the scheme's currency."""

    row: Row
    product: str
    name: str
    rider_category: str | None
    medium: str | None
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Feed:
    """What a feed says that bears on a fare."""

    zone: ZoneInfo
    first_day: date
    last_day: date
    places: Places
    riders: Mapping[str, str]
    default_rider: str | None
    media: frozenset[str]
    prices: tuple[Price, ...]
    rules: tuple[Row, ...]
    has_priority: bool
    timeframes: Timeframes
    joins: tuple[JoinRule, ...]
    transfers: tuple[tuple[Row, TransferRule], ...]
    passed_over: tuple[str, ...]

    @property
    def valid_from(self) -> datetime:
        """The beginning of the first day where the agency is."""
        return datetime.combine(self.first_day, time.min, self.zone).astimezone(UTC)

    @property
    def valid_until(self) -> datetime:
        """The end of the last day, which belongs to the feed as a whole; the moment itself does not."""
        return datetime.combine(self.last_day + timedelta(days=1), time.min, self.zone).astimezone(UTC)


def read_feed(path: Path, currency: str) -> Feed:
    """The feed at `path`, a zip or a folder, priced in `currency`; raises TariffError."""
    with open_archive(path) as archive:
        return _read(archive, currency)


def _read(archive: Archive, currency: str) -> Feed:
    zone = _zone(archive)
    first_day, last_day, used_calendars = _days(archive)
    places = read_places(archive)
    riders = optional_rows(archive, RiderCategorySchema())
    media = frozenset(row.values["fare_media_id"] for row in optional_rows(archive, FareMediaSchema()))
    names = {row.values["rider_category_id"]: row.values["rider_category_name"] for row in riders}
    prices = _prices(archive, currency, frozenset(names), media)
    products = frozenset(price.product for price in prices)
    timeframes = read_timeframes(archive, zone)
    rules = _rules(archive, places, products, frozenset(frame.group for frame in timeframes.frames))
    groups = frozenset(row.values["leg_group_id"] for row in rules.rows if "leg_group_id" in row.values)
    if timeframes.frames:
        used_calendars = _CALENDARS
    return Feed(
        zone=zone,
        first_day=first_day,
        last_day=last_day,
        places=places,
        riders=names,
        default_rider=_default_rider(riders),
        media=media,
        prices=prices,
        rules=rules.rows,
        has_priority="rule_priority" in rules.columns,
        timeframes=timeframes,
        joins=read_joins(archive, places),
        transfers=read_transfers(archive, groups, products),
        passed_over=tuple(sorted(set(archive.names) - _ALWAYS_READ - used_calendars)),
    )


def _zone(archive: Archive) -> ZoneInfo:
    """agency.txt: all agencies of a feed are in one time zone."""
    rows = read_table(archive, AgencySchema()).rows
    if not rows:
        raise TariffError("agency.txt", None, "names no agency")
    for row in rows[1:]:
        if row.values["agency_timezone"] != rows[0].values["agency_timezone"]:
            raise row.error(f"agency_timezone: is another than on line {rows[0].line}")
    key = rows[0].values["agency_timezone"]
    try:
        return ZoneInfo(key)
    except (KeyError, ValueError, OSError) as problem:
        raise rows[0].error(f"agency_timezone: there is no time zone {key!r}") from problem


def _days(archive: Archive) -> tuple[date, date, frozenset[str]]:
    """First and last day, and the calendars that were read for them."""
    infos = optional_rows(archive, FeedInfoSchema())
    if len(infos) > 1:
        raise infos[1].error("there can be one row only")
    info = infos[0].values if infos else {}
    first, last = info.get("feed_start_date"), info.get("feed_end_date")
    used: frozenset[str] = frozenset()
    if first is None or last is None:
        days = _calendar_days(archive)
        if not days:
            reason = (
                "feed_info.txt gives no start and end, and no calendar does: nobody knows how long it holds"
            )
            raise TariffError("feed_info.txt", None, reason)
        first, last, used = first or min(days), last or max(days), _CALENDARS
    if last < first or last == date.max:
        raise TariffError("feed_info.txt", None, f"the feed ends on {last}, and begins on {first}")
    return first, last, used


def _calendar_days(archive: Archive) -> list[date]:
    days: list[date] = []
    for row in optional_rows(archive, CalendarSchema()):
        days += [row.values["start_date"], row.values["end_date"]]
    for row in optional_rows(archive, CalendarDatesSchema()):
        if row.values["exception_type"] == _ADDED:
            days.append(row.values["date"])
    return days


def _default_rider(rows: tuple[Row, ...]) -> str | None:
    defaults = [row for row in rows if row.values["is_default_fare_category"]]
    if len(defaults) > 1:
        raise defaults[1].error(f"is_default_fare_category: line {defaults[0].line} is the default already")
    return defaults[0].values["rider_category_id"] if defaults else None


def _prices(
    archive: Archive, currency: str, riders: frozenset[str], media: frozenset[str]
) -> tuple[Price, ...]:
    prices: list[Price] = []
    for row in read_table(archive, FareProductSchema()).rows:
        values = row.values
        rider, medium = values.get("rider_category_id"), values.get("fare_media_id")
        if values["currency"] != currency:
            raise row.error(f"currency: {values['currency'][:40]!r} is not the scheme's currency, {currency}")
        if rider is not None and rider not in riders:
            raise row.error(
                f"rider_category_id: there is no rider category {rider!r} in rider_categories.txt"
            )
        if medium is not None and medium not in media:
            raise row.error(f"fare_media_id: there is no fare medium {medium!r} in fare_media.txt")
        try:
            amount_minor = parse_minor(values["amount"], currency)
        except ValueError as problem:
            raise row.error(f"amount: {problem}") from problem
        product = values["fare_product_id"]
        name = values.get("fare_product_name") or product
        prices.append(Price(row, product, name, rider, medium, amount_minor))
    return tuple(prices)


def _rules(archive: Archive, places: Places, products: frozenset[str], timeframes: frozenset[str]) -> Table:
    table = read_table(archive, FareLegRuleSchema())
    for row in table.rows:
        for column, known, where in (
            ("network_id", places.networks, "networks.txt or routes.txt"),
            ("from_area_id", places.areas, "areas.txt"),
            ("to_area_id", places.areas, "areas.txt"),
            ("fare_product_id", products, "fare_products.txt"),
        ):
            value = row.values.get(column)
            if value is not None and value not in known:
                raise row.error(f"{column}: there is no {value!r} in {where}")
        for column in ("from_timeframe_group_id", "to_timeframe_group_id"):
            require_known(row, column, timeframes)
    return table
