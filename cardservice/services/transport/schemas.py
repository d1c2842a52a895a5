"""One schema a file: the columns that are read, with what GTFS Schedule says of them.

Clauses are the file names of the GTFS Schedule reference (gtfs.org/documentation/schedule/reference,
revision of 2026). Columns that are not declared here are passed over, except in the files that set a
price, where an unknown column that says something is refused.
"""

from datetime import date, datetime
from typing import Any, ClassVar

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

_REQUIRED: dict[str, str | list[Any] | dict[Any, Any]] = {"required": "is empty"}


class Identifier(fields.String):
    """Any text; we bound its length so that messages and statements stay short."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__(
            required=required,
            error_messages=_REQUIRED,
            validate=validate.Length(max=255, error="is longer than 255 characters"),
        )


class Name(fields.String):
    """Text for people."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__(
            required=required,
            error_messages=_REQUIRED,
            validate=validate.Length(max=1000, error="is longer than 1000 characters"),
        )


class Number(fields.Integer):
    """A whole number between two bounds; `default` where it is empty."""

    def __init__(self, lowest: int, highest: int, *, default: int | None = None) -> None:
        super().__init__(
            **({"required": True} if default is None else {"load_default": default}),
            error_messages=_REQUIRED | {"invalid": "is not a whole number"},
            validate=validate.Range(lowest, highest, error=f"is not between {lowest} and {highest}"),
        )

    def _validated(self, value: Any) -> int:
        # int() also takes "1_000", "+1" and the digits of other scripts.
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18):
            raise self.make_error("invalid", input=value)
        return int(value)


class Day(fields.Field[date]):
    """A service day, YYYYMMDD."""

    def __init__(self, *, required: bool = False) -> None:
        super().__init__(required=required, error_messages=_REQUIRED)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date:
        text = str(value)
        if not (len(text) == 8 and text.isascii() and text.isdigit()):
            raise ValidationError(f"{text[:40]!r} is not a day like 20261231")
        try:
            return datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007  # a calendar day has no time zone
        except ValueError as problem:
            raise ValidationError(f"{text!r} is not a day of the calendar") from problem


class LocalTime(fields.Field[int]):
    """A time by the clock on the wall as seconds, H:MM:SS up to 24:00:00; timeframes.txt, start_time."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        text = str(value)
        parts = text.split(":")
        if [len(part) for part in parts] not in ([1, 2, 2], [2, 2, 2]) or not all(
            part.isascii() and part.isdigit() for part in parts
        ):
            raise ValidationError(f"{text[:40]!r} is not a time like 09:30:00")
        hours, minutes, seconds = map(int, parts)
        found = hours * 3600 + minutes * 60 + seconds
        if minutes > 59 or seconds > 59 or found > 24 * 3600:
            raise ValidationError(f"{text!r} is not a time from 00:00:00 to 24:00:00")
        return found


class TransferCount(Number):
    """A whole number above zero, or -1; fare_transfer_rules.txt, transfer_count."""

    UNLIMITED = -1

    def __init__(self) -> None:
        super().__init__(1, 1_000_000, default=0)

    def _validated(self, value: Any) -> int:
        return self.UNLIMITED if value == "-1" else super()._validated(value)

    def _validate(self, value: Any) -> None:
        if value != self.UNLIMITED:
            super()._validate(value)


class RowSchema(Schema):
    """Base: the file's name, the columns that make a row unique, and how strict its columns are."""

    file: ClassVar[str]
    key: ClassVar[tuple[str, ...]] = ()
    every_column_counts: ClassVar[bool] = False

    class Meta:
        """Columns of others are theirs to define."""

        unknown = EXCLUDE


class AgencySchema(RowSchema):
    """agency.txt."""

    file = "agency.txt"

    agency_name = Name(required=True)
    agency_timezone = Identifier(required=True)


class FeedInfoSchema(RowSchema):
    """feed_info.txt; the two dates bound what the feed vouches for."""

    file = "feed_info.txt"

    feed_start_date = Day()
    feed_end_date = Day()


class CalendarSchema(RowSchema):
    """calendar.txt: read for its dates alone, where feed_info.txt gives none."""

    file = "calendar.txt"
    key = ("service_id",)

    service_id = Identifier(required=True)
    start_date = Day(required=True)
    end_date = Day(required=True)


class CalendarDatesSchema(RowSchema):
    """calendar_dates.txt; exception_type 1 adds a day, 2 removes it."""

    file = "calendar_dates.txt"
    key = ("service_id", "date")

    service_id = Identifier(required=True)
    date = Day(required=True)
    exception_type = Number(1, 2)


class WeekSchema(CalendarSchema):
    """calendar.txt, read for its days of the week, too: where timeframes hold on some days only."""

    monday = Number(0, 1)
    tuesday = Number(0, 1)
    wednesday = Number(0, 1)
    thursday = Number(0, 1)
    friday = Number(0, 1)
    saturday = Number(0, 1)
    sunday = Number(0, 1)


class TimeframeSchema(RowSchema):
    """timeframes.txt; no times: the whole day."""

    file = "timeframes.txt"
    key = ("timeframe_group_id", "start_time", "end_time", "service_id")
    every_column_counts = True

    timeframe_group_id = Identifier(required=True)
    start_time = LocalTime()
    end_time = LocalTime()
    service_id = Identifier(required=True)


class StopSchema(RowSchema):
    """stops.txt."""

    file = "stops.txt"
    key = ("stop_id",)

    stop_id = Identifier(required=True)
    stop_name = Name()
    location_type = Number(0, 4, default=0)
    parent_station = Identifier()


class AreaSchema(RowSchema):
    """areas.txt."""

    file = "areas.txt"
    key = ("area_id",)

    area_id = Identifier(required=True)
    area_name = Name()


class StopAreaSchema(RowSchema):
    """stop_areas.txt."""

    file = "stop_areas.txt"
    key = ("area_id", "stop_id")

    area_id = Identifier(required=True)
    stop_id = Identifier(required=True)


class RouteSchema(RowSchema):
    """routes.txt."""

    file = "routes.txt"
    key = ("route_id",)

    route_id = Identifier(required=True)
    network_id = Identifier()


class NetworkSchema(RowSchema):
    """networks.txt."""

    file = "networks.txt"
    key = ("network_id",)

    network_id = Identifier(required=True)


class RouteNetworkSchema(RowSchema):
    """route_networks.txt; a route is in one network at most."""

    file = "route_networks.txt"
    key = ("route_id",)

    network_id = Identifier(required=True)
    route_id = Identifier(required=True)


class RiderCategorySchema(RowSchema):
    """rider_categories.txt."""

    file = "rider_categories.txt"
    key = ("rider_category_id",)

    rider_category_id = Identifier(required=True)
    rider_category_name = Name(required=True)
    is_default_fare_category = Number(0, 1, default=0)


class FareMediaSchema(RowSchema):
    """fare_media.txt."""

    file = "fare_media.txt"
    key = ("fare_media_id",)

    fare_media_id = Identifier(required=True)
    fare_media_name = Name()
    fare_media_type = Number(0, 4)


class FareProductSchema(RowSchema):
    """fare_products.txt; `amount` stays text until the currency is known to be the scheme's."""

    file = "fare_products.txt"
    key = ("fare_product_id", "rider_category_id", "fare_media_id")
    every_column_counts = True

    fare_product_id = Identifier(required=True)
    fare_product_name = Name()
    rider_category_id = Identifier()
    fare_media_id = Identifier()
    amount = Identifier(required=True)
    currency = Identifier(required=True)


class FareLegRuleSchema(RowSchema):
    """fare_leg_rules.txt; an empty rule_priority is zero."""

    file = "fare_leg_rules.txt"
    key = (
        *("network_id", "from_area_id", "to_area_id"),
        *("from_timeframe_group_id", "to_timeframe_group_id", "fare_product_id"),
    )
    every_column_counts = True

    leg_group_id = Identifier()
    network_id = Identifier()
    from_area_id = Identifier()
    to_area_id = Identifier()
    from_timeframe_group_id = Identifier()
    to_timeframe_group_id = Identifier()
    fare_product_id = Identifier(required=True)
    rule_priority = Number(0, 1_000_000_000, default=0)


class FareLegJoinRuleSchema(RowSchema):
    """fare_leg_join_rules.txt."""

    file = "fare_leg_join_rules.txt"
    key = ("from_network_id", "to_network_id", "from_stop_id", "to_stop_id")
    every_column_counts = True

    from_network_id = Identifier(required=True)
    to_network_id = Identifier(required=True)
    from_stop_id = Identifier()
    to_stop_id = Identifier()


class FareTransferRuleSchema(RowSchema):
    """fare_transfer_rules.txt; a transfer_count that is not there is 0, a limit is in seconds."""

    file = "fare_transfer_rules.txt"
    key = ("from_leg_group_id", "to_leg_group_id", "fare_product_id", "transfer_count", "duration_limit")
    every_column_counts = True

    from_leg_group_id = Identifier()
    to_leg_group_id = Identifier()
    transfer_count = TransferCount()
    duration_limit = Number(1, 1_000_000_000, default=0)
    duration_limit_type = Number(0, 3, default=-1)
    fare_transfer_type = Number(0, 2)
    fare_product_id = Identifier()
