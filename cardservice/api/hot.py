"""The one endpoint that is asked thousands of times a second, served before Flask's request machinery.

The same bytes come back as from Flask's view: the body is read by the same function and schema, the checks
are `Incoming`'s, errors are the same problem documents, and the log has the same line. What is out of the
ordinary (another method or media type, no length, too long) is left to Flask.
"""

import json
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask
from marshmallow import ValidationError
from werkzeug.http import HTTP_STATUS_CODES

from cardservice.api.blueprints import malformed, strict_json
from cardservice.api.current import budget_of
from cardservice.api.fields import to_base64url
from cardservice.api.problems import MEDIA_TYPE, RETRY_AFTER_S, document_of
from cardservice.api.request_log import note
from cardservice.api.signatures import SignedRequest, note_unsigned, verified_terminal
from cardservice.authorisation.incoming import Incoming
from cardservice.authorisation.schemas import AuthorisationRequestSchema
from cardservice.context import Context
from cardservice.errors import MessageRefused
from cardservice.terminals.service import Terminal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/v1/authorisations"
_JSON = "application/json"
# WSGI's names (PEP 3333) of the headers that a terminal signs, or signs by.
_HEADERS = (
    ("content-type", "CONTENT_TYPE"),
    ("content-digest", "HTTP_CONTENT_DIGEST"),
    ("signature", "HTTP_SIGNATURE"),
    ("signature-input", "HTTP_SIGNATURE_INPUT"),
)


class HotEndpoint:
    """The WSGI application: authorisations here, everything else by Flask."""

    def __init__(self, app: Flask, context: Context) -> None:
        self._app, self._context = app, context
        self._budget = budget_of(app)
        self._limit = int(app.config["MAX_CONTENT_LENGTH"])
        self._schema = AuthorisationRequestSchema()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        length = self._length(environ)
        if length is None:
            return self._app(environ, start_response)
        started = time.perf_counter()
        terminal: list[Terminal] = []
        code = None
        try:
            document = self._answered(environ, environ["wsgi.input"].read(length), terminal)
            status, headers = 200, [("Content-Type", _JSON)]
        except Exception as error:  # noqa: BLE001 - whatever it is leaves as a problem document
            document = document_of(error)
            status, code = document["status"], document["code"]
            headers = [("Content-Type", MEDIA_TYPE)]
            if status == 503:
                headers.append(("Retry-After", str(RETRY_AFTER_S)))
        # As Flask writes it.
        body = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        headers.append(("Content-Length", str(len(body))))
        start_response(f"{status} {HTTP_STATUS_CODES[status].upper()}", headers)
        note("POST", PATH, status, started, terminal[0].id if terminal else None, code)
        return [body]

    def _length(self, environ: "WSGIEnvironment") -> int | None:
        """How long the body is; None where the request is not an ordinary one."""
        if environ["PATH_INFO"] != PATH or environ["REQUEST_METHOD"] != "POST":
            return None
        length = environ.get("CONTENT_LENGTH") or ""
        if environ.get("CONTENT_TYPE") != _JSON or not (length.isascii() and length.isdigit()):
            return None
        return int(length) if int(length) <= self._limit else None

    def _answered(self, environ: "WSGIEnvironment", body: bytes, known: list[Terminal]) -> dict[str, Any]:
        try:
            message = self._schema.load(strict_json(body))
        except ValidationError as error:
            raise malformed(error.messages_dict) from error
        incoming = Incoming(self._context, message)
        headers = {name: environ[key] for name, key in _HEADERS if key in environ}
        signed = SignedRequest("POST", environ.get("RAW_URI") or _target(environ), headers, body)
        try:
            terminal = verified_terminal(self._context, signed, incoming.find)
        except MessageRefused as refusal:
            note_unsigned(self._context, self._budget, refusal)
            raise
        known.append(terminal)
        answer = incoming.answer(terminal)
        return {
            **answer,
            "nonce": to_base64url(answer["nonce"]),
            "signed_answer": to_base64url(answer["signed_answer"]),
        }


def _target(environ: "WSGIEnvironment") -> str:
    """Where the server does not tell the target as it came."""
    query = environ.get("QUERY_STRING")
    return f"{PATH}?{query}" if query else PATH
