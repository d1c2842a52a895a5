"""What a leisure tariff and the details of its actions may say. Everything else is refused."""

import re
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from cardservice.services.leisure.tariff import GROUPS, PERIODS
from cardservice.services.tariff_files import KEY, Day, WholeNumber, is_label
from cardservice.services.taxes import TaxedSchema

_CLOCK = validate.Regexp(re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]\Z"), error="is not a time like 09:30")
PAY, PASS, VISITS, BOOKING = "pay", "pass", "visits", "booking"


def _is_name(value: str) -> None:
    if not (1 <= len(value) <= 64 and value.isprintable()):
        raise ValidationError("is not a printable text of 1 to 64 characters")


def _rows(schema: type[Schema], most: int, *, least: int = 0) -> Any:
    needed: dict[str, Any] = {"required": True} if least else {"load_default": list}
    return fields.List(fields.Nested(schema), validate=validate.Length(least, most), **needed)


def _names(most: int = 50, *, least: int = 0) -> Any:
    needed: dict[str, Any] = {"required": True} if least else {"load_default": list}
    return fields.List(fields.String(validate=_is_name), validate=validate.Length(least, most), **needed)


class PriceSchema(Schema):
    """What a group pays for an activity, for some of the tariff's days or all."""

    activity = fields.String(required=True)
    group = fields.String(required=True, validate=validate.OneOf(GROUPS, error="is none of {choices}"))
    # Text, so that no amount passes through a float.
    price = fields.String(required=True)
    first_day = Day(load_default=None)
    last_day = Day(load_default=None)


class PassSchema(Schema):
    """A membership, or a visitor's card."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    categories = _names()
    card_kinds = _names()
    activities = _names(least=1)
    # A pass may have begun before the tariff, and may go on after it.
    first_day = Day(required=True)
    last_day = Day(required=True)
    visits = WholeNumber(1, 10_000, required=True)
    per = fields.String(required=True, validate=validate.OneOf(PERIODS, error="is none of {choices}"))


class ProductSchema(Schema):
    """Several visits, bought at once."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    activities = _names(least=1)
    visits = WholeNumber(1, 1_000, required=True)
    valid_days = WholeNumber(1, 3_660, required=True)
    price = fields.String(required=True)
    first_day = Day(load_default=None)
    last_day = Day(load_default=None)


class SessionSchema(Schema):
    """A time with so many places."""

    key = fields.String(required=True, validate=KEY)
    activity = fields.String(required=True)
    day = Day(required=True)
    starts = fields.String(required=True, validate=_CLOCK)
    ends = fields.String(required=True, validate=_CLOCK)
    places = WholeNumber(0, 100_000, required=True)
    opens_minutes = WholeNumber(0, 720, load_default=15)


class TariffSchema(TaxedSchema):
    """A tariff file. The numbers of rows are ours."""

    timezone = fields.String(required=True, validate=validate.Length(max=64))
    currency = fields.String(required=True)
    first_day = Day(required=True)
    last_day = Day(required=True)
    offline_quote_hours = WholeNumber(1, 168, load_default=24)
    groups = fields.Dict(
        keys=fields.String(validate=validate.OneOf(GROUPS[1:], error="is none of {choices}")),
        values=_names(),
        load_default=dict,
    )
    activities = fields.Dict(
        keys=fields.String(validate=KEY),
        values=fields.String(validate=is_label),
        required=True,
        validate=validate.Length(min=1, max=100),
    )
    prices = _rows(PriceSchema, 5_000, least=1)
    passes = _rows(PassSchema, 200)
    products = _rows(ProductSchema, 200)
    sessions = _rows(SessionSchema, 5_000)


class EntryDetails(Schema):
    """Which activity, at which session if it has any, and what lets the holder in."""

    activity = fields.String(required=True, validate=_is_name)
    session = fields.String(load_default=None, validate=_is_name)
    by = fields.String(load_default=PAY, validate=validate.OneOf((PAY, PASS, VISITS, BOOKING)))


class BookingDetails(Schema):
    """Which session, and what is given for it."""

    session = fields.String(required=True, validate=_is_name)
    by = fields.String(load_default=PAY, validate=validate.OneOf((PAY, PASS, VISITS)))


class PurchaseDetails(Schema):
    """Which product of several visits."""

    product = fields.String(required=True, validate=_is_name)
