"""The route of entitlements: what a card may say of its holder, signed when it is asked for."""

from typing import Any
from uuid import UUID

from marshmallow import fields

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Bytes, Identifier, Message, Moment
from cardservice.applications.stating import state_entitlements
from cardservice.cards.service import find_card
from cardservice.staff.errors import CardMissing
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import NothingSchema

blueprint = Blueprint("staff-entitlements", "cardservice.staff_api.entitlements", description="Entitlements.")


class EntitlementSchema(Message):
    """A signed statement, for this card alone; it ends with its proof's day of review, or the card."""

    predicate = fields.String(required=True)
    expires_at = Moment(required=True)
    statement = Bytes(required=True, metadata={"description": "COSE_Sign1; see docs/pki.md"})


class EntitlementsSchema(Message):
    """All that a card may say today; of whom no proof counts, nothing."""

    card = Identifier(required=True)
    entitlements = fields.List(fields.Nested(EntitlementSchema), required=True)


@blueprint.route("/v1/cards/<uuid:card_id>/entitlements", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, EntitlementsSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_entitlements(body: dict[str, Any], card_id: UUID) -> dict[str, Any]:
    """Sign what a card may say of its holder today, by the proofs that were seen; none is kept."""
    del body
    with context().database.begin() as connection:
        if find_card(connection, card_id) is None:
            raise CardMissing(card_id)
        made = state_entitlements(context(), connection, card_id, actor=actor())
    listed = [
        {"predicate": each.predicate, "expires_at": each.expires_at, "statement": each.raw} for each in made
    ]
    return {"card": card_id, "entitlements": listed}
