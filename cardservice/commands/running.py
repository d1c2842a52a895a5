"""Setting up and serving."""

import os
import sys

import click

from cardservice.commands.common import Failure, actor, command, json_option, say
from cardservice.config import Mode, load_settings, unsafe_in_production
from cardservice.context import open_context
from cardservice.setup import initialise


@click.command("init")
@click.option("--currency", required=True, help="ISO 4217, such as GBP; a scheme keeps it.")
@click.option("--timezone", required=True, help="Such as Europe/London.")
@json_option
@command
def init(currency: str, timezone: str, as_json: bool) -> None:
    """Set the service up over a scheme that `pki init` has made; run again, it takes up what is missing."""
    settings = load_settings()
    initialise(settings, currency=currency, timezone=timezone, actor=actor())
    with_context = open_context(settings)
    with_context.close()
    words = f"The service of {with_context.scheme.name} is set up in {currency}."
    say(words, {"scheme": with_context.scheme.id, "currency": currency}, as_json=as_json)


@click.command("serve")
@click.option(
    "--bind", default="127.0.0.1:8080", show_default=True, help="Where to listen, behind the proxy."
)
@command
def serve(bind: str) -> None:
    """Serve over HTTP with gunicorn until SIGTERM, which lets running requests end."""
    settings = load_settings()
    context = open_context(settings)
    arc = context.pki.arc
    context.close()
    if settings.mode is Mode.PRODUCTION and (unsafe := unsafe_in_production(settings, arc)):
        reasons = "\n".join(f"  {objection}" for objection in unsafe)
        raise Failure(f"these settings are not safe in production:\n{reasons}")
    sys.stdout.flush()
    arguments = [sys.executable, "-m", "gunicorn", "--config", "python:cardservice.gunicorn_settings"]
    # The command becomes gunicorn: signals reach it directly, and nothing stays in between.
    os.execv(  # noqa: S606 - no shell is wanted
        sys.executable, [*arguments, "--bind", bind, "cardservice.wsgi:application"]
    )
