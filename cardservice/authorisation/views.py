"""The routes of authorisation: nonce, price, and the one endpoint that requests and advices come to."""

from typing import Any

from flask import g

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.api.problems import document_of
from cardservice.authorisation.answers import Given, rendered
from cardservice.authorisation.catalogues import Offer, offer
from cardservice.authorisation.finding import look_up
from cardservice.authorisation.incoming import Incoming, message_of
from cardservice.authorisation.nonce import VALIDITY
from cardservice.authorisation.quotes import Wanted, quote
from cardservice.authorisation.refunding import Wish
from cardservice.authorisation.refunds import Refund
from cardservice.authorisation.schemas import (
    AnswerSchema,
    AuthorisationRequestSchema,
    BulkAnswerSchema,
    BulkRequestSchema,
    CatalogueSchema,
    FindingSchema,
    LookUpRequestSchema,
    NonceSchema,
    QuoteRequestSchema,
    QuoteSchema,
    RefundRequestSchema,
)
from cardservice.authorisation.service import authorise_all
from cardservice.authorisation.settling import Settled
from cardservice.authorisation.terminal_refunds import give_at
from cardservice.ids import TerminalId, TransactionId
from cardservice.services.findable import Finding
from cardservice.terminals.service import Terminal

blueprint = Blueprint("authorisation", "cardservice.authorisation", description="Prices and transactions.")

BULK_PATH = "/v1/authorisations/bulk"


@blueprint.route("/v1/nonce")
@blueprint.response(200, NonceSchema)
@blueprint.problems(401, 403)
@terminal_signed()
def get_nonce() -> dict[str, Any]:
    """A nonce for the online requests of this terminal; an idle terminal asks every 30 seconds."""
    moment = context().now()
    return {
        "nonce": context().keys.nonces.make(caller().id, moment),
        "valid_until": moment + VALIDITY,
        "time": moment,
    }


@blueprint.route("/v1/quotes", methods=["POST"])
@blueprint.arguments(QuoteRequestSchema)
@blueprint.response(200, QuoteSchema)
@blueprint.problems(400, 401, 403, 413, 422)
@terminal_signed()
def post_quote(wanted: dict[str, Any]) -> dict[str, Any]:
    """The price of an action, before a card signs it."""
    return quote(context(), caller(), Wanted(**wanted))


@blueprint.route("/v1/catalogues/<service>")
@blueprint.response(200, CatalogueSchema)
@blueprint.problems(401, 403, 404, 422)
@terminal_signed()
def get_catalogue(service: str) -> Offer:
    """What this terminal can put on its keys, now and for as long as it may go on without the service."""
    return offer(context(), caller(), service)


@blueprint.route("/v1/look-ups", methods=["POST"])
@blueprint.arguments(LookUpRequestSchema)
@blueprint.response(200, FindingSchema)
@blueprint.problems(400, 401, 403, 413, 422)
@terminal_signed()
def post_look_up(body: dict[str, Any]) -> Finding:
    """What holds for something, such as a vehicle, and until when; each question is written down."""
    return look_up(context(), caller(), body["service"], body["details"])


def _find_with_message(body: dict[str, Any], keyid: str) -> Terminal | None:
    g.incoming = Incoming(context(), body)
    found: Terminal | None = g.incoming.find(keyid)
    return found


@blueprint.route("/v1/authorisations", methods=["POST"])
@blueprint.arguments(AuthorisationRequestSchema)
@blueprint.response(200, AnswerSchema)
@blueprint.problems(400, 401, 403, 409, 410, 413, 422, 503)
@terminal_signed(judged_now=False, find=_find_with_message)
def post_authorisation(_: dict[str, Any]) -> dict[str, Any]:
    """Authorise a request, take note of an advice, or annul a request. A decline is an answer, with 200."""
    incoming: Incoming = g.incoming
    return incoming.answer(caller())


@blueprint.route("/v1/refunds", methods=["POST"])
@blueprint.arguments(RefundRequestSchema)
@blueprint.response(200, AnswerSchema)
@blueprint.problems(400, 401, 403, 409, 410, 413, 422, 503)
@terminal_signed()
def post_refund(body: dict[str, Any]) -> dict[str, Any]:
    """Give back a sale of this terminal's provider, or a line or a part of it, to where it came from."""
    wish = Wish(TransactionId(body["sale"]), body["line"], body["amount_minor"])
    given = give_at(context(), caller(), body["card"], Refund(wish, TransactionId(body["id"])))
    return rendered(context(), caller().id, given)


@blueprint.route(BULK_PATH, methods=["POST"])
@blueprint.arguments(BulkRequestSchema)
@blueprint.response(200, BulkAnswerSchema)
@blueprint.problems(400, 401, 413)
@terminal_signed(judged_now=False)
def post_bulk(body: dict[str, Any]) -> dict[str, Any]:
    """The same for several messages: an answer or a problem for each, in their order."""
    terminal = caller()
    messages = [message_of(context(), terminal.id, entry) for entry in body["messages"]]
    settled = authorise_all(context(), terminal, messages)
    return {"answers": [_entry(terminal.id, one) for one in settled]}


def _entry(terminal: TerminalId, settled: Settled) -> dict[str, Any]:
    """One entry of the answer: what a request of its own would have been answered with."""
    if isinstance(settled, Given):
        return {"answer": rendered(context(), terminal, settled)}
    return {"problem": document_of(settled)}
