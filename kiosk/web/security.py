"""Who may ask a face: its own pages, in a browser on this machine, and nobody else's.

Three things are looked at before anything else, on every address, known or not. `Host`: a page whose name
was made to point here carries its own (an `Origin` check alone lets it read, by DNS rebinding). `Origin`: a
browser adds it to what another page sends. `Sec-Fetch-Site`: a browser says with it that another page embeds
or fetches something here, where it sends no `Origin`. Commands need a CSRF token beside that.
"""

import secrets

from flask import Flask, Response, g, request

from kiosk.errors import HostRefused, OriginRefused
from kiosk.web.face import Face

_NONCE_BYTES = 16
# W3C Fetch Metadata, 2.3: from a page of this origin; or typed in, a bookmark, a program's start
_OWN_SITES = frozenset({"same-origin", "none"})

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def protect(app: Flask, face: Face) -> None:
    """Refuse what does not come from this face's own pages, and say to browsers what these may do."""

    @app.before_request
    def check() -> None:
        if request.headers.get("Host") not in face.hosts:
            raise HostRefused
        origin = request.headers.get("Origin")
        if origin is not None and origin not in face.origins:
            raise OriginRefused
        if request.headers.get("Sec-Fetch-Site", "none") not in _OWN_SITES and not _is_navigation():
            raise OriginRefused

    @app.after_request
    def harden(response: Response) -> Response:
        response.headers.update(_HEADERS)
        response.headers["Content-Security-Policy"] = _policy()
        # The files of the look hold nobody's data, and are asked for with their ETag.
        response.headers["Cache-Control"] = "no-cache" if request.endpoint == "static" else "no-store"
        return response


def nonce() -> str:
    """This response's nonce for a script in the page itself (CSP Level 3, 2.3.1)."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(_NONCE_BYTES)
    return str(g.csp_nonce)


def _is_navigation() -> bool:
    """A link that a person follows to a whole page, such as from another face. It commands nothing."""
    return (
        request.method in {"GET", "HEAD"}
        and request.headers.get("Sec-Fetch-Mode") == "navigate"
        and request.headers.get("Sec-Fetch-Dest") == "document"
    )


def _policy() -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce()}'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )
