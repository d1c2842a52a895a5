"""`kiosk run till|validator|pay-in`: a face in a process of its own."""

import functools
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kiosk.errors import ConfigInvalid, KioskError

if TYPE_CHECKING:
    from kiosk.web.server import Build

TILL_PORT, VALIDATOR_PORT, PAY_IN_PORT = 7420, 7421, 7423
# On the keys, and what may be typed; in minor units
AMOUNTS, LEAST, MOST = (500, 1000, 2000, 5000), 100, 50_000
AGENT_URL = "http://127.0.0.1:7410"
AGENT_TOKEN = "api-token"  # noqa: S105 -- the name of a file
STATUS_ERROR = 1

C = TypeVar("C", bound=Callable[..., Any])


def _face_options(port: int) -> Callable[[C], C]:
    """What every face is started with."""
    a_file = click.Path(path_type=Path)
    options = (
        click.option("--agent", type=a_file, help="the agent's folder: short for the token file in it"),
        click.option("--agent-url", default=AGENT_URL, show_default=True, help="where its daemon listens"),
        click.option("--agent-token-file", "token_file", type=a_file, help="the daemon's token"),
        click.option("--reader", required=True, help="the reader, as it is named to the daemon"),
        click.option(
            "--port",
            type=click.IntRange(0, 65535),
            default=port,
            show_default=True,
            help="on 127.0.0.1; 0: any that is free",
        ),
        click.option("--json", "as_json", is_flag=True, help="for scripts"),
    )

    def decorate(command: C) -> C:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def _telling_errors(command: C) -> C:
    """An error becomes one sentence on standard error, with its code, and exit status 1."""

    @functools.wraps(command)
    def telling(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KioskError as error:
            click.echo(f"{click.get_current_context().command_path}: {error} [{error.code}]", err=True)
            sys.exit(STATUS_ERROR)

    return telling  # type: ignore[return-value]  # the same but for what it raises


@click.group()
def run() -> None:
    """Serve a face of this terminal until SIGTERM; prints a line when it is ready."""


@run.command()
@_face_options(TILL_PORT)
@click.option("--service", default="meals", show_default=True, help="whose catalogue is on the keys")
@click.option("--section", help="what is served here, such as lunch; else it is chosen on the screen")
@click.option("--supervisor", is_flag=True, help="a supervisor's terminal: serve what a till must decline")
@_telling_errors
def till(service: str, section: str | None, supervisor: bool, **options: Any) -> None:
    """The school till."""
    check_extra()
    from kiosk.till import TillSettings, builder  # noqa: PLC0415 -- the extra `kiosk` is needed from here on

    url, token_file = options["agent_url"], _token_file(options)
    settings = TillSettings(url, token_file, options["reader"], service, section, supervisor)
    _serve("till", options, builder(settings))


@run.command()
@_face_options(VALIDATOR_PORT)
@click.option("--trip", required=True, type=click.Path(path_type=Path), help="JSON: from_stop and to_stop")
@_telling_errors
def validator(trip: Path, **options: Any) -> None:
    """The bus validator."""
    check_extra()
    from kiosk.validator import ValidatorSettings, builder, read_trip  # noqa: PLC0415 -- see above

    url, token_file = options["agent_url"], _token_file(options)
    settings = ValidatorSettings(url, token_file, options["reader"], read_trip(trip))
    _serve("validator", options, builder(settings))


@run.command("pay-in")
@_face_options(PAY_IN_PORT)
@click.option("--currency", default="GBP", show_default=True, help="the scheme's")
@click.option(
    "--amount",
    "amounts",
    type=click.IntRange(1),
    multiple=True,
    default=AMOUNTS,
    show_default=True,
    help="what is on the keys, in minor units; several times",
)
@click.option("--least", type=click.IntRange(1), default=LEAST, show_default=True, help="that may be typed")
@click.option("--most", type=click.IntRange(1), default=MOST, show_default=True, help="that may be typed")
@click.option(
    "--return-url", help="an https page that leads back to this one, for a provider that takes no other"
)
@_telling_errors
def pay_in(
    currency: str, amounts: tuple[int, ...], least: int, most: int, return_url: str | None, **options: Any
) -> None:
    """The kiosk where holders pay in."""
    check_extra()
    from kiosk.pay_in import PayInSettings, builder  # noqa: PLC0415 -- see above

    if not all(least <= amount <= most for amount in amounts):
        raise ConfigInvalid("each --amount lies between --least and --most")
    url, token_file = options["agent_url"], _token_file(options)
    settings = PayInSettings(
        url, token_file, options["reader"], currency, amounts, least, most, return_url=return_url
    )
    _serve("pay-in", options, builder(settings))


def check_extra() -> None:
    """Raises ConfigInvalid where what the faces need is not installed."""
    try:
        import kiosk.web  # noqa: F401, PLC0415 -- see above
    except ImportError as error:
        raise ConfigInvalid(f"{error.name} is not installed; install citizen-card[kiosk]") from error


def _serve(name: str, options: dict[str, Any], build: "Build") -> None:
    from kiosk.agent import AgentClient  # noqa: PLC0415 -- see above
    from kiosk.web import Face, serve  # noqa: PLC0415 -- see above

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    AgentClient(options["agent_url"], _token_file(options)).check()

    def ready(face: Face) -> None:
        words = f"The {face.name} is at {face.url}"
        click.echo(json.dumps({"face": face.name, "url": face.url}) if options["as_json"] else words)
        sys.stdout.flush()

    serve(Face(name, options["port"]), build, ready)


def _token_file(options: dict[str, Any]) -> Path:
    """The one file that is named. Raises click.UsageError."""
    folder: Path | None = options["agent"]
    token_file: Path | None = options["token_file"]
    if (folder is None) == (token_file is None):
        raise click.UsageError("give either --agent or --agent-token-file")
    return token_file if folder is None else folder / AGENT_TOKEN  # type: ignore[return-value]  # one is given
