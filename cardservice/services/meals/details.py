"""What the details of each action may say. Everything else is refused."""

from marshmallow import Schema, fields, validate

from cardservice.services.tariff_files import Day, WholeNumber

MAX_LINES, MAX_QUANTITY = 50, 20  # ours: of a sale
# What the person at the till has read and confirmed.
ALLERGENS_READ, SECOND_MEAL = "allergens", "second-meal"
_KEY = validate.Length(min=1, max=64)


class SoldItem(Schema):
    """So many pieces of an item; `instead_of` what the menu offers and the kitchen does not have."""

    item = fields.String(required=True, validate=_KEY)
    quantity = WholeNumber(1, MAX_QUANTITY, required=True)
    instead_of = fields.String(validate=_KEY)


class SaleDetails(Schema):
    """What is on the tray, and at which service, such as lunch."""

    service = fields.String(required=True, validate=_KEY)
    items = fields.List(
        fields.Nested(SoldItem), required=True, validate=validate.Length(min=1, max=MAX_LINES)
    )
    confirmed = fields.List(
        fields.String(validate=validate.OneOf((ALLERGENS_READ, SECOND_MEAL), error="is none of {choices}")),
        validate=validate.Length(max=2),
    )


class OrderedItem(Schema):
    """So many pieces of an item."""

    item = fields.String(required=True, validate=_KEY)
    quantity = WholeNumber(1, MAX_QUANTITY, required=True)


class OrderDetails(Schema):
    """What is ordered, for which day and service."""

    day = Day(required=True)
    service = fields.String(required=True, validate=_KEY)
    items = fields.List(
        fields.Nested(OrderedItem), required=True, validate=validate.Length(min=1, max=MAX_LINES)
    )
    confirmed = fields.List(
        fields.String(validate=validate.OneOf((ALLERGENS_READ,), error="is none of {choices}")),
        validate=validate.Length(max=1),
    )


class CollectDetails(Schema):
    """What is collected of what was ordered for today."""

    service = fields.String(required=True, validate=_KEY)
    items = fields.List(
        fields.Nested(OrderedItem), required=True, validate=validate.Length(min=1, max=MAX_LINES)
    )
    confirmed = fields.List(
        fields.String(validate=validate.OneOf((ALLERGENS_READ, SECOND_MEAL), error="is none of {choices}")),
        validate=validate.Length(max=2),
    )
