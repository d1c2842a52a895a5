"""gunicorn's gevent worker, which closes at a stop what is open without a request.

By itself it waits for such connections until `graceful_timeout` is over, although nobody will ask anything on
them that it could still answer. Requests under way are ended as before, and their answers say that the
connection closes. gunicorn's first process imports this, too: no psycopg here (`gunicorn_settings`).
"""

import fcntl
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import gevent
from gevent import Greenlet, socket
from gunicorn.workers.ggevent import GeventWorker

from cardservice.refusing import Refusing
from cardservice.reloading import LOOK_EVERY_S, Lasting

# Ours: what was on its way when the stop came has arrived by then.
ARRIVED_S = 0.25


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A connection whose next request has not come yet, since when, and what ends the wait."""

    client: socket.socket
    since: float
    timeout: gevent.Timeout


class StoppingWorker(Refusing, Lasting, GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves until it is told to stop; then no connection without a request keeps it."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._clients: dict[Greenlet[..., Any], socket.socket] = {}
        self._waiting: dict[Greenlet[..., Any], _Waiting] = {}
        self._lasting: Greenlet[..., Any] | None = None

    def handle(self, listener: Any, client: socket.socket, addr: Any) -> None:
        """A connection, from its beginning to its end."""
        own = gevent.getcurrent()
        self._clients[own] = client
        try:
            super().handle(listener, client, addr)
        finally:
            del self._clients[own]

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """Around the wait for the next request of a connection: as long as `keepalive`, then it is closed."""
        own = gevent.getcurrent()
        with gevent.Timeout(self.cfg.keepalive, False) as timeout:
            self._waiting[own] = _Waiting(self._clients[own], time.monotonic(), timeout)
            try:
                yield
            finally:
                del self._waiting[own]

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Told to stop."""
        if self.is_needed():
            if self._lasting is None:
                self._lasting = gevent.spawn(self._last, sig)
            return
        super().handle_exit(sig, frame)
        gevent.spawn(self._close_idle)

    def _last(self, sig: Any) -> None:
        """Stop when another has taken this one's place."""
        while self.is_needed():
            gevent.sleep(LOOK_EVERY_S)
        self.handle_exit(sig, None)

    def _close_idle(self) -> None:
        """Until the process ends: until its sockets are closed connections come, too."""
        while True:
            gevent.sleep(LOOK_EVERY_S)
            for greenlet, waiting in list(self._waiting.items()):
                if time.monotonic() - waiting.since > ARRIVED_S:
                    # From the loop, where nobody else runs: this greenlet would not be gone back to.
                    gevent.get_hub().loop.run_callback(self._end, greenlet, waiting)

    def _end(self, greenlet: "Greenlet[..., Any]", waiting: _Waiting) -> None:
        """As if the time for the next request were over, unless it has come meanwhile."""
        if self._waiting.get(greenlet) is waiting and not _has_come(waiting.client):
            greenlet.throw(waiting.timeout)


def _has_come(client: socket.socket) -> bool:
    """Whether there is something to be read."""
    found = fcntl.ioctl(client.fileno(), termios.FIONREAD, bytes(4))
    return bool(int.from_bytes(found, "little"))
