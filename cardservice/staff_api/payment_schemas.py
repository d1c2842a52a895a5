"""The messages of payments."""

from dataclasses import fields as members

from marshmallow import Schema, fields

from cardservice.api.fields import Bytes, Identifier, Message, Moment, text
from cardservice.payments.equation import Equation
from cardservice.payments.govuk_pay import NAME
from cardservice.payments.settlement import MAX_REFERENCE
from cardservice.staff_api.money_schemas import own_id
from cardservice.staff_api.sharing import StaffPageSchema, amount_field, next_field, next_number

# Ours: some 60,000 lines; what is longer is loaded at the keyboard.
MAX_FILE_BYTES, MAX_SETTLEMENT_BYTES = 4 << 20, 6 << 20


class PaymentPageSchema(StaffPageSchema):
    """Whose payments, and which page of them."""

    payer = Identifier(load_default=None)


class ListedPaymentSchema(Message):
    """A payment as it is known here."""

    payment = Identifier(required=True)
    payer = Identifier(required=True)
    provider = fields.String(required=True)
    provider_payment = fields.String(required=True, allow_none=True)
    state = fields.String(required=True)
    amount_minor = fields.Integer(required=True)
    currency = fields.String(required=True)
    begun_at = Moment(required=True)


class ListedPaymentsSchema(Message):
    """A page of payments, the newest first."""

    payments = fields.List(fields.Nested(ListedPaymentSchema), required=True)
    next = next_field()


class GiveBackSchema(Message):
    """So much of a payment that goes back."""

    id = own_id()
    amount_minor = amount_field(required=True)


class GivenSchema(Message):
    """A refund by the provider."""

    refund = Identifier(required=True)
    payment = Identifier(required=True)
    state = fields.String(required=True)
    amount_minor = fields.Integer(required=True)
    currency = fields.String(required=True)


class ReferenceSchema(Message):
    """What its provider calls it: under that it is posted once, whatever the id."""

    provider = text(required=True)
    reference = text(MAX_REFERENCE, required=True)


class TakeBackSchema(GiveBackSchema):
    """So much of a payment that was taken back."""

    reference = fields.Nested(ReferenceSchema, load_default=None, allow_none=True)


class TakenBackSchema(Message):
    """What was posted: less than was told, or nothing, where no more was left of a provider's payment."""

    transaction = Identifier(required=True, allow_none=True)
    payment = Identifier(required=True)
    kind = fields.String(required=True)
    amount_minor = fields.Integer(required=True)
    currency = fields.String(required=True)


class RedemptionSchema(Message):
    """What is redeemed at par; `amount_minor` null: all that can be spent."""

    id = own_id()
    amount_minor = amount_field(load_default=None, allow_none=True)


class RedeemedRefundSchema(Message):
    """What goes back to a payment."""

    refund = Identifier(required=True)
    amount_minor = fields.Integer(required=True)


class RedeemedSchema(Message):
    """What goes back by the provider, and the bank transfer that somebody else has to approve, if any."""

    payer = Identifier(required=True)
    refunds = fields.List(fields.Nested(RedeemedRefundSchema), required=True)
    payout = Identifier(required=True, allow_none=True)
    payout_minor = fields.Integer(required=True)
    currency = fields.String(required=True)


class PayoutSchema(Message):
    """A bank transfer that was approved."""

    payout = Identifier(required=True)
    amount_minor = fields.Integer(required=True)
    currency = fields.String(required=True)


class MatterSchema(Message):
    """One thing that needs a person; `subject` names it as its kind does."""

    number = fields.Integer(required=True)
    kind = fields.String(required=True)
    what = fields.String(required=True, metadata={"description": "what is to be done, in words"})
    subject = fields.String(required=True)
    opened_at = Moment(required=True)


class MattersSchema(Message):
    """A page of them, the oldest first."""

    exceptions = fields.List(fields.Nested(MatterSchema), required=True)
    next = next_number()


class ClosedMatterSchema(Message):
    """What was taken off the list."""

    number = fields.Integer(required=True)


class SettlementFileSchema(Message):
    """A settlement file: CSV in UTF-8, the same as `cardservice settlement load` takes."""

    provider = text(load_default=NAME)
    name = text(100, required=True)
    content = Bytes(required=True, max_length=MAX_FILE_BYTES)


class LoadedSchema(Message):
    """What a file says, by what became of its lines: matched, unknown, differs, repeated."""

    lines = fields.Integer(required=True)
    new = fields.Boolean(required=True)
    states = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class MatchedSchema(Message):
    """How many more lines are known."""

    known = fields.Integer(required=True)


EquationSchema = Schema.from_dict(
    {
        **{each.name: fields.Integer(required=True) for each in members(Equation)},
        "in_transit_minor": fields.Integer(required=True),
        "difference_minor": fields.Integer(required=True),
        "currency": fields.String(required=True),
    },
    name="EquationSchema",
)
