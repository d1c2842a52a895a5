"""Payments by a key that the face makes: however often it asks under one key, there is one payment.

The key, a digest of what was asked, and the id of the transaction to be made are on the disk before anything
happens. So the answer is the same after a restart, too: the outbox says how that transaction has ended.
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from reader_agent.daemon.errors import KeyConflict
from reader_agent.errors import ConfigInvalid
from reader_agent.outbox import RETENTION
from reader_agent.tapping import TapResult

BUSY_TIMEOUT_S = 10.0
KEPT_RESULTS = 256

_SCHEMA = """CREATE TABLE IF NOT EXISTS payment (
    key BLOB PRIMARY KEY CHECK (length(key) = 16),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    entry BLOB NOT NULL UNIQUE CHECK (length(entry) = 16),
    made_at INTEGER NOT NULL
) STRICT"""


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment under its key; `result` ends with an error only where it is recalled."""

    result: "Future[TapResult]"
    # Whether it was asked for before
    is_repeated: bool


class Payments:
    """The payments of one terminal, for any number of threads."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises ConfigInvalid."""
        self._path = path
        self._lock = threading.Lock()
        self._results: OrderedDict[UUID, tuple[bytes, Future[TapResult]]] = OrderedDict()
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        try:
            with closing(self._open()) as connection:
                connection.execute(_SCHEMA)
        except sqlite3.DatabaseError as error:
            raise ConfigInvalid(f"{path} cannot be used: {error}") from error

    def pay(
        self,
        key: UUID,
        asked: Mapping[str, object],
        transaction: UUID,
        moment: datetime,
        *,
        begin: Callable[[UUID], "Future[TapResult]"],
        recall: Callable[[UUID], "Future[TapResult]"],
    ) -> Payment:
        """The payment of this key: known, recalled from an earlier run, or begun now under `transaction`.

        `begin` may refuse by raising; then the key stays free. Raises KeyConflict for another request.
        """
        digest = _digest(asked)
        with self._lock:
            if (known := self._results.get(key)) is not None:
                self._same(digest, known[0])
                return Payment(known[1], is_repeated=True)
            if (stored := self._find(key)) is not None:
                self._same(digest, stored[0])
                return Payment(recall(stored[1]), is_repeated=True)
            self._store(key, digest, transaction, moment)
            try:
                begun = begin(transaction)
            except BaseException:
                self._forget(key)
                raise
            return Payment(self._keep(key, digest, begun), is_repeated=False)

    def _keep(self, key: UUID, digest: bytes, result: "Future[TapResult]") -> "Future[TapResult]":
        self._results[key] = (digest, result)
        done = [each for each, (_, future) in self._results.items() if future.done()]
        for each in done[: max(0, len(self._results) - KEPT_RESULTS)]:
            del self._results[each]
        return result

    def _store(self, key: UUID, digest: bytes, transaction: UUID, moment: datetime) -> None:
        with closing(self._open()) as connection:
            connection.execute("DELETE FROM payment WHERE made_at < ?", (_milliseconds(moment - RETENTION),))
            connection.execute(
                "INSERT INTO payment VALUES (?, ?, ?, ?)",
                (key.bytes, digest, transaction.bytes, _milliseconds(moment)),
            )

    def _find(self, key: UUID) -> tuple[bytes, UUID] | None:
        with closing(self._open()) as connection:
            row = connection.execute(
                "SELECT digest, entry FROM payment WHERE key = ?", (key.bytes,)
            ).fetchone()
        return None if row is None else (row[0], UUID(bytes=row[1]))

    def _forget(self, key: UUID) -> None:
        with closing(self._open()) as connection:
            connection.execute("DELETE FROM payment WHERE key = ?", (key.bytes,))

    def _same(self, digest: bytes, known: bytes) -> None:
        if digest != known:
            raise KeyConflict

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        return connection


def _digest(asked: Mapping[str, object]) -> bytes:
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).digest()


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)
