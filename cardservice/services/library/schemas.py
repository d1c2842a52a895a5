"""What terms of lending and the details of the library's actions may say. Everything else is refused."""

import re
from datetime import date
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Ours: in minor units; an amount beyond it is a slip of the finger.
MAX_FINE_MINOR = 100_000
_KEY = validate.Regexp(
    re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z"),
    error="is not a key of 1 to 64 small letters, digits and hyphens",
)


def _is_label(value: str) -> None:
    # It stands on receipts and screens.
    if not (1 <= len(value) <= 80 and value.isprintable() and value == value.strip()):
        raise ValidationError("is not a printable text of 1 to 80 characters without spaces around it")


class Day(fields.Field[date]):
    """A day, YYYY-MM-DD."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date:
        if not (isinstance(value, str) and re.fullmatch(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}", value, re.ASCII)):
            raise ValidationError("is not a day like 2026-12-31")
        try:
            return date.fromisoformat(value)
        except ValueError as problem:
            raise ValidationError(f"{value} is not a day of the calendar") from problem


class Count(fields.Integer):
    """A whole number between two bounds; `true` is none."""

    def __init__(self, lowest: int, highest: int, **more: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(lowest, highest), **more)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        number: int = super()._validated(value)
        return number


class MemberSchema(Schema):
    """A class of member."""

    key = fields.String(required=True, validate=_KEY)
    label = fields.String(required=True, validate=_is_label)
    categories = fields.List(
        fields.String(validate=validate.Length(1, 64)), required=True, validate=validate.Length(1, 50)
    )
    loans = Count(0, 1_000, required=True)
    holds = Count(0, 1_000, required=True)
    # With so many things overdue nobody borrows.
    overdue = Count(1, 1_000, required=True)
    # Text, so that no amount passes through a float; without it nobody is blocked for what they owe.
    blocked_from = fields.String(load_default=None)
    pc_minutes = Count(0, 1_440, load_default=0)


class LendingSchema(Schema):
    """What holds for a class of member and a class of thing."""

    members = fields.String(required=True)
    items = fields.String(required=True)
    loans = Count(0, 1_000, required=True)
    days = Count(1, 400, required=True)
    renewals = Count(0, 100, load_default=0)
    fine_per_day = fields.String(load_default="0.00")
    fine_cap = fields.String(load_default="0.00")
    grace_days = Count(0, 60, load_default=0)


class TermsSchema(Schema):
    """A file of terms. The numbers of rows are ours."""

    timezone = fields.String(required=True, validate=validate.Length(max=64))
    currency = fields.String(required=True)
    first_day = Day(required=True)
    last_day = Day(required=True)
    offline_quote_hours = Count(1, 168, load_default=24)
    hold_shelf_days = Count(1, 60, required=True)
    members = fields.List(fields.Nested(MemberSchema), required=True, validate=validate.Length(1, 50))
    items = fields.Dict(
        keys=fields.String(validate=_KEY),
        values=fields.String(validate=_is_label),
        required=True,
        validate=validate.Length(1, 50),
    )
    lending = fields.List(fields.Nested(LendingSchema), required=True, validate=validate.Length(1, 2_500))
    closed_weekdays = fields.List(
        fields.String(validate=validate.OneOf(WEEKDAYS, error="is none of {choices}")), load_default=list
    )
    closed_days = fields.List(Day(), load_default=list, validate=validate.Length(max=400))


class FineDetails(Schema):
    """How much of what is owed is paid."""

    amount_minor = Count(1, MAX_FINE_MINOR, required=True)


class SessionDetails(Schema):
    """How many minutes at a computer."""

    minutes = Count(1, 1_440, required=True)
