"""The routes of recovery: whether terminals are to send again, and where they send it."""

from typing import Any

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.api.problems import document_of
from cardservice.authorisation.answers import Given, rendered
from cardservice.authorisation.incoming import message_of
from cardservice.authorisation.schemas import BulkAnswerSchema
from cardservice.authorisation.settling import Settled
from cardservice.ids import TerminalId
from cardservice.recovery.schemas import RecoverySchema, SentAgainRequestSchema
from cardservice.recovery.service import open_recovery
from cardservice.recovery.taking import SentAgain, take

blueprint = Blueprint("recovery", "cardservice.recovery", description="After a restore.")

MESSAGES_PATH = "/v1/recovery/messages"


@blueprint.route("/v1/recovery")
@blueprint.response(200, RecoverySchema)
@blueprint.problems(401)
@terminal_signed(judged_now=False)
def get_recovery() -> dict[str, Any]:
    """Whether the ledger was restored and terminals are to send again what they kept."""
    with context().database.reading() as connection:
        found = open_recovery(connection)
    if found is None:
        return {"recovery": None, "since": None}
    return {"recovery": found.number, "since": found.since}


@blueprint.route(MESSAGES_PATH, methods=["POST"])
@blueprint.arguments(SentAgainRequestSchema)
@blueprint.response(200, BulkAnswerSchema)
@blueprint.problems(400, 401, 409, 413)
@terminal_signed(judged_now=False)
def post_messages(body: dict[str, Any]) -> dict[str, Any]:
    """Take messages that were answered before: an answer or a problem for each, in their order."""
    terminal = caller()
    sent = [
        SentAgain(message_of(context(), terminal.id, entry), entry["signed_answer"])
        for entry in body["messages"]
    ]
    settled = take(context(), terminal, sent, complete=body["complete"])
    return {"answers": [_entry(terminal.id, one) for one in settled]}


def _entry(terminal: TerminalId, settled: Settled) -> dict[str, Any]:
    if isinstance(settled, Given):
        return {"answer": rendered(context(), terminal, settled)}
    return {"problem": document_of(settled)}
