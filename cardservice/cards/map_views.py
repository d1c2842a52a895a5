"""How a terminal learns to know cards by their UIDs: a map for each status list, and the key of all."""

from typing import Any, cast

from flask import Flask, Response, abort, current_app

from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed
from cardservice.api.openapi import TAGGED, UNCHANGED
from cardservice.audit.service import record
from cardservice.cards.maps import CardMaps
from cardservice.cards.schemas import MapKeySchema
from cardservice.terminals.roles import Duty
from pki.http.caching import STATUS_LIST_MAX_AGE_S, keepable
from pki.status_list.card_map import MEDIA_TYPE

blueprint = Blueprint("card-maps", "cardservice.card_maps", description="Cards known by their UIDs.")
_EXTENSION = "cardservice-card-maps"


def install(app: Flask, maps: CardMaps) -> None:
    """Give the application what makes and signs maps."""
    app.extensions[_EXTENSION] = maps


@blueprint.route("/v1/card-maps/<int:number>")
@blueprint.response(200, {"type": "string", "format": "binary"}, content_type=MEDIA_TYPE)
@blueprint.alt_response(304, description=UNCHANGED, headers=TAGGED)
@blueprint.problems(401, 403, 404)
@terminal_signed(duty=Duty.MAP_CARDS)
def get_map(number: int) -> Response:
    """The signed map of a status list's cards; 304 where the terminal has it."""
    found = _maps().signed(number)
    if found is None:
        abort(404)
    return keepable(
        found.raw,
        MEDIA_TYPE,
        STATUS_LIST_MAX_AGE_S,
        modified=found.card_map.issued_at,
        expires=found.card_map.expires_at,
        tag=found.etag,
        shared=False,
    )


@blueprint.route("/v1/card-map-key")
@blueprint.response(200, MapKeySchema)
@blueprint.problems(401, 403)
@terminal_signed(duty=Duty.MAP_CARDS)
def get_map_key() -> dict[str, Any]:
    """The key that the maps are read with; each answer is written down."""
    key, terminal = _maps().key(), caller().id
    with context().database.begin() as connection:
        record(connection, f"terminal:{terminal}", "card_map.key", terminal, context().now())
    return {"key": key.secret, "key_id": key.key_id}


def _maps() -> CardMaps:
    return cast("CardMaps", current_app.extensions[_EXTENSION])
