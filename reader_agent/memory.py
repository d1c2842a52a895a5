"""What a terminal remembers between taps, for the time when the service does not answer.

Offline prices, and the nonce that came with its last answer. In a file of its own beside the outbox: if this
one is lost, the terminal asks again; the outbox must never be lost.
"""

import hashlib
import os
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pki.statements import deterministic
from reader_agent.errors import ConfigInvalid
from reader_agent.service_client import Price

BUSY_TIMEOUT_S = 10.0
# A nonce is good for 120 s; an older one than this is not worth the risk of a decline.
NONCE_MAX_AGE = timedelta(seconds=60)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS offline_price (
    wanted BLOB PRIMARY KEY,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    tariff_version TEXT NOT NULL,
    valid_until INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE IF NOT EXISTS service (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    nonce BLOB,
    nonce_at INTEGER NOT NULL
) STRICT""",
    "INSERT OR IGNORE INTO service VALUES (1, NULL, 0)",
)


class Memory:
    """Opened for one thread; several processes may have the file open."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises ConfigInvalid."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            for statement in _SCHEMA:
                self._connection.execute(statement)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ConfigInvalid(f"{path} cannot be used ({error}); it may be deleted") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def keep_offline_price(
        self, service: str, action: str, details: Mapping[str, object], price: Price | None
    ) -> None:
        """Remember what may be charged offline; None: this may not be served offline any more."""
        wanted = _wanted(service, action, details)
        if price is None:
            self._connection.execute("DELETE FROM offline_price WHERE wanted = ?", (wanted,))
            return
        self._connection.execute(
            "INSERT OR REPLACE INTO offline_price VALUES (?, ?, ?, ?, ?)",
            (
                wanted,
                price.amount_minor,
                price.currency,
                price.tariff_version,
                _milliseconds(price.valid_until),
            ),
        )

    def offline_price(
        self, service: str, action: str, details: Mapping[str, object], moment: datetime
    ) -> Price | None:
        """What may be charged offline at `moment`, if a price is here and still holds."""
        row = self._connection.execute(
            "SELECT amount_minor, currency, tariff_version, valid_until FROM offline_price"
            " WHERE wanted = ? AND valid_until > ?",
            (_wanted(service, action, details), _milliseconds(moment)),
        ).fetchone()
        return None if row is None else Price(row[0], row[1], row[2], _moment(row[3]))

    def forget_expired(self, moment: datetime) -> None:
        """Delete prices that hold no longer."""
        self._connection.execute("DELETE FROM offline_price WHERE valid_until <= ?", (_milliseconds(moment),))

    def keep_nonce(self, nonce: bytes, moment: datetime) -> None:
        """Remember the service's latest nonce."""
        self._connection.execute("UPDATE service SET nonce = ?, nonce_at = ?", (nonce, _milliseconds(moment)))

    def nonce(self, moment: datetime) -> bytes | None:
        """The latest nonce, while it is young enough to be used."""
        nonce, at = self._connection.execute("SELECT nonce, nonce_at FROM service").fetchone()
        is_young = timedelta(0) <= moment - _moment(at) <= NONCE_MAX_AGE
        return nonce if is_young else None


def _wanted(service: str, action: str, details: Mapping[str, object]) -> bytes:
    return hashlib.sha256(deterministic([service, action, details])).digest()


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
