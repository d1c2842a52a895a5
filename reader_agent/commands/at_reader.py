"""What the commands share that are about a card's holder: the card on the reader, its PIN, files for results.

A PIN is typed, or comes from a file; it is never an argument, which other users of the machine could read.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reader_agent.commands import common
from reader_agent.errors import ConfigInvalid, PinMalformed
from reader_agent.piv.pin_entry import Pad, PadPin, PinEntry, TypedPin
from reader_agent.piv.session import PivSession

if TYPE_CHECKING:
    from reader_agent.transport.pcsc import PcscConnection

_MAX_SECRET_FILE_BYTES = 64

secret_file = click.Path(exists=True, dir_okay=False, path_type=Path)
pin_file_option = click.option("--pin-file", type=secret_file, help="has the PIN (default: it is asked for)")
new_pin_file_option = click.option(
    "--new-pin-file", type=secret_file, help="has the new PIN (default: it is asked for)"
)
pin_pad_option = click.option(
    "--pin-pad", is_flag=True, help="type the PIN on the reader's own keys, which no program sees"
)


@contextmanager
def session(reader: str, wait_s: float) -> Iterator[PivSession]:
    """A session with the card on a reader."""
    with connected(reader, wait_s) as (opened, _):
        yield opened


@contextmanager
def connected(reader: str, wait_s: float) -> "Iterator[tuple[PivSession, PcscConnection]]":
    """A session with the card on a reader, and the connection, which knows the reader's keys."""
    with common.readers() as readers:
        connection = readers.connect(reader, wait_s=wait_s)
        with closing(PivSession(connection)) as opened:
            yield opened, connection


def pin_entry(pad: Pad, pin_file: Path | None, new_pin_file: Path | None, *, on_reader: bool) -> PinEntry:
    """Where the PIN comes from. Raises click.UsageError for two places."""
    if not on_reader:
        return TypedPin(lambda: secret("PIN", pin_file), lambda: new_pin(new_pin_file))
    if pin_file is not None or new_pin_file is not None:
        raise click.UsageError("with --pin-pad the PIN comes from the reader's keys, and from no file")
    return PadPin(pad, lambda text: click.echo(text, err=True))


def secret(name: str, path: Path | None) -> str:
    """A PIN or PUK from its file, or as it is typed, unseen. Raises PinMalformed."""
    if path is None:
        # Not on standard output, which scripts read.
        return str(click.prompt(name, hide_input=True, err=True))
    with path.open("rb") as file:
        raw = file.read(_MAX_SECRET_FILE_BYTES)
    try:
        return raw.decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise PinMalformed(f"{path} holds no {name}") from error


def new_pin(path: Path | None) -> str:
    """A new PIN from its file, or as it is typed twice, unseen. Raises PinMalformed."""
    if path is not None:
        return secret("PIN", path)
    return str(click.prompt("New PIN", hide_input=True, confirmation_prompt="New PIN again", err=True))


def require_new(path: Path) -> None:
    """Raises ConfigInvalid where there is such a file already."""
    if path.exists():
        raise ConfigInvalid(f"{path} exists; name another file, or delete it first")


def write(path: Path, content: bytes) -> None:
    """Write a new file. Raises ConfigInvalid."""
    try:
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be written: {error.strerror}") from error
