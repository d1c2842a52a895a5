"""`run`: the daemon that the faces on this machine speak to."""

import logging
import sys
from pathlib import Path

import click

from reader_agent.commands import common
from reader_agent.config import AgentDirectory
from reader_agent.daemon.settings import DEFAULT_PORT, DaemonSettings
from reader_agent.errors import ConfigInvalid


@click.command()
@common.agent_option
@click.option(
    "--reader",
    "readers",
    multiple=True,
    required=True,
    help="a reader's name or its beginning; repeat for more",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="on 127.0.0.1; 0: any that is free",
)
@click.option(
    "--exclusive", is_flag=True, help="keep other programs off each card while it is there, as on a kiosk"
)
@common.as_json_option
@common.telling_errors
def run(directory: Path, readers: tuple[str, ...], port: int, exclusive: bool, as_json: bool) -> None:
    """Watch readers and serve the local API until SIGTERM; prints a line when it is ready."""
    if len(set(readers)) != len(readers):
        raise click.UsageError("name each reader once")
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        from reader_agent.daemon import server  # noqa: PLC0415 -- gunicorn and pyscard are needed from here on
    except ImportError as error:
        raise ConfigInvalid("gunicorn or pyscard is not installed; install citizen-card[agent]") from error

    def ready(settings: DaemonSettings) -> None:
        common.show(
            as_json,
            {"url": settings.url, "token_file": str(settings.token_file), "readers": list(settings.readers)},
            [f"The reader agent serves {settings.url}; its token is in {settings.token_file}."],
        )
        sys.stdout.flush()

    with common.access(is_exclusive=exclusive) as how:
        server.run(DaemonSettings(AgentDirectory(directory), readers, port, how), common.clock(), ready)
