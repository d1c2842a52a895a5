"""The routes of accounts: who works for the scheme, what each may do, where they are signed in."""

from typing import Any

from marshmallow import fields
from marshmallow.validate import OneOf

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Identifier, Message, text
from cardservice.staff import enrolment, service, sessions
from cardservice.staff.agreeing import ask_recovered
from cardservice.staff.roles import Role
from cardservice.staff.service import Person
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.session_schemas import MAX_STAFF_ID, SessionsSchema, session_values
from cardservice.staff_api.sharing import NothingSchema

blueprint = Blueprint("staff-members", "cardservice.staff_api.members", description="Accounts of staff.")
ONE = "/v1/staff/members/<staff_id>"
_ROLES = OneOf([role.value for role in Role])


class StaffMemberSchema(Message):
    """An account."""

    staff = fields.String(required=True)
    name = fields.String(required=True)
    user = fields.String(required=True, allow_none=True, metadata={"description": "on the machine"})
    provider = fields.String(required=True, allow_none=True)
    roles = fields.List(fields.String(), required=True)
    active = fields.Boolean(required=True)


class MembersSchema(Message):
    """All accounts, by name; a scheme has few."""

    members = fields.List(fields.Nested(StaffMemberSchema), required=True)


class NewMemberSchema(Message):
    """An account to be made, under a name that nobody else gets later."""

    staff = text(MAX_STAFF_ID, required=True)
    name = text(100, required=True)
    roles = fields.List(fields.String(validate=_ROLES), load_default=list)
    user = text(MAX_STAFF_ID, load_default=None)
    provider = text(load_default=None)


class RoleSchema(Message):
    """A role that is given or taken."""

    role = fields.String(required=True, validate=_ROLES)


class ActiveSchema(Message):
    """Whether somebody is let in."""

    active = fields.Boolean(required=True)


class InvitationSchema(Message):
    """The code with which somebody sets up what they sign in with; told once."""

    staff = fields.String(required=True)
    code = fields.String(required=True)


class StaffRecoverySchema(Message):
    """Half a code, which counts once another administrator agrees and is told the other half."""

    id = Identifier(required=True)
    state = fields.String(required=True)
    half = fields.String(required=True)


@blueprint.route("/v1/staff/members")
@blueprint.response(200, MembersSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_members() -> dict[str, Any]:
    """All accounts with their roles."""
    with context().database.reading() as connection:
        return {"members": [_values(each) for each in service.list_staff(connection)]}


@blueprint.route("/v1/staff/members", methods=["POST"])
@blueprint.arguments(NewMemberSchema)
@blueprint.response(200, StaffMemberSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_member(body: dict[str, Any]) -> dict[str, Any]:
    """Make an account."""
    roles = tuple(dict.fromkeys(Role(role) for role in body["roles"]))
    who = (body["staff"], body["name"], body["user"], body["provider"])
    with context().database.begin() as connection:
        new = Person(*who, is_active=True, roles=roles)
        service.add_person(connection, new, actor=actor(), moment=context().now())
    return _values(new)


@blueprint.route(f"{ONE}/roles", methods=["POST"])
@blueprint.arguments(RoleSchema)
@blueprint.response(200, StaffMemberSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_role(body: dict[str, Any], staff_id: str) -> dict[str, Any]:
    """Let somebody do more; not oneself."""
    with context().database.begin() as connection:
        service.give_role(connection, staff_id, Role(body["role"]), actor=actor(), moment=context().now())
        return _values(service.require_person(connection, staff_id))


@blueprint.route(f"{ONE}/roles/removal", methods=["POST"])
@blueprint.arguments(RoleSchema)
@blueprint.response(200, StaffMemberSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_role_removal(body: dict[str, Any], staff_id: str) -> dict[str, Any]:
    """Take a role away from somebody; not that of the last administrator."""
    with context().database.begin() as connection:
        service.take_role(connection, staff_id, Role(body["role"]), actor=actor(), moment=context().now())
        return _values(service.require_person(connection, staff_id))


@blueprint.route(f"{ONE}/access", methods=["POST"])
@blueprint.arguments(ActiveSchema)
@blueprint.response(200, StaffMemberSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_access(body: dict[str, Any], staff_id: str) -> dict[str, Any]:
    """Let somebody in no more: certificates are revoked, sessions end. Or let them in again."""
    with context().database.begin() as connection:
        authority = context().authority(service.AUTHORITY, connection)
        how: dict[str, Any] = {"is_active": body["active"], "actor": actor(), "moment": context().now()}
        service.set_active(connection, authority, staff_id, **how)
        return _values(service.require_person(connection, staff_id))


@blueprint.route(f"{ONE}/invitation", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, InvitationSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_invitation(body: dict[str, Any], staff_id: str) -> dict[str, Any]:
    """The code for somebody who has nothing to sign in with yet."""
    del body
    with context().database.begin() as connection:
        code = enrolment.invite(context(), connection, staff_id, actor=actor())
    return {"staff": staff_id, "code": code}


@blueprint.route(f"{ONE}/recovery", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, StaffRecoverySchema)
@blueprint.problems(400, 401, 403, 404)
@staff_alone
def post_recovery(body: dict[str, Any], staff_id: str) -> dict[str, Any]:
    """Ask for somebody who has lost what they sign in with to be let in anew; somebody else has to agree."""
    del body
    asked, half = ask_recovered(context(), staff_id, actor=actor())
    return {"id": asked.id, "state": asked.state, "half": half}


@blueprint.route(f"{ONE}/sessions")
@blueprint.response(200, SessionsSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_member_sessions(staff_id: str) -> dict[str, Any]:
    """Where somebody is signed in, the newest first."""
    with context().database.reading() as connection:
        service.require_person(connection, staff_id)
        found = sessions.list_sessions(connection, staff_id, context().now())
    return {"sessions": [session_values(each) for each in found]}


def _values(person: Person) -> dict[str, Any]:
    return {
        "staff": person.id,
        "name": person.name,
        "user": person.os_user,
        "provider": person.provider_id,
        "roles": [role.value for role in person.roles],
        "active": person.is_active,
    }
