"""The routes of terminals: how they are, and which keys of cards they may have."""

from typing import Any

from marshmallow import fields

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Message, Moment
from cardservice.errors import TerminalUnknown
from cardservice.ids import ProviderId, TerminalId
from cardservice.providers.card_keys import granted_keys
from cardservice.providers.service import require_provider
from cardservice.staff.errors import TerminalMissing
from cardservice.staff.roles import Right
from cardservice.staff_api.access import me, staff_alone
from cardservice.staff_api.sharing import ReasonSchema, StaffPageSchema, next_field
from cardservice.terminals import service as terminals
from cardservice.terminals.health import Listed, list_terminals

blueprint = Blueprint(
    "staff-terminals", "cardservice.staff_api.terminals", description="Terminals, for staff."
)


class TerminalSchema(Message):
    """A terminal with how it was last; null where it has never said.

    `closed_from` is when its provider is closed, if it is to be: it asks nothing from then on.
    """

    terminal = fields.String(required=True)
    provider = fields.String(required=True)
    name = fields.String(required=True)
    role = fields.String(required=True)
    state = fields.String(required=True)
    closed_from = Moment(required=True, allow_none=True)
    seen_at = Moment(required=True, allow_none=True)
    clock_ahead_ms = fields.Integer(required=True, allow_none=True)
    waiting = fields.Integer(required=True, allow_none=True)
    oldest_waiting_at = Moment(required=True, allow_none=True)
    trust_fetched_at = Moment(required=True, allow_none=True)
    lists_end_at = Moment(required=True, allow_none=True)
    tariffs = fields.Dict(required=True, allow_none=True)
    version = fields.String(required=True, allow_none=True)


class TerminalsSchema(Message):
    """A page of terminals, by identifier."""

    terminals = fields.List(fields.Nested(TerminalSchema), required=True)
    next = next_field()


class CardKeySchema(Message):
    """A key of an application on cards."""

    application = fields.String(required=True)
    key = fields.Integer(required=True)
    version = fields.Integer(required=True)


class CardKeysSchema(Message):
    """Which keys a provider's terminals may have."""

    keys = fields.List(fields.Nested(CardKeySchema), required=True)


@blueprint.route("/v1/terminals")
@blueprint.arguments(StaffPageSchema, location="query")
@blueprint.response(200, TerminalsSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_terminals(page: dict[str, Any]) -> dict[str, Any]:
    """Terminals, when each was last heard of, what waits in its outbox and how its clock goes."""
    limit: int = page["limit"]
    own = me().own_provider(Right.SEE_TERMINALS)
    with context().database.reading() as connection:
        found = list_terminals(connection, own, after=page["after"], limit=limit + 1)
    shown = found[:limit]
    listed = [_listed(each) for each in shown]
    return {"terminals": listed, "next": shown[-1].id if len(found) > limit else None}


@blueprint.route("/v1/terminals/<terminal_id>")
@blueprint.tagged
@blueprint.response(200, TerminalSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_terminal(terminal_id: str) -> dict[str, Any]:
    """One of them."""
    return _one(terminal_id, me().own_provider(Right.SEE_TERMINALS))


@blueprint.route("/v1/terminals/<terminal_id>/revocation", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@blueprint.response(200, TerminalSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_revocation(body: dict[str, Any], terminal_id: str) -> dict[str, Any]:
    """Revoke a terminal from now on; advices that it made before are still taken."""
    with context().database.begin() as connection:
        authority = context().authority(terminals.AUTHORITY, connection)
        how: dict[str, Any] = {"reason": body["reason"], "actor": actor(), "moment": context().now()}
        try:
            terminals.revoke_terminal(connection, authority, TerminalId(terminal_id), **how)
        except TerminalUnknown as error:
            # Of whoever signs a request that is another matter.
            raise TerminalMissing(terminal_id) from error
    return _one(terminal_id, None)


@blueprint.route("/v1/providers/<provider_id>/card-keys")
@blueprint.response(200, CardKeysSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_card_keys(provider_id: str) -> dict[str, Any]:
    """Which keys of applications on cards a provider's terminals may have."""
    me().require_provider(Right.SEE_PROVIDERS, provider_id)
    with context().database.reading() as connection:
        require_provider(connection, ProviderId(provider_id))
        found = list(granted_keys(connection, ProviderId(provider_id), context().now()))
    keys = [
        {
            "application": f"{each.application.number:06X}",
            "key": each.role.value,
            "version": each.version,
        }
        for each in found
    ]
    return {"keys": keys}


def _one(terminal_id: str, own: str | None) -> dict[str, Any]:
    with context().database.reading() as connection:
        found = list_terminals(connection, own, only=terminal_id)
    if not found:
        # Of another provider's terminal not even that it is there.
        raise TerminalMissing(terminal_id)
    return _listed(found[0])


def _listed(each: Listed) -> dict[str, Any]:
    said = each.health
    return {
        "terminal": each.id,
        "provider": each.provider_id,
        "name": each.name,
        "role": each.role,
        "state": each.state,
        "closed_from": each.closed_from,
        "seen_at": each.seen_at,
        "clock_ahead_ms": each.clock_ahead_ms,
        "waiting": None if said is None else said.waiting,
        "oldest_waiting_at": None if said is None else said.oldest_waiting_at,
        "trust_fetched_at": None if said is None else said.trust_fetched_at,
        "lists_end_at": None if said is None else said.lists_end_at,
        "tariffs": None if said is None else dict(said.tariffs),
        "version": None if said is None else said.version,
    }
