"""The routes of applications: listed, made, shown, decided; and proofs that were seen."""

from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import OneOf
from sqlalchemy import Connection

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, Moment, text
from cardservice.applications.applicants import add_applicant, by_settings
from cardservice.applications.eligibility import PROOFS, Visit
from cardservice.applications.proofs import Proof, note_proof, proofs_of
from cardservice.applications.service import (
    OPEN,
    STATES,
    Application,
    Deciding,
    apply_for,
    approve,
    list_applications,
    objections,
    reason_of,
    refuse,
    require_application,
    withdraw,
)
from cardservice.audit.service import record
from cardservice.cardholders.service import MAX_NAME, require_cardholder
from cardservice.cards.personalisation import KINDS, Delivery
from cardservice.errors import Malformed
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import (
    KEY_PARAMETER,
    Day,
    NothingSchema,
    ReasonSchema,
    StaffPageSchema,
    cursor,
    next_field,
    once,
)

blueprint = Blueprint("staff-applications", "cardservice.staff_api.applications", description="Applications.")
ONE = "/v1/applications/<uuid:application_id>"


class ApplicationPageSchema(StaffPageSchema):
    """Which applications, and which page of them."""

    state = fields.String(load_default=OPEN, validate=OneOf(STATES))


class ListedApplicationSchema(Message):
    """An application in a list, which names nobody."""

    application = Identifier(required=True)
    cardholder = Identifier(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    applied_at = Moment(required=True)


class ApplicationsSchema(Message):
    """A page of applications, the one that waits longest first."""

    applications = fields.List(fields.Nested(ListedApplicationSchema), required=True)
    next = next_field()


class ProofSchema(Message):
    """A proof that was seen."""

    proof = Identifier(required=True)
    of = fields.String(required=True)
    reference = fields.String(required=True)
    seen_by = fields.String(required=True)
    seen_at = Moment(required=True)
    review_on = Day(required=True, allow_none=True)
    ended_at = Moment(required=True, allow_none=True)


class ApplicationSchema(ListedApplicationSchema):
    """An application with all that stands against it now."""

    first_day = Day(required=True, allow_none=True)
    last_day = Day(required=True, allow_none=True)
    card = Identifier(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    against = fields.List(fields.String(), required=True)
    proofs = fields.List(fields.Nested(ProofSchema), required=True)


class NewApplicationSchema(Message):
    """An application of somebody who has a record, or of somebody new by their name."""

    kind = fields.String(required=True, validate=OneOf(KINDS))
    cardholder = Identifier(load_default=None)
    name = text(MAX_NAME, load_default=None)
    first_day = Day(load_default=None, metadata={"description": "of a visit"})
    last_day = Day(load_default=None)


class MadeApplicationSchema(Message):
    """An application that was made."""

    application = Identifier(required=True)
    cardholder = Identifier(required=True)


class ApprovalSchema(Message):
    """What an approval comes with."""

    category = text(load_default=None, metadata={"description": "what prices go by"})
    delivery = fields.String(
        load_default=Delivery.DESK.value, validate=OneOf([each.value for each in Delivery])
    )


class NewProofSchema(Message):
    """A proof that somebody has shown; no copy is kept."""

    kind = fields.String(required=True, validate=OneOf(list(PROOFS)))
    reference = text(100, required=True)
    review_on = Day(load_default=None)


class NotedSchema(Message):
    """A proof that was noted."""

    proof = Identifier(required=True)


@blueprint.route("/v1/applications")
@blueprint.arguments(ApplicationPageSchema, location="query")
@blueprint.response(200, ApplicationsSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_applications(page: dict[str, Any]) -> dict[str, Any]:
    """Applications in a state, page by page."""
    limit: int = page["limit"]
    with context().database.reading() as connection:
        after = cursor(page["after"])
        found = list_applications(connection, page["state"], after=after, limit=limit + 1)
    shown = found[:limit]
    listed = [_listed(each) for each in shown]
    return {"applications": listed, "next": str(shown[-1].id) if len(found) > limit else None}


@blueprint.route("/v1/applications", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewApplicationSchema)
@blueprint.response(200, MadeApplicationSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_application(body: dict[str, Any]) -> Any:
    """Note that somebody applies for a card; who has no record yet gets one."""
    if (body["cardholder"] is None) is (body["name"] is None):
        raise Malformed("`cardholder` or `name`, and not both")
    if (body["first_day"] is None) is not (body["last_day"] is None):
        raise Malformed("a visit has both, `first_day` and `last_day`")
    visit = None if body["first_day"] is None else Visit(body["first_day"], body["last_day"])
    with context().database.begin() as connection:
        by = _by()

        def make() -> dict[str, Any]:
            if body["name"] is None:
                holder = require_cardholder(connection, body["cardholder"])
            else:
                holder = add_applicant(connection, body["name"], context().scheme.currency, by)
            made = apply_for(connection, by.noting(holder), body["kind"], visit)
            return {"application": str(made), "cardholder": str(holder)}

        return once(connection, make)


@blueprint.route(ONE)
@blueprint.response(200, ApplicationSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_application(application_id: UUID) -> dict[str, Any]:
    """An application, the proofs that were seen, and all that stands against it; noted as a read."""
    with context().database.begin() as connection:
        by = _by()
        known = require_application(connection, application_id)
        record(connection, by.actor, "application.show", known.cardholder_id, by.moment)
        return _shown(connection, by, known)


@blueprint.route(f"{ONE}/approval", methods=["POST"])
@blueprint.arguments(ApprovalSchema)
@blueprint.response(200, ListedApplicationSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_approval(body: dict[str, Any], application_id: UUID) -> dict[str, Any]:
    """Approve an application: the person is a cardholder with that, and the card is ordered."""
    with context().database.begin() as connection:
        how: dict[str, Any] = {"category": body["category"], "delivery": Delivery(body["delivery"])}
        approve(connection, _by(), application_id, **how)
        return _listed(require_application(connection, application_id))


@blueprint.route(f"{ONE}/refusal", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@blueprint.response(200, ListedApplicationSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_refusal(body: dict[str, Any], application_id: UUID) -> dict[str, Any]:
    """Refuse an application, in words that the applicant is told."""
    with context().database.begin() as connection:
        refuse(connection, _by(), application_id, body["reason"])
        return _listed(require_application(connection, application_id))


@blueprint.route(f"{ONE}/withdrawal", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, ListedApplicationSchema)
@blueprint.problems(400, 401, 403, 404, 409)
@staff_alone
def post_withdrawal(body: dict[str, Any], application_id: UUID) -> dict[str, Any]:
    """Note that the person does not want the card any more."""
    del body
    with context().database.begin() as connection:
        withdraw(connection, _by(), application_id)
        return _listed(require_application(connection, application_id))


@blueprint.route("/v1/cardholders/<uuid:cardholder_id>/proofs", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewProofSchema)
@blueprint.response(200, NotedSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_proof(body: dict[str, Any], cardholder_id: UUID) -> Any:
    """Note that a proof was seen; one of the same kind that stood before ends."""
    with context().database.begin() as connection:
        holder = require_cardholder(connection, cardholder_id)

        def make() -> dict[str, Any]:
            by, said = _by(), (body["kind"], body["reference"], body["review_on"])
            made = note_proof(connection, by.noting(holder), *said, older_from=by.older_from)
            return {"proof": str(made)}

        return once(connection, make)


def _by() -> Deciding:
    return by_settings(context(), actor())


def _listed(each: Application) -> dict[str, Any]:
    return {
        "application": each.id,
        "cardholder": each.cardholder_id,
        "kind": each.kind,
        "state": each.state,
        "applied_at": each.applied_at,
    }


def _shown(connection: Connection, by: Deciding, known: Application) -> dict[str, Any]:
    visit = known.visit
    return {
        **_listed(known),
        "first_day": None if visit is None else visit.first_day,
        "last_day": None if visit is None else visit.last_day,
        "card": known.card_id,
        "reason": reason_of(connection, by.kek, known),
        "against": objections(connection, by, known) if known.state == OPEN else (),
        "proofs": [proof_values(each) for each in proofs_of(connection, by.kek, known.cardholder_id)],
    }


def proof_values(each: Proof) -> dict[str, Any]:
    """A proof as JSON."""
    return {
        "proof": each.id,
        "of": each.kind,
        "reference": each.reference,
        "seen_by": each.seen_by,
        "seen_at": each.seen_at,
        "review_on": each.review_on,
        "ended_at": each.ended_at,
    }
