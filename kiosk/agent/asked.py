"""What a page says of each payment that it asks for: the key, and whether it has asked for it before."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields

from kiosk.errors import Malformed


class PaymentSchema(Schema):
    """The fields that every payment has."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    # Made by the page, one for each payment
    key = fields.UUID(required=True)
    # No answer came before: this program may have been started anew meanwhile
    again = fields.Boolean(required=True, truthy={True}, falsy={False})


@dataclass(frozen=True, slots=True)
class Asked:
    """A payment that a page asks for."""

    key: UUID
    again: bool


def load(schema: Schema, document: object) -> tuple[Asked, dict[str, Any]]:
    """The payment, and what else a schema of the face's own has. Raises Malformed."""
    if not isinstance(document, dict):
        raise Malformed
    try:
        loaded: dict[str, Any] = schema.load(document)
    except ValidationError as error:
        raise Malformed from error
    return Asked(loaded.pop("key"), loaded.pop("again")), loaded
