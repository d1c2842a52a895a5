"""What an authority has issued, revoked and published. A seam, and a store on `sqlite3` behind it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from pki.clock import require_aware


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate with what its authority knows of it."""

    authority: str
    serial: int
    profile: str
    # The card's UUID, the terminal's or the program's id
    identity: str
    der: bytes
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    revoked_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCrl:
    """A certificate revocation list that was published."""

    authority: str
    number: int
    this_update: datetime
    next_update: datetime
    der: bytes


class CertificateStore(Protocol):
    """Keeps an authority's records. When a method returns, they are as durable as its owner's commit."""

    def record(self, issued: IssuedCertificate) -> None:
        """Keep a certificate that is about to be handed out."""
        ...

    def find(self, authority: str, serial: int) -> IssuedCertificate | None:
        """The certificate of this serial number, or None."""
        ...

    def find_by_identity(self, authority: str, identity: str) -> Sequence[IssuedCertificate]:
        """Every certificate of an identity, the latest issued first."""
        ...

    def revoke(self, authority: str, serial: int, moment: datetime, reason: str) -> None:
        """Mark a certificate as revoked; the first revocation stands."""
        ...

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked certificate of an authority."""
        ...

    def next_crl_number(self, authority: str) -> int:
        """Higher than that of every list before. RFC 5280, 5.2.3."""
        ...

    def record_crl(
        self, authority: str, number: int, this_update: datetime, next_update: datetime, der: bytes
    ) -> None:
        """Keep a revocation list that is about to be published."""
        ...

    def latest_crl(self, authority: str) -> StoredCrl | None:
        """The revocation list with the highest number, or None."""
        ...


# Serial numbers have up to 20 octets (RFC 5280, 4.1.2.2), more than an INTEGER holds; times are milliseconds.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS certificate (
    authority TEXT NOT NULL,
    serial TEXT NOT NULL,
    profile TEXT NOT NULL,
    identity TEXT NOT NULL,
    der BLOB NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    revoked_at INTEGER,
    reason TEXT,
    PRIMARY KEY (authority, serial),
    CHECK ((revoked_at IS NULL) = (reason IS NULL))
);
CREATE INDEX IF NOT EXISTS certificate_identity ON certificate (authority, identity);
CREATE TABLE IF NOT EXISTS crl (
    authority TEXT NOT NULL,
    number INTEGER NOT NULL,
    this_update INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    der BLOB NOT NULL,
    PRIMARY KEY (authority, number)
);
CREATE TABLE IF NOT EXISTS crl_number (authority TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class SqliteCertificateStore:
    """One SQLite file; each call is a transaction of its own, flushed to disk before it returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connection() as connection:
            connection.executescript(_SCHEMA)
        path.chmod(0o600)

    def record(self, issued: IssuedCertificate) -> None:
        """Keep a certificate that is about to be handed out."""
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(issued.authority, f"{issued.serial:x}", issued.profile, issued.identity, issued.der),
                    *(_ms(issued.not_before), _ms(issued.not_after), _ms(issued.issued_at)),
                    *(None if issued.revoked_at is None else _ms(issued.revoked_at), issued.reason),
                ),
            )

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

    def revoke(self, authority: str, serial: int, moment: datetime, reason: str) -> None:
        """Mark a certificate as revoked; the first revocation stands."""
        with self._connection() as connection:
            connection.execute(
                "UPDATE certificate SET revoked_at = ?, reason = ? "
                "WHERE authority = ? AND serial = ? AND revoked_at IS NULL",
                (_ms(moment), reason, authority, f"{serial:x}"),
            )

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked certificate of an authority."""
        yield from self._select("authority = ? AND revoked_at IS NOT NULL", authority)

    def next_crl_number(self, authority: str) -> int:
        """Higher than that of every list before; given once, also to two programs at a time."""
        with self._connection() as connection:
            row = connection.execute(
                "INSERT INTO crl_number VALUES (?, 1) "
                "ON CONFLICT (authority) DO UPDATE SET number = number + 1 RETURNING number",
                (authority,),
            ).fetchone()
        return int(row[0])

    def record_crl(
        self, authority: str, number: int, this_update: datetime, next_update: datetime, der: bytes
    ) -> None:
        """Keep a revocation list that is about to be published."""
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO crl VALUES (?, ?, ?, ?, ?)",
                (authority, number, _ms(this_update), _ms(next_update), der),
            )

    def latest_crl(self, authority: str) -> StoredCrl | None:
        """The revocation list with the highest number, or None."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT * FROM crl WHERE authority = ? ORDER BY number DESC LIMIT 1", (authority,)
            ).fetchone()
        if row is None:
            return None
        return StoredCrl(
            authority=row["authority"],
            number=row["number"],
            this_update=_moment(row["this_update"]),
            next_update=_moment(row["next_update"]),
            der=row["der"],
        )

    def _select(self, where: str, *parameters: str) -> list[IssuedCertificate]:
        # S608: `where` is one of the literals above
        query = f"SELECT * FROM certificate WHERE {where} ORDER BY issued_at DESC, rowid DESC"  # noqa: S608
        with self._connection() as connection:
            return [_issued(row) for row in connection.execute(query, parameters)]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        # SQLite flushes each commit to disk by itself: synchronous is FULL unless it is changed.
        with closing(sqlite3.connect(self._path, timeout=30)) as connection, connection:
            connection.row_factory = sqlite3.Row
            yield connection


def _issued(row: sqlite3.Row) -> IssuedCertificate:
    values: dict[str, Any] = dict(row)
    values["serial"] = int(values["serial"], 16)
    for name in ("not_before", "not_after", "issued_at", "revoked_at"):
        values[name] = None if values[name] is None else _moment(values[name])
    return IssuedCertificate(**values)


def _ms(moment: datetime) -> int:
    return (require_aware(moment) - _EPOCH) // _MILLISECOND


def _moment(milliseconds: int) -> datetime:
    return _EPOCH + milliseconds * _MILLISECOND
