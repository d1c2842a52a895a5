"""A payment provider that a test asks over HTTP: the stand-in, served by a thread."""

import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread

from werkzeug.serving import make_server

from cardservice.context import Context
from cardservice.payments.equation import equation
from cardservice.payments.govuk_pay import GovUkPay
from kiosk.pay_stand_in import Pay, create_app

RETURN_URL = "https://cards.ashcombe.example/paid"


@contextmanager
def served(pay: Pay, answer_s: float = 30.0) -> Iterator[GovUkPay]:
    """A client of it, that waits so long for an answer."""
    server = make_server("127.0.0.1", 0, create_app(pay), threaded=True)
    # It looks so often whether it shall end.
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield GovUkPay(f"http://127.0.0.1:{server.server_port}", pay.key, (5.0, answer_s))
    finally:
        pay.clear()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def answering(answer: bytes) -> Iterator[GovUkPay]:
    """A client of something that answers each request with these bytes, and hangs up."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65_536)
            self.request.sendall(answer)

    with TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield GovUkPay(f"http://127.0.0.1:{server.server_address[1]}", "key", (5.0, 30.0))
        finally:
            server.shutdown()
            thread.join()


class Trickle(TCPServer):
    """Something that answers a byte at a time; `sent` counts them by connection."""

    MOST = 1_000

    def __init__(self) -> None:
        self.sent: list[int] = []
        super().__init__(("127.0.0.1", 0), _Trickling)


class _Trickling(BaseRequestHandler):
    server: Trickle

    def handle(self) -> None:
        self.server.sent.append(0)
        self.request.recv(65_536)
        self.request.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{")
        with suppress(OSError):
            while self.server.sent[-1] < Trickle.MOST:
                self.request.sendall(b" ")
                self.server.sent[-1] += 1
                # It hears when the other has gone.
                if select.select([self.request], [], [], 0.01)[0]:
                    return


@contextmanager
def trickling() -> Iterator[tuple[GovUkPay, Trickle]]:
    """A client of it."""
    with Trickle() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield GovUkPay(f"http://127.0.0.1:{server.server_address[1]}", "key", (5.0, 30.0)), server
        finally:
            server.shutdown()
            thread.join()


def difference(context: Context) -> int:
    """Of the daily equation."""
    with context.database.reading() as connection:
        return equation(connection, context.scheme.currency).difference_minor
