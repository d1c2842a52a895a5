"""`virtual-readers`: a pcscd of their own with readers that take software cards."""

import json
from pathlib import Path

import click

from reader_agent.virtual_card.commands import PATH, telling_errors, until_signal
from reader_agent.virtual_card.errors import ReadersUnavailable, ReaderUndecided
from reader_agent.virtual_card.pcscd import PrivatePcscd

READY_FILE = "readers.json"


@click.group()
def virtual_readers() -> None:
    """Virtual readers for software cards, on a pcscd of their own."""


@virtual_readers.command()
@click.option("--dir", "directory", type=PATH, required=True, help="its folder, made if it is not there")
@click.option("--reader", "readers", multiple=True, required=True, help="a reader's name; repeat for more")
@telling_errors
def run(directory: Path, readers: tuple[str, ...]) -> None:
    """Run a private pcscd until Ctrl-C or SIGTERM.

    Prints one line of JSON once the readers are there: the socket, the environment that clients need, and the
    port at which each reader takes a card. The same is in readers.json in its folder for as long as it runs.
    """
    with until_signal(), PrivatePcscd(directory, readers) as pcscd:
        ready = json.dumps(
            {
                "socket": str(pcscd.socket_path),
                "environment": dict(pcscd.environment),
                "readers": dict(pcscd.ports),
            }
        )
        file = directory / READY_FILE
        file.write_text(ready + "\n")
        try:
            click.echo(ready)
            status = pcscd.wait()
        finally:
            file.unlink(missing_ok=True)
        raise ReadersUnavailable(f"pcscd ended by itself with status {status}; its log is in {directory}")


def find_port(directory: Path, reader: str | None) -> tuple[str, int]:
    """The name and port of a reader that runs there; the only one, where none is named.

    Raises ReadersUnavailable, ReaderUndecided.
    """
    try:
        ports = {
            str(name): int(port)
            for name, port in json.loads((directory / READY_FILE).read_text())["readers"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadersUnavailable(
            f"no virtual readers run in {directory}; start them with virtual-readers run --dir {directory}"
        ) from error
    names = ", ".join(repr(name) for name in ports)
    if reader is None and len(ports) == 1:
        return next(iter(ports.items()))
    if reader is None:
        raise ReaderUndecided(f"name the reader with --reader; there are {names}")
    if reader not in ports:
        raise ReaderUndecided(f"there is no reader {reader!r}; there are {names}")
    return reader, ports[reader]
