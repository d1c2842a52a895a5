"""`virtual-card`: makes software cards, shows them, puts them on virtual readers and takes them out again.

A card is named by its file, or, with a wallet, by its name there; a slash or .json makes it a file.
"""

import json
import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import click

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.behaviour import Behaviour, ToldCard
from reader_agent.virtual_card.bridge import Bridge
from reader_agent.virtual_card.commands import INPUT, PATH, telling_errors, until_signal
from reader_agent.virtual_card.detach import run_detached
from reader_agent.virtual_card.errors import CardFileUnusable, ReaderUndecided
from reader_agent.virtual_card.memory import CardMemory, Secret, factory_memory
from reader_agent.virtual_card.readers_cli import find_port
from reader_agent.virtual_card.state import CardState, read_memory
from reader_agent.virtual_card.wallet import Wallet

WALLET_VARIABLE = "READER_AGENT_WALLET"
READERS_VARIABLE = "READER_AGENT_VIRTUAL_READERS"

_card_argument = click.argument("card")
_wallet_option = click.option(
    "--wallet", type=PATH, envvar=WALLET_VARIABLE, help=f"a folder of cards by name (or {WALLET_VARIABLE})"
)
_json_option = click.option("--json", "as_json", is_flag=True, help="for scripts")
_count = click.IntRange(min=0)


@click.group()
def virtual_card() -> None:
    """Software cards: PIV cards in files. Whoever reads such a file has the card."""


@virtual_card.command()
@_card_argument
@_wallet_option
@click.option(
    "--transport-key-file", type=INPUT, help="16, 24 or 32 bytes in hex (default: a well-known key)"
)
@click.option("--pin-file", type=INPUT, help="six to eight digits (default: the PIN is blocked)")
@click.option("--puk-file", type=INPUT, help="eight characters (default: the makers' well-known one)")
@click.option("--contactless-pin", is_flag=True, help="PIN and all keys work without contact, too")
@_json_option
@telling_errors
def create(
    card: str,
    wallet: Path | None,
    transport_key_file: Path | None,
    pin_file: Path | None,
    puk_file: Path | None,
    contactless_pin: bool,
    as_json: bool,
) -> None:
    """Make a card as it comes from its maker: without keys, certificates or identity."""
    file = _file(card, wallet)
    try:
        memory = factory_memory(
            os.urandom,
            transport_key=_hex_from(transport_key_file) or piv.WELL_KNOWN_TRANSPORT_KEY,
            pin=piv.encode_pin(pin_file.read_text().strip()) if pin_file else None,
            puk=puk_file.read_text().strip().encode() if puk_file else None,
            contactless_pin=contactless_pin,
        )
    except ValueError as error:
        raise CardFileUnusable(file, str(error)) from error
    if wallet is not None:
        wallet.mkdir(mode=0o700, parents=True, exist_ok=True)
    CardState.create(file, memory).close()
    if as_json:
        click.echo(json.dumps({"card": str(file)}))


# The name that scripts know it by.
virtual_card.add_command(create, "new")


@virtual_card.command()
@_card_argument
@_wallet_option
@_json_option
@telling_errors
def show(card: str, wallet: Path | None, as_json: bool) -> None:
    """Tell what is on a card, without its secrets."""
    facts = _facts(read_memory(_file(card, wallet)))
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):22} {', '.join(value) if isinstance(value, list) else value}")


@virtual_card.command("list")
@click.option("--wallet", type=PATH, envvar=WALLET_VARIABLE, required=True, help=f"or {WALLET_VARIABLE}")
@_json_option
@telling_errors
def list_cards(wallet: Path, as_json: bool) -> None:
    """Tell which cards a wallet has, and which are on a reader."""
    cards = Wallet(wallet)
    found = {name: cards.insertion(name) for name in cards.names()}
    if as_json:
        click.echo(json.dumps({name: asdict(place) if place else None for name, place in found.items()}))
        return
    for name, place in found.items():
        click.echo(f"{name:24} {f'in {place.reader} ({place.face})' if place else 'in the wallet'}")


@virtual_card.command()
@_card_argument
@_wallet_option
@click.option("--port", type=click.IntRange(1, 65535), help="of the reader, as printed by virtual-readers")
@click.option("--host", default="127.0.0.1", show_default=True, help="where the reader is")
@click.option(
    "--readers",
    type=PATH,
    envvar=READERS_VARIABLE,
    help=f"their folder, instead of --port (or {READERS_VARIABLE})",
)
@click.option("--reader", help="which of them, where there are several")
@click.option("--face", type=click.Choice([str(face) for face in Face]), help="contact, if none is given")
@click.option("--contactless/--contact", "is_contactless", default=None, help="the same as --face")
@click.option("--detach", is_flag=True, help="return once it is in; `remove` takes it out (wallet only)")
@click.option("--silicon", is_flag=True, help="take the time of a chip (modelled)")
@click.option("--tear-at", type=click.IntRange(min=1), help="lose the power at the N-th write")
@click.option("--tear-kept", is_flag=True, help="with --tear-at: that write is kept, only its answer is lost")
@click.option("--silent-after", type=_count, help="answer N commands, then none")
@click.option("--garbage-after", type=_count, help="answer N commands, then with any bytes")
@_json_option
@telling_errors
def insert(
    card: str,
    *,
    wallet: Path | None,
    port: int | None,
    host: str,
    readers: Path | None,
    reader: str | None,
    face: str | None,
    is_contactless: bool | None,
    detach: bool,
    as_json: bool,
    **told: bool | int | None,
) -> None:
    """Put a card on a virtual reader, until Ctrl-C, SIGTERM or `remove` takes it out."""
    file = _file(card, wallet)
    name, port = _reader_and_port(port, readers, reader)
    shown = _face(face, is_contactless)
    named_in = _wallet_of(card, wallet)
    if detach:
        if named_in is None:
            raise click.UsageError("--detach needs a --wallet, from which `remove` takes the card again")
        run_detached()
        return
    behaviour = Behaviour(**told)  # type: ignore[arg-type]  # click has checked each by its option
    with until_signal(), ExitStack() as stack:
        state = stack.enter_context(CardState.load(file))
        if named_in is not None:
            stack.enter_context(named_in.inserted(card, name, shown))
        inserted = ToldCard(state, shown, behaviour)
        bridge = Bridge.connect(inserted, host, port)
        click.echo(_inserted(file, name, shown, behaviour, as_json=as_json))
        bridge.run()
        if inserted.torn is not None:
            raise inserted.torn


@virtual_card.command()
@click.argument("name")
@click.option("--wallet", type=PATH, envvar=WALLET_VARIABLE, required=True, help=f"or {WALLET_VARIABLE}")
@_json_option
@telling_errors
def remove(name: str, wallet: Path, as_json: bool) -> None:
    """Take a card of a wallet out of its reader."""
    Wallet(wallet).remove(name)
    if as_json:
        click.echo(json.dumps({"removed": name}))


def _inserted(file: Path, reader: str, face: Face, behaviour: Behaviour, *, as_json: bool) -> str:
    """The line that says that a card is in; others wait for it."""
    if as_json:
        said = {"card": str(file), "reader": reader, "face": face, "silicon": behaviour.silicon}
        return json.dumps(said)
    return f"{file} is inserted ({face}{', modelled silicon time' if behaviour.silicon else ''})"


def _wallet_of(card: str, wallet: Path | None) -> Wallet | None:
    """The wallet that the card is named in; None where it is named by its file, wallet or not."""
    return None if wallet is None or "/" in card or card.endswith(".json") else Wallet(wallet)


def _file(card: str, wallet: Path | None) -> Path:
    named_in = _wallet_of(card, wallet)
    return Path(card) if named_in is None else named_in.path(card)


def _face(face: str | None, is_contactless: bool | None) -> Face:
    if face is not None and is_contactless is not None:
        raise click.UsageError("give --face, --contact or --contactless, and only one of them")
    if face is not None:
        return Face(face)
    return Face.CONTACTLESS if is_contactless else Face.CONTACT


def _reader_and_port(port: int | None, readers: Path | None, reader: str | None) -> tuple[str, int]:
    if port is not None:
        return reader or f"port {port}", port
    if readers is None:
        raise ReaderUndecided("give the reader by --port, or by --readers and --reader")
    return find_port(readers, reader)


def _facts(memory: CardMemory) -> dict[str, object]:
    return {
        "uid": memory.uid.hex().upper(),
        "guid": _guid(memory),
        "management_algorithm": memory.management_algorithm.name,
        "pin": _tries(memory.pin),
        "puk": _tries(memory.puk),
        "contactless_pin": memory.contactless_pin,
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
