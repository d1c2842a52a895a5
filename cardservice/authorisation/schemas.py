"""The messages of authorisation and of prices, as JSON."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, validates_schema
from marshmallow.validate import Length

from cardservice.api.blueprints import ProblemSchema
from cardservice.api.fields import Bytes, Identifier, Message, Moment, integer, text

# Names of services and actions, and versions of tariffs, as statements carry them.
MAX_DETAILS = 64
DETAILS = Length(max=MAX_DETAILS)
SALT_BYTES = 16
# A terminal that sends more waits for the first answers first.
MAX_BULK = 200


class NonceSchema(Message):
    """A nonce for online requests."""

    nonce = Bytes(required=True)
    valid_until = Moment(required=True)
    time = Moment(required=True, metadata={"description": "the service's clock"})


class LineSchema(Message):
    """A line of a price or a receipt."""

    label = fields.String(required=True)
    amount_minor = integer(required=True)


class QuoteRequestSchema(Message):
    """What a terminal wants the price of."""

    service = text(required=True)
    action = text(required=True)
    card = Identifier(required=True, allow_none=True, metadata={"description": "null: not known yet"})
    details = fields.Dict(keys=fields.String(), required=True, validate=DETAILS)


class LookUpRequestSchema(Message):
    """What is to be looked up, without a card."""

    service = text(required=True)
    details = fields.Dict(keys=fields.String(), required=True, validate=DETAILS)


class FindingSchema(Message):
    """What was found, and never whose it is."""

    found = fields.Boolean(required=True)
    message = text(required=True)
    until = Moment(required=True, allow_none=True)


class OfflinePriceSchema(Message):
    """What the terminal may have a card sign while it cannot ask, whichever card it is."""

    amount_minor = integer(required=True)
    currency = fields.String(required=True)
    tariff_version = fields.String(required=True)
    valid_until = Moment(required=True)


class QuoteSchema(OfflinePriceSchema):
    """A price."""

    lines = fields.List(fields.Nested(LineSchema), required=True)
    offline = fields.Nested(
        OfflinePriceSchema,
        required=True,
        allow_none=True,
        metadata={"description": "null where this terminal may not serve this offline"},
    )


class CatalogueItemSchema(Message):
    """What stands on one key of a terminal."""

    key = fields.String(required=True)
    label = fields.String(required=True)
    category = fields.String(required=True, metadata={"description": "one of the service's own"})
    amount_minor = integer(required=True)
    contains = fields.List(fields.String(), required=True, metadata={"description": "allergens"})
    may_contain = fields.List(fields.String(), required=True, metadata={"description": "allergens"})


class CatalogueSectionSchema(Message):
    """What is offered together, such as at lunch."""

    key = fields.String(required=True, metadata={"description": "`service` in the details of a basket"})
    label = fields.String(required=True)
    items = fields.List(fields.Nested(CatalogueItemSchema), required=True)


class CataloguePeriodSchema(Message):
    """What is offered for a time, its end not included."""

    begins = Moment(required=True, data_key="from")
    ends = Moment(required=True, data_key="until")
    sections = fields.List(fields.Nested(CatalogueSectionSchema), required=True)


class CatalogueSchema(Message):
    """What a terminal can put on its keys, now and for as long as it may go on without the service."""

    service = fields.String(required=True)
    tariff_version = fields.String(required=True)
    currency = fields.String(required=True)
    action = fields.String(required=True, metadata={"description": "what a basket is priced and paid by"})
    valid_until = Moment(required=True)
    offline_limit_minor = integer(
        required=True, allow_none=True, metadata={"description": "null: this terminal may not serve offline"}
    )
    periods = fields.List(
        fields.Nested(CataloguePeriodSchema),
        required=True,
        metadata={"description": "in order and without a gap; the first holds now"},
    )


class AnnulSchema(Message):
    """The annulment of a request that got no answer."""

    id = Identifier(required=True)
    sequence = integer(0, required=True)
    card = Identifier(required=True)
    annuls = Identifier(required=True)
    time = Moment(required=True)


class AuthorisationRequestSchema(Message):
    """A card's signed statement with its details, or an annulment: one of the two."""

    statement = Bytes(metadata={"description": "COSE_Sign1, base64url"})
    details = fields.Dict(keys=fields.String(), validate=DETAILS)
    details_salt = Bytes(exactly=SALT_BYTES)
    annul = fields.Nested(AnnulSchema)

    @validates_schema
    def check_one_of_two(self, data: Mapping[str, Any], **_: object) -> None:
        """Refuse both together, neither, and half a statement."""
        if set(data) not in ({"statement", "details", "details_salt"}, {"annul"}):
            raise ValidationError("either statement, details and details_salt, or annul")


class BulkRequestSchema(Message):
    """Several messages of one terminal."""

    messages = fields.List(
        fields.Nested(AuthorisationRequestSchema), required=True, validate=Length(1, MAX_BULK)
    )


class RefundRequestSchema(Message):
    """What of a sale is to be given back: without a line all of it, without an amount all that is left."""

    id = Identifier(required=True, metadata={"description": "the refund's own: sent again, it is the same"})
    sale = Identifier(required=True)
    card = Identifier(required=True, metadata={"description": "that paid"})
    line = integer(1, load_default=None, metadata={"description": "of the receipt, the first is 1"})
    amount_minor = integer(1, load_default=None)


class BalanceSchema(Message):
    """One of the payer's accounts as of the posting."""

    account = fields.String(required=True)
    unit = fields.String(required=True)
    amount_minor = integer(required=True)


class GivenAnswerSchema(Message):
    """The answer as it is stored with the transaction; the same each time but for the last."""

    id = fields.String(required=True)
    kind = fields.String(required=True, metadata={"description": "request, advice, annul or refund"})
    decision = fields.String(required=True, metadata={"description": "approved, declined or duplicate"})
    reason = fields.String(required=True, metadata={"description": "stable code"})
    message = fields.String(required=True, metadata={"description": "plain words for the holder"})
    amount_minor = integer(required=True, allow_none=True)
    currency = fields.String(required=True)
    receipt = fields.List(fields.Nested(LineSchema), required=True)
    balances = fields.List(fields.Nested(BalanceSchema), required=True)
    flags = fields.List(fields.String(), required=True)
    actions = fields.List(fields.Dict(), required=True, metadata={"description": "what to write to the card"})
    proof = fields.String(required=True, metadata={"description": "signature or none"})
    answered_at = fields.String(required=True)
    repeated = fields.Boolean(required=True, metadata={"description": "whether it was answered before"})


class AnswerSchema(GivenAnswerSchema):
    """The answer to one message, signed."""

    nonce = Bytes(required=True, metadata={"description": "for the next request"})
    signed_answer = Bytes(required=True, metadata={"description": "COSE_Sign1 of the service"})


class BulkEntrySchema(Message):
    """What became of one message: one of the two."""

    answer = fields.Nested(AnswerSchema)
    problem = fields.Nested(ProblemSchema)


class BulkAnswerSchema(Message):
    """An entry for each message, in their order."""

    answers = fields.List(fields.Nested(BulkEntrySchema), required=True)
