"""The routes of what a cardholder may use: limits, and services switched off."""

from typing import Any
from uuid import UUID

from marshmallow import fields

from cardservice.accounts.limiting import is_counted, limit_holder, limit_rules, switch
from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, text
from cardservice.cardholders.guardians import May
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.serving import asked_by_field, serving
from cardservice.staff_api.sharing import amount_field

blueprint = Blueprint("staff-limits", "cardservice.staff_api.limits", description="Limits, for staff.")
_HOLDER = "/v1/cardholders/<uuid:cardholder_id>"
_MAX_RULE = 100


class RuleSchema(Message):
    """What can be limited; where it ends with `*`, one is named in its place."""

    rule = fields.String(required=True)
    what = fields.String(required=True)
    pieces = fields.Boolean(required=True, metadata={"description": "counted in pieces, not in minor units"})


class RulesSchema(Message):
    """All that can be limited."""

    rules = fields.List(fields.Nested(RuleSchema), required=True)


class LimitSchema(Message):
    """A limit from now on: 0 allows nothing, null lifts it."""

    rule = text(_MAX_RULE, required=True)
    most = amount_field(
        0, required=True, allow_none=True, metadata={"description": "in minor units, or in pieces"}
    )
    shared = fields.Boolean(
        load_default=False, metadata={"description": "of all whom the holder's payer pays for, together"}
    )


class NewLimitSchema(LimitSchema):
    """A limit, and who asks for it."""

    asked_by = asked_by_field()


class SetLimitSchema(LimitSchema):
    """A limit that holds, and whose it is."""

    cardholder = Identifier(required=True)
    payer = Identifier(required=True)


class SwitchSchema(Message):
    """A service that a cardholder can use from now on, or not."""

    service = text(required=True)
    on = fields.Boolean(required=True)


class NewSwitchSchema(SwitchSchema):
    """The same, and who asks for it."""

    asked_by = asked_by_field()


@blueprint.route("/v1/limit-rules")
@blueprint.response(200, RulesSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_rules() -> dict[str, Any]:
    """What can be limited."""
    services = context().services
    return {
        "rules": [
            {"rule": rule, "what": what, "pieces": is_counted(services, rule)}
            for rule, what in limit_rules(services).items()
        ]
    }


@blueprint.route(f"{_HOLDER}/limits", methods=["POST"])
@blueprint.arguments(NewLimitSchema)
@blueprint.response(200, SetLimitSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_limit(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Set or lift a limit from now on; what it was is kept."""
    rule, most, shared = body["rule"], body["most"], body["shared"]
    with serving(cardholder_id, body["asked_by"], May.LIMITS) as (connection, holder):
        how: dict[str, Any] = {"shared": shared, "actor": actor(), "moment": context().now()}
        payer = limit_holder(connection, context().services, holder, rule, most, **how)
    return {"cardholder": holder, "payer": payer, "rule": rule, "most": most, "shared": shared}


@blueprint.route(f"{_HOLDER}/services", methods=["POST"])
@blueprint.arguments(NewSwitchSchema)
@blueprint.response(200, SwitchSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_service(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Switch a service off or on for a cardholder, from now on and with each of their cards."""
    with serving(cardholder_id, body["asked_by"], May.LIMITS) as (connection, holder):
        how: dict[str, Any] = {"on": body["on"], "actor": actor(), "moment": context().now()}
        switch(connection, context().services, holder, body["service"], **how)
    return {"service": body["service"], "on": body["on"]}
