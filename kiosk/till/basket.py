"""What is on the tray, as the page sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from kiosk.errors import Malformed

# docs/services/meals.md, "The action sale"
MAX_LINES, MAX_QUANTITY = 50, 20
_KEY = validate.Length(min=1, max=64)


class _Line(Schema):
    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    item = fields.String(required=True, validate=_KEY)
    quantity = fields.Integer(required=True, strict=True, validate=validate.Range(1, MAX_QUANTITY))


class _Basket(Schema):
    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    section = fields.String(required=True, validate=_KEY)
    items = fields.List(fields.Nested(_Line), required=True, validate=validate.Length(min=1, max=MAX_LINES))
    amount_minor = fields.Integer(required=True, strict=True, validate=validate.Range(min=0))


_SCHEMA = _Basket()


@dataclass(frozen=True, slots=True)
class Basket:
    """What is sold, and for how much as the screen says: another price is not charged."""

    details: Mapping[str, object]
    amount_minor: int

    @classmethod
    def load(cls, document: object) -> "Basket":
        """Raises Malformed."""
        if not isinstance(document, dict):
            raise Malformed
        try:
            loaded: dict[str, Any] = _SCHEMA.load(document)
        except ValidationError as error:
            raise Malformed from error
        return cls({"service": loaded["section"], "items": loaded["items"]}, loaded["amount_minor"])
