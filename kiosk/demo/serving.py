"""Serves the wallet's page from the launcher's own process, which knows what is where."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from kiosk.demo import town
from kiosk.demo.place import Place
from kiosk.demo.stage import Stage
from kiosk.demo.wallet import Link, create_wallet
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
def serving(place: Place, stage: Stage) -> Iterator[None]:
    """The wallet's page answers until the end of the block."""
    face = Face("wallet", place.ports.wallet)
    links = (
        Link(town.TILL.reader, Face("till", place.ports.till).url),
        Link(town.BUS.reader, Face("validator", place.ports.validator).url),
    )
    try:
        # A thread for each request: event streams last as long as their page.
        server = make_server(
            HOST, face.port, create_wallet(face, stage, links), threaded=True, request_handler=_Quiet
        )
    except OSError as error:
        sys.exit(f"demo: port {face.port} of {HOST} cannot be used ({error.strerror}); start again")
    thread = threading.Thread(target=server.serve_forever, name="wallet", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stage.close()
        server.shutdown()
        server.server_close()
        thread.join()
