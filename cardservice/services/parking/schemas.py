"""What a tariff file and the details of an action may say. Everything else is refused."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from cardservice.services.parking.plates import normalised
from cardservice.services.parking.tariff import DAY_MINUTES, DAYS, HOLIDAY
from cardservice.services.tariff_files import KEY, Day, WholeNumber, is_label
from cardservice.services.taxes import TaxedSchema

MAX_PLACES = 2_000  # ours: of a tariff
MAX_VEHICLES = 5  # ours: of a permit
MAX_STAY_MINUTES = 7 * DAY_MINUTES  # ours: of one payment
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z", re.ASCII)


class Clock(fields.Field[int]):
    """A time of day, HH:MM to 24:00, as minutes after midnight."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        if value == "24:00":
            return DAY_MINUTES
        match = _CLOCK.match(value) if isinstance(value, str) else None
        if match is None:
            raise ValidationError("is not a time of day like 08:30, or 24:00")
        return int(match[1]) * 60 + int(match[2])


class Minute(fields.Field[datetime]):
    """The moment at which a stay began: RFC 3339 with its offset, at a whole minute."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError) as problem:
            raise ValidationError("is not a moment like 2026-06-15T10:30:00Z") from problem
        if moment.tzinfo is None or moment.second or moment.microsecond:
            raise ValidationError("is not a whole minute with its offset from UTC")
        if not 2000 <= moment.year < 9000:
            raise ValidationError("is too far away")
        return moment.astimezone(UTC)


class Plate(fields.Field[str]):
    """A number plate, normalised."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("is not a number plate")
        return normalised(value)


def _keys(**more: Any) -> fields.List[str]:
    return fields.List(fields.String(validate=KEY), validate=validate.Length(max=100), **more)


def _categories(**more: Any) -> fields.List[str]:
    text = fields.String(validate=validate.Length(min=1, max=64))
    return fields.List(text, validate=validate.Length(max=100), **more)


class TierSchema(Schema):
    """A stay from so many minutes to so many costs this; the next begins where it ends."""

    from_minutes = WholeNumber(0, MAX_STAY_MINUTES, required=True)
    to_minutes = WholeNumber(1, MAX_STAY_MINUTES, required=True)
    price = fields.String(required=True)


class StepSchema(Schema):
    """Each begun so many minutes cost this."""

    minutes = WholeNumber(1, DAY_MINUTES, required=True)
    price = fields.String(required=True)


_DAY_KINDS = validate.OneOf((*DAYS, HOLIDAY), error="is none of {choices}")


class BandSchema(Schema):
    """What is charged on these days between two times."""

    days = fields.List(
        fields.String(validate=_DAY_KINDS), required=True, validate=validate.Length(min=1, max=8)
    )
    begins = Clock(required=True, data_key="from")
    ends = Clock(required=True, data_key="to")
    tiers = fields.List(
        fields.Nested(TierSchema), load_default=None, validate=validate.Length(min=1, max=200)
    )
    each = fields.Nested(StepSchema, load_default=None)


class OrderSchema(Schema):
    """Which provision of which digital order says what a place costs and allows."""

    file = fields.String(required=True, validate=validate.Length(min=1, max=255))
    provision = fields.String(required=True, validate=validate.Length(min=1, max=255))


class PlaceSchema(Schema):
    """A street or a car park."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    on_street = fields.Boolean(required=True, truthy={True}, falsy={False})
    pay_on_exit = fields.Boolean(load_default=False, truthy={True}, falsy={False})
    reserve = fields.String(load_default=None)
    outside_hours = fields.String(
        required=True, validate=validate.OneOf(("free", "closed"), error="is neither free nor closed")
    )
    bands = fields.List(
        fields.Nested(BandSchema), load_default=None, validate=validate.Length(min=1, max=200)
    )
    order = fields.Nested(OrderSchema, load_default=None)
    free_minutes = WholeNumber(0, DAY_MINUTES, load_default=0)
    daily_maximum = fields.String(load_default=None)
    max_stay_minutes = WholeNumber(1, MAX_STAY_MINUTES, load_default=None)
    no_return_minutes = WholeNumber(1, DAY_MINUTES, load_default=None)
    discounts = fields.Dict(
        keys=fields.String(validate=validate.Length(min=1, max=64)),
        values=WholeNumber(1, 100),
        load_default=dict,
    )
    permits = _keys(load_default=list)
    visits = _keys(load_default=list)
    blue_badge = fields.String(
        load_default=None,
        validate=validate.OneOf(("free", "as-others"), error="is neither free nor as-others"),
    )
    carries_unused = fields.Boolean(load_default=False, truthy={True}, falsy={False})


class PermitSchema(Schema):
    """A permit: the price of a payer's first, second and so on."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    months = WholeNumber(1, 60, required=True)
    prices = fields.List(fields.String(), required=True, validate=validate.Length(min=1, max=20))
    categories = _categories(load_default=list)
    vehicles = WholeNumber(1, MAX_VEHICLES, load_default=1)
    change_price = fields.String(load_default=None)


class VisitSchema(Schema):
    """A session for a visitor's vehicle."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    minutes = WholeNumber(1, DAY_MINUTES, required=True)
    price = fields.String(required=True)
    sessions_a_year = WholeNumber(1, 1_000, required=True)
    categories = _categories(load_default=list)


class CalendarSchema(Schema):
    """The bank holidays that hold here, and until when they are known."""

    until = Day(required=True)
    holidays = fields.List(Day(), required=True, validate=validate.Length(max=1_000))


class TariffSchema(TaxedSchema):
    """A tariff file."""

    timezone = fields.String(required=True, validate=validate.Length(max=64))
    currency = fields.String(required=True, validate=validate.Regexp(re.compile(r"[A-Z]{3}\Z")))
    first_day = Day(required=True)
    last_day = Day(required=True)
    calendar = fields.Nested(CalendarSchema, required=True)
    places = fields.List(
        fields.Nested(PlaceSchema), required=True, validate=validate.Length(min=1, max=MAX_PLACES)
    )
    permits = fields.List(fields.Nested(PermitSchema), load_default=list, validate=validate.Length(max=100))
    visits = fields.List(fields.Nested(VisitSchema), load_default=list, validate=validate.Length(max=100))
    blue_badge = _categories(load_default=list)


class _VehicleDetails(Schema):
    place = fields.String(required=True, validate=KEY)
    plate = Plate(required=True)


class _PaidDetails(_VehicleDetails):
    # As digital traffic orders name them, such as `car`.
    vehicle = fields.String(load_default="car", validate=validate.Regexp(re.compile(r"[A-Za-z]{1,40}\Z")))
    permit = fields.String(load_default=None, validate=KEY)


class StartDetails(_PaidDetails):
    """Which vehicle stays where for how long; `carried_minutes` of them from an earlier stay."""

    minutes = WholeNumber(1, MAX_STAY_MINUTES, required=True)
    carried_minutes = WholeNumber(0, MAX_STAY_MINUTES, load_default=0)


class ExtendDetails(_PaidDetails):
    """By how long a stay is longer than what is paid of it."""

    started_at = Minute(required=True)
    paid_minutes = WholeNumber(1, MAX_STAY_MINUTES, required=True)
    minutes = WholeNumber(1, MAX_STAY_MINUTES, required=True)


class StopDetails(_VehicleDetails):
    """Which stay is over; how many whole minutes of it are to be carried, where the place lets them be."""

    started_at = Minute(required=True)
    unused_minutes = WholeNumber(0, MAX_STAY_MINUTES, load_default=0)


class EntryDetails(_PaidDetails):
    """Which vehicle drives in; what is reserved for it goes back when it leaves."""


class ExitDetails(_PaidDetails):
    """Which vehicle leaves, and since when it has been there."""

    entered_at = Minute(required=True)


class PermitDetails(Schema):
    """Which permit for which vehicle; it is the payer's first, second and so on at the time."""

    permit = fields.String(required=True, validate=KEY)
    plate = Plate(required=True)
    more_plates = fields.List(Plate(), load_default=list, validate=validate.Length(max=MAX_VEHICLES - 1))
    number = WholeNumber(1, 20, required=True)


class PermitEndDetails(Schema):
    """Which permit ends: that of all these vehicles, with these days."""

    permit = fields.String(required=True, validate=KEY)
    plate = Plate(required=True)
    more_plates = fields.List(Plate(), load_default=list, validate=validate.Length(max=MAX_VEHICLES - 1))
    first_day = Day(required=True)
    last_day = Day(required=True)


class PermitChangeDetails(PermitEndDetails):
    """Which permit names which vehicles from now on, in place of those."""

    new_plates = fields.List(Plate(), required=True, validate=validate.Length(min=1, max=MAX_VEHICLES))


class VisitDetails(_VehicleDetails):
    """Which vehicle visits, where, and by which sessions of the payer's."""

    visit = fields.String(required=True, validate=KEY)
    vehicle = fields.String(load_default="car", validate=validate.Regexp(re.compile(r"[A-Za-z]{1,40}\Z")))


class LookUpDetails(_VehicleDetails):
    """Which vehicle is asked about, and where."""


# The longest look back that an exit is priced for: a vehicle that stood longer is for people to look at.
LONGEST = timedelta(minutes=MAX_STAY_MINUTES)
