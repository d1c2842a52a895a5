"""What is on the tray, as the page sends it."""

from collections.abc import Mapping
from dataclasses import dataclass

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from kiosk.agent import Asked, asked
from kiosk.errors import Malformed

# docs/services/meals.md, "The actions"
MAX_LINES, MAX_QUANTITY = 50, 20
_KEY = validate.Length(min=1, max=64)


class _Line(Schema):
    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    item = fields.String(required=True, validate=_KEY)
    quantity = fields.Integer(required=True, strict=True, validate=validate.Range(1, MAX_QUANTITY))


class _Basket(asked.PaymentSchema):
    section = fields.String(required=True, validate=_KEY)
    items = fields.List(fields.Nested(_Line), required=True, validate=validate.Length(min=1, max=MAX_LINES))
    amount_minor = fields.Integer(required=True, strict=True, validate=validate.Range(min=0))
    # What the person at the till has read and asked
    confirmed = fields.List(
        fields.String(validate=validate.OneOf(("allergens", "second-meal"))),
        load_default=list,
        validate=validate.Length(max=2),
    )
    # A supervisor's word: what was declined for the holder's sake is sold all the same
    anyway = fields.Boolean(load_default=False, truthy={True}, falsy={False})


_SCHEMA = _Basket()


@dataclass(frozen=True, slots=True)
class Basket:
    """What is sold, and for how much as the screen says: another price is not charged."""

    payment: Asked
    details: Mapping[str, object]
    amount_minor: int
    is_anyway: bool

    @classmethod
    def load(cls, document: object) -> "Basket":
        """Raises Malformed."""
        payment, loaded = asked.load(_SCHEMA, document)
        details = {"service": loaded["section"], "items": loaded["items"]}
        if loaded["confirmed"]:
            details["confirmed"] = loaded["confirmed"]
        return cls(payment, details, loaded["amount_minor"], loaded["anyway"])


class _Returned(Schema):
    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    key = fields.UUID(required=True)
    # Of the receipt, from 1
    line = fields.Integer(required=True, strict=True, validate=validate.Range(1, MAX_LINES))


_RETURNED = _Returned()


def returned(document: object) -> tuple[str, int]:
    """Key and line of what comes back. Raises Malformed."""
    if not isinstance(document, dict):
        raise Malformed
    try:
        loaded = _RETURNED.load(document)
    except ValidationError as error:
        raise Malformed from error
    return str(loaded["key"]), loaded["line"]
