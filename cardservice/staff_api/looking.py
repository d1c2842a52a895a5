"""The routes of looking into the ledger: why it was charged, what was refused, lost, is to be claimed."""

from datetime import date
from typing import Any
from uuid import UUID

from marshmallow import ValidationError, fields

from cardservice.advices.losses import losses
from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.api.fields import Bytes, Identifier, Message, Moment, text
from cardservice.audit.service import record, security_events
from cardservice.authorisation.explanation import explain
from cardservice.cardholders.service import require_cardholder
from cardservice.cardholders.transaction_reads import note_transaction_read
from cardservice.errors import Malformed
from cardservice.quarantine import service as quarantine
from cardservice.quarantine.looking import look, said_in
from cardservice.quarantine.service import Held
from cardservice.rating.claims import claims_between
from cardservice.rating.telling import tell_day
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import (
    Day,
    DaysSchema,
    NumberedPageSchema,
    ReasonSchema,
    bounded,
    days_of,
    next_number,
    sensible_day,
)

blueprint = Blueprint(
    "staff-looking", "cardservice.staff_api.looking", description="Looking into the ledger."
)
_HELD = "/v1/quarantine"


class ExplanationSchema(Message):
    """Why a transaction was decided as it was; `agrees` is null where there was nothing to decide."""

    transaction = Identifier(required=True)
    kind = fields.String(required=True)
    decision = fields.String(required=True)
    reason = fields.String(required=True)
    amount_minor = fields.Integer(required=True, allow_none=True)
    currency = fields.String(required=True)
    occurred_at = fields.String(required=True)
    decided_at = fields.String(required=True)
    rules = fields.List(fields.Dict(), required=True)
    inputs = fields.Dict(required=True)
    agrees = fields.Boolean(required=True, allow_none=True)
    differs = fields.List(fields.String(), required=True, allow_none=True)


class ToldDaySchema(Message):
    """What one payer was charged for a day, what it should be, and by which journeys."""

    charged_minor = fields.Integer(required=True)
    should_be_minor = fields.Integer(required=True)
    revision = fields.Integer(required=True)
    agrees = fields.Boolean(required=True)
    journeys = fields.List(fields.Dict(), required=True)


class ToldDaysSchema(Message):
    """A person's day with a service, payer by payer."""

    days = fields.List(fields.Nested(ToldDaySchema), required=True)
    currency = fields.String(required=True)


class QuarantinePageSchema(NumberedPageSchema):
    """Which messages, and which page of them; `all`: what was dismissed, too."""

    terminal = text(load_default=None)
    everything = fields.Boolean(load_default=False, data_key="all")


class HeldMessageSchema(Message):
    """A refused message whose goods are gone, without what it says."""

    number = fields.Integer(required=True)
    at = Moment(required=True)
    terminal = fields.String(required=True)
    transaction = Identifier(required=True, allow_none=True)
    body = Bytes(required=True, metadata={"description": "SHA-256 of the message"})
    code = fields.String(required=True)
    detail = fields.String(required=True)
    state = fields.String(required=True)
    closed_at = Moment(required=True, allow_none=True)
    closed_by = fields.String(required=True, allow_none=True)
    closed_because = fields.String(required=True, allow_none=True)


class TallySchema(Message):
    """What a terminal had refused in all, and what of it there was no room for."""

    terminal = fields.String(required=True)
    refused = fields.Integer(required=True)
    not_kept = fields.Integer(required=True)


class HeldAllSchema(Message):
    """A page of what is held, the oldest first, and what there was no room for."""

    held = fields.List(fields.Nested(HeldMessageSchema), required=True)
    next = next_number()
    terminals = fields.List(fields.Nested(TallySchema), required=True)


class OpenedSchema(HeldMessageSchema):
    """A held message with what it says."""

    message = fields.Dict(required=True)


class DismissedSchema(Message):
    """A message that was dismissed; it stays on record."""

    number = fields.Integer(required=True)
    state = fields.String(required=True)


class SecurityEventSchema(Message):
    """A message that was refused before it could take an id."""

    number = fields.Integer(required=True)
    at = Moment(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    terminal = fields.String(required=True, allow_none=True)
    transaction = Identifier(required=True, allow_none=True)
    quarantined = fields.Boolean(required=True)


class SecurityEventsSchema(Message):
    """A page of them, the newest first."""

    events = fields.List(fields.Nested(SecurityEventSchema), required=True)
    next = next_number()


class AdviceLossSchema(Message):
    """What a provider's terminals gave away that may not come in, and who bears it."""

    provider = fields.String(required=True)
    bearer = fields.String(required=True)
    advices = fields.Integer(required=True)
    amount_minor = fields.Integer(required=True)
    owed_minor = fields.Integer(required=True)


class AdviceLossesSchema(Message):
    """All of it."""

    losses = fields.List(fields.Nested(AdviceLossSchema), required=True)
    currency = fields.String(required=True)


class ClaimSchema(Message):
    """What one authority owes one provider for free journeys; null where the tariff does not say."""

    authority = fields.String(required=True)
    provider = fields.String(required=True)
    tariff_version = fields.String(required=True)
    journeys = fields.Integer(required=True)
    amount_minor = fields.Integer(required=True, allow_none=True)


class ClaimsSchema(Message):
    """The claims for these travel days."""

    first = Day(required=True)
    last = Day(required=True)
    currency = fields.String(required=True)
    claims = fields.List(fields.Nested(ClaimSchema), required=True)


@blueprint.route("/v1/transactions/<uuid:transaction_id>/explanation")
@blueprint.response(200, ExplanationSchema)
@blueprint.problems(401, 403, 404, 409, 410)
@staff_alone
def get_explanation(transaction_id: UUID) -> dict[str, Any]:
    """Why a transaction was charged or refused; that somebody asked is noted."""
    # Noted first, and for good: whatever is then read was read by somebody.
    with context().database.begin() as connection:
        note_transaction_read(
            connection, transaction_id, "transaction.explain", actor=actor(), moment=context().now()
        )
    with context().database.reading() as connection:
        return explain(context(), connection, transaction_id).to_json()


@blueprint.route("/v1/cardholders/<uuid:cardholder_id>/days/<service>/<day>")
@blueprint.response(200, ToldDaysSchema)
@blueprint.problems(400, 401, 403, 404, 410)
@staff_alone
def get_day(cardholder_id: UUID, service: str, day: str) -> dict[str, Any]:
    """Journey by journey what a person's day with a service costs; that somebody asked is noted."""
    wanted = _day(day)
    with context().database.begin() as connection:
        holder = require_cardholder(connection, cardholder_id)
        record(connection, actor(), "transaction.day", holder, context().now(), service=service)
    with context().database.reading() as connection:
        found = tell_day(context(), connection, holder, service, wanted)
    days = [
        {
            "charged_minor": each.charged_minor,
            "should_be_minor": each.should_be_minor,
            "revision": each.revision,
            "agrees": each.agrees,
            "journeys": [dict(journey) for journey in each.journeys],
        }
        for each in found
    ]
    return {"days": days, "currency": context().scheme.currency}


@blueprint.route(_HELD)
@blueprint.arguments(QuarantinePageSchema, location="query")
@blueprint.response(200, HeldAllSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_held(page: dict[str, Any]) -> dict[str, Any]:
    """What lies in quarantine, without what it says."""
    limit, terminal = page["limit"], page["terminal"]
    which: dict[str, Any] = {"terminal_id": terminal, "everything": page["everything"]}
    with context().database.reading() as connection:
        found = quarantine.held(connection, **which, after=page["after"] or 0, limit=limit + 1)
        tallies = [each for each in quarantine.tallies(connection) if terminal in {None, each.terminal_id}]
    shown = found[:limit]
    return {
        "held": [_held(each) for each in shown],
        "next": shown[-1].number if len(found) > limit else None,
        "terminals": [
            {"terminal": each.terminal_id, "refused": each.refused, "not_kept": each.not_kept}
            for each in tallies
        ],
    }


@blueprint.route(f"{_HELD}/<int:number>")
@blueprint.response(200, OpenedSchema)
@blueprint.problems(401, 403, 404, 409)
@staff_alone
def get_opened(number: int) -> dict[str, Any]:
    """A held message and what it says; the look is noted."""
    known, entry = look(context(), bounded(number), actor=actor())
    return {**_held(known), "message": said_in(context(), known.terminal_id, entry)}


@blueprint.route(f"{_HELD}/<int:number>/dismissal", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@blueprint.response(200, DismissedSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_dismissal(body: dict[str, Any], number: int) -> dict[str, Any]:
    """Close a held message; it stays on record."""
    with context().database.begin() as connection:
        who: dict[str, Any] = {"actor": actor(), "moment": context().now()}
        quarantine.dismiss(connection, bounded(number), body["reason"], **who)
    return {"number": number, "state": "dismissed"}


@blueprint.route("/v1/security-events")
@blueprint.arguments(NumberedPageSchema, location="query")
@blueprint.response(200, SecurityEventsSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_events(page: dict[str, Any]) -> dict[str, Any]:
    """The messages that were refused, the newest first."""
    limit: int = page["limit"]
    with context().database.reading() as connection:
        found = list(security_events(connection, limit=limit + 1, before=page["after"]))
    shown = found[:limit]
    events = [
        {
            "number": each.number,
            "at": each.at,
            "code": each.code,
            "detail": each.detail,
            "terminal": each.terminal_id,
            "transaction": each.transaction_id,
            "quarantined": each.quarantined,
        }
        for each in shown
    ]
    return {"events": events, "next": shown[-1].number if len(found) > limit else None}


@blueprint.route("/v1/advice-losses")
@blueprint.response(200, AdviceLossesSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_losses() -> dict[str, Any]:
    """What was given away in spite of a flag and may not come in, by provider and bearer."""
    with context().database.reading() as connection:
        found = losses(connection)
    lines = [
        {
            "provider": each.provider_id,
            "bearer": each.bearer,
            "advices": each.advices,
            "amount_minor": each.amount_minor,
            "owed_minor": each.owed_minor,
        }
        for each in found
    ]
    return {"losses": lines, "currency": context().scheme.currency}


@blueprint.route("/v1/concession-claims/<service>")
@blueprint.arguments(DaysSchema, location="query")
@blueprint.response(200, ClaimsSchema)
@blueprint.problems(400, 401, 403, 404, 410, 422)
@staff_alone
def get_claims(asked: dict[str, Any], service: str) -> dict[str, Any]:
    """What each authority owes each provider for journeys that were free; that somebody asked is noted."""
    period = days_of(asked)
    words = f"{period.first} to {period.last}"
    with context().database.begin() as connection:
        record(connection, actor(), "concession.claim", service, context().now(), days=words)
    with context().database.reading() as connection:
        found = claims_between(context(), connection, service, period.first, period.last)
    claims = [
        {
            "authority": each.authority,
            "provider": each.provider,
            "tariff_version": each.tariff_version,
            "journeys": each.journeys,
            "amount_minor": each.amount_minor,
        }
        for each in found
    ]
    days = {"first": period.first, "last": period.last}
    return {**days, "currency": context().scheme.currency, "claims": claims}


def _day(wire: str) -> date:
    try:
        return sensible_day(Day().from_wire(wire))
    except ValidationError:
        raise Malformed("the address names no day like 2026-06-15") from None


def _held(each: Held) -> dict[str, Any]:
    return {
        "number": each.number,
        "at": each.at,
        "terminal": each.terminal_id,
        "transaction": each.transaction_id,
        "body": each.body,
        "code": each.code,
        "detail": each.detail,
        "state": each.state,
        "closed_at": each.closed_at,
        "closed_by": each.closed_by,
        "closed_because": each.closed_because,
    }
