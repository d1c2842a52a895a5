"""The route by which a terminal says how it is."""

from datetime import datetime
from typing import Any

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.terminals.health import Health, keep
from cardservice.terminals.schemas import TerminalHealthSchema, TerminalSeenSchema

blueprint = Blueprint("health", "cardservice.health", description="How terminals are.")


@blueprint.route("/v1/health", methods=["POST"])
@blueprint.arguments(TerminalHealthSchema)
@blueprint.response(200, TerminalSeenSchema)
@blueprint.problems(400, 401, 403, 413)
@terminal_signed()
def post_health(body: dict[str, Any]) -> dict[str, datetime]:
    """Keep what a terminal says of itself, in place of what it said before."""
    moment = context().now()
    with context().database.begin() as connection:
        keep(connection, caller().id, Health(**body), moment)
    return {"seen_at": moment}
