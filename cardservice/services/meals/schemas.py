"""What a menu file and the details of a sale may say. Everything else is refused."""

import re
from datetime import date
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from cardservice.allergens import ALLERGENS
from cardservice.services.meals.menu import CATEGORIES

MAX_ITEMS = 1_000  # ours: of a menu
MAX_LINES, MAX_QUANTITY = 50, 20  # ours: of a sale
_KEY = validate.Regexp(
    re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z"),
    error="is not a key of 1 to 64 small letters, digits and hyphens",
)


def _is_label(value: str) -> None:
    # It stands on receipts and screens.
    if not (1 <= len(value) <= 80 and value.isprintable() and value == value.strip()):
        raise ValidationError("is not a printable text of 1 to 80 characters without spaces around it")


def _is_currency(value: str) -> None:
    if not (len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
        raise ValidationError("is not three capital letters")


class Day(fields.Field[date]):
    """A day, YYYY-MM-DD."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date:
        if not (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value, re.ASCII)):
            raise ValidationError("is not a day like 2026-12-31")
        try:
            day = date.fromisoformat(value)
        except ValueError as problem:
            raise ValidationError(f"{value} is not a day of the calendar") from problem
        if not 2000 <= day.year < 9000:
            raise ValidationError(f"{value} is too far away")
        return day


class Quantity(fields.Integer):
    """A whole number of pieces; `true` is none."""

    def __init__(self) -> None:
        super().__init__(strict=True, required=True, validate=validate.Range(1, MAX_QUANTITY))

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        number: int = super()._validated(value)
        return number


def _allergens() -> fields.List[str]:
    """Required: that nothing is said must not read as if there were none."""
    known = validate.OneOf(ALLERGENS, error="{input!r} is none of the 14 allergens: {choices}")
    return fields.List(fields.String(validate=known), required=True, validate=validate.Length(max=14))


class ItemSchema(Schema):
    """An item of a menu."""

    key = fields.String(required=True, validate=_KEY)
    label = fields.String(required=True, validate=_is_label)
    category = fields.String(required=True, validate=validate.OneOf(CATEGORIES, error="is none of {choices}"))
    # Text, so that no amount passes through a float.
    price = fields.String(required=True)
    contains = _allergens()
    may_contain = _allergens()
    services = fields.List(fields.String(), load_default=None, validate=validate.Length(min=1, max=20))
    first_day = Day(load_default=None)
    last_day = Day(load_default=None)


class MenuSchema(Schema):
    """A menu file."""

    timezone = fields.String(required=True, validate=validate.Length(max=64))
    currency = fields.String(required=True, validate=_is_currency)
    first_day = Day(required=True)
    last_day = Day(required=True)
    offline_quote_hours = fields.Integer(strict=True, load_default=24, validate=validate.Range(1, 168))
    services = fields.Dict(
        keys=fields.String(validate=_KEY),
        values=fields.String(validate=_is_label),
        required=True,
        validate=validate.Length(min=1, max=20),
    )
    items = fields.List(
        fields.Nested(ItemSchema), required=True, validate=validate.Length(min=1, max=MAX_ITEMS)
    )


class SoldItem(Schema):
    """So many pieces of an item."""

    item = fields.String(required=True, validate=validate.Length(min=1, max=64))
    quantity = Quantity()


class SaleDetails(Schema):
    """What is on the tray, and at which service, such as lunch."""

    service = fields.String(required=True, validate=validate.Length(min=1, max=64))
    items = fields.List(
        fields.Nested(SoldItem), required=True, validate=validate.Length(min=1, max=MAX_LINES)
    )
