"""Errors become problem documents (RFC 9457) here, and nowhere else."""

import json
import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from pki.errors import PkiError
from reader_agent.daemon.errors import (
    CardUnusable,
    CatalogueRefused,
    DaemonError,
    Malformed,
    PayInRefused,
    RefundRefused,
    TokenRefused,
)
from reader_agent.daemon.outcomes import failure
from reader_agent.errors import AgentError, CardError, ReaderError, ServiceProblem
from reader_agent.service_connection import PROBLEM_TYPE, PROBLEM_URN
from reader_agent.tapping.problems import is_final

log = logging.getLogger(__name__)

RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Kind:
    """What a problem code means over HTTP."""

    status: int
    title: str


PROBLEMS: Mapping[str, Kind] = {
    # Who asks.
    "host_refused": Kind(421, "This is not an address of the reader agent"),
    "origin_refused": Kind(403, "Pages do not speak to the reader agent"),
    "token_refused": Kind(401, "The token is missing or wrong"),
    # The request.
    "malformed": Kind(400, "The request does not have the documented shape"),
    "not_found": Kind(404, "There is nothing at this address"),
    "method_not_allowed": Kind(405, "This address does not take this method"),
    "too_large": Kind(413, "The request is too large"),
    "unsupported_media_type": Kind(415, "The request body must be application/json"),
    # The tap.
    "tap_unknown": Kind(404, "There is no such tap"),
    "tap_over": Kind(410, "The card of this tap is gone"),
    "tap_busy": Kind(409, "This tap is paying already"),
    "tap_spent": Kind(409, "This tap has paid already"),
    "key_conflict": Kind(409, "This key was used for another payment"),
    # Prices, holders and catalogues, of which `reason` says more.
    "quote_refused": Kind(422, "There is no price for this"),
    "card_unusable": Kind(409, "Nothing can be done with this card"),
    "role_not_allowed": Kind(403, "This terminal may not see who holds a card"),
    "catalogue_missing": Kind(404, "This service has no catalogue"),
    "catalogue_refused": Kind(422, "There is no catalogue for this terminal"),
    "sale_unknown": Kind(404, "There is no such sale here"),
    "refund_refused": Kind(422, "Nothing is given back"),
    "payment_refused": Kind(422, "Nothing is paid in"),
    "loss_not_taken": Kind(422, "No loss is taken"),
    "reader_unusable": Kind(503, "The reader does not work"),
    "service_unreachable": Kind(503, "The card service does not answer"),
    # The daemon.
    "still_running": Kind(503, "It is still going on; send the same request again"),
    "too_many_streams": Kind(503, "Too many event streams are open"),
    "stopping": Kind(503, "The reader agent is being stopped"),
    "internal_error": Kind(500, "The reader agent failed"),
}

_HTTP_CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def problem(code: str, detail: str, members: Mapping[str, object] | None = None) -> Response:
    """The problem document of `code`."""
    kind = PROBLEMS[code]
    document = {
        "type": PROBLEM_URN + code,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "code": code,
        **(members or {}),
    }
    response = Response(json.dumps(document), kind.status, content_type=PROBLEM_TYPE)
    if kind.status == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response


def register(app: Flask) -> None:
    """Let every error of this application leave as a problem document."""
    app.register_error_handler(DaemonError, _of_our_own)
    app.register_error_handler(AgentError, _of_a_tap)
    app.register_error_handler(PkiError, _of_a_tap)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _unexpected)


def _of_our_own(error: DaemonError) -> Response:
    if error.code not in PROBLEMS:
        return _unexpected(error)
    members: dict[str, object] = {}
    if isinstance(error, Malformed) and error.fields:
        members["fields"] = error.fields
    if isinstance(error, CardUnusable | CatalogueRefused | PayInRefused | RefundRefused):
        members["reason"] = error.reason
    response = problem(error.code, str(error), members)
    if isinstance(error, TokenRefused):
        # RFC 9110, 11.6.1
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _of_a_tap(error: AgentError | PkiError) -> Response:
    """An error that is no payment's: of a quote, a holder, a catalogue, or of telling the service."""
    found = failure(error)
    match error:
        case ServiceProblem() if is_final(error):
            code = "quote_refused"
        case CardError() | PkiError():
            code = "card_unusable"
        case ReaderError():
            code = "reader_unusable"
        case _:
            code = "service_unreachable"
    return problem(code, found.message, {"reason": found.reason})


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    code = _HTTP_CODES.get(status, "internal_error" if status >= 500 else "malformed")
    return problem(code, PROBLEMS[code].title)


def _unexpected(error: Exception) -> Response:
    # Kind and places of the error: what it says in words may quote a card's data.
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name} {frame.filename}:{frame.lineno}" for frame in reversed(frames[-4:]))
    log.error("unexpected %s in %s", type(error).__name__, where)
    return problem("internal_error", "The log of the reader agent says where.")
