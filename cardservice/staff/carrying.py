"""How a session's token comes with a request: in a header from programs, in a cookie from browsers."""

from dataclasses import dataclass
from typing import Protocol

from cardservice.staff.errors import SessionInvalid

# RFC 6265bis, 4.1.3.2: from this host alone, over TLS alone, for all of its paths.
COOKIE = "__Host-staff"
_BEARER = "Bearer "  # RFC 6750, 2.1
_READING = frozenset({"GET", "HEAD"})


class Headers(Protocol):
    """Headers by their names."""

    def get(self, key: str, /) -> str | None:
        """The value of one, or None."""


class Request(Protocol):
    """What is looked at of a request."""

    @property
    def method(self) -> str:
        """Its method."""

    @property
    def headers(self) -> Headers:
        """Its headers."""

    @property
    def cookies(self) -> Headers:
        """Its cookies."""


@dataclass(frozen=True, slots=True, repr=False)
class Carried:
    """A session's token, and how it came."""

    token: str
    in_cookie: bool


def carried_by(request: Request, origin: str) -> Carried | None:
    """The token of a request, or None. Raises SessionInvalid.

    A cookie comes by itself: where a request changes something, the browser must say that a page of ours sent
    it.
    `SameSite=Strict` alone would let pages on other ports of the same machine in.
    """
    header = request.headers.get("Authorization") or ""
    if header.startswith(_BEARER):
        return Carried(header.removeprefix(_BEARER), in_cookie=False)
    token = request.cookies.get(COOKIE)
    if not token:
        return None
    sent_by = request.headers.get("Origin")
    if sent_by != origin and (sent_by is not None or request.method not in _READING):
        raise SessionInvalid("a browser's session is for pages of the service's own origin alone")
    return Carried(token, in_cookie=True)


def set_cookie(token: str) -> str:
    """The header that gives a browser its session; it ends with the browser, if not before."""
    return f"{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict"


def clear_cookie() -> str:
    """The header that takes it away again."""
    return f"{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0"
