"""Where the service's own keys lie: in files, or on a PKCS#11 token; chosen once, when they are made."""

import json
from dataclasses import dataclass
from pathlib import Path

from cardservice.errors import NotInitialised, OrderInvalid
from pki import files
from pki.keys import FileKeyStore, KeyStore
from pki.scheme import TokenPlace, open_token

FOLDER = "cardservice"
# In it, always in files: what terminals are given, no token would give away.
_TERMINALS = "terminal-masters"
_FILE = "token.json"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class KeyToken:
    """A token by its library and label."""

    module: Path
    label: str

    def __str__(self) -> str:
        return f"the token {self.label!r} of {self.module}"


def choose_place(directory: Path, wanted: KeyToken | None, scheme_token: TokenPlace | None) -> None:
    """Note where the keys are to be: on the token that is wanted, else that of the scheme, else in files.

    Keys that exist already stay where they are. Raises OrderInvalid where another place is wanted for them.
    """
    folder = directory / FOLDER
    if (folder / _FILE).exists() or any(folder.glob("*.key")):
        present = token_of(directory)
        if wanted is not None and wanted != present:
            raise OrderInvalid(f"the service's keys are {_said(present)} already; a key is never moved")
        return
    if wanted is None and scheme_token is not None:
        wanted = KeyToken(scheme_token.module, scheme_token.label)
    if wanted is not None:
        document = {"format": _FORMAT, "module": str(wanted.module), "label": wanted.label}
        files.make_private_directory(folder)
        files.replace(folder / _FILE, json.dumps(document, indent=1).encode() + b"\n")


def token_of(directory: Path) -> KeyToken | None:
    """The token that holds the keys; None where they are in files. Raises NotInitialised."""
    path = directory / FOLDER / _FILE
    try:
        document = json.loads(path.read_bytes())
        known = document["format"] == _FORMAT
        token = KeyToken(Path(document["module"]), str(document["label"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NotInitialised(f"{path} does not say which token holds the keys: {error}") from error
    if not known:
        raise NotInitialised(f"{path} was written by another version of this program")
    return token


def open_place(directory: Path, secret: bytes) -> KeyStore:
    """The keys, by their passphrase or their token's PIN. Raises what `KeyStore` does when one is used."""
    token = token_of(directory)
    if token is None:
        return FileKeyStore(directory / FOLDER, secret)
    return open_token(token.module, token.label, secret)


def open_terminals_place(directory: Path, secret: bytes) -> KeyStore:
    """Where the masters of terminals lie, under the passphrase or PIN of the service's own keys."""
    return FileKeyStore(directory / FOLDER / _TERMINALS, secret)


def _said(token: KeyToken | None) -> str:
    return "in files" if token is None else f"on {token}"
