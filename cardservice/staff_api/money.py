"""The routes of payers and their money: paid in, shown, moved, given; and account statements."""

from typing import Any
from uuid import UUID

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import actor, context
from cardservice.audit.service import record
from cardservice.cardholders.guardians import May
from cardservice.cardholders.service import require_cardholder
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.errors import PayerUnknown
from cardservice.ledger.payers import payer_at
from cardservice.ledger.statements import Cursor, Money, StatementLine, StatementPage, statement_page
from cardservice.ledger.statements.words import described
from cardservice.ledger.values import AccountView
from cardservice.payments.moving import CarryOver, Goodwill, carry_over, give_goodwill
from cardservice.payments.service import TopUp, accounts_of, top_up
from cardservice.staff_api import money_schemas as schemas
from cardservice.staff_api.access import staff_alone
from cardservice.staff_api.serving import serving
from cardservice.staff_api.sharing import days_of

blueprint = Blueprint("staff-money", "cardservice.staff_api.money", description="Payers, for staff.")
_HOLDER, _PAYER = "/v1/cardholders/<uuid:cardholder_id>", "/v1/payers/<uuid:payer_id>"


@blueprint.route(f"{_HOLDER}/balance")
@blueprint.response(200, schemas.PayerAccountsSchema)
@blueprint.problems(401, 403, 404)
@staff_alone
def get_balance(cardholder_id: UUID) -> dict[str, Any]:
    """What a cardholder can spend, and owes; that somebody looked is noted."""
    with context().database.begin() as connection:
        holder = require_cardholder(connection, cardholder_id)
        record(connection, actor(), "payer.balance", holder, context().now())
    return {"accounts": [_account(each) for each in accounts_of(context(), holder)]}


@blueprint.route(f"{_HOLDER}/top-ups", methods=["POST"])
@blueprint.arguments(schemas.TopUpSchema)
@blueprint.response(200, schemas.PaidInSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_top_up(body: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """Pay money in at a desk, once by its id; it settles arrears first."""
    with serving(cardholder_id, body["asked_by"], May.PAY) as (_, holder):
        paid = TopUp(holder, body["amount_minor"], body["method"], TransactionId(body["id"]))
    accounts = top_up(context(), paid, actor=actor())
    return {"transaction": paid.id, "accounts": [_account(each) for each in accounts]}


@blueprint.route(f"{_PAYER}/carry-over", methods=["POST"])
@blueprint.arguments(schemas.CarryOverSchema)
@blueprint.response(200, schemas.MovedSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_carry_over(body: dict[str, Any], payer_id: UUID) -> dict[str, Any]:
    """Move money to another payer, once by its id: so much, or all that can be spent."""
    to, own_id = PayerId(body["to"]), TransactionId(body["id"])
    wanted = CarryOver(PayerId(payer_id), to, body["amount_minor"], own_id)
    return _moved(own_id, carry_over(context(), wanted, actor=actor()))


@blueprint.route(f"{_PAYER}/goodwill", methods=["POST"])
@blueprint.arguments(schemas.GoodwillSchema)
@blueprint.response(200, schemas.MovedSchema)
@blueprint.problems(400, 401, 403, 404, 409, 422)
@staff_alone
def post_goodwill(body: dict[str, Any], payer_id: UUID) -> dict[str, Any]:
    """Give a payer something for nothing, once by its id; it is no refund, and settles arrears first."""
    wanted = Goodwill(PayerId(payer_id), body["amount_minor"], TransactionId(body["id"]))
    give_goodwill(context(), wanted, actor=actor())
    return _moved(wanted.id, wanted.amount_minor)


@blueprint.route(f"{_PAYER}/statement")
@blueprint.arguments(schemas.StatementPageSchema, location="query")
@blueprint.response(200, schemas.AccountStatementSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def get_statement(asked: dict[str, Any], payer_id: UUID) -> dict[str, Any]:
    """A page of an account statement, by days of settlement; that somebody asked is noted."""
    return _page(asked, payer_id)


@blueprint.route(f"{_HOLDER}/statement")
@blueprint.arguments(schemas.StatementPageSchema, location="query")
@blueprint.response(200, schemas.AccountStatementSchema)
@blueprint.problems(400, 401, 403, 404, 422)
@staff_alone
def get_holders_statement(asked: dict[str, Any], cardholder_id: UUID) -> dict[str, Any]:
    """The same of whoever pays for this cardholder now."""
    with context().database.reading() as connection:
        holder = require_cardholder(connection, cardholder_id)
        payer = payer_at(connection, holder, context().now())
    if payer is None:
        raise PayerUnknown(f"nobody pays for {cardholder_id}; assign a payer first")
    return _page(asked, payer, holder)


def _page(asked: dict[str, Any], payer: UUID, holder: UUID | None = None) -> dict[str, Any]:
    period, after = days_of(asked), None if asked["after"] is None else Cursor.parse(asked["after"])
    # Noted first, and for good: what was asked, so that no note links person and payer.
    days = {"first": period.first.isoformat(), "last": period.last.isoformat()}
    with context().database.begin() as connection:
        record(connection, actor(), "payer.statement", holder or payer, context().now(), **days)
    with context().database.reading() as connection:
        return _statement(statement_page(connection, PayerId(payer), period, after, asked["limit"]))


def _account(each: AccountView) -> dict[str, Any]:
    return {"account": each.name, "unit": each.unit, "amount_minor": each.balance}


def _moved(own_id: TransactionId, amount_minor: int) -> dict[str, Any]:
    return {
        "transaction": own_id,
        "amount_minor": amount_minor,
        "currency": context().scheme.currency,
    }


def _statement(page: StatementPage) -> dict[str, Any]:
    return {
        "payer": page.payer_id,
        "first": page.period.first,
        "last": page.period.last,
        "currency": page.unit,
        "opening": _money(page.opening),
        "lines": [_line(each) for each in page.lines],
        "closing": _money(page.closing),
        "next": None if page.next is None else str(page.next),
        "not_settled_yet": [_line(each) for each in page.unsettled],
    }


def _line(line: StatementLine) -> dict[str, Any]:
    return {
        "settled_on": None if line.place is None else line.place.settled_on,
        "transaction": line.transaction,
        "occurred_at": line.occurred_at,
        "kind": line.kind,
        "what": described(line),
        "service": line.service,
        "action": line.action,
        "provider": line.provider_id,
        "provider_name": line.provider_name,
        "items": list(line.items),
        "reverses": [each.transaction for each in line.reverses],
        "late": line.late,
        "moved": _money(line.moved),
        "balance": None if line.balance is None else _money(line.balance),
    }


def _money(held: Money) -> dict[str, int]:
    return {"prepaid_minor": held.prepaid_minor, "arrears_minor": held.arrears_minor}
