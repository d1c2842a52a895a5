"""Setting up and serving."""

import logging
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import mkdtemp
from threading import Event

import click
import psycopg
from sqlalchemy.exc import OperationalError

from cardservice.api import request_log
from cardservice.commands.common import Failure, command, database_away, json_option, opened, say
from cardservice.config import Mode, Settings, load_settings
from cardservice.context import open_context
from cardservice.errors import CardServiceError
from cardservice.key_place import KeyToken
from cardservice.production import unsafe_in_production
from cardservice.recovery.noticing import notice_loss
from cardservice.setup import initialise
from cardservice.staff.acting import operator
from cardservice.upkeep import Round, keep_on, keep_up
from pki.cli_support import examples
from pki.errors import PkiError

log = logging.getLogger(__name__)
_LIBRARY = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "init",
    epilog=examples(
        "cardservice init --currency GBP --timezone Europe/London",
        "cardservice init --currency GBP --timezone Europe/London \\",
        "    --pkcs11-module /usr/lib/softhsm/libsofthsm2.so --token cardservice",
    ),
)
@click.option("--currency", required=True, help="ISO 4217, such as GBP; a scheme keeps it.")
@click.option("--timezone", required=True, help="Such as Europe/London.")
@click.option("--pkcs11-module", type=_LIBRARY, help="The module of the token that shall hold its own keys.")
@click.option("--token", "label", help="That token's label; by default the scheme's token, if it has one.")
@json_option
@command
def init(currency: str, timezone: str, pkcs11_module: Path | None, label: str | None, as_json: bool) -> None:
    """Set the service up over a scheme that `pki init` has made; run again, it takes up what is missing.

    The PIN of a token is in the file of the setting `token_pin_file`, else it is the passphrase.
    """
    if (pkcs11_module is None) != (label is None):
        raise click.UsageError("a token is named by --pkcs11-module and --token together")
    token = None if pkcs11_module is None or label is None else KeyToken(pkcs11_module.absolute(), label)
    settings = load_settings()
    initialise(settings, currency=currency, timezone=timezone, actor=operator(), token=token)
    with_context = open_context(settings)
    with_context.close()
    words = f"The service of {with_context.scheme.name} is set up in {currency}."
    say(words, {"scheme": with_context.scheme.id, "currency": currency}, as_json=as_json)


@click.command(
    "serve",
    epilog=examples(
        "cardservice serve --bind 127.0.0.1:8080",
        "kill -HUP PID    # new processes take the place of the old ones, while it serves",
        "kill -TERM PID   # running requests end first",
    ),
)
@click.option(
    "--bind", default="127.0.0.1:8080", show_default=True, help="Where to listen, behind the proxy."
)
@command
def serve(bind: str) -> None:
    """Serve over HTTP with gunicorn until SIGTERM, which lets running requests end."""
    settings = load_settings()
    _refuse_unsafe(settings, bind)
    sys.stdout.flush()
    arguments = [sys.executable, "-m", "gunicorn", "--config", "python:cardservice.gunicorn_settings"]
    if settings.admin_bind is not None:
        # For what its processes count, together: gunicorn takes it away when it ends.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = mkdtemp(prefix="cardservice-numbers-")
        arguments += ["--bind", str(settings.admin_bind)]
    # The command becomes gunicorn: signals reach it directly, and nothing stays in between.
    os.execv(  # noqa: S606 - no shell is wanted
        sys.executable, [*arguments, "--bind", bind, "cardservice.wsgi:application"]
    )


def _refuse_unsafe(settings: Settings, bind: str) -> None:
    """Raises Failure with all that is wrong, whether or not the service can be opened."""
    arc: str | None = None
    broken: CardServiceError | PkiError | None = None
    try:
        context = open_context(settings)
        arc = context.pki.arc
        try:
            notice_loss(context)
        finally:
            context.close()
    except (CardServiceError, PkiError) as error:
        broken = error
    except (OperationalError, psycopg.OperationalError) as error:
        broken = database_away(error)
    unsafe = unsafe_in_production(settings, arc, bind) if settings.mode is Mode.PRODUCTION else []
    if broken is not None and not unsafe:
        raise broken
    if unsafe:
        reasons = "\n".join(f"  {objection}" for objection in (*unsafe, broken) if objection is not None)
        raise Failure(f"these settings are not safe in production:\n{reasons}")


@click.command(
    "worker",
    epilog=examples("cardservice worker", "cardservice worker --once --json"),
)
@click.option(
    "--every",
    "every_s",
    type=click.FloatRange(0.1, 3600),
    default=10,
    show_default=True,
    help="Seconds between two rounds.",
)
@click.option("--once", is_flag=True, help="One round, and what it did.")
@json_option
@command
def worker(every_s: float, once: bool, as_json: bool) -> None:
    """Number, sum up and seal the ledger, and settle reservations, until SIGTERM; the round then ends first.

    Run one beside the service. A second one waits its turn, and does no harm.
    """
    with opened() as context:
        if once:
            done = keep_up(context)
            say(_words(done), _values(done), as_json=as_json)
            return
        request_log.configure()
        notice_loss(context)
        stop = Event()
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: stop.set())
        keep_on(context, every_s, stop, _log_round)


def _log_round(done: Round) -> None:
    if done.held is not None:
        members = {key: str(value) for key, value in _held(done).items()}
        log.warning("numbers are held back", extra={"members": members})
    polled = done.polled is not None and (done.polled.payments or done.polled.refunds)
    if done.numbered or done.sealed or done.confirmed or done.released or done.rated or polled:
        log.info("round", extra={"members": _values(done)})


def _words(done: Round) -> str:
    lines = [
        f"{done.numbered} transactions numbered, {len(done.sealed)} days sealed.",
        f"{done.confirmed} reservations confirmed, {done.released} released.",
        f"{done.rated} days charged anew.",
    ]
    if done.polled is not None:
        asked = f"{done.polled.payments} payments, {done.polled.refunds} refunds"
        lines.append(
            f"Asked the payment provider about {asked}"
            + (", without an answer." if done.polled.away else ".")
        )
    if done.months:
        lines.append(f"Made {', '.join(done.months)}.")
    if done.held is not None:
        who = f"session {done.held.pid} ({done.held.application or done.held.role or 'of another role'})"
        lines.append(f"Since {done.held.since} numbers are held back by {who}: end its transaction.")
    return "\n".join(lines)


def _values(done: Round) -> dict[str, object]:
    return {
        "numbered": done.numbered,
        "sealed": [day.isoformat() for day in done.sealed],
        "confirmed": done.confirmed,
        "released": done.released,
        "rated": done.rated,
        "held": None if done.held is None else _held(done),
        "polled": None if done.polled is None else asdict(done.polled),
        "months": list(done.months),
    }


def _held(done: Round) -> dict[str, object]:
    held = done.held
    if held is None:
        return {}
    return {
        "since": held.since.isoformat(),
        "pid": held.pid,
        "role": held.role,
        "application": held.application,
    }
