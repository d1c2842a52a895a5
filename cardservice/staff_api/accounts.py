"""The routes of closing accounts: of who asks for it, has died, or has not been seen for long."""

from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.accounts import closing, dormancy
from cardservice.accounts.closing import WAYS, WHY, Standing
from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context, function_asked
from cardservice.api.fields import Identifier, Message
from cardservice.audit.service import record
from cardservice.staff.closing_refunds import give_back_at_closing
from cardservice.staff_api.access import acting, staff_alone
from cardservice.staff_api.sharing import NothingSchema, StaffPageSchema, cursor, next_field

blueprint = Blueprint("staff-accounts", "cardservice.staff_api.accounts", description="Closing accounts.")
ONE = "/v1/cardholders/<uuid:cardholder_id>/account"


class OpenSchema(Message):
    """What stands against closing an account, if it `blocks`, or is to be known before."""

    code = fields.String(required=True)
    message = fields.String(required=True)
    blocks = fields.Boolean(required=True)


class StandingSchema(Message):
    """What somebody has, and what is open, before their account is closed."""

    cardholder = Identifier(required=True)
    stopped = fields.Boolean(required=True)
    closed = fields.Boolean(required=True)
    to_give_back_minor = fields.Integer(required=True)
    currency = fields.String(required=True)
    cards = fields.List(Identifier(), required=True)
    open = fields.List(fields.Nested(OpenSchema), required=True)


class WhySchema(Message):
    """Why an account is closed."""

    why = fields.String(required=True, validate=OneOf(WHY))


class WaySchema(Message):
    """How it is given back: to where it came from, by bank, or in cash."""

    by = fields.String(required=True, validate=OneOf(WAYS))


class GivenBackSchema(Message):
    """How much was given, or asked for, now; and whether the account is closed with that."""

    cardholder = Identifier(required=True)
    given_minor = fields.Integer(required=True)
    currency = fields.String(required=True)
    closed = fields.Boolean(required=True)


class ToldHolderSchema(Message):
    """A dormant holder who was written to; 90 days later their account can be closed."""

    cardholder = Identifier(required=True)


class DormantSchema(Message):
    """A page of holders, by identifier."""

    cardholders = fields.List(Identifier(), required=True)
    next = next_field()


@blueprint.route(ONE)
@blueprint.response(200, StandingSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_account(cardholder_id: UUID) -> dict[str, Any]:
    """What somebody is to get back, and what stands against closing their account; the look is noted."""
    with context().database.begin() as connection:
        found = closing.standing(connection, cardholder_id, context().now())
        record(connection, actor(), "account.show", found.cardholder, context().now())
    return _standing(found)


@blueprint.route(f"{ONE}/closing", methods=["POST"])
@blueprint.arguments(WhySchema)
@blueprint.response(200, StandingSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_closing(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Stop all cards of somebody for good; what they have is given back after that."""
    found = closing.stop(context(), cardholder_id, body["why"], actor=actor())
    closing.finish(context(), found.cardholder, actor=actor())
    with context().database.reading() as connection:
        return _standing(closing.standing(connection, cardholder_id, context().now()))


@blueprint.route(f"{ONE}/giving-back", methods=["POST"])
@blueprint.arguments(WaySchema)
@blueprint.response(200, GivenBackSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_giving_back(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Give back what is left to somebody whose cards are stopped; a bank transfer somebody else approves."""
    asked = cardholder_id, body["by"], acting(), function_asked()
    given_minor, closed = give_back_at_closing(context(), *asked)
    return {
        "cardholder": cardholder_id,
        "given_minor": given_minor,
        "currency": context().scheme.currency,
        "closed": closed,
    }


@blueprint.route(f"{ONE}/notice", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, ToldHolderSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_notice(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Note that a dormant holder was written to."""
    del body
    with context().database.begin() as connection:
        dormancy.tell(connection, cardholder_id, actor=actor(), moment=context().now())
    return {"cardholder": cardholder_id}


@blueprint.route("/v1/dormant-cardholders")
@blueprint.arguments(StaffPageSchema, location="query")
@blueprint.response(200, DormantSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_dormant(page: dict[str, Any]) -> dict[str, Any]:
    """Holders of cards who have not been seen for two years, and have not been told yet."""
    limit: int = page["limit"]
    after = cursor(page["after"]) or UUID(int=0)
    with context().database.reading() as connection:
        found = dormancy.dormant(connection, context().now(), after, limit + 1)
    shown = found[:limit]
    return {"cardholders": shown, "next": str(shown[-1]) if len(found) > limit else None}


def _standing(found: Standing) -> dict[str, Any]:
    return {
        "cardholder": found.cardholder,
        "stopped": found.is_stopped,
        "closed": found.is_ended,
        "to_give_back_minor": found.to_give_back_minor,
        "currency": context().scheme.currency,
        "cards": list(found.cards),
        "open": [{"code": each.code, "message": each.message, "blocks": each.blocks} for each in found.open],
    }
