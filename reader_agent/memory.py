"""What a terminal remembers between taps, for the time when the service does not answer.

Offline prices, catalogues, and the nonce that came with its last answer. In a file of its own beside the
outbox: if this one is lost, the terminal asks again; the outbox must never be lost.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pki.statements import deterministic
from reader_agent.catalogues import Catalogue, StoredCatalogue, read_catalogue
from reader_agent.errors import ConfigInvalid, ServiceAnswerInvalid
from reader_agent.offline_prices import Said, offline_price
from reader_agent.service_client import Price, Quote
from reader_agent.wire import Document

BUSY_TIMEOUT_S = 10.0
# A nonce is good for 120 s; an older one than this is not worth the risk of a decline.
NONCE_MAX_AGE = timedelta(seconds=60)
# Ours: a terminal sells for one service, or a few. The one asked for longest ago gives way.
MAX_CATALOGUES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA = (
    # Of an earlier version: its prices are asked for again.
    "DROP TABLE IF EXISTS offline_price",
    # What quotes have said; without an amount: this may not be served offline.
    """CREATE TABLE IF NOT EXISTS said_offline (
    wanted BLOB PRIMARY KEY,
    amount_minor INTEGER,
    currency TEXT NOT NULL,
    tariff_version TEXT NOT NULL,
    valid_until INTEGER NOT NULL,
    as_of INTEGER NOT NULL
) STRICT""",
    # A service is wanted from the first time that somebody asked for its catalogue, though none may be here.
    """CREATE TABLE IF NOT EXISTS catalogue (
    service TEXT PRIMARY KEY,
    wanted_at INTEGER NOT NULL,
    document TEXT,
    as_of INTEGER NOT NULL DEFAULT 0,
    valid_until INTEGER NOT NULL DEFAULT 0,
    is_doubted INTEGER NOT NULL DEFAULT 0
) STRICT""",
    """CREATE TABLE IF NOT EXISTS service (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    nonce BLOB,
    nonce_at INTEGER NOT NULL
) STRICT""",
    "INSERT OR IGNORE INTO service VALUES (1, NULL, 0)",
    # The service's recoveries that all was sent again for.
    "CREATE TABLE IF NOT EXISTS sent_again (recovery INTEGER PRIMARY KEY) STRICT",
)


class Memory:
    """Opened for one thread; several processes may have the file open."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises ConfigInvalid."""
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            # A commit need not be on the disk when it returns: what a power cut takes is asked for again.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            for statement in _SCHEMA:
                self._connection.execute(statement)
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise ConfigInvalid(f"{path} cannot be used ({error}); it may be deleted") from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --- prices ---

    def keep_quote(
        self, service: str, action: str, details: Mapping[str, object], quote: Quote, moment: datetime
    ) -> None:
        """Remember what a quote says about offline service, and if it contradicts the catalogue."""
        wanted, stored = _wanted(service, action, details), self.catalogue(service, moment)
        if stored is not None and stored.catalogue.action == action:
            self._doubt(stored.catalogue, quote)
        row: tuple[int | None, str, str, int]
        if quote.offline is not None:
            price = quote.offline
            row = (price.amount_minor, price.currency, price.tariff_version, _milliseconds(price.valid_until))
        elif stored is not None:
            # A refusal, kept for as long as an older catalogue could say otherwise.
            row = (None, "", "", _milliseconds(stored.catalogue.valid_until))
        else:
            self._connection.execute("DELETE FROM said_offline WHERE wanted = ?", (wanted,))
            return
        self._connection.execute(
            "INSERT OR REPLACE INTO said_offline VALUES (?, ?, ?, ?, ?, ?)",
            (wanted, *row, _milliseconds(moment)),
        )

    def offline_price(
        self, service: str, action: str, details: Mapping[str, object], moment: datetime
    ) -> Price | None:
        """What may be charged offline at `moment`, by a quote or a catalogue that still holds."""
        said = self._said(_wanted(service, action, details))
        return offline_price(said, self.catalogue(service, moment), action, details, moment)

    def _said(self, wanted: bytes) -> Said | None:
        row = self._connection.execute(
            "SELECT amount_minor, currency, tariff_version, valid_until, as_of FROM said_offline"
            " WHERE wanted = ?",
            (wanted,),
        ).fetchone()
        if row is None:
            return None
        price = None if row[0] is None else Price(row[0], row[1], row[2], _moment(row[3]))
        return Said(price, _moment(row[4]))

    # --- catalogues ---

    def want_catalogue(self, service: str, moment: datetime) -> None:
        """Have this service's catalogue kept from now on."""
        self._connection.execute(
            "INSERT INTO catalogue (service, wanted_at) VALUES (?, ?)"
            " ON CONFLICT (service) DO UPDATE SET wanted_at = excluded.wanted_at",
            (service, _milliseconds(moment)),
        )
        self._connection.execute(
            "DELETE FROM catalogue WHERE service NOT IN"
            " (SELECT service FROM catalogue ORDER BY wanted_at DESC, service LIMIT ?)",
            (MAX_CATALOGUES,),
        )

    def wanted_catalogues(self) -> list[str]:
        """The services whose catalogues are to be kept."""
        return [
            service for (service,) in self._connection.execute("SELECT service FROM catalogue ORDER BY 1")
        ]

    def keep_catalogue(self, catalogue: Catalogue, moment: datetime) -> None:
        """Store what the service has said at `moment`, if it is wanted."""
        self._connection.execute(
            "UPDATE catalogue SET document = ?, as_of = ?, valid_until = ?, is_doubted = 0 WHERE service = ?",
            (
                json.dumps(catalogue.to_json()),
                _milliseconds(moment),
                _milliseconds(catalogue.valid_until),
                catalogue.service,
            ),
        )

    def catalogue(self, service: str, moment: datetime) -> StoredCatalogue | None:
        """The stored catalogue of a service, if it says something about this moment."""
        row = self._connection.execute(
            "SELECT document, as_of FROM catalogue WHERE service = ? AND document IS NOT NULL", (service,)
        ).fetchone()
        if row is None:
            return None
        try:
            found = read_catalogue(Document(json.loads(row[0]), "catalogue"), service)
        except (ValueError, ServiceAnswerInvalid):
            return None  # of another version of this program, or damaged: it is asked for again
        return StoredCatalogue(found, _moment(row[1])) if found.period_at(moment) is not None else None

    def is_doubted(self, service: str) -> bool:
        """Whether a quote has said something else than this service's catalogue since it was stored."""
        query = "SELECT is_doubted FROM catalogue WHERE service = ?"
        row = self._connection.execute(query, (service,)).fetchone()
        return row is not None and bool(row[0])

    def forget_catalogue(self, service: str, *, is_wanted: bool) -> None:
        """Delete what is stored for a service; `is_wanted`: it may have one again."""
        statement = "UPDATE catalogue SET document = NULL" if is_wanted else "DELETE FROM catalogue"
        self._connection.execute(f"{statement} WHERE service = ?", (service,))

    def _doubt(self, catalogue: Catalogue, quote: Quote) -> None:
        limit_minor = catalogue.offline_limit_minor
        is_within = limit_minor is not None and quote.price.amount_minor <= limit_minor
        if catalogue.tariff_version != quote.price.tariff_version or is_within != (quote.offline is not None):
            self._connection.execute(
                "UPDATE catalogue SET is_doubted = 1 WHERE service = ?", (catalogue.service,)
            )

    # --- both ---

    def forget_expired(self, moment: datetime) -> None:
        """Delete prices and catalogues that hold no longer; what is wanted stays so."""
        now = (_milliseconds(moment),)
        self._connection.execute("DELETE FROM said_offline WHERE valid_until <= ?", now)
        self._connection.execute(
            "UPDATE catalogue SET document = NULL WHERE document IS NOT NULL AND valid_until <= ?", now
        )

    # --- the nonce ---

    def keep_nonce(self, nonce: bytes, moment: datetime) -> None:
        """Remember the service's latest nonce."""
        self._connection.execute("UPDATE service SET nonce = ?, nonce_at = ?", (nonce, _milliseconds(moment)))

    def nonce(self, moment: datetime) -> bytes | None:
        """The latest nonce, while it is young enough to be used."""
        nonce, at = self._connection.execute("SELECT nonce, nonce_at FROM service").fetchone()
        is_young = timedelta(0) <= moment - _moment(at) <= NONCE_MAX_AGE
        return nonce if is_young else None

    # --- what was sent again ---

    def keep_sent_again(self, recovery: int) -> None:
        """Remember that all was sent again for this recovery."""
        self._connection.execute("INSERT OR IGNORE INTO sent_again VALUES (?)", (recovery,))

    def was_sent_again(self, recovery: int) -> bool:
        """Whether it was."""
        query = "SELECT 1 FROM sent_again WHERE recovery = ?"
        return self._connection.execute(query, (recovery,)).fetchone() is not None


def _wanted(service: str, action: str, details: Mapping[str, object]) -> bytes:
    return hashlib.sha256(deterministic([service, action, details])).digest()


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
