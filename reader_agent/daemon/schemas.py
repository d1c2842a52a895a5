"""What the faces may send, and nothing else."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from marshmallow import RAISE, Schema, ValidationError, fields, validate, validates

from pki.errors import PkiError
from pki.statements import deterministic

_NAME = validate.Length(min=1, max=64)


class OrderSchema(Schema):
    """What is wanted: a service's action with its details."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    service = fields.String(required=True, validate=_NAME)
    action = fields.String(required=True, validate=_NAME)
    details = fields.Dict(keys=fields.String(), required=True)

    @validates("details")
    def check_details(self, value: Mapping[str, Any], **_: object) -> None:
        """What a card signs has one encoding: no fractions, and no depth without end."""
        try:
            deterministic(value)
        except PkiError as error:
            raise ValidationError("Cannot be signed: give texts, whole numbers, lists of them.") from error


class PaymentSchema(OrderSchema):
    """An order to pay."""

    # Made by the face, one for each payment
    key = fields.UUID(required=True)
    # What the holder was shown
    amount_minor = fields.Integer(
        strict=True, allow_none=True, load_default=None, validate=validate.Range(min=0)
    )
    allow_offline = fields.Boolean(truthy={True}, falsy={False}, load_default=True)


class RefundSchema(Schema):
    """A sale of this terminal, or a line of its receipt."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    # Made by the face, one for each refund
    key = fields.UUID(required=True)
    transaction = fields.UUID(required=True)
    line = fields.Integer(strict=True, allow_none=True, load_default=None, validate=validate.Range(min=1))


class LossSchema(Schema):
    """Who somebody says they are whose cards are lost."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    name = fields.String(required=True, validate=validate.Length(min=1, max=200))
    born_on = fields.String(required=True, validate=validate.Regexp(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z"))
    postcode = fields.String(required=True, validate=validate.Length(min=1, max=16))


class PayInSchema(Schema):
    """A payment by the holder of the card of a tap, through the payment provider."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    # UUIDv7, drawn by the face, one for each payment: it is the payment's id.
    key = fields.UUID(required=True)
    amount_minor = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    return_url = fields.String(required=True, validate=validate.Length(min=1, max=2000))

    @validates("key")
    def check_key(self, value: UUID, **_: object) -> None:
        """The ledger is kept by the time within."""
        if value.version != 7:
            raise ValidationError("Must be a UUIDv7.")


class TotalsSchema(Schema):
    """Since when, and by which detail."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE

    since = fields.AwareDateTime(required=True, format="iso")
    by = fields.String(load_default="service", validate=_NAME)


class NothingSchema(Schema):
    """An empty object."""

    class Meta:
        """Unknown fields are refused."""

        unknown = RAISE
