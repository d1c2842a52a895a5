"""The route by which a terminal is given the keys that it may have of its provider's applications."""

from typing import Any

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.errors import Malformed
from cardservice.providers.card_keys import release_keys
from cardservice.providers.schemas import KeyRequestSchema, SealedKeysSchema
from cardservice.terminals.roles import Duty
from pki.card_keys import seal_masters

blueprint = Blueprint("card-keys", "cardservice.card_keys", description="Keys of the card's applications.")


@blueprint.route("/v1/card-keys", methods=["POST"])
@blueprint.arguments(KeyRequestSchema)
@blueprint.response(200, SealedKeysSchema)
@blueprint.problems(400, 401, 403)
@terminal_signed(duty=Duty.READ_APPLICATIONS)
def post_card_keys(body: dict[str, Any]) -> dict[str, Any]:
    """Keys 1 and 2 of its provider's applications, sealed for this request; each answer is written down."""
    service = context()
    with service.database.begin() as connection:
        given = release_keys(connection, service.keys.terminal_masters, caller(), service.now())
        try:
            sealed = seal_masters(given, body["key"], service.scheme.id, caller().id)
        except ValueError as error:  # then nothing is given, and nothing written down
            raise Malformed("`key` is no public key on P-256; make one for each request") from error
    return {"sealed": sealed}
