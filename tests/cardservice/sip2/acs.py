"""Our own port in this process, on a real socket, and the simplest machine that talks to it."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Self

from cardservice.sip2.codec import Code, Message, decode, encode
from cardservice.sip2.server import Limits, Server
from cardservice.sip2.session import Session

WAIT_S = 60.0
Fields = list[tuple[str, str]]


class Acs:
    """A server with its own loop in a thread of its own."""

    def __init__(
        self,
        new_session: Callable[[], Session],
        limits: Limits | None = None,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self._new_session, self._limits, self._wanted, self._tls = new_session, limits, port, tls
        self._host = host
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="acs")
        self.server: Server | None = None
        self.port = 0

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self.server = Server(self._new_session, self._limits)
        opening = asyncio.run_coroutine_threadsafe(
            self.server.open(self._host, self._wanted, self._tls), self._loop
        )
        self.port = opening.result(WAIT_S)

    def stop(self) -> None:
        """End, and everything with it; a second time nothing."""
        if self._loop.is_closed():
            return
        if self.server is not None:
            asyncio.run_coroutine_threadsafe(self.server.close(), self._loop).result(WAIT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_S)
        self._loop.close()


@contextmanager
def serving(
    new_session: Callable[[], Session],
    limits: Limits | None = None,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Acs]:
    """A port that is open meanwhile."""
    acs = Acs(new_session, limits, port, tls, host)
    acs.start()
    try:
        yield acs
    finally:
        acs.stop()


class Machine:
    """Sends bytes and takes in answers."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, sent: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(sent)

    def receive(self) -> bytes:
        """The next answer with its carriage return; what there was where the connection has ended."""
        while b"\r" not in self._rest:
            got = self.socket.recv(4096)
            if not got:
                return self._rest
            self._rest += got
        frame, _, self._rest = self._rest.partition(b"\r")
        return frame + b"\r"

    def exchange(self, sent: bytes) -> bytes:
        """An answer to these bytes."""
        self.send(sent)
        return self.receive()

    def ask(
        self, code: Code, fixed: tuple[str, ...], *fields: tuple[str, str], sequence: int | None = 1
    ) -> Message:
        """An answer to a message, with sequence number and checksum."""
        sent = encode(code, fixed, fields, sequence=sequence, with_checksum=sequence is not None)
        return decode(self.exchange(sent)[:-1])

    def log_in(self, name: str, password: str) -> Message:
        """93."""
        return self.ask(Code.LOGIN, ("0", "0"), ("CN", name), ("CO", password))


def wait_until(condition: Callable[[], bool], limit_s: float = WAIT_S) -> None:
    """Wait for something that another thread does."""
    poll = Event()
    for _ in range(int(limit_s / 0.01)):
        if condition():
            return
        poll.wait(0.01)
    raise AssertionError("it did not come to that")
