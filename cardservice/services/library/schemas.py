"""What terms of lending and the details of the library's actions may say. Everything else is refused."""

from marshmallow import Schema, fields, validate

from cardservice.services.tariff_files import KEY, Day, WholeNumber, is_label

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# Ours: in minor units; an amount beyond it is a slip of the finger.
MAX_FINE_MINOR = 100_000


class MemberSchema(Schema):
    """A class of member."""

    key = fields.String(required=True, validate=KEY)
    label = fields.String(required=True, validate=is_label)
    categories = fields.List(
        fields.String(validate=validate.Length(1, 64)), required=True, validate=validate.Length(1, 50)
    )
    loans = WholeNumber(0, 1_000, required=True)
    holds = WholeNumber(0, 1_000, required=True)
    # With so many things overdue nobody borrows.
    overdue = WholeNumber(1, 1_000, required=True)
    # Text, so that no amount passes through a float; without it nobody is blocked for what they owe.
    blocked_from = fields.String(load_default=None)
    pc_minutes = WholeNumber(0, 1_440, load_default=0)


class LendingSchema(Schema):
    """What holds for a class of member and a class of thing."""

    members = fields.String(required=True)
    items = fields.String(required=True)
    loans = WholeNumber(0, 1_000, required=True)
    days = WholeNumber(1, 400, required=True)
    renewals = WholeNumber(0, 100, load_default=0)
    fine_per_day = fields.String(load_default="0.00")
    fine_cap = fields.String(load_default="0.00")
    grace_days = WholeNumber(0, 60, load_default=0)


class TermsSchema(Schema):
    """A file of terms. The numbers of rows are ours."""

    timezone = fields.String(required=True, validate=validate.Length(max=64))
    currency = fields.String(required=True)
    first_day = Day(required=True)
    last_day = Day(required=True)
    offline_quote_hours = WholeNumber(1, 168, load_default=24)
    hold_shelf_days = WholeNumber(1, 60, required=True)
    members = fields.List(fields.Nested(MemberSchema), required=True, validate=validate.Length(1, 50))
    items = fields.Dict(
        keys=fields.String(validate=KEY),
        values=fields.String(validate=is_label),
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

    amount_minor = WholeNumber(1, MAX_FINE_MINOR, required=True)


class SessionDetails(Schema):
    """How many minutes at a computer."""

    minutes = WholeNumber(1, 1_440, required=True)
