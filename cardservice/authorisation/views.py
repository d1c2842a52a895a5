"""The routes of authorisation: nonce, price, and the one endpoint that requests and advices come to."""

from typing import Any

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.authorisation.answers import rendered
from cardservice.authorisation.catalogues import Offer, offer
from cardservice.authorisation.messages import Message, annul_notice, read_statement
from cardservice.authorisation.nonce import VALIDITY
from cardservice.authorisation.quotes import Wanted, quote
from cardservice.authorisation.schemas import (
    AnswerSchema,
    AuthorisationRequestSchema,
    CatalogueSchema,
    NonceSchema,
    QuoteRequestSchema,
    QuoteSchema,
)
from cardservice.authorisation.service import authorise, note_refusal
from cardservice.errors import MessageRefused

blueprint = Blueprint("authorisation", "cardservice.authorisation", description="Prices and transactions.")


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


@blueprint.route("/v1/authorisations", methods=["POST"])
@blueprint.arguments(AuthorisationRequestSchema)
@blueprint.response(200, AnswerSchema)
@blueprint.problems(400, 401, 403, 409, 410, 413, 422, 503)
@terminal_signed(judged_now=False)
def post_authorisation(body: dict[str, Any]) -> dict[str, Any]:
    """Authorise a request, take note of an advice, or annul a request. A decline is an answer, with 200."""
    terminal = caller()
    try:
        message = _message(body)
    except MessageRefused as refusal:
        note_refusal(context(), terminal.id, None, refusal)
        raise
    return rendered(context(), terminal.id, authorise(context(), terminal, message))


def _message(body: dict[str, Any]) -> Message:
    if "annul" in body:
        return annul_notice(context().scheme.id, caller().id, body["annul"])
    return read_statement(body["statement"], body["details"], body["details_salt"])
