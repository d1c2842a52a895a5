"""Head and body of an answer sent together.

gunicorn sends them one after the other, and each wakes the peer, who can do nothing with the first. Where the
connection is one of TCP the first is held back (TCP_CORK, tcp(7)) until the second is there.
"""

import socket
from collections.abc import Iterable, Iterator

# Linux alone has it.
_CORK: int | None = getattr(socket, "TCP_CORK", None)


class _Together:
    """A body of one part, whose head is held back from now until it is closed (PEP 3333)."""

    def __init__(self, peer: socket.socket, cork: int, body: bytes) -> None:
        self._peer, self._cork, self._body = peer, cork, body
        self._hold(1)

    def __iter__(self) -> Iterator[bytes]:
        yield self._body

    def close(self) -> None:
        """Send what is held back; the server calls this when it has written the body, or has failed to."""
        self._hold(0)

    def _hold(self, on: int) -> None:
        try:
            self._peer.setsockopt(socket.IPPROTO_TCP, self._cork, on)
        except OSError:
            # The peer has gone: whoever sends to it next is told so.
            return


def together(peer: object, body: bytes) -> Iterable[bytes]:
    """The body as WSGI wants it; `peer` is the connection where the server tells it."""
    of_tcp = isinstance(peer, socket.socket) and peer.family in {socket.AF_INET, socket.AF_INET6}
    if _CORK is None or not of_tcp or not isinstance(peer, socket.socket):
        return [body]
    return _Together(peer, _CORK, body)
