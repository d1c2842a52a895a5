"""The routes of paying in: a payment is begun, looked at and given up."""

from typing import Any
from uuid import UUID

from flask import request

from cardservice.api.blueprints import Blueprint, malformed
from cardservice.api.current import actor, context, signed_by, terminal_signed
from cardservice.api.fields import Message
from cardservice.payments import beginning
from cardservice.payments.beginning import Standing, Wanted
from cardservice.payments.provider import FINAL
from cardservice.payments.schemas import PaymentRequestSchema, PaymentSchema
from cardservice.staff.service import OfStaff
from cardservice.terminals.roles import Duty

blueprint = Blueprint("payments", "cardservice.payments", description="Paying in.")
ONE = "/v1/payments/<uuid:payment_id>"
_KEY_HEADER = "Idempotency-Key"
_KEY = {
    "name": _KEY_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string", "format": "uuid"},
    "description": "The payment's `id` once more, for who has a use for it; nothing else is taken",
}


class CancellationSchema(Message):
    """A payment is given up: which, the address says."""


@blueprint.route("/v1/payments", methods=["POST"])
@blueprint.doc(parameters=[_KEY])
@blueprint.arguments(PaymentRequestSchema)
@blueprint.response(200, PaymentSchema)
@blueprint.problems(400, 401, 403, 404, 409, 413, 422, 503)
@terminal_signed(duty=Duty.PAY_IN, or_staff=True)
def post_payment(body: dict[str, Any]) -> dict[str, Any]:
    """Begin a payment, and say where to pay; by the same id it is begun once."""
    if request.headers.get(_KEY_HEADER, str(body["id"])) != str(body["id"]):
        raise malformed({_KEY_HEADER: ["must be the payment's id"]})
    if body["cardholder"] is not None and _terminal() is not None:
        raise malformed({"cardholder": ["a terminal names the card that it was shown"]})
    card, holder = body["card"], body["cardholder"]
    of, is_card = (holder, False) if card is None else (card, True)
    wanted = Wanted(body["id"], body["amount_minor"], body["return_url"], of=of, is_card=is_card)
    return _shown(beginning.begin(context(), wanted, actor=actor()))


@blueprint.route(ONE)
@blueprint.tagged
@blueprint.response(200, PaymentSchema)
@blueprint.problems(401, 403, 404, 422)
@terminal_signed(duty=Duty.PAY_IN, or_staff=True)
def get_payment(payment_id: UUID) -> dict[str, Any]:
    """How a payment is now; a terminal sees those that it has begun. The provider is asked, if it answers."""
    return _shown(beginning.look(context(), payment_id, of=_terminal()))


@blueprint.route(f"{ONE}/cancellation", methods=["POST"])
@blueprint.arguments(CancellationSchema)
@blueprint.response(200, PaymentSchema)
@blueprint.problems(400, 401, 403, 404, 413, 422, 503)
@terminal_signed(duty=Duty.PAY_IN, or_staff=True)
def post_cancellation(_: dict[str, Any], payment_id: UUID) -> dict[str, Any]:
    """Give a payment up; one that has been captured meanwhile stays, and the answer says so."""
    return _shown(beginning.give_up(context(), payment_id, of=_terminal(), actor=actor()))


def _terminal() -> str | None:
    """The terminal that asks, as the audit trail names it; None: somebody of the staff."""
    return None if isinstance(signed_by(), OfStaff) else actor()


def _shown(standing: Standing) -> dict[str, Any]:
    attempt = standing.attempt
    return {
        "payment": attempt.id,
        "state": attempt.state,
        "finished": attempt.state in FINAL,
        "amount_minor": attempt.amount_minor,
        "currency": attempt.unit,
        "begun_at": attempt.begun_at,
        "next_url": standing.next_url,
        "available_minor": standing.available_minor,
        "owed_minor": standing.owed_minor,
    }
