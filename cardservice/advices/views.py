"""The route that a terminal tells by the thousand what it gave away while it could not ask."""

from typing import cast

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import UnsupportedMediaType

from cardservice.advices.answering import document
from cardservice.advices.schemas import ChunkAnswerSchema
from cardservice.advices.wire import MEDIA_TYPE, split
from cardservice.advices.workers import Ingest
from cardservice.api.blueprints import Blueprint
from cardservice.api.current import caller, context, terminal_signed

blueprint = Blueprint("advices", "cardservice.advices", description="What was given away offline.")

CHUNK_PATH = "/v1/advices"
_EXTENSION = "cardservice-ingest"


def install(app: Flask, ingest: Ingest) -> None:
    """Say who works through chunks."""
    app.extensions[_EXTENSION] = ingest


@blueprint.route(CHUNK_PATH, methods=["POST"])
@blueprint.response(200, ChunkAnswerSchema)
@blueprint.problems(400, 401, 413, 415)
@blueprint.doc(
    requestBody={
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
)
@terminal_signed(judged_now=False)
def post_advices() -> Response:
    """Post advices and annulments in a chunk: an answer or a problem for each, in their order."""
    if request.mimetype != MEDIA_TYPE:
        raise UnsupportedMediaType
    entries = split(request.get_data(cache=True))
    terminal = caller()
    ingest = cast("Ingest", current_app.extensions[_EXTENSION])
    answered = document(context(), terminal.id, ingest(terminal, entries))
    return Response(answered, 200, content_type="application/json")
