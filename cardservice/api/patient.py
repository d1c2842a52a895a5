"""Requests over a cluster of which a node hangs are told so, and wait no longer (`batching.patience`)."""

import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, json
from werkzeug.exceptions import HTTPException

from cardservice.advices.views import CHUNK_PATH
from cardservice.api.problems import MEDIA_TYPE, document_of, headers_of
from cardservice.api.request_log import REQUEST_ID, note, number
from cardservice.batching.patience import CALLS, Patience
from cardservice.ledger.errors import NodeHangs

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# A chunk has thousands of messages, and takes seconds where all is well.
CHUNK_CALLS = 3 * CALLS


class PatientFace:
    """The WSGI application of a Flask application, each of whose requests waits no longer than is of use."""

    def __init__(self, app: Flask, patience: Patience) -> None:
        self._app: WSGIApplication = app.wsgi_app
        self._rules, self._patience = app.url_map, patience

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Serve one request (PEP 3333)."""
        started, route = time.perf_counter(), self._route(environ)
        try:
            with self._patience.within(route, CHUNK_CALLS if route == CHUNK_PATH else CALLS):
                return self._app(environ, start_response)
        except NodeHangs as error:
            document = document_of(error)
        status = HTTPStatus(document["status"])
        headers = [("Content-Type", MEDIA_TYPE), *headers_of(document).items(), (REQUEST_ID, number())]
        start_response(f"{status.value} {status.phrase.upper()}", headers)
        note(environ["REQUEST_METHOD"], route, status, started, None, document["code"])
        return [json.dumps(document).encode()]

    def _route(self, environ: "WSGIEnvironment") -> str:
        """The template of its address; what has none needs no ledger."""
        try:
            rule, _ = self._rules.bind_to_environ(environ).match(return_rule=True)
        except HTTPException:
            return ""
        return rule.rule
