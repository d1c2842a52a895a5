"""The routes of payments: through a provider, taken back, redeemed, settled; and what needs a person."""

from typing import Any, Literal
from uuid import UUID

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.ids import PayerId, TransactionId
from cardservice.payments import attempts
from cardservice.payments.equation import equation
from cardservice.payments.giving_back import give_back
from cardservice.payments.matters import KINDS, close_matter, matters
from cardservice.payments.noting import note_taken_back
from cardservice.payments.polling import provider_of, require_provider_of
from cardservice.payments.redeeming import approve, redeem
from cardservice.payments.references import Reference
from cardservice.payments.settlement import load_settlement, match_again
from cardservice.payments.taking_back import TakeBack
from cardservice.staff_api import payment_schemas as schemas
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.sharing import NothingSchema, NumberedPageSchema, ReasonSchema, bounded, cursor

blueprint = Blueprint("staff-payments", "cardservice.staff_api.payments", description="Payments, for staff.")
_ONE, _MATTERS = "/v1/payments/<uuid:payment_id>", "/v1/payment-exceptions"
FILES, MAX_SETTLEMENT_BYTES = "/v1/settlement-files", schemas.MAX_SETTLEMENT_BYTES


@blueprint.route("/v1/payments")
@blueprint.arguments(schemas.PaymentPageSchema, location="query")
@blueprint.response(200, schemas.ListedPaymentsSchema)
@blueprint.problems(400, 401, 403, 404)
@staff_alone
def get_payments(page: dict[str, Any]) -> dict[str, Any]:
    """Payments through a provider, the newest first, as they are known here."""
    limit, after = page["limit"], cursor(page["after"])
    payer = None if page["payer"] is None else PayerId(page["payer"])
    with context().database.reading() as connection:
        found = attempts.attempts_of(connection, payer, limit + 1, after=after)
    shown = found[:limit]
    return {
        "payments": [_attempt(each) for each in shown],
        "next": str(shown[-1].id) if len(found) > limit else None,
    }


@blueprint.route(f"{_ONE}/refund", methods=["POST"])
@blueprint.arguments(schemas.GiveBackSchema)
@blueprint.response(200, schemas.GivenSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_refund(body: dict[str, Any], payment_id: UUID) -> dict[str, Any]:
    """Give some of a payment back by its provider, once by its id."""
    own_id = TransactionId(body["id"])
    wanted = TakeBack(TransactionId(payment_id), body["amount_minor"], id=own_id)
    given = give_back(context(), require_provider_of(context().settings), wanted, actor=actor())
    return {
        "refund": given.id,
        "payment": given.attempt_id,
        "state": given.state,
        "amount_minor": given.amount_minor,
        "currency": context().scheme.currency,
    }


@blueprint.route(f"{_ONE}/repayment", methods=["POST"])
@blueprint.arguments(schemas.TakeBackSchema)
@blueprint.response(200, schemas.TakenBackSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_repayment(body: dict[str, Any], payment_id: UUID) -> dict[str, Any]:
    """Note that some of a payment was given back to where it came from, once by its id or reference."""
    return _taken_back(body, payment_id, "repayment")


@blueprint.route(f"{_ONE}/chargeback", methods=["POST"])
@blueprint.arguments(schemas.TakeBackSchema)
@blueprint.response(200, schemas.TakenBackSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_chargeback(body: dict[str, Any], payment_id: UUID) -> dict[str, Any]:
    """Note that a bank has taken a payment back, once: what has been spent of it is owed."""
    return _taken_back(body, payment_id, "chargeback")


@blueprint.route("/v1/payers/<uuid:payer_id>/redemption", methods=["POST"])
@blueprint.arguments(schemas.RedemptionSchema)
@blueprint.response(200, schemas.RedeemedSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_redemption(body: dict[str, Any], payer_id: UUID) -> dict[str, Any]:
    """Give money back at par, once by its id; what no payment brought is a transfer that another approves."""
    payer, own_id = PayerId(payer_id), TransactionId(body["id"])
    provider = provider_of(context().settings)
    done = redeem(context(), provider, payer, body["amount_minor"], own_id=own_id, actor=actor())
    return {
        "payer": payer_id,
        "refunds": [{"refund": each.id, "amount_minor": each.amount_minor} for each in done.refunds],
        "payout": done.payout,
        "payout_minor": done.payout_minor,
        "currency": context().scheme.currency,
    }


@blueprint.route("/v1/payouts/<uuid:payout_id>/approval", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, schemas.PayoutSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_approval(body: dict[str, Any], payout_id: UUID) -> dict[str, Any]:
    """Approve a bank transfer that somebody else has asked for."""
    del body
    amount_minor = approve(context(), TransactionId(payout_id), actor=actor())
    return {"payout": payout_id, "amount_minor": amount_minor, "currency": context().scheme.currency}


@blueprint.route(_MATTERS)
@blueprint.arguments(NumberedPageSchema, location="query")
@blueprint.response(200, schemas.MattersSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def get_matters(page: dict[str, Any]) -> dict[str, Any]:
    """What of payments needs a person, the oldest first."""
    limit: int = page["limit"]
    with context().database.reading() as connection:
        found = matters(connection, limit + 1, after=page["after"] or 0)
    shown = found[:limit]
    return {
        "exceptions": [
            {
                "number": each.number,
                "kind": each.kind,
                "what": KINDS[each.kind],
                "subject": each.subject,
                "opened_at": each.opened_at,
            }
            for each in shown
        ],
        "next": shown[-1].number if len(found) > limit else None,
    }


@blueprint.route(f"{_MATTERS}/<int:number>/closing", methods=["POST"])
@blueprint.arguments(ReasonSchema)
@blueprint.response(200, schemas.ClosedMatterSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def post_closing(body: dict[str, Any], number: int) -> dict[str, Any]:
    """Take what has been done off the list."""
    with context().database.begin() as connection:
        close_matter(connection, bounded(number), body["reason"], context().now(), actor=actor())
    return {"number": number}


@blueprint.route(FILES, methods=["POST"])
@blueprint.arguments(schemas.SettlementFileSchema)
@blueprint.response(200, schemas.LoadedSchema)
@blueprint.problems(400, 401, 403, 422)
@staff_alone
def post_settlement(body: dict[str, Any]) -> dict[str, Any]:
    """Load a provider's settlement file and match it, all of it or nothing; loaded again, nothing happens."""
    what = body["provider"], body["name"], body["content"]
    loaded = load_settlement(context(), *what, actor=actor())
    return {"lines": loaded.lines, "new": loaded.new, "states": loaded.states}


@blueprint.route("/v1/settlement-matching", methods=["POST"])
@blueprint.arguments(NothingSchema)
@blueprint.response(200, schemas.MatchedSchema)
@blueprint.problems(400, 401, 403)
@staff_alone
def post_matching(body: dict[str, Any]) -> dict[str, Any]:
    """Match what was unknown again, after payments have been posted."""
    del body
    return {"known": match_again(context())}


@blueprint.route("/v1/settlement-report")
@blueprint.response(200, schemas.EquationSchema)
@blueprint.problems(401, 403)
@staff_alone
def get_report() -> dict[str, Any]:
    """The daily equation: bank = prepaid + card_value + in_transit; it holds where the difference is 0."""
    currency = context().scheme.currency
    with context().database.reading() as connection:
        return {**equation(connection, currency).values(), "currency": currency}


def _taken_back(
    body: dict[str, Any], payment_id: UUID, kind: Literal["repayment", "chargeback"]
) -> dict[str, Any]:
    given = body["reference"]
    reference = None if given is None else Reference(given["provider"], given["reference"])
    own_id = TransactionId(body["id"])
    wanted = TakeBack(TransactionId(payment_id), body["amount_minor"], kind, own_id, reference)
    posted = note_taken_back(context(), wanted, actor=actor())
    return {
        "transaction": posted.transaction,
        "payment": payment_id,
        "kind": kind,
        "amount_minor": posted.amount_minor,
        "currency": context().scheme.currency,
    }


def _attempt(each: attempts.Attempt) -> dict[str, Any]:
    return {
        "payment": each.id,
        "payer": each.payer_id,
        "provider": each.provider,
        "provider_payment": each.provider_payment,
        "state": each.state,
        "amount_minor": each.amount_minor,
        "currency": each.unit,
        "begun_at": each.begun_at,
    }
