"""The messages of payers and their money."""

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.api.fields import Identifier, Message, Moment
from cardservice.payments.service import METHODS
from cardservice.staff_api.serving import asked_by_field
from cardservice.staff_api.sharing import Day, DaysSchema, StaffPageSchema, amount_field, next_field


def own_id() -> Identifier:
    """The id of a movement."""
    return Identifier(required=True, metadata={"description": "the movement's own: sent again, made once"})


class MoneyAccountSchema(Message):
    """An account of a payer."""

    account = fields.String(required=True)
    unit = fields.String(required=True)
    amount_minor = fields.Integer(required=True)


class PayerAccountsSchema(Message):
    """The accounts of whoever pays for somebody."""

    accounts = fields.List(fields.Nested(MoneyAccountSchema), required=True)


class TopUpSchema(Message):
    """Money that was taken, and how."""

    id = own_id()
    amount_minor = amount_field(required=True)
    method = fields.String(load_default=METHODS[0], validate=OneOf(METHODS))
    asked_by = asked_by_field()


class PaidInSchema(PayerAccountsSchema):
    """What was posted, and the accounts after it."""

    transaction = Identifier(required=True)


class CarryOverSchema(Message):
    """What goes to another payer; `amount_minor` null: all that can be spent."""

    id = own_id()
    to = Identifier(required=True)
    amount_minor = amount_field(load_default=None, allow_none=True)


class GoodwillSchema(Message):
    """What is given."""

    id = own_id()
    amount_minor = amount_field(required=True)


class MovedSchema(Message):
    """What was moved, and as which transaction."""

    transaction = Identifier(required=True)
    amount_minor = fields.Integer(required=True)
    currency = fields.String(required=True)


class StatementPageSchema(StaffPageSchema, DaysSchema):
    """Which days, and which page of them."""


class HeldMoneySchema(Message):
    """What is in `prepaid` and in `arrears`, or what changes there; what is owed is below zero."""

    prepaid_minor = fields.Integer(required=True)
    arrears_minor = fields.Integer(required=True)


class StatementLineSchema(Message):
    """What one transaction did to the payer's money; null where it has not settled yet, or is erased."""

    settled_on = Day(required=True, allow_none=True)
    transaction = Identifier(required=True)
    occurred_at = Moment(required=True)
    kind = fields.String(required=True)
    what = fields.String(required=True, metadata={"description": "in plain words"})
    service = fields.String(required=True, allow_none=True)
    action = fields.String(required=True, allow_none=True)
    provider = fields.String(required=True, allow_none=True)
    provider_name = fields.String(required=True, allow_none=True)
    items = fields.List(fields.String(), required=True)
    reverses = fields.List(Identifier(), required=True)
    late = fields.Boolean(required=True)
    moved = fields.Nested(HeldMoneySchema, required=True)
    balance = fields.Nested(HeldMoneySchema, required=True, allow_none=True)


class AccountStatementSchema(Message):
    """A page of a statement; the last page tells what has not settled yet."""

    payer = Identifier(required=True)
    first = Day(required=True)
    last = Day(required=True)
    currency = fields.String(required=True)
    opening = fields.Nested(HeldMoneySchema, required=True)
    lines = fields.List(fields.Nested(StatementLineSchema), required=True)
    closing = fields.Nested(HeldMoneySchema, required=True)
    next = next_field()
    not_settled_yet = fields.List(fields.Nested(StatementLineSchema), required=True)
