"""What a card's maker has delivered it with, as the commands that make cards are told it: key and PUK."""

from pathlib import Path

import click

from reader_agent.cardspec import piv
from reader_agent.errors import ConfigInvalid

_secret_file = click.Path(exists=True, dir_okay=False, path_type=Path)

key_option = click.option(
    "--transport-key-file",
    type=_secret_file,
    help="the management key that the card came with, in hex (default: the makers' well-known one)",
)
puk_option = click.option(
    "--transport-puk-file",
    type=_secret_file,
    help="the PUK that the card came with (default: the makers' well-known one)",
)


def read_key(path: Path | None) -> bytes:
    """The management key, or the well-known one. Raises ConfigInvalid."""
    if path is None:
        return piv.WELL_KNOWN_TRANSPORT_KEY
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{path} does not hold a key in hex") from error
    if len(key) not in piv.AES_KEY_LENGTH.values():
        raise ConfigInvalid(f"{path} does not hold an AES key of 16, 24 or 32 bytes")
    return key


def read_puk(path: Path | None) -> str:
    """The PUK, or the well-known one. Raises ConfigInvalid."""
    if path is None:
        return piv.WELL_KNOWN_TRANSPORT_PUK
    try:
        puk = path.read_text(encoding="ascii").strip()
        piv.encode_puk(puk)
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{path} does not hold a PUK of eight characters") from error
    return puk
