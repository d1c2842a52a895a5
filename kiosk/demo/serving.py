"""Serves from the launcher's own process: the wallet's page, and what stands in for a payment provider."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from kiosk.demo import town
from kiosk.demo.place import Place
from kiosk.demo.stage import Stage
from kiosk.demo.wallet import Link, create_wallet
from kiosk.pay_stand_in import Pay, create_app
from kiosk.web import Face
from kiosk.web.face import HOST


class _Quiet(WSGIRequestHandler):
    """Writes no line for each request: the console is for what the demonstration has to say."""

    # Connections are kept for the next request, and event streams come in chunks.
    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name that it has
        """Nothing: a browser that breaks off a connection is no error, and others are logged by the page."""


@contextmanager
def serving_wallet(place: Place, stage: Stage) -> Iterator[None]:
    """The wallet's page, which knows what is where, answers until the end of the block."""
    face = Face("wallet", place.ports.wallet)
    links = (
        Link(town.TILL.reader, Face("till", place.ports.till).url),
        Link(town.BUS.reader, Face("validator", place.ports.validator).url),
        Link(town.KIOSK.reader, Face("pay-in", place.ports.kiosk).url),
    )
    with _serving(face.name, face.port, create_wallet(face, stage, links)):
        try:
            yield
        finally:
            stage.close()


@contextmanager
def serving_provider(place: Place) -> Iterator[None]:
    """Whoever pays in at the kiosk comes to a page that takes no money, until the end of the block."""
    pay = Pay(place.payment_key_file.read_text(encoding="ascii"), place.payment_provider)
    with _serving("payment provider", place.ports.payment_provider, create_app(pay)):
        yield


@contextmanager
def _serving(name: str, port: int, app: Flask) -> Iterator[None]:
    try:
        # A thread for each request: event streams last as long as their page.
        server = make_server(HOST, port, app, threaded=True, request_handler=_Quiet)
    except OSError as error:
        sys.exit(f"demo: port {port} of {HOST} cannot be used ({error.strerror}); start again")
    thread = threading.Thread(target=server.serve_forever, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
