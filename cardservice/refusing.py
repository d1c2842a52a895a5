"""What gunicorn itself refuses, before the application sees it, answered like all else: as a problem.

By itself it would answer with a page of HTML that repeats what was sent, and log that with the address that
it came from; a line of a request may name a card. gunicorn's first process imports this: no psycopg here, and
nothing of ours that must find gevent (`gunicorn_settings`).
"""

import time
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors

# By gunicorn's error, the first that fits; whatever else it cannot read is malformed.
_CODES: tuple[tuple[type[Exception], str, str], ...] = (
    (errors.LimitRequestLine, "address_too_long", "The request's first line is too long."),
    (errors.LimitRequestHeaders, "headers_too_large", "The request has too many headers, or too long ones."),
    (
        errors.UnsupportedTransferCoding,
        "not_implemented",
        "The body is sent in a coding that is not known here.",
    ),
    # Those that an answer of ours has: our own fault, like whatever is no error of reading a request.
    (errors.InvalidResponseHeader, "internal_error", "The service's log has the error."),
    (errors.InvalidResponseHeaderName, "internal_error", "The service's log has the error."),
    (errors.ParseException, "malformed", "The request is not HTTP/1.1 as the service reads it."),
)
_OURS = ("internal_error", "The service's log has the error.")


class Refusing:
    """Over a worker of gunicorn's."""

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer and log what could not be served. Called by gunicorn, in its own way of writing names."""
        del req, addr
        answer = _answer(exc)
        try:
            util.write_nonblock(client, answer)
        except OSError:
            # Whoever sent it has gone.
            return


def _answer(exc: Exception) -> bytes:
    # Here and not above: in the worker all of it is there by now, and was imported after gevent.
    from cardservice.api import problems, request_log  # noqa: PLC0415 - see the comment

    started, request_id = time.perf_counter(), request_log.begin()
    code, detail = next(((code, detail) for kind, code, detail in _CODES if isinstance(exc, kind)), _OURS)
    if code == "internal_error":
        problems.log.error("unexpected error", exc_info=exc)
    status, body = problems.written(code, detail)
    request_log.note("", None, status, started, None, code)
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "Connection: close",
        f"Content-Type: {problems.MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        f"{request_log.REQUEST_ID}: {request_id}",
    )
    return "\r\n".join((*head, "", "")).encode("ascii") + body
