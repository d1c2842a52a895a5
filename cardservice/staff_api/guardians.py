"""The routes of guardians: who may act for a child and what for, who is barred, and whose family it is."""

from datetime import date
from typing import Any
from uuid import UUID

from marshmallow import fields
from marshmallow.validate import Length, OneOf
from sqlalchemy import Connection

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, text
from cardservice.cardholders import guardians
from cardservice.cardholders.asking import Child, asking
from cardservice.cardholders.details import Noting
from cardservice.cardholders.families import show_family, show_guardians
from cardservice.cardholders.guardians import MAX_ORDER, RELATIONS, Days, Guardianship, May
from cardservice.cardholders.service import require_cardholder
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import KEY_PARAMETER, Day, NothingSchema, once

blueprint = Blueprint("staff-guardians", "cardservice.staff_api.guardians", description="Guardians.")
_CHILD = "/v1/cardholders/<uuid:cardholder_id>"
_RIGHTS = [each.value for each in May]


class _DaysSchema(Message):
    first_day = Day(load_default=None, metadata={"description": "without it, from today on"})
    last_day = Day(load_default=None, metadata={"description": "the last on which it holds"})


class NewGuardianSchema(_DaysSchema):
    """That somebody, who has a record, may act for a child; without `may`, all that guardians may."""

    person = Identifier(required=True)
    relation = fields.String(load_default=RELATIONS[0], validate=OneOf(RELATIONS))
    may = fields.List(
        fields.String(validate=OneOf(_RIGHTS)), load_default=_RIGHTS, validate=Length(1, len(_RIGHTS))
    )


class NewBarSchema(_DaysSchema):
    """That a court has barred somebody from a child."""

    person = Identifier(required=True)
    order = text(MAX_ORDER, required=True, metadata={"description": "what the court's order is called"})


class MadeGuardianshipSchema(Message):
    """What was noted, by its number."""

    guardianship = Identifier(required=True)


class GuardianSchema(Message):
    """Somebody who may act for the child; or, where `barred_by` is not null, who may not."""

    guardianship = Identifier(required=True)
    person = Identifier(required=True)
    relation = fields.String(required=True, allow_none=True)
    may = fields.List(fields.String(), required=True)
    barred_by = fields.String(required=True, allow_none=True)
    first_day = Day(required=True)
    last_day = Day(required=True, allow_none=True)
    ended = fields.Boolean(required=True)


class GuardiansSchema(Message):
    """All of a child's, the earliest first, also those that ended; a dozen may stand at a time."""

    guardians = fields.List(fields.Nested(GuardianSchema), required=True)


class ChildSchema(Message):
    """A child for whom the person may act today, who pays for it, and for whom that payer pays, too."""

    cardholder = Identifier(required=True)
    may = fields.List(fields.String(), required=True)
    payer = Identifier(required=True, allow_none=True)
    siblings_of_that_payer = fields.List(Identifier(), required=True)


class FamilySchema(Message):
    """The children of somebody."""

    children = fields.List(fields.Nested(ChildSchema), required=True)


@blueprint.route(f"{_CHILD}/guardians")
@blueprint.response(200, GuardiansSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_guardians(cardholder_id: UUID) -> dict[str, Any]:
    """Who may act for a child and who is barred; that it was read is noted of all of them."""
    with context().database.begin() as connection:
        found = show_guardians(connection, _noting(connection, cardholder_id))
    return {"guardians": [_guardian(each) for each in found]}


@blueprint.route(f"{_CHILD}/guardians", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewGuardianSchema)
@blueprint.response(200, MadeGuardianshipSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_guardian(body: dict[str, Any], cardholder_id: UUID) -> Any:
    """Note that somebody may act for a child; what stood before of the same person ends."""
    with context().database.begin() as connection:
        noting = _noting(connection, cardholder_id)
        may, until_age = frozenset(map(May, body["may"])), context().settings.guardian_age

        def make() -> dict[str, Any]:
            said = (body["person"], body["relation"], may, _days(body, noting.today), until_age)
            return {"guardianship": str(guardians.add_guardian(connection, noting, *said))}

        return once(connection, make)


@blueprint.route(f"{_CHILD}/bars", methods=["POST"])
@blueprint.doc(parameters=[KEY_PARAMETER])
@blueprint.arguments(NewBarSchema)
@blueprint.response(200, MadeGuardianshipSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_bar(body: dict[str, Any], cardholder_id: UUID) -> Any:
    """Note that a court has barred somebody from a child: no right of theirs counts while that holds."""
    with context().database.begin() as connection:
        noting = _noting(connection, cardholder_id)

        def make() -> dict[str, Any]:
            days = _days(body, noting.today)
            made = guardians.bar(connection, noting, body["person"], body["order"], days)
            return {"guardianship": str(made)}

        return once(connection, make)


@blueprint.route(f"{_CHILD}/guardians/<uuid:guardianship_id>/end", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, MadeGuardianshipSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_end(body: dict[str, Any], cardholder_id: UUID, guardianship_id: UUID) -> dict[str, Any]:
    """Let a guardianship, or a bar, hold no more from now on."""
    del body
    with context().database.begin() as connection:
        guardians.end(connection, _noting(connection, cardholder_id), guardianship_id)
    return {"guardianship": guardianship_id}


@blueprint.route(f"{_CHILD}/family")
@blueprint.response(200, FamilySchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_family(cardholder_id: UUID) -> dict[str, Any]:
    """The children for whom somebody may act today, and who pays for each; noted as read of all of them."""
    with context().database.begin() as connection:
        person = require_cardholder(connection, cardholder_id)
        found = show_family(connection, asking(context(), actor()), person)
    return {"children": [_child(each) for each in found]}


def _noting(connection: Connection, cardholder_id: UUID) -> Noting:
    holder = require_cardholder(connection, cardholder_id)
    return Noting(context().keys.cardholder_kek, holder, actor(), context().now(), context().zone)


def _days(body: dict[str, Any], today: date) -> Days:
    return Days(body["first_day"] or today, body["last_day"])


def _guardian(each: Guardianship) -> dict[str, Any]:
    return {
        "guardianship": each.id,
        "person": each.person_id,
        "relation": each.relation,
        "may": sorted(each.may),
        "barred_by": each.order,
        "first_day": each.first_day,
        "last_day": each.last_day,
        "ended": each.is_ended,
    }


def _child(each: Child) -> dict[str, Any]:
    return {
        "cardholder": each.guardianship.child_id,
        "may": sorted(each.guardianship.may),
        "payer": each.payer_id,
        "siblings_of_that_payer": each.siblings,
    }
