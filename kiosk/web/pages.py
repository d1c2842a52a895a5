"""Errors become pages for a person, or JSON for a page's script, here and nowhere else."""

import logging
import traceback

from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from kiosk.errors import HostRefused, KioskError, PageError, TooManyStreams

log = logging.getLogger(__name__)

CSRF_REFUSED = "csrf_refused"
_HTTP_CODES = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
}


def register(app: Flask) -> None:
    """Let every error of this application leave as a page or as JSON, in plain words."""
    app.register_error_handler(KioskError, _of_our_own)
    app.register_error_handler(CSRFError, _of_csrf)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _unexpected)


def refuse(status: int, code: str, detail: str = "", **members: object) -> Response:
    """JSON for a page's script: the stable `code` and what goes with it."""
    return make_response(jsonify(code=code, detail=detail, **members), status)


def _of_our_own(error: KioskError) -> Response:
    if isinstance(error, HostRefused):
        # No page, which would be ours under a stranger's name.
        return make_response(f"{error}\n", error.status, {"Content-Type": "text/plain"})
    if isinstance(error, PageError):
        return _answer(error.status, error.code, str(error))
    if isinstance(error, TooManyStreams):
        return _answer(503, error.code, str(error))
    return _unexpected(error)


def _of_csrf(_: CSRFError) -> Response:
    return _answer(400, CSRF_REFUSED, "the page is older than the server; ask for a new token")


def _of_http(error: HTTPException) -> Response:
    if error.response is not None:  # a redirect
        return make_response(error.response)
    status = error.code or 500
    return _answer(status, _HTTP_CODES.get(status, "refused"), error.name)


def _unexpected(error: Exception) -> Response:
    # Kind and places of the error: what it says in words may quote a person's data.
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.name} {frame.filename}:{frame.lineno}" for frame in reversed(frames[-4:]))
    log.error("unexpected %s in %s", type(error).__name__, where)
    return _answer(500, "internal_error", "the log of this face says where")


def _answer(status: int, code: str, detail: str) -> Response:
    if request.accept_mimetypes.best_match(["application/json", "text/html"]) != "text/html":
        return refuse(status, code, detail)
    title, text = _in_words(status)
    return make_response(render_template("web/error.html", title=title, text=text), status)


def _in_words(status: int) -> tuple[str, str]:
    match status:
        case 403:
            return gettext("Not from there"), gettext("Pages of other addresses may not use this one.")
        case 404 | 405:
            return gettext("Page not found"), gettext("There is nothing at this address.")
        case 503:
            return gettext("Too many windows"), gettext("This page is open too often. Close other windows.")
        case _ if status >= 500:
            return (
                gettext("Sorry, there is a problem"),
                gettext("Try again. If it stays, tell whoever looks after this terminal."),
            )
        case _:
            return gettext("That did not work"), gettext("Go back to the start and try again.")
