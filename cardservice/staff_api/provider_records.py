"""The routes of providers themselves: what each is called, from when on one is closed, what is left of it."""

from datetime import datetime
from typing import Any

from marshmallow import fields

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Message, Moment, text
from cardservice.ids import ProviderId
from cardservice.providers.closing import Left, close_provider, reopen_provider, what_is_left
from cardservice.providers.service import (
    MAX_NAME,
    Provider,
    add_provider,
    find_provider,
    list_providers,
    lock_provider,
    rename_provider,
)
from cardservice.staff.roles import Right
from cardservice.staff_api.access import me, staff_alone
from cardservice.staff_api.sharing import MATCH_PARAMETER, TAG, ReasonSchema, require_unchanged, tag_of

blueprint = Blueprint(
    "staff-provider-records", "cardservice.staff_api.provider_records", description="Providers, for staff."
)
ONE = "/v1/providers/<provider_id>"


class ProviderNameSchema(Message):
    """What a provider is called from now on, in statements of before, too."""

    name = text(MAX_NAME, required=True)


class NewProviderSchema(ProviderNameSchema):
    """A provider to be registered, under an identifier of one's choice."""

    provider = text(required=True)


class ProviderSchema(Message):
    """A provider; `closed_from` is null until further notice."""

    provider = fields.String(required=True)
    name = fields.String(required=True)
    closed_from = Moment(required=True, allow_none=True)


class ProvidersSchema(Message):
    """All providers; a scheme has few."""

    providers = fields.List(fields.Nested(ProviderSchema), required=True)


class LeftSchema(Message):
    """What there is still of a provider; `unsaid` are terminals that have never said what waits with them."""

    terminals = fields.List(fields.String(), required=True, metadata={"description": "not revoked"})
    unsaid = fields.List(fields.String(), required=True)
    waiting = fields.Integer(required=True, metadata={"description": "in their outboxes, as they said last"})
    held = fields.Integer(required=True, metadata={"description": "of their messages, in quarantine"})
    services = fields.List(fields.String(), required=True, metadata={"description": "that it is named for"})
    owed_minor = fields.Integer(required=True, metadata={"description": "in all, of what has settled"})
    unsettled_minor = fields.Integer(required=True)
    currency = fields.String(required=True)


class KnownProviderSchema(ProviderSchema):
    """A provider, and what there is still of it."""

    left = fields.Nested(LeftSchema, required=True)


class ClosingSchema(ReasonSchema):
    """Why a provider is closed, and from when on; null: from now on."""

    since = Moment(load_default=None, allow_none=True, data_key="from")


@blueprint.route("/v1/providers")
@blueprint.response(200, ProvidersSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_providers() -> dict[str, Any]:
    """Providers; whoever has the role provider sees their own alone."""
    with context().database.reading() as connection:
        found = list_providers(connection, me().own_provider(Right.SEE_PROVIDERS))
    return {"providers": [_values(each) for each in found]}


@blueprint.route("/v1/providers", methods=["POST"])
@blueprint.arguments(NewProviderSchema)
@blueprint.response(200, ProviderSchema)
@blueprint.problems(400, 401, 403, 409, 422)
@staff_alone
def post_provider(body: dict[str, Any]) -> dict[str, Any]:
    """Register a provider."""
    made = ProviderId(body["provider"])
    with context().database.begin() as connection:
        add_provider(connection, made, body["name"], actor=actor(), moment=context().now())
    return {**body, "closed_from": None}


@blueprint.route(ONE)
@blueprint.response(200, KnownProviderSchema, headers=TAG)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_provider(provider_id: str) -> Any:
    """A provider, and what there is still of it. Its ETag goes with a change of its name."""
    me().require_provider(Right.SEE_PROVIDERS, provider_id)
    return _shown(provider_id)


@blueprint.route(f"{ONE}/name", methods=["POST"])
@blueprint.doc(parameters=[MATCH_PARAMETER])
@blueprint.arguments(ProviderNameSchema)
@blueprint.response(200, KnownProviderSchema, headers=TAG)
@blueprint.problems(400, 401, 403, 404, 412, 422, 428)
@staff_alone
def post_name(body: dict[str, Any], provider_id: str) -> Any:
    """Call a provider otherwise from now on; the audit trail keeps what it was called."""
    with context().database.begin() as connection:
        require_unchanged(_values(lock_provider(connection, provider_id)))
        named: dict[str, Any] = {"actor": actor(), "moment": context().now()}
        rename_provider(connection, ProviderId(provider_id), body["name"], **named)
    return _shown(provider_id)


@blueprint.route(f"{ONE}/closing", methods=["POST"])
@blueprint.arguments(ClosingSchema)
@blueprint.response(200, KnownProviderSchema, headers=TAG)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_closing(body: dict[str, Any], provider_id: str) -> Any:
    """Close a provider: its terminals ask nothing from then on; what they gave away before is taken."""
    moment = context().now()
    since: datetime = body["since"] or moment
    with context().database.begin() as connection:
        named: dict[str, Any] = {"reason": body["reason"], "actor": actor(), "moment": moment}
        close_provider(connection, ProviderId(provider_id), since, **named)
    return _shown(provider_id)


@blueprint.route(f"{ONE}/reopening", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@blueprint.response(200, KnownProviderSchema, headers=TAG)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_reopening(body: dict[str, Any], provider_id: str) -> Any:
    """Open a provider again; its terminals that were not revoked go on as they were."""
    with context().database.begin() as connection:
        named: dict[str, Any] = {"reason": body["reason"], "actor": actor(), "moment": context().now()}
        reopen_provider(connection, ProviderId(provider_id), **named)
    return _shown(provider_id)


def _shown(provider_id: str) -> Any:
    currency = context().scheme.currency
    with context().database.reading() as connection:
        known = find_provider(connection, provider_id)
        left = what_is_left(connection, known.id, currency)
    values = _values(known)
    return {**values, "left": _left(left, currency)}, 200, {"ETag": tag_of(values)}


def _values(known: Provider) -> dict[str, Any]:
    return {"provider": known.id, "name": known.name, "closed_from": known.closed_from}


def _left(left: Left, currency: str) -> dict[str, Any]:
    return {
        "terminals": left.terminals,
        "unsaid": left.unsaid,
        "waiting": left.waiting,
        "held": left.held,
        "services": left.services,
        "owed_minor": left.owed_minor,
        "unsettled_minor": left.unsettled_minor,
        "currency": currency,
    }
