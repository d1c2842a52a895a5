"""The routes of looking again: proofs that are due, cards that nothing backs, who has come of age."""

from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import OneOf, Range

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, text
from cardservice.applications.applicants import by_settings
from cardservice.applications.eligibility import PROOFS
from cardservice.applications.proofs import due_by, end_proof
from cardservice.applications.reviewing import FIRST, Resting, check_some, grow_some
from cardservice.cardholders.service import require_cardholder
from cardservice.cards.personalisation import Delivery
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.applications import ProofSchema, proof_values
from cardservice.staff_api.sharing import MAX_CURSOR, MAX_PAGE, Day, StaffPageSchema, cursor, next_field

blueprint = Blueprint("staff-reviews", "cardservice.staff_api.reviews", description="Looking again.")


class DuePageSchema(StaffPageSchema):
    """By which day, and which page."""

    by = Day(load_default=None, metadata={"description": "without it, by today"})


class DueProofSchema(ProofSchema):
    """A proof that is to be looked at again, and whose it is."""

    cardholder = Identifier(required=True)


class DueProofsSchema(Message):
    """A page of proofs, the most urgent first."""

    proofs = fields.List(fields.Nested(DueProofSchema), required=True)
    next = next_field()


class ProofKindSchema(Message):
    """Which proof of somebody."""

    kind = fields.String(required=True, validate=OneOf(list(PROOFS)))


class EndedProofSchema(Message):
    """What counts no more."""

    cardholder = Identifier(required=True)
    kind = fields.String(required=True)


class _PortionSchema(Message):
    after = text(MAX_CURSOR, load_default=None, metadata={"description": "as `next` of the one before"})
    limit = fields.Integer(
        strict=True,
        load_default=MAX_PAGE,
        validate=Range(1, MAX_PAGE),
        metadata={"description": "cards that are looked at"},
    )


class CardReviewSchema(_PortionSchema):
    """What is to become of cards that nothing backs."""

    suspend = fields.Boolean(
        load_default=False, metadata={"description": "let them rest until somebody has looked"}
    )
    also_ordered = fields.Boolean(
        load_default=False, metadata={"description": "those, too, that nobody applied for"}
    )


class NotBackedSchema(Message):
    """A card in use that would not be approved today."""

    application = Identifier(required=True, allow_none=True)
    cardholder = Identifier(required=True)
    card = Identifier(required=True)
    against = fields.List(fields.String(), required=True)


class CardsReviewedSchema(Message):
    """Those of a portion; `next` is where to go on, null once all cards were looked at."""

    cards = fields.List(fields.Nested(NotBackedSchema), required=True)
    next = next_field()


class ComingOfAgeSchema(_PortionSchema):
    """How the new cards come; with `dry_run` it is only said who is of age."""

    delivery = fields.String(
        load_default=Delivery.DESK.value, validate=OneOf([each.value for each in Delivery])
    )
    dry_run = fields.Boolean(load_default=False)


class YoungSchema(Message):
    """A young citizen who is of age; `of_age` is null where nobody knows when they were born."""

    cardholder = Identifier(required=True)
    young = Identifier(required=True)
    of_age = fields.Boolean(required=True, allow_none=True)
    card = Identifier(required=True, allow_none=True, metadata={"description": "that was ordered"})


class CameOfAgeSchema(Message):
    """Those of a portion; `next` as above."""

    grown = fields.List(fields.Nested(YoungSchema), required=True)
    next = next_field()


@blueprint.route("/v1/proof-reviews")
@blueprint.arguments(DuePageSchema, location="query")
@blueprint.response(200, DueProofsSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_due(page: dict[str, Any]) -> dict[str, Any]:
    """Proofs that are to be looked at again by a day, page by page; whose they are is noted as seen."""
    limit: int = page["limit"]
    with context().database.begin() as connection:
        by, after = by_settings(context(), actor()), cursor(page["after"])
        who: dict[str, Any] = {"actor": by.actor, "moment": by.moment}
        day = page["by"] or by.today
        found = due_by(connection, by.kek, day, **who, after=after, limit=limit)
    listed = [{**proof_values(each), "cardholder": each.cardholder_id} for each in found]
    # Of one more than are told it would be noted that somebody has seen it: a last page may be empty.
    return {"proofs": listed, "next": str(found[-1].id) if len(found) == limit else None}


@blueprint.route("/v1/cardholders/<uuid:cardholder_id>/proofs/end", methods=["POST"])
@blueprint.arguments(ProofKindSchema)
@blueprint.response(200, EndedProofSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_end_proof(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Let a proof count no more; what it backs is found by a review of cards."""
    with context().database.begin() as connection:
        holder = require_cardholder(connection, cardholder_id)
        end_proof(connection, by_settings(context(), actor()).noting(holder), body["kind"])
    return {"cardholder": cardholder_id, "kind": body["kind"]}


@blueprint.route("/v1/card-reviews", methods=["POST"])
@blueprint.arguments(CardReviewSchema)
@blueprint.response(200, CardsReviewedSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def post_card_review(body: dict[str, Any]) -> dict[str, Any]:
    """Find, portion by portion, the cards in use that would not be approved today, and why."""
    resting, after = Resting(body["suspend"], body["also_ordered"]), cursor(body["after"]) or FIRST
    found, further = check_some(context(), by_settings(context(), actor()), after, resting, body["limit"])
    cards = [
        {
            "application": each.application_id,
            "cardholder": each.cardholder_id,
            "card": each.card_id,
            "against": each.reasons,
        }
        for each in found
    ]
    return {"cards": cards, "next": None if further is None else str(further)}


@blueprint.route("/v1/coming-of-age", methods=["POST"])
@blueprint.arguments(ComingOfAgeSchema)
@blueprint.response(200, CameOfAgeSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def post_coming_of_age(body: dict[str, Any]) -> dict[str, Any]:
    """Make young citizens who have reached the age citizens, portion by portion: a new card is ordered."""
    delivery = None if body["dry_run"] else Delivery(body["delivery"])
    by, after = by_settings(context(), actor()), cursor(body["after"]) or FIRST
    found, further = grow_some(context(), by, after, delivery, body["limit"])
    grown = [
        {
            "cardholder": each.cardholder_id,
            "young": each.card_id,
            "of_age": each.is_of_age,
            "card": each.ordered,
        }
        for each in found
    ]
    return {"grown": grown, "next": None if further is None else str(further)}
