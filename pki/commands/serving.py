"""Serving what the scheme publishes, without the card service."""

import os
from urllib.parse import urlsplit

import click

from pki.cli_support import answer, examples, on_scheme
from pki.clock import clock_from_environment
from pki.errors import ExtraMissing
from pki.published import publish
from pki.scheme import Scheme


@click.command(
    epilog=examples("pki serve scheme", "pki serve scheme --bind 127.0.0.1:8090 --workers 2"),
)
@click.option(
    "--bind", default="127.0.0.1:8090", show_default=True, help="Where to listen, behind the proxy."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; by default as many as processors.")
@on_scheme
def serve(scheme: Scheme, bind: str, workers: int | None, as_json: bool) -> None:
    """Serve certificates, revocation lists, OCSP and status lists over HTTP until SIGTERM.

    Below the path of the scheme's public URL. Lists are made anew when they are asked for and due. It needs
    the issuing authorities' keys, never the root's: of that it serves the list in DIR/public. A scheme whose
    records `cardservice` keeps is served by that.
    """
    try:
        from pki.http.server import Server, create_app  # noqa: PLC0415 -- only this command needs them
    except ImportError as error:
        raise ExtraMissing("pki serve", "gunicorn") from error
    prefix = "" if scheme.public_url is None else urlsplit(scheme.public_url).path.rstrip("/")
    clock = clock_from_environment()
    publish(scheme, clock)  # what is wrong is said here, once, and not by each worker
    facts = {"scheme": scheme.id, "bind": bind, "path": f"{prefix}/"}
    answer(as_json, facts, f"Serving {scheme.name} at http://{bind}{prefix}/ until SIGTERM.")
    Server(bind, workers or os.cpu_count() or 1, lambda: create_app(publish(scheme, clock), prefix)).run()


COMMANDS = (serve,)
