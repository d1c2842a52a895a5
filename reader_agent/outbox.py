"""The outbox: what a terminal has to tell the service is on its disk before a byte of it is sent.

One SQLite file. What tells about a card is encrypted; ids, states and times are not. Every step is a database
transaction that is only taken from the state before it: whatever moment the power fails, each entry stands
before a step or after it. When the method returns it is on the disk; `prepare` alone leaves that to the next
step.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from reader_agent.errors import ConfigInvalid, OutboxConflict, OutboxDamaged
from reader_agent.outbox_entries import SETTLED, Draft, Entry, EntryContent, EntryKind, EntryState

# Ours: so that a service whose database was restored to an earlier day can be told again.
RETENTION = timedelta(days=35)
BUSY_TIMEOUT_MS = 10_000
_FORMAT = 1
# RFC 8452, 4: the nonce's length
_NONCE_BYTES = 12
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_SCHEMA = f"""
CREATE TABLE entry (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    sequence INTEGER NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ({", ".join(f"'{kind}'" for kind in EntryKind)})),
    state TEXT NOT NULL CHECK (state IN ({", ".join(f"'{state}'" for state in EntryState)})),
    created_at INTEGER NOT NULL,
    settled_at INTEGER,
    relates_to BLOB CHECK (length(relates_to) = 16),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    message BLOB NOT NULL,
    answer BLOB,
    problem TEXT,
    CHECK ((state = 'answered') = (answer IS NOT NULL)),
    CHECK ((state = 'refused') = (problem IS NOT NULL)),
    CHECK ((settled_at IS NOT NULL) = (state IN ({", ".join(f"'{state}'" for state in sorted(SETTLED))})))
) STRICT;
CREATE INDEX entry_by_state ON entry (state, sequence);
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES ('next_sequence', 1), ('signed_time', 0);
PRAGMA user_version = {_FORMAT};
"""  # noqa: S608 -- constants of this package
_COLUMNS = "id, sequence, kind, state, created_at, settled_at, relates_to, digest, problem"


class Outbox:
    """The entries of one terminal. Not for use by several threads; several processes may have it open."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Open the file, or make it; `key` has 32 bytes. Raises ConfigInvalid."""
        self._cipher = AESGCMSIV(key)
        self.connection = _open(path)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    # --- steps ---

    def prepare(self, build: Callable[[int], Draft], moment: datetime) -> Entry:
        """Store a transaction before its card is asked to sign; `build` makes it from its sequence number.

        The end of this process does not take it. A power cut may, while it is no more than prepared: nobody
        outside has heard of it then, nor of its number. What is written through later takes it along.
        """
        self._set_synchronous("NORMAL")
        try:
            with self._step():
                return self._insert(build, EntryState.PREPARED, moment)
        finally:
            self._set_synchronous("FULL")

    def sign(self, entry: UUID, message: bytes) -> None:
        """Store the signed message: from here on it is sent until it is answered."""
        with self._step():
            self._advance(
                entry,
                EntryState.PREPARED,
                "state = 'open', message = ?",
                self._seal(entry, "message", message),
            )

    def void(self, entry: UUID, moment: datetime) -> None:
        """The card has not signed: there is nothing to tell."""
        with self._step():
            self._advance(entry, EntryState.PREPARED, "state = 'void', settled_at = ?", _milliseconds(moment))

    def answered(
        self, entry: UUID, answer: Mapping[str, Any], moment: datetime, signed_time: datetime
    ) -> None:
        """Store the service's verified answer, and the time that it has signed if it is the latest."""
        sealed = self._seal(entry, "answer", json.dumps(answer, separators=(",", ":")).encode())
        with self._step():
            self._advance(
                entry,
                EntryState.OPEN,
                "state = 'answered', answer = ?, settled_at = ?",
                sealed,
                _milliseconds(moment),
            )
            self.connection.execute(
                "UPDATE counter SET value = max(value, ?) WHERE name = 'signed_time'",
                (_milliseconds(signed_time),),
            )

    def refused(self, entry: UUID, problem: str, moment: datetime) -> None:
        """Store that the service has refused the message for good."""
        with self._step():
            self._advance(
                entry,
                EntryState.OPEN,
                "state = 'refused', problem = ?, settled_at = ?",
                problem,
                _milliseconds(moment),
            )

    def close_request(self, request: UUID, build: Callable[[int], Draft], moment: datetime) -> Entry:
        """Close a request that got no answer: its annulment is stored in the same step."""
        with self._step():
            self._advance(request, EntryState.OPEN, "state = 'closed', settled_at = ?", _milliseconds(moment))
            return self._insert(build, EntryState.OPEN, moment)

    def purge(self, moment: datetime) -> int:
        """Delete what was settled longer ago than the retention period; how many."""
        with self._step():
            oldest = _milliseconds(moment - RETENTION)
            return self.connection.execute("DELETE FROM entry WHERE settled_at < ?", (oldest,)).rowcount

    # --- looking ---

    def signed_time(self) -> datetime:
        """The latest time that the service has signed; 1970 where it never has."""
        (found,) = self.connection.execute("SELECT value FROM counter WHERE name = 'signed_time'").fetchone()
        return _moment(found)

    def entries(self, *states: EntryState) -> list[Entry]:
        """The entries in one of these states, or all, by their sequence."""
        wanted = states or tuple(EntryState)
        places = ", ".join("?" * len(wanted))
        rows = self.connection.execute(
            # S608: nothing but question marks is put in
            f"SELECT {_COLUMNS} FROM entry WHERE state IN ({places}) ORDER BY sequence",  # noqa: S608
            wanted,
        )
        return [_entry(row) for row in rows]

    def entries_since(self, moment: datetime) -> list[Entry]:
        """The entries that were made at a moment or later, by their sequence."""
        rows = self.connection.execute(
            f"SELECT {_COLUMNS} FROM entry WHERE created_at >= ? ORDER BY sequence",  # noqa: S608 -- a constant
            (_milliseconds(moment),),
        )
        return [_entry(row) for row in rows]

    def find(self, entry: UUID) -> Entry | None:
        """The entry of this id."""
        row = self.connection.execute(
            f"SELECT {_COLUMNS} FROM entry WHERE id = ?",  # noqa: S608 -- a constant is put in
            (entry.bytes,),
        ).fetchone()
        return None if row is None else _entry(row)

    def content(self, entry: UUID) -> EntryContent:
        """What is encrypted of an entry. Raises OutboxDamaged, and OutboxConflict where there is none."""
        row = self.connection.execute(
            "SELECT message, answer FROM entry WHERE id = ?", (entry.bytes,)
        ).fetchone()
        if row is None:
            raise OutboxConflict(entry)
        answer = None if row[1] is None else json.loads(self._unseal(entry, "answer", row[1]))
        return EntryContent(self._unseal(entry, "message", row[0]), answer)

    # --- how ---

    @contextmanager
    def _step(self) -> Iterator[None]:
        # IMMEDIATE: the sequence number that is read here is nobody else's.
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _set_synchronous(self, how: str) -> None:
        """FULL: a commit has been written through to the disk when it returns, in WAL mode, too."""
        # This pragma acts when it is compiled; `execute` would take it from its cache, to no effect.
        self.connection.executescript(f"PRAGMA synchronous = {how}")

    def _insert(self, build: Callable[[int], Draft], state: EntryState, moment: datetime) -> Entry:
        (sequence,) = self.connection.execute(
            "UPDATE counter SET value = value + 1 WHERE name = 'next_sequence' RETURNING value - 1"
        ).fetchone()
        draft = build(sequence)
        self.connection.execute(
            "INSERT INTO entry (id, sequence, kind, state, created_at, relates_to, digest, message)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                draft.id.bytes,
                sequence,
                draft.kind,
                state,
                _milliseconds(moment),
                None if draft.relates_to is None else draft.relates_to.bytes,
                draft.digest,
                self._seal(draft.id, "message", draft.message),
            ),
        )
        return Entry(
            draft.id, sequence, draft.kind, state, moment, None, draft.relates_to, draft.digest, None
        )

    def _advance(self, entry: UUID, before: EntryState, change: str, *values: object) -> None:
        done = self.connection.execute(
            f"UPDATE entry SET {change} WHERE id = ? AND state = ?",  # noqa: S608 -- constants of this module
            (*values, entry.bytes, before),
        )
        if done.rowcount != 1:
            raise OutboxConflict(entry)

    def _seal(self, entry: UUID, column: str, plain: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, _associated(entry, column))

    def _unseal(self, entry: UUID, column: str, sealed: bytes) -> bytes:
        nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, ciphertext, _associated(entry, column))
        except (InvalidTag, ValueError) as error:
            raise OutboxDamaged(entry) from error


def _open(path: Path) -> sqlite3.Connection:
    # Made with its rights first: SQLite would make it readable for everybody.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # FULL: a commit has been written through to the disk when it returns, in WAL mode, too.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        connection.close()
        raise ConfigInvalid(f"the outbox {path} cannot be used: {error}") from error
    if found not in (0, _FORMAT):
        connection.close()
        raise ConfigInvalid(f"{path} was written by another version of this program")
    return connection


def _entry(row: tuple[Any, ...]) -> Entry:
    return Entry(
        id=UUID(bytes=row[0]),
        sequence=row[1],
        kind=EntryKind(row[2]),
        state=EntryState(row[3]),
        created_at=_moment(row[4]),
        settled_at=None if row[5] is None else _moment(row[5]),
        relates_to=None if row[6] is None else UUID(bytes=row[6]),
        digest=row[7],
        problem=row[8],
    )


def _associated(entry: UUID, column: str) -> bytes:
    """Binds a ciphertext to its place: it cannot be moved to another entry or column."""
    return entry.bytes + column.encode()


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=milliseconds)
