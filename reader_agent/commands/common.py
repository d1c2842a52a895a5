"""What the commands share: the agent's folder, the clock, errors as sentences, JSON on demand."""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from pki.clock import OFFSET_VARIABLE, Clock, system_clock
from pki.errors import PkiError
from reader_agent.agent import Agent
from reader_agent.config import DIRECTORY_VARIABLE, AgentDirectory
from reader_agent.errors import AgentError, ConfigInvalid
from reader_agent.money import format_minor
from reader_agent.transport.access import Access
from reader_agent.transport.traffic import TrafficLog
from reader_agent.wire import to_rfc3339

if TYPE_CHECKING:
    from reader_agent.transport.feeding import CardFeeder
    from reader_agent.transport.slots import SlotReaders

P = ParamSpec("P")

# Exit statuses: 0 done, 1 an error, 2 a usage error (click's), 3 the card has not paid, or is not good
STATUS_ERROR, STATUS_NOT_PAID, STATUS_NOT_GOOD = 1, 3, 3

WAIT_S = 10.0
# The option of the whole script that every command with a card follows
TRAFFIC_LOG = "traffic_log"

as_json_option = click.option("--json", "as_json", is_flag=True, help="for scripts")
reader_option = click.option("--reader", required=True, help="the reader's name, or its beginning")
agent_option = click.option(
    "--agent",
    "directory",
    type=click.Path(path_type=Path),
    envvar=DIRECTORY_VARIABLE,
    required=True,
    help=f"the agent's folder (or {DIRECTORY_VARIABLE})",
)
wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 600),
    default=WAIT_S,
    show_default=True,
    help="for a card, in s",
)
directory_argument = click.argument("directory", type=click.Path(path_type=Path))


def telling_errors(command: Callable[P, None]) -> Callable[P, None]:
    """An error becomes one sentence on standard error, with its code, and exit status 1."""

    @functools.wraps(command)
    def telling(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except (AgentError, PkiError) as error:
            click.echo(f"{click.get_current_context().command_path}: {error} [{error.code}]", err=True)
            sys.exit(STATUS_ERROR)

    return telling


def clock() -> Clock:
    """The clock of this process. Raises ConfigInvalid."""
    text = os.environ.get(OFFSET_VARIABLE, "0")
    try:
        return system_clock(float(text))
    except ValueError as error:
        raise ConfigInvalid(f"{OFFSET_VARIABLE} is a number of seconds, not {text!r}") from error


def open_agent(directory: Path) -> Agent:
    """The agent of this folder. Raises ConfigInvalid."""
    return Agent(AgentDirectory(directory), clock())


@contextmanager
def access(*, is_exclusive: bool = False) -> Iterator[Access]:
    """How this command connects to cards, with the traffic log that was asked for. Raises ConfigInvalid."""
    path = click.get_current_context().find_root().params.get(TRAFFIC_LOG)
    if path is None:
        yield Access(is_exclusive)
        return
    try:
        log = TrafficLog(path)
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be written: {error.strerror}") from error
    with log:
        yield Access(is_exclusive, log)


@contextmanager
def readers() -> "Iterator[SlotReaders]":
    """The readers of this machine; pyscard is only needed from here on. Raises ConfigInvalid."""
    try:
        from reader_agent.transport.slots import SlotReaders  # noqa: PLC0415 -- see above
    except ImportError as error:
        raise ConfigInvalid("pyscard is not installed; install citizen-card[agent]") from error
    with access() as how, closing(SlotReaders(how)) as found:
        yield found


@contextmanager
def feeder(names: tuple[str, ...], wait_s: float) -> "Iterator[CardFeeder]":
    """Cards as they come onto these readers. Raises ConfigInvalid."""
    try:
        from reader_agent.transport.feeding import CardFeeder  # noqa: PLC0415 -- as above
    except ImportError as error:
        raise ConfigInvalid("pyscard is not installed; install citizen-card[agent]") from error
    with access() as how, closing(CardFeeder(names, wait_s, how)) as found:
        yield found


def parse_details(pairs: tuple[str, ...]) -> dict[str, object]:
    """`k=v` as given on the command line. Raises click.BadParameter."""
    details: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or name in details:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE, or NAME was given before")
        details[name] = value
    return details


def money(amount_minor: int | None, currency: str | None) -> str:
    """An amount for a person."""
    if amount_minor is None or currency is None:
        return "no amount"
    return f"{format_minor(amount_minor, currency)} {currency}"


def show(as_json: bool, value: Mapping[str, object], lines: list[str]) -> None:
    """Print the value as JSON, or the lines."""
    click.echo(json.dumps(value, default=_to_json) if as_json else "\n".join(lines))


def _to_json(value: object) -> str:
    return to_rfc3339(value) if isinstance(value, datetime) else str(value)
