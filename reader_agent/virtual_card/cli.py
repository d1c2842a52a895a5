"""The commands around software cards: `virtual-card` makes and inserts them, `virtual-readers` takes them."""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec

import click

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.bridge import Bridge
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.errors import CardFileUnusable, ReadersUnavailable, VirtualCardError
from reader_agent.virtual_card.memory import CardMemory, Secret, factory_memory
from reader_agent.virtual_card.pcscd import PrivatePcscd
from reader_agent.virtual_card.state import CardState, read_memory

P = ParamSpec("P")

_INPUT = click.Path(exists=True, dir_okay=False, path_type=Path)
_PATH = click.Path(path_type=Path)


def _telling_errors(command: Callable[P, None]) -> Callable[P, None]:
    """An error becomes one sentence on standard error and exit status 1."""

    @functools.wraps(command)
    def telling(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            command(*arguments, **options)
        except VirtualCardError as error:
            click.echo(f"{click.get_current_context().command_path}: {error}", err=True)
            sys.exit(1)

    return telling


@contextmanager
def _until_signal() -> Iterator[None]:
    """What runs until somebody ends it: Ctrl-C and SIGTERM are its good end."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        return


@click.group()
def virtual_card() -> None:
    """Software cards: PIV cards in files. Whoever reads such a file has the card."""


@virtual_card.command()
@click.argument("file", type=_PATH)
@click.option(
    "--transport-key-file", type=_INPUT, help="16, 24 or 32 bytes in hex (default: a well-known key)"
)
@click.option("--pin-file", type=_INPUT, help="six to eight digits (default: the PIN is blocked)")
@click.option("--puk-file", type=_INPUT, help="eight characters (default: one that nobody knows)")
@_telling_errors
def new(file: Path, transport_key_file: Path | None, pin_file: Path | None, puk_file: Path | None) -> None:
    """Make a card as it comes from its maker: without keys, certificates or identity."""
    try:
        memory = factory_memory(
            os.urandom,
            transport_key=_hex_from(transport_key_file) or piv.WELL_KNOWN_TRANSPORT_KEY,
            pin=piv.encode_pin(pin_file.read_text().strip()) if pin_file else None,
            puk=puk_file.read_text().strip().encode() if puk_file else None,
        )
    except ValueError as error:
        raise CardFileUnusable(file, str(error)) from error
    CardState.create(file, memory).close()


@virtual_card.command()
@click.argument("file", type=_PATH)
@click.option("--json", "as_json", is_flag=True, help="for scripts")
@_telling_errors
def show(file: Path, as_json: bool) -> None:
    """Tell what is on a card, without its secrets."""
    facts = _facts(read_memory(file))
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):22} {', '.join(value) if isinstance(value, list) else value}")


@virtual_card.command()
@click.argument("file", type=_PATH)
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="as printed by virtual-readers")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--face", type=click.Choice([str(face) for face in Face]), default=str(Face.CONTACT), show_default=True
)
@_telling_errors
def insert(file: Path, port: int, host: str, face: str) -> None:
    """Put a card on a virtual reader, until Ctrl-C or SIGTERM pulls it."""
    with _until_signal(), CardState.load(file) as state:
        bridge = Bridge.connect(VirtualCard(state, Face(face)), host, port)
        click.echo(f"{file} is inserted ({face})")
        bridge.run()


@click.group()
def virtual_readers() -> None:
    """Virtual readers for software cards, on a pcscd of their own."""


@virtual_readers.command()
@click.option("--dir", "directory", type=_PATH, required=True, help="its folder, made if it is not there")
@click.option("--reader", "readers", multiple=True, required=True, help="a reader's name; repeat for more")
@_telling_errors
def run(directory: Path, readers: tuple[str, ...]) -> None:
    """Run a private pcscd until Ctrl-C or SIGTERM.

    Prints one line of JSON once the readers are there: the socket, the environment that clients need, and the
    port at which each reader takes a card.
    """
    with _until_signal(), PrivatePcscd(directory, readers) as pcscd:
        ready = {
            "socket": str(pcscd.socket_path),
            "environment": dict(pcscd.environment),
            "readers": dict(pcscd.ports),
        }
        click.echo(json.dumps(ready))
        status = pcscd.wait()
        raise ReadersUnavailable(f"pcscd ended by itself with status {status}; its log is in {directory}")


def _facts(memory: CardMemory) -> dict[str, str | list[str] | None]:
    return {
        "uid": memory.uid.hex().upper(),
        "guid": _guid(memory),
        "management_algorithm": memory.management_algorithm.name,
        "pin": _tries(memory.pin),
        "puk": _tries(memory.puk),
        "keys": [f"{slot:02X}" for slot in sorted(memory.private_keys)],
        "objects": [f"{tag:06X}" for tag in sorted(memory.objects)],
    }


def _guid(memory: CardMemory) -> str | None:
    chuid = memory.objects.get(ObjectId.CHUID)
    if chuid is None:
        return None
    try:
        return str(piv.Chuid.decode(chuid).guid)
    except piv.PivDataError:
        return None


def _tries(secret: Secret) -> str:
    return f"{secret.tries_left} of {secret.tries} tries" if secret.tries_left else "blocked"


def _hex_from(path: Path | None) -> bytes | None:
    return bytes.fromhex(path.read_text()) if path else None
