"""PINs of members: kept as Argon2id (RFC 9106) under a key of the service's, and tried so many times.

A PIN has four digits: whoever has the database and the key finds it by trying them all; without the key
nobody does. An empty PIN is none, whatever is stored.
"""

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from cardservice.circulation.errors import LendingRefused

MIN_PIN, MAX_PIN = 4, 32  # ours
MAX_WRONG = 5  # ours: wrong ones in a row
LOCKED_FOR = timedelta(minutes=15)  # ours
# RFC 9106, 4: the second recommended option asks for 64 MiB; OWASP's least is 19 MiB and two passes.
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
_REMEMBERED = 512


class Pins:
    """Makes and checks what is stored of secrets, under one key."""

    def __init__(self, master: bytes) -> None:
        self._pepper = hmac.digest(master, b"citizen-card lending PINs\x00", "sha256")
        # Whoever has shown a PIN shows it with each thing they borrow: what was right once costs no more.
        self._session_key = secrets.token_bytes(32)
        self._right: dict[str, bytes] = {}
        self._lock = Lock()

    def stored(self, pin: str) -> str:
        """What to keep of a PIN or password. Raises LendingRefused for one that is too short or too long."""
        if not (MIN_PIN <= len(pin) <= MAX_PIN and pin.isascii() and pin.isprintable()):
            message = f"a PIN has {MIN_PIN} to {MAX_PIN} letters or digits"
            raise LendingRefused("pin_unfit", message)
        return _argon(self._pepper).derive_phc_encoded(pin.encode("ascii"))

    def is_right(self, pin: str, stored: str | None) -> bool:
        """Whether it is the one; takes as long where there is none stored. An empty one never is."""
        if self.has_seen(pin, stored):
            return bool(pin)
        given = _bytes(pin)
        try:
            Argon2id.verify_phc_encoded(given, stored or _NOBODYS, self._pepper)
        except InvalidKey:
            return False
        if not pin or stored is None:
            return False
        with self._lock:
            while len(self._right) >= _REMEMBERED:
                del self._right[next(iter(self._right))]
            self._right[stored] = hmac.digest(self._session_key, given, "sha256")
        return True

    def has_seen(self, pin: str, stored: str | None) -> bool:
        """Whether it was right already, so that looking at it costs nothing."""
        with self._lock:
            known = self._right.get(stored or "")
        tag = hmac.digest(self._session_key, _bytes(pin), "sha256")
        return known is not None and hmac.compare_digest(known, tag)


@dataclass(frozen=True, slots=True)
class Tries:
    """How many wrong PINs there were in a row, and until when none is taken."""

    wrong: int
    locked_until: datetime | None

    def locked(self, moment: datetime) -> bool:
        """Whether no PIN is taken at a moment."""
        return self.locked_until is not None and moment < self.locked_until

    def after_wrong(self, moment: datetime) -> "Tries":
        """What a wrong one makes of it."""
        wrong = self.wrong + 1
        if wrong >= MAX_WRONG:
            return Tries(0, moment + LOCKED_FOR)
        return Tries(wrong, None)


def _bytes(pin: str) -> bytes:
    return pin.encode("utf-8", "surrogateescape")[: 4 * MAX_PIN]


def _argon(pepper: bytes) -> Argon2id:
    return Argon2id(
        salt=secrets.token_bytes(16),
        length=32,
        iterations=_PASSES,
        lanes=_LANES,
        memory_cost=_MEMORY_KIB,
        secret=pepper,
    )


# Compared with where nothing is stored, so that nobody sees by the time it takes who has a PIN: of nothing.
_NOBODYS = _argon(secrets.token_bytes(32)).derive_phc_encoded(secrets.token_bytes(16))
