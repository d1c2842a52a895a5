"""Who may ask: programs on this machine that know the token. Pages in a browser may not.

Three things are looked at before anything else, on every address, known or not: `Host` (a page whose name was
made to point here would carry its own), `Origin` (which a browser adds for a page), and the token.
"""

import hmac
import secrets

from flask import Flask, request

from pki import files
from reader_agent.daemon.errors import HostRefused, OriginRefused, TokenRefused
from reader_agent.daemon.settings import DaemonSettings

_TOKEN_BYTES = 32
# RFC 6750, 2.1
_SCHEME = "Bearer "


def make_token(settings: DaemonSettings) -> str:
    """A new token, in its file: readable for the agent's user alone."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    files.replace(settings.token_file, token.encode(), mode=0o600)
    return token


def protect(app: Flask, settings: DaemonSettings, token: str) -> None:
    """Refuse what does not come from a program on this machine that knows the token."""
    expected = (_SCHEME + token).encode()

    @app.before_request
    def check() -> None:
        if request.headers.get("Host") not in settings.hosts:
            raise HostRefused
        origin = request.headers.get("Origin")
        if origin is not None and origin not in settings.origins:
            raise OriginRefused
        given = request.headers.get("Authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, expected):
            raise TokenRefused
