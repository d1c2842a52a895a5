"""A secret that no one person can open: two (or more) of several people's passphrases are needed together.

The secret is encrypted anew for each group of people that is just large enough, under a key from all of
their passphrases. Nothing in the file says whether one passphrase alone is right, so that whoever steals it
has to guess all of a group's together.
"""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from itertools import combinations
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pki import pkcs8
from pki.errors import CustodyRefused
from pki.pkcs8 import SCRYPT_SALT_BYTES, checked_cost, derive_key

_FORMAT = "citizen-card-custody/1"
# NIST SP 800-38D, 8.2.2: random, and each key encrypts one message
_NONCE_BYTES = 12
# Ours. More groups than these make would not fit a page.
MAX_CUSTODIANS = 9
MIN_PASSPHRASE_BYTES = 12


def split(secret: bytes, passphrases: Mapping[str, bytes], needed: int) -> bytes:
    """What to keep: JSON that opens with the passphrases of any `needed` of these people.

    Raises CustodyRefused where that would be less than two, or the passphrases are too short or the same.
    """
    _check(passphrases, needed)
    salts = {name: os.urandom(SCRYPT_SALT_BYTES) for name in sorted(passphrases)}
    cost = pkcs8.current_cost()
    keys = {name: derive_key(passphrases[name], salt, cost) for name, salt in salts.items()}
    wraps = []
    for group in combinations(sorted(passphrases), needed):
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(_group_key(keys, group)).encrypt(nonce, secret, _FORMAT.encode())
        wraps.append({"of": list(group), "nonce": _text(nonce), "ciphertext": _text(sealed)})
    content = {
        "format": _FORMAT,
        "needed": needed,
        "cost": cost,
        "custodians": {name: {"salt": _text(salt)} for name, salt in salts.items()},
        "wraps": wraps,
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def join(document: bytes, passphrases: Mapping[str, bytes]) -> bytes:
    """The secret, opened by these people together. Raises CustodyRefused."""
    content = _read(document)
    known, needed = content["custodians"], content["needed"]
    if strangers := sorted(set(passphrases) - set(known)):
        raise CustodyRefused(f"{', '.join(strangers)} keeps no part of it; {', '.join(known)} do")
    if len(passphrases) < needed:
        raise CustodyRefused(
            f"{needed} of {', '.join(known)} are needed, and there is {', '.join(passphrases) or 'nobody'}"
        )
    group = tuple(sorted(passphrases))[:needed]
    keys = {
        name: derive_key(passphrases[name], b64decode(known[name]["salt"]), content["cost"]) for name in group
    }
    for wrap in content["wraps"]:
        if tuple(wrap["of"]) == group:
            try:
                return AESGCM(_group_key(keys, group)).decrypt(
                    b64decode(wrap["nonce"]), b64decode(wrap["ciphertext"]), _FORMAT.encode()
                )
            except InvalidTag as error:
                raise CustodyRefused(
                    f"the passphrases of {' and '.join(group)} do not open it together; one of them is "
                    "mistyped, and nothing can tell which"
                ) from error
    raise CustodyRefused("the custody file is damaged: it holds nothing for these people")


def custodians(document: bytes) -> tuple[tuple[str, ...], int]:
    """Who keeps the secret, and how many of them are needed. Raises CustodyRefused."""
    content = _read(document)
    return tuple(content["custodians"]), content["needed"]


def _check(passphrases: Mapping[str, bytes], needed: int) -> None:
    if needed < 2 or not needed <= len(passphrases) <= MAX_CUSTODIANS:
        raise CustodyRefused(
            f"custody takes 2 to {MAX_CUSTODIANS} people; it cannot be {needed} of {len(passphrases)}"
        )
    if len(set(passphrases.values())) < len(passphrases):
        raise CustodyRefused("two custodians have the same passphrase: each needs one of their own")
    for name, passphrase in passphrases.items():
        if not name or not name.isprintable():
            raise CustodyRefused("a custodian has a name in printable characters")
        if len(passphrase) < MIN_PASSPHRASE_BYTES:
            raise CustodyRefused(f"the passphrase of {name} has fewer than {MIN_PASSPHRASE_BYTES} bytes")


def _group_key(keys: Mapping[str, bytes], group: Iterable[str]) -> bytes:
    """RFC 5869, from the keys of each in the order of their names."""
    names = list(group)
    info = json.dumps([_FORMAT, *names]).encode()
    material = b"".join(keys[name] for name in names)
    return HKDF(hashes.SHA256(), length=32, salt=None, info=info).derive(material)


def _read(document: bytes) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(document)
        if content["format"] != _FORMAT:
            raise CustodyRefused("the custody file is not in a format known here")
        content["cost"] = checked_cost(content.get("cost"))
    except (ValueError, KeyError, TypeError) as error:
        raise CustodyRefused("the custody file is damaged") from error
    return content


def _text(data: bytes) -> str:
    return b64encode(data).decode()
