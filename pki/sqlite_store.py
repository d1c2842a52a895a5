"""The certificate store on `sqlite3`: one file."""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

from pki.crl import REMOVE_FROM_CRL, RevokedEntry
from pki.errors import SerialTaken
from pki.sqlite_rows import (
    CERTIFICATE_COLUMNS,
    certificate_row,
    from_ms,
    issued_certificate,
    read_status,
    stored_crl,
    to_ms,
    trail_row,
)
from pki.sqlite_schema import bring_up_to_date, write_ahead
from pki.status_list.allocation import free_indexes
from pki.store import CERTIFICATE_HOLD, IssuedCertificate, RecordedStatus, StoredCrl
from pki.trail import TrailEntry, TrailHead

# A program that writes waits this long for the one before it.
_BUSY_TIMEOUT_S = 30.0


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
            write_ahead(connection)
            yield _KeptOpen(connection)

    def record(self, issued: Iterable[IssuedCertificate]) -> None:
        """Keep certificates that are about to be handed out. Raises SerialTaken."""
        columns, places = ", ".join(CERTIFICATE_COLUMNS), ", ".join("?" * len(CERTIFICATE_COLUMNS))
        with self._writing() as connection:
            try:
                connection.executemany(
                    # S608: the names above
                    f"INSERT INTO certificate ({columns}) VALUES ({places})",  # noqa: S608
                    map(certificate_row, issued),
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
        """The identity's place in the status list, drawn the first time that it is asked for."""
        return self.status_indexes(authority, (identity,))[identity]

    def status_indexes(self, authority: str, identities: Iterable[str]) -> dict[str, int]:
        """The same for several identities at once."""
        wanted = list(dict.fromkeys(identities))
        with self._writing() as connection:

            def kept(column: str, among: Sequence[str | int]) -> list[tuple[str, int]]:
                query = (
                    "SELECT identity, position FROM status_index WHERE authority = ? "  # noqa: S608 -- a literal
                    f"AND {column} IN (SELECT value FROM json_each(?))"
                )
                return [tuple(row) for row in connection.execute(query, (authority, json.dumps(among)))]

            places = dict(kept("identity", wanted))
            new = [identity for identity in wanted if identity not in places]
            (highest,) = connection.execute(
                "SELECT max(position) FROM status_index WHERE authority = ?", (authority,)
            ).fetchone()
            free = free_indexes(highest, len(new), lambda some: [row[1] for row in kept("position", some)])
            connection.executemany(
                "INSERT INTO status_index (authority, position, identity) VALUES (?, ?, ?)",
                [(authority, position, identity) for position, identity in zip(free, new, strict=True)],
            )
        return places | dict(zip(new, free, strict=True))

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
                    *(to_ms(moment), reason, to_ms(recorded_at), authority, f"{serial:x}"),
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
                (to_ms(recorded_at), authority, f"{serial:x}", CERTIFICATE_HOLD),
            )
            return done.rowcount > 0

    def erase(self, authority: str, identity: str, pseudonym: str) -> None:
        """Forget the identity's certificates, and whose they were; serials, statuses and places stay."""
        with self._writing() as connection:
            connection.execute(
                "UPDATE certificate SET identity = ?, der = x'' WHERE authority = ? AND identity = ?",
                (pseudonym, authority, identity),
            )
            connection.execute(
                "UPDATE status_index SET identity = ? WHERE authority = ? AND identity = ?",
                (pseudonym, authority, identity),
            )

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked or held certificate of an authority, whichever of its keys has signed it."""
        yield from self._select("authority = ? AND revoked_at IS NOT NULL", authority)

    def listed(
        self,
        authority: str,
        issuer: str,
        *,
        shard: int | None = None,
        changed_since: datetime | None = None,
    ) -> Iterator[RevokedEntry]:
        """What a revocation list says of one issuer's certificates, all or those of a shard."""
        where = "revoked_at IS NOT NULL" if changed_since is None else "status_changed_at >= :since"
        if shard is not None:
            where += " AND shard = :shard"
        with self._reading() as connection:
            rows = connection.execute(
                # S608: `where` is made of the literals above
                "SELECT serial, coalesce(revoked_at, status_changed_at), coalesce(reason, :good) "  # noqa: S608
                f"FROM certificate WHERE authority = :authority AND issuer = :issuer AND {where}",
                {
                    "authority": authority,
                    "issuer": issuer,
                    "shard": shard,
                    "good": REMOVE_FROM_CRL,
                    "since": None if changed_since is None else to_ms(changed_since),
                },
            )
            for serial, moment, reason in rows:
                yield RevokedEntry(int(serial, 16), from_ms(moment), reason)

    def last_change(
        self, authority: str, issuer: str | None = None, shard: int | None = None
    ) -> datetime | None:
        """When a status was last changed, of an issuer and shard or of whichever; None: never."""
        with self._reading() as connection:
            (changed_at,) = connection.execute(
                "SELECT max(status_changed_at) FROM certificate WHERE authority = ?1 "
                "AND status_changed_at IS NOT NULL AND issuer = coalesce(?2, issuer) "
                "AND shard IS coalesce(?3, shard)",
                (authority, issuer, shard),
            ).fetchone()
        return None if changed_at is None else from_ms(changed_at)

    def shards(self, authority: str, issuer: str) -> list[int]:
        """The shards that certificates of this issuer name, in order."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT DISTINCT shard FROM certificate "
                "WHERE authority = ? AND issuer = ? AND shard IS NOT NULL ORDER BY shard",
                (authority, issuer),
            )
            return [int(row[0]) for row in rows]

    def status(self, authority: str, serial: int) -> RecordedStatus | None:
        """The status of a certificate; None for one that was never issued."""
        with self._reading() as connection:
            return read_status(connection, authority, serial)

    def highest_status_index(self, authority: str) -> int | None:
        """The highest place that was given; None where none was."""
        with self._reading() as connection:
            (highest,) = connection.execute(
                "SELECT max(position) FROM status_index WHERE authority = ?", (authority,)
            ).fetchone()
        return None if highest is None else int(highest)

    def ended_cards(self, authority: str, first: int, after: int) -> Iterator[tuple[int, str]]:
        """Places in the status list from `first` to before `after` whose card is revoked or held."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT status_index, reason FROM certificate AS ended WHERE authority = ? "
                "AND revoked_at IS NOT NULL AND status_index >= ? AND status_index < ? AND NOT EXISTS ("
                "SELECT 1 FROM certificate AS newer WHERE newer.authority = ended.authority "
                "AND newer.identity = ended.identity AND newer.profile = ended.profile "
                "AND newer.issued_at > ended.issued_at)",
                (authority, first, after),
            )
            for row in rows:
                yield row["status_index"], row["reason"]

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
                    *(crl.authority, crl.number, crl.issuer, to_ms(crl.this_update), to_ms(crl.next_update)),
                    *(crl.der, crl.shard, crl.base_number),
                ),
            )

    def latest_crl(
        self, authority: str, issuer: str | None = None, *, shard: int | None = None, delta: bool = False
    ) -> StoredCrl | None:
        """The list with the highest number, of one issuer or of whichever; or None."""
        with self._reading() as connection:
            row = connection.execute(
                "SELECT * FROM crl WHERE authority = ?1 AND issuer = coalesce(?2, issuer) "
                "AND shard IS ?3 AND (base_number IS NOT NULL) = ?4 ORDER BY number DESC LIMIT 1",
                (authority, issuer, shard, delta),
            ).fetchone()
        return None if row is None else stored_crl(row)

    def crls(self, authority: str) -> Iterator[StoredCrl]:
        """Every list of an authority, of whatever kind, the oldest first."""
        with self._reading() as connection:
            for row in connection.execute(
                "SELECT * FROM crl WHERE authority = ? ORDER BY number", (authority,)
            ):
                yield stored_crl(row)

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
            connection.executemany("INSERT INTO trail VALUES (?, ?, ?, ?, ?, ?, ?)", map(trail_row, added))
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
            return [issued_certificate(row) for row in connection.execute(query, parameters)]

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


class SqliteReader(SqliteCertificateStore):
    """The records for who reads all the time: by a connection for each thread that stays open."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._threads = threading.local()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = getattr(self._threads, "connection", None)
        if connection is None:
            connection = self._threads.connection = self._connect()
        yield connection


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
