"""The routes by which terminals are registered, invited, and let do something else."""

from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from marshmallow import fields
from marshmallow.validate import Range
from sqlalchemy import Connection

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Message, Moment, text
from cardservice.ids import ProviderId, TerminalId
from cardservice.providers.service import MAX_NAME
from cardservice.staff.errors import TerminalMissing
from cardservice.staff.roles import Right
from cardservice.staff_api.access import me, staff_alone
from cardservice.staff_api.sharing import (
    MATCH_PARAMETER,
    TAG,
    NothingSchema,
    amount_field,
    require_unchanged,
    tag_of,
)
from cardservice.terminals import service as terminals
from cardservice.terminals.enrolment import (
    LONGEST,
    VALIDITY,
    Invitation,
    invite,
    invite_again,
    invited,
    withdraw_invitation,
)
from cardservice.terminals.gaps import sequences
from cardservice.terminals.roles import require_role
from cardservice.terminals.service import (
    NewTerminal,
    Terminal,
    find_terminal,
    name_of,
    rename_terminal,
    set_terms,
    terms_of,
)

blueprint = Blueprint(
    "staff-terminal-orders", "cardservice.staff_api.terminal_orders", description="Terminals, for staff."
)
ONE = "/v1/terminals/<terminal_id>"
_MINUTE = timedelta(minutes=1)
# Ours: a signing request of a P-256 key has some 500 characters.
_MAX_PEM = 4000


class TermsSchema(Message):
    """What a terminal may do; `offline_limit_minor` is null where it gives nothing away offline."""

    role = text(required=True)
    offline_limit_minor = amount_field(0, required=True, allow_none=True)


class TermsSinceSchema(TermsSchema):
    """What a terminal might do from a moment on."""

    since = Moment(required=True)


class TerminalNameSchema(Message):
    """What a terminal is called from now on, such as where it stands."""

    name = text(MAX_NAME, required=True)


class TermsHistorySchema(TermsSchema):
    """What a terminal is called and may do, and all that it might before; the earliest first."""

    name = fields.String(required=True)
    history = fields.List(fields.Nested(TermsSinceSchema), required=True)


class NamedTerminalSchema(TermsSchema):
    """A terminal under an identifier of one's choice; without a name it is called by that."""

    terminal = text(required=True)
    provider = text(required=True)
    name = text(load_default=None)
    offline_limit_minor = amount_field(0, load_default=None, allow_none=True)


class NewTerminalSchema(NamedTerminalSchema):
    """A terminal to be registered, with its signing request."""

    csr = text(_MAX_PEM, required=True, metadata={"description": "PEM"})


class CertifiedSchema(Message):
    """A terminal's certificate."""

    terminal = fields.String(required=True)
    certificate = fields.String(required=True, metadata={"description": "PEM"})


class MinutesSchema(Message):
    """How long a code holds."""

    minutes = fields.Integer(
        load_default=VALIDITY // _MINUTE, strict=True, validate=Range(1, LONGEST // _MINUTE)
    )


class NewInvitationSchema(NamedTerminalSchema, MinutesSchema):
    """A terminal that is to enrol itself by a code."""


class TerminalCodeSchema(Message):
    """The code, which nothing tells again; it is used once."""

    terminal = fields.String(required=True)
    code = fields.String(required=True)
    expires_at = Moment(required=True)


class InvitedSchema(Message):
    """A terminal whose code is out; `again`: it is registered, and is to have another key."""

    terminal = fields.String(required=True)
    provider = fields.String(required=True)
    role = fields.String(required=True)
    again = fields.Boolean(required=True)
    expires_at = Moment(required=True)
    attempts_left = fields.Integer(required=True)
    by = fields.String(required=True)


class InvitedAllSchema(Message):
    """Whose codes are out, the next to end first; a code holds for days at most."""

    invited = fields.List(fields.Nested(InvitedSchema), required=True)


class UninvitedSchema(Message):
    """A terminal whose code is void."""

    terminal = fields.String(required=True)


class GapSchema(Message):
    """Numbers that were not told, both included."""

    first = fields.Integer(required=True)
    last = fields.Integer(required=True)


class GapsSchema(Message):
    """What of a terminal's numbers is in the ledger; null and nothing where it has told none."""

    terminal = fields.String(required=True)
    first = fields.Integer(required=True, allow_none=True)
    last = fields.Integer(required=True, allow_none=True)
    seen = fields.Integer(required=True)
    missing = fields.List(fields.Nested(GapSchema), required=True)


@blueprint.route("/v1/terminals", methods=["POST"])
@blueprint.arguments(NewTerminalSchema)
@blueprint.response(200, CertifiedSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_terminal(body: dict[str, Any]) -> dict[str, Any]:
    """Register a terminal and certify the key of its signing request."""
    new = _new(body)
    with context().database.begin() as connection:
        authority = context().authority(terminals.AUTHORITY, connection)
        who: dict[str, Any] = {"actor": actor(), "moment": context().now()}
        issued = terminals.register_terminal(connection, authority, new, body["csr"].encode(), **who)
    return {"terminal": new.id, "certificate": issued.public_bytes(Encoding.PEM).decode()}


@blueprint.route("/v1/terminal-invitations")
@blueprint.response(200, InvitedAllSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_invitations() -> dict[str, Any]:
    """Whose codes are out and have not been used; never the codes."""
    with context().database.reading() as connection:
        found = invited(connection, me().own_provider(Right.SEE_TERMINALS), context().now())
    return {
        "invited": [
            {
                "terminal": each.id,
                "provider": each.provider_id,
                "role": each.role,
                "again": each.again,
                "expires_at": each.expires_at,
                "attempts_left": each.attempts_left,
                "by": each.by,
            }
            for each in found
        ]
    }


@blueprint.route("/v1/terminal-invitations", methods=["POST"])
@blueprint.arguments(NewInvitationSchema)
@blueprint.response(200, TerminalCodeSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_invitation(body: dict[str, Any]) -> dict[str, Any]:
    """The code by which a new terminal enrols itself, once; another invitation makes it void."""
    new, validity = _new(body), body["minutes"] * _MINUTE
    with context().database.begin() as connection:
        made = invite(connection, new, validity, actor=actor(), moment=context().now())
    return _told(new.id, made)


@blueprint.route(f"{ONE}/invitation", methods=["POST"])
@blueprint.arguments(MinutesSchema)
@blueprint.response(200, TerminalCodeSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_invitation_again(body: dict[str, Any], terminal_id: str) -> dict[str, Any]:
    """The same for a registered terminal that has lost its key; what it may do stays."""
    validity = body["minutes"] * _MINUTE
    with context().database.begin() as connection:
        known = _require(connection, terminal_id)
        made = invite_again(connection, known.id, validity, actor=actor(), moment=context().now())
    return _told(known.id, made)


@blueprint.route("/v1/terminal-invitations/<terminal_id>/withdrawal", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, UninvitedSchema)
@blueprint.problems(400, 401, 403, 404)
@staff_alone
def post_withdrawal(body: dict[str, Any], terminal_id: str) -> dict[str, Any]:
    """Make the code of a terminal void that nobody has used."""
    del body
    with context().database.begin() as connection:
        withdraw_invitation(connection, terminal_id, actor=actor(), moment=context().now())
    return {"terminal": terminal_id}


@blueprint.route(f"{ONE}/terms")
@blueprint.response(200, TermsHistorySchema, headers=TAG)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_terms(terminal_id: str) -> Any:
    """What a terminal may do, and might do before. Its ETag goes with a change of it."""
    with context().database.reading() as connection:
        values = _terms(connection, _require(connection, terminal_id))
    return values, 200, {"ETag": tag_of(values)}


@blueprint.route(f"{ONE}/terms", methods=["POST"])
@blueprint.doc(parameters=[MATCH_PARAMETER])
@blueprint.arguments(TermsSchema)
@blueprint.response(200, TermsHistorySchema, headers=TAG)
@blueprint.problems(400, 401, 403, 404, 412, 422, 428)
@staff_alone
def post_terms(body: dict[str, Any], terminal_id: str) -> Any:
    """Let a terminal do something else from now on; what it did before is judged by what held then."""
    require_role(context().services, body["role"])
    with context().database.begin() as connection:
        terminals.lock_terminal(connection, terminal_id)
        known = _require(connection, terminal_id)
        require_unchanged(_terms(connection, known))
        set_terms(connection, known.id, **body, actor=actor(), moment=context().now())
        values = _terms(connection, _require(connection, terminal_id))
    return values, 200, {"ETag": tag_of(values)}


@blueprint.route(f"{ONE}/name", methods=["POST"])
@blueprint.doc(parameters=[MATCH_PARAMETER])
@blueprint.arguments(TerminalNameSchema)
@blueprint.response(200, TermsHistorySchema, headers=TAG)
@blueprint.problems(400, 401, 403, 404, 412, 422, 428)
@staff_alone
def post_name(body: dict[str, Any], terminal_id: str) -> Any:
    """Call a terminal otherwise from now on, as when it stands elsewhere; what it may do stays."""
    with context().database.begin() as connection:
        terminals.lock_terminal(connection, terminal_id)
        known = _require(connection, terminal_id)
        require_unchanged(_terms(connection, known))
        rename_terminal(connection, known.id, body["name"], actor=actor(), moment=context().now())
        values = _terms(connection, known)
    return values, 200, {"ETag": tag_of(values)}


@blueprint.route(f"{ONE}/gaps")
@blueprint.response(200, GapsSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_gaps(terminal_id: str) -> dict[str, Any]:
    """Which of its numbers a terminal has not told; one that no card signed is never told."""
    with context().database.reading() as connection:
        known = _require(connection, terminal_id)
        found = sequences(connection, known.id)
    told: dict[str, Any] = {"terminal": known.id, "first": None, "last": None, "seen": 0, "missing": []}
    for each in found:
        missing = [{"first": first, "last": last} for first, last in each.missing]
        told |= {"first": each.first, "last": each.last, "seen": each.seen, "missing": missing}
    return told


def _new(body: dict[str, Any]) -> NewTerminal:
    require_role(context().services, body["role"])
    return NewTerminal(
        id=TerminalId(body["terminal"]),
        provider_id=ProviderId(body["provider"]),
        name=body["name"] or body["terminal"],
        role=body["role"],
        offline_limit_minor=body["offline_limit_minor"],
    )


def _told(terminal_id: str, made: Invitation) -> dict[str, Any]:
    return {"terminal": terminal_id, "code": made.code, "expires_at": made.expires_at}


def _require(connection: Connection, terminal_id: str) -> Terminal:
    """The terminal, if they may see it: of another provider's not even that it is there."""
    known, own = find_terminal(connection, terminal_id), me().own_provider(Right.SEE_TERMINALS)
    if known is None or own not in {None, known.provider_id}:
        raise TerminalMissing(terminal_id)
    return known


def _terms(connection: Connection, known: Terminal) -> dict[str, Any]:
    return {
        "name": name_of(connection, known.id),
        "role": known.role,
        "offline_limit_minor": known.offline_limit_minor,
        "history": [
            {
                "since": each.valid_from,
                "role": each.role,
                "offline_limit_minor": each.offline_limit_minor,
            }
            for each in terms_of(connection, known.id).terms
        ],
    }
