"""The certificate store on `sqlite3`: one file."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pki.clock import require_aware
from pki.errors import SerialTaken
from pki.sqlite_schema import bring_up_to_date
from pki.store import CERTIFICATE_HOLD, IssuedCertificate, StoredCrl
from pki.trail import TrailEntry, TrailHead

# A program that writes waits this long for the one before it.
_BUSY_TIMEOUT_S = 30.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_CERTIFICATE = (
    *("authority", "issuer", "serial", "profile", "identity", "der", "not_before", "not_after", "issued_at"),
    *("status_index", "shard", "revoked_at", "reason", "status_changed_at"),
)
_MOMENTS = ("not_before", "not_after", "issued_at", "revoked_at", "status_changed_at")


class SqliteCertificateStore:
    """One SQLite file; each call is a transaction of its own, flushed to disk before it returns.

    `transaction` gathers several calls into one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._connect()) as connection:
            bring_up_to_date(connection)
        path.chmod(0o600)

    @contextmanager
    def transaction(self) -> Iterator["_Transaction"]:
        """The same records, to be changed together: all of it is kept or nothing."""
        with closing(self._connect()) as connection, _committed(connection) as changed:
            yield changed

    @contextmanager
    def kept_open(self) -> Iterator["SqliteCertificateStore"]:
        """The same records over one connection, for who changes them often: a commit is one flush to disk.

        For one process (not across a fork); its threads wait for each other.
        """
        with closing(self._connect(check_same_thread=False)) as connection:
            # The file stays in this mode; what lies beside it meanwhile is gone when nobody has it open.
            connection.execute("PRAGMA journal_mode = WAL")
            yield _KeptOpen(connection)

    def record(self, issued: Iterable[IssuedCertificate]) -> None:
        """Keep certificates that are about to be handed out. Raises SerialTaken."""
        columns, places = ", ".join(_CERTIFICATE), ", ".join("?" * len(_CERTIFICATE))
        with self._writing() as connection:
            try:
                connection.executemany(
                    # S608: the names above
                    f"INSERT INTO certificate ({columns}) VALUES ({places})",  # noqa: S608
                    map(_row, issued),
                )
            except sqlite3.IntegrityError as error:
                raise SerialTaken(str(error)) from error

    def find(self, authority: str, serial: int) -> IssuedCertificate | None:
        """The certificate of this serial number, or None."""
        found = self._select("authority = ? AND serial = ?", authority, f"{serial:x}")
        return found[0] if found else None

    def find_by_identity(self, authority: str, identity: str) -> list[IssuedCertificate]:
        """Every certificate of an identity, the latest issued first."""
        return self._select("authority = ? AND identity = ?", authority, identity)

    def issued(self, authority: str) -> list[IssuedCertificate]:
        """Every certificate of an authority, the latest issued first."""
        return self._select("authority = ?", authority)

    def status_index(self, authority: str, identity: str) -> int:
        """The identity's place in the status list, given the first time that it is asked for."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO status_index (authority, position, identity) SELECT ?1, "
                "(SELECT coalesce(max(position), -1) + 1 FROM status_index WHERE authority = ?1), ?2 "
                "WHERE NOT EXISTS (SELECT 1 FROM status_index WHERE authority = ?1 AND identity = ?2)",
                (authority, identity),
            )
            row = connection.execute(
                "SELECT position FROM status_index WHERE authority = ? AND identity = ?",
                (authority, identity),
            ).fetchone()
        return int(row[0])

    def revoke(
        self, authority: str, serial: int, moment: datetime, reason: str, recorded_at: datetime
    ) -> bool:
        """Mark a certificate as revoked or held as of `moment`; whether that changed anything."""
        with self._writing() as connection:
            done = connection.execute(
                "UPDATE certificate SET revoked_at = coalesce(revoked_at, ?), reason = ?, "
                "status_changed_at = ? WHERE authority = ? AND serial = ? "
                "AND (revoked_at IS NULL OR (reason = ? AND reason <> ?))",
                (
                    *(_ms(moment), reason, _ms(recorded_at), authority, f"{serial:x}"),
                    *(CERTIFICATE_HOLD, reason),
                ),
            )
            return done.rowcount > 0

    def release(self, authority: str, serial: int, recorded_at: datetime) -> bool:
        """End a hold; whether there was one."""
        with self._writing() as connection:
            done = connection.execute(
                "UPDATE certificate SET revoked_at = NULL, reason = NULL, status_changed_at = ? "
                "WHERE authority = ? AND serial = ? AND reason = ?",
                (_ms(recorded_at), authority, f"{serial:x}", CERTIFICATE_HOLD),
            )
            return done.rowcount > 0

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked or held certificate of an authority, whichever of its keys has signed it."""
        yield from self._select("authority = ? AND revoked_at IS NOT NULL", authority)

    def next_crl_number(self, authority: str) -> int:
        """Higher than that of every list before; given once, also to two programs at a time."""
        with self._writing() as connection:
            row = connection.execute(
                "INSERT INTO crl_number VALUES (?, 1) "
                "ON CONFLICT (authority) DO UPDATE SET number = number + 1 RETURNING number",
                (authority,),
            ).fetchone()
        return int(row[0])

    def record_crl(self, crl: StoredCrl) -> None:
        """Keep a revocation list that is about to be published."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO crl (authority, number, issuer, this_update, next_update, der, shard, "
                "base_number) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(crl.authority, crl.number, crl.issuer, _ms(crl.this_update), _ms(crl.next_update)),
                    *(crl.der, crl.shard, crl.base_number),
                ),
            )

    def latest_crl(self, authority: str, issuer: str | None = None) -> StoredCrl | None:
        """The complete list of everything with the highest number, of one issuer or of whichever; or None."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT * FROM crl WHERE authority = ?1 AND issuer = coalesce(?2, issuer) "
                "AND shard IS NULL AND base_number IS NULL ORDER BY number DESC LIMIT 1",
                (authority, issuer),
            ).fetchone()
        return None if row is None else _crl(row)

    def crls(self, authority: str) -> Iterator[StoredCrl]:
        """Every list of an authority, of whatever kind, the oldest first."""
        with self._reading() as connection:
            for row in connection.execute(
                "SELECT * FROM crl WHERE authority = ? ORDER BY number", (authority,)
            ):
                yield _crl(row)

    def trail_head(self, authority: str) -> TrailHead | None:
        """The newest entry of the trail; within a transaction, nobody else adds one before its end."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT sequence, sha256 FROM trail_head WHERE authority = ?", (authority,)
            ).fetchone()
        return None if row is None else TrailHead(sequence=row["sequence"], sha256=row["sha256"])

    def append_trail(self, entries: Iterable[TrailEntry]) -> None:
        """Add entries that follow the head."""
        added = list(entries)
        if not added:
            return
        with self._writing() as connection:
            connection.executemany("INSERT INTO trail VALUES (?, ?, ?, ?, ?, ?, ?)", map(_trail_row, added))
            last = added[-1]
            connection.execute(
                "INSERT INTO trail_head VALUES (?, ?, ?) ON CONFLICT (authority) DO UPDATE "
                "SET sequence = excluded.sequence, sha256 = excluded.sha256",
                (last.authority, last.sequence, last.sha256),
            )

    def trail(self, authority: str) -> Iterator[TrailEntry]:
        """Every entry, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT * FROM trail WHERE authority = ? ORDER BY sequence", (authority,)
            )
            for row in rows:
                yield TrailEntry(**dict(row))

    def _select(self, where: str, *parameters: str) -> list[IssuedCertificate]:
        # S608: `where` is one of the literals above
        query = f"SELECT * FROM certificate WHERE {where} ORDER BY issued_at DESC, rowid DESC"  # noqa: S608
        with self._reading() as connection:
            return [_issued(row) for row in connection.execute(query, parameters)]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connect()) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self.transaction() as changed:
            yield changed.connection

    def _connect(self, *, check_same_thread: bool = True) -> sqlite3.Connection:
        # SQLite flushes each commit to disk by itself: synchronous is FULL unless it is changed.
        connection = sqlite3.connect(
            self._path,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=check_same_thread,
        )
        connection.row_factory = sqlite3.Row
        return connection


class _Transaction(SqliteCertificateStore):
    """The records as one transaction sees them."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator["_Transaction"]:
        """This one: what is done in it is kept with the rest."""
        yield self

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        yield self.connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        yield self.connection


class _KeptOpen(SqliteCertificateStore):
    """The records over one connection that stays open."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.RLock()

    @contextmanager
    def transaction(self) -> Iterator[_Transaction]:
        """The same records, to be changed together: all of it is kept or nothing."""
        with self._lock, _committed(self._connection) as changed:
            yield changed

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._connection


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[_Transaction]:
    # At once, so that whoever reads before it writes has not read what another then changes.
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield _Transaction(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _row(issued: IssuedCertificate) -> list[Any]:
    values = {name: getattr(issued, name) for name in _CERTIFICATE}
    values["serial"] = f"{issued.serial:x}"
    for name in _MOMENTS:
        values[name] = None if values[name] is None else _ms(values[name])
    return list(values.values())


def _trail_row(entry: TrailEntry) -> tuple[Any, ...]:
    return (
        *(entry.authority, entry.sequence, entry.at_ms, entry.actor, entry.operation),
        *(entry.detail, entry.sha256),
    )


def _issued(row: sqlite3.Row) -> IssuedCertificate:
    values: dict[str, Any] = dict(row)
    values["serial"] = int(values["serial"], 16)
    for name in _MOMENTS:
        values[name] = None if values[name] is None else _moment(values[name])
    return IssuedCertificate(**values)


def _crl(row: sqlite3.Row) -> StoredCrl:
    values: dict[str, Any] = dict(row)
    for name in ("this_update", "next_update"):
        values[name] = _moment(values[name])
    return StoredCrl(**values)


def _ms(moment: datetime) -> int:
    return (require_aware(moment) - _EPOCH) // _MILLISECOND


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
