"""The messages of paying in, as JSON."""

import re
from collections.abc import Mapping
from typing import Any, get_args
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import OneOf, Range, Regexp

from cardservice.api.fields import Identifier, Message, Moment
from cardservice.payments.provider import AttemptState

# The most that the provider takes at once (GOV.UK Pay, CreateCardPaymentRequest: amount).
MAX_AMOUNT_MINOR = 10_000_000
# The same: return_url.
MAX_URL = 2000
# A terminal's own page is on the terminal itself.
_ADDRESS = re.compile(r"(https://[^/?#]|http://(127\.0\.0\.1|localhost)(:\d{1,5})?(/|$))[!-~]*")


def _check_address(value: str) -> None:
    try:
        parts = urlsplit(value)
        usable = bool(_ADDRESS.fullmatch(value)) and parts.username is None and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValidationError("must be an https address, or http on the terminal itself")


class PaymentRequestSchema(Message):
    """A payment to be begun, for whoever pays for a card, or, by staff alone, for a cardholder."""

    id = Identifier(
        required=True, metadata={"description": "the payment's own, UUIDv7: sent again, it is the same"}
    )
    card = Identifier(load_default=None, allow_none=True)
    cardholder = Identifier(load_default=None, allow_none=True)
    amount_minor = fields.Integer(required=True, strict=True, validate=Range(1, MAX_AMOUNT_MINOR))
    method = fields.String(
        load_default="card",
        validate=OneOf(["card"]),
        metadata={"description": "by which means; what the payment provider takes"},
    )
    return_url = fields.String(
        required=True,
        validate=[Regexp(rf"^[!-~]{{1,{MAX_URL}}}\Z"), _check_address],
        metadata={
            "description": "where the provider sends the person back to; https, or on the terminal itself"
        },
    )

    @validates_schema
    def check(self, data: Mapping[str, Any], **_: object) -> None:
        """For whom it is, once; and an id by whose time the ledger can be kept."""
        if (data.get("card") is None) == (data.get("cardholder") is None):
            raise ValidationError("name either the card or the cardholder", "card")
        if data["id"].version != 7:
            raise ValidationError("must be a UUIDv7", "id")


class PaymentSchema(Message):
    """How a payment is."""

    payment = Identifier(required=True)
    state = fields.String(required=True, validate=OneOf(get_args(AttemptState)))
    finished = fields.Boolean(
        required=True, metadata={"description": "whether nothing more is expected; only `success` is money"}
    )
    amount_minor = fields.Integer(required=True)
    currency = fields.String(required=True)
    begun_at = Moment(required=True)
    next_url = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "where to pay: told to whoever begins the payment, or begins it again"},
    )
    available_minor = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "what can be spent now: of a captured payment, for an hour"},
    )
    owed_minor = fields.Integer(
        required=True, allow_none=True, metadata={"description": "what is still owed, in the same way"}
    )
