"""The two endpoints that are asked thousands of times a second, served before Flask's request machinery.

The same bytes come back as from Flask's views: the body has the same shape, the checks are `Incoming`'s and
`authorise_all`'s, errors are the same problem documents, and the log has the same line. What is out of the
ordinary (another method or media type, no length, too long) is left to Flask.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Flask
from marshmallow import ValidationError
from werkzeug.http import HTTP_STATUS_CODES

from cardservice.api.app import MAX_BULK_BYTES
from cardservice.api.blueprints import malformed, strict_json
from cardservice.api.fields import to_base64url
from cardservice.api.gate import gate_of
from cardservice.api.problems import MEDIA_TYPE, document_of, headers_of
from cardservice.api.request_log import REQUEST_ID, begin, note
from cardservice.api.sending import together
from cardservice.api.signatures import Find, SignedRequest
from cardservice.authorisation.answers import Given, rendered
from cardservice.authorisation.bodies import bulk_body, message_body
from cardservice.authorisation.incoming import Incoming, IncomingBulk
from cardservice.authorisation.service import authorise_all
from cardservice.authorisation.settling import Settled
from cardservice.authorisation.views import BULK_PATH
from cardservice.context import Context
from cardservice.terminals.service import Terminal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/v1/authorisations"
_JSON = "application/json"
# As Flask writes JSON; made once.
_written = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
# WSGI's names (PEP 3333) of the headers that a terminal signs, or signs by.
_HEADERS = (
    ("content-type", "CONTENT_TYPE"),
    ("content-digest", "HTTP_CONTENT_DIGEST"),
    ("signature", "HTTP_SIGNATURE"),
    ("signature-input", "HTTP_SIGNATURE_INPUT"),
)


@dataclass(frozen=True, slots=True)
class _Route:
    """What is served at a path: the longest body, and what answers one; it notes who has asked."""

    limit: int
    answer: Callable[["WSGIEnvironment", bytes, list[Terminal]], dict[str, Any]]


class HotEndpoint:
    """The WSGI application: authorisations here, everything else by Flask."""

    def __init__(self, app: Flask, context: Context) -> None:
        self._app, self._context = app, context
        self._gate = gate_of(app)
        self._routes = {
            PATH: _Route(int(app.config["MAX_CONTENT_LENGTH"]), self._one),
            BULK_PATH: _Route(MAX_BULK_BYTES, self._many),
        }

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        path: str = environ["PATH_INFO"]
        route = self._routes.get(path)
        length = None if route is None else _length(environ, route.limit)
        if route is None or length is None:
            return self._app(environ, start_response)
        started, request_id = time.perf_counter(), begin()
        terminal: list[Terminal] = []
        code = None
        try:
            document = route.answer(environ, environ["wsgi.input"].read(length), terminal)
            status, headers = 200, [("Content-Type", _JSON)]
        except Exception as error:  # noqa: BLE001 - whatever it is leaves as a problem document
            document = document_of(error)
            status, code = document["status"], document["code"]
            headers = [("Content-Type", MEDIA_TYPE), *headers_of(document).items()]
        # As Flask writes it.
        body = _written(document).encode()
        headers += [("Content-Length", str(len(body))), (REQUEST_ID, request_id)]
        start_response(f"{status} {HTTP_STATUS_CODES[status].upper()}", headers)
        note("POST", path, status, started, terminal[0].id if terminal else None, code)
        return together(environ.get("gunicorn.socket"), body)

    def _one(self, environ: "WSGIEnvironment", body: bytes, known: list[Terminal]) -> dict[str, Any]:
        incoming = Incoming(self._context, _read(message_body, body))
        terminal = self._caller(environ, body, incoming.find, known)
        return _as_sent(incoming.answer(terminal))

    def _many(self, environ: "WSGIEnvironment", body: bytes, known: list[Terminal]) -> dict[str, Any]:
        incoming = IncomingBulk(self._context, _read(bulk_body, body)["messages"])
        terminal = self._caller(environ, body, incoming.find, known)
        settled = authorise_all(self._context, terminal, incoming.messages)
        return {"answers": [self._entry(terminal, one) for one in settled]}

    def _entry(self, terminal: Terminal, settled: Settled) -> dict[str, Any]:
        if isinstance(settled, Given):
            return {"answer": _as_sent(rendered(self._context, terminal.id, settled))}
        return {"problem": document_of(settled)}

    def _caller(self, environ: "WSGIEnvironment", body: bytes, find: Find, known: list[Terminal]) -> Terminal:
        headers = {name: environ[key] for name, key in _HEADERS if key in environ}
        signed = SignedRequest("POST", environ.get("RAW_URI") or _target(environ), headers, body)
        forwarded_for = environ.get("HTTP_X_FORWARDED_FOR", "")
        terminal = self._gate.admit(signed, find, environ.get("REMOTE_ADDR", ""), forwarded_for)
        known.append(terminal)
        self._gate.count_signer(terminal.id)
        return terminal


def _length(environ: "WSGIEnvironment", limit: int) -> int | None:
    """How long the body is; None where the request is not an ordinary one."""
    length = environ.get("CONTENT_LENGTH") or ""
    if environ["REQUEST_METHOD"] != "POST" or environ.get("CONTENT_TYPE") != _JSON:
        return None
    if not (length.isascii() and length.isdigit()):
        return None
    return int(length) if int(length) <= limit else None


def _read(read: Callable[[object], Mapping[str, Any]], body: bytes) -> Mapping[str, Any]:
    try:
        return read(strict_json(body))
    except ValidationError as error:
        raise malformed(error.messages_dict) from error


def _as_sent(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        **answer,
        "nonce": to_base64url(answer["nonce"]),
        "signed_answer": to_base64url(answer["signed_answer"]),
    }


def _target(environ: "WSGIEnvironment") -> str:
    """Where the server does not tell the target as it came."""
    query = environ.get("QUERY_STRING")
    return f"{environ['PATH_INFO']}?{query}" if query else str(environ["PATH_INFO"])
