"""The Flask application that each face is: its own blueprint over what all of them share."""

import secrets
from collections.abc import Mapping

from flask import Blueprint, Flask
from flask_babel import gettext
from flask_wtf.csrf import CSRFProtect, generate_csrf
from jinja2 import ChoiceLoader, PackageLoader, PrefixLoader

from kiosk.web import pages, security, words
from kiosk.web.face import Face

# A request is a basket, not a document.
MAX_BODY_BYTES = 16 * 1024
_KEY_BYTES = 32


def create_app(face: Face, blueprint: Blueprint) -> Flask:
    """The application of a face, with `blueprint` at its root.

    Its templates extend `web/base.html`; what its scripts need of the server goes there as `page_data`.
    """
    app = Flask("kiosk", static_folder="static", template_folder="templates")
    app.config.update(
        # Made at each start: a session is nothing but the token that the page sends back.
        SECRET_KEY=secrets.token_bytes(_KEY_BYTES),
        SESSION_COOKIE_NAME=face.cookie,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        # A till's page stays open for days; the token lives as long as the session.
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_HEADERS=["X-CSRFToken"],
    )
    app.jinja_options = {
        **app.jinja_options,
        "loader": ChoiceLoader(
            [
                PackageLoader("kiosk"),
                PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}),
            ]
        ),
    }
    pages.register(app)
    # First of all that looks at a request: nothing else is done for a stranger.
    security.protect(app, face)
    CSRFProtect(app)
    words.translate(app)
    app.register_blueprint(blueprint)
    app.add_url_rule("/csrf-token", view_func=csrf_token)
    app.context_processor(_shared)
    return app


def csrf_token() -> Mapping[str, str]:
    """A token for this session: a page that is older than the server's start asks for a new one."""
    return {"csrf_token": generate_csrf()}


def _shared() -> dict[str, object]:
    return {"csp_nonce": security.nonce(), "shared_words": _words()}


def _words() -> Mapping[str, str]:
    """What the scripts that all faces share say."""
    return {
        "away_title": gettext("Out of order"),
        "away_text": gettext(
            "The card reader program is not running. This page goes on by itself when it is back."
        ),
        "lost_text": gettext("This page has lost its program. It goes on by itself when it is back."),
    }
