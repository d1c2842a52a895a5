"""The routes of payers: made for a family, shown, and who pays for somebody from when on."""

from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, Moment, to_rfc3339
from cardservice.cardholders.asking import asked_of, asking
from cardservice.cardholders.families import add_payer, change_payer, show_payer, show_payers
from cardservice.cardholders.service import require_cardholder
from cardservice.ids import PayerId
from cardservice.ledger.payers import Assignment
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import KEY_PARAMETER, once

blueprint = Blueprint("staff-families", "cardservice.staff_api.families", description="Who pays for whom.")
_PERSON = "/v1/cardholders/<uuid:cardholder_id>"


class NewPayerSchema(Message):
    """A payer with empty accounts."""

    kind = fields.String(load_default="family", validate=OneOf(["person", "family"]))


class MadePayerSchema(Message):
    """A payer that was made."""

    payer = Identifier(required=True)


class AssignmentSchema(Message):
    """That a payer pays for somebody, from when on, and until when: that moment is not included."""

    cardholder = Identifier(required=True)
    payer = Identifier(required=True)
    since = Moment(required=True)
    until = Moment(required=True, allow_none=True)


class AccountSchema(Message):
    """An account of a payer."""

    account = fields.String(required=True)
    unit = fields.String(required=True)
    amount_minor = fields.Integer(required=True)


class PayerSchema(Message):
    """A payer's accounts, and for whom it has paid, pays and will."""

    payer = Identifier(required=True)
    accounts = fields.List(fields.Nested(AccountSchema), required=True)
    cardholders = fields.List(fields.Nested(AssignmentSchema), required=True)


class PayersSchema(Message):
    """Who has paid for somebody, pays and will, the first first."""

    payers = fields.List(fields.Nested(AssignmentSchema), required=True)


class NewAssignmentSchema(Message):
    """Who pays for somebody; without `since` from now on, and never from before."""

    payer = Identifier(required=True)
    since = Moment(load_default=None)
    asked_by = Identifier(
        load_default=None, metadata={"description": "who asks for it: this person, or a guardian who may pay"}
    )


class AssignedSchema(Message):
    """Who pays from when on."""

    cardholder = Identifier(required=True)
    payer = Identifier(required=True)
    since = fields.String(required=True, metadata={"format": "date-time"})


@blueprint.route("/v1/payers", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewPayerSchema)
@blueprint.response(200, MadePayerSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_payer(body: dict[str, Any]) -> Any:
    """Make a payer, who pays for nobody yet."""
    with context().database.begin() as connection:

        def make() -> dict[str, Any]:
            currency, moment = context().scheme.currency, context().now()
            made = add_payer(connection, body["kind"], currency, actor=actor(), moment=moment)
            return {"payer": str(made)}

        return once(connection, make)


@blueprint.route("/v1/payers/<uuid:payer_id>")
@blueprint.response(200, PayerSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_payer(payer_id: UUID) -> dict[str, Any]:
    """A payer's accounts, and for whom it pays."""
    with context().database.begin() as connection:
        view, whom = show_payer(connection, PayerId(payer_id), actor=actor(), moment=context().now())
    accounts = [
        {"account": each.name, "unit": each.unit, "amount_minor": each.balance} for each in view.accounts
    ]
    return {"payer": payer_id, "accounts": accounts, "cardholders": [_assignment(each) for each in whom]}


@blueprint.route(f"{_PERSON}/payers")
@blueprint.response(200, PayersSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_payers(cardholder_id: UUID) -> dict[str, Any]:
    """Who has paid for somebody, pays now, and will."""
    with context().database.begin() as connection:
        holder = require_cardholder(connection, cardholder_id)
        found = show_payers(connection, holder, actor=actor(), moment=context().now())
    return {"payers": [_assignment(each) for each in found]}


@blueprint.route(f"{_PERSON}/payers", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewAssignmentSchema)
@blueprint.response(200, AssignedSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_assignment(body: dict[str, Any], cardholder_id: UUID) -> Any:
    """Let a payer pay for somebody, from now on or from a later moment."""
    with asked_of(context(), actor(), cardholder_id) as connection:
        holder = require_cardholder(connection, cardholder_id)

        def make() -> dict[str, Any]:
            asked, chosen = asking(context(), actor()), PayerId(body["payer"])
            how: dict[str, Any] = {"since": body["since"], "asked_by": body["asked_by"]}
            begins = change_payer(connection, asked, holder, chosen, **how)
            return {"cardholder": str(holder), "payer": str(chosen), "since": to_rfc3339(begins)}

        return once(connection, make)


def _assignment(each: Assignment) -> dict[str, Any]:
    return {
        "cardholder": each.cardholder_id,
        "payer": each.payer_id,
        "since": each.valid_from,
        "until": each.valid_until,
    }
