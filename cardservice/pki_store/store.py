"""pki's CertificateStore on the service's tables, bound to one database connection.

So a card's state and its certificate's revocation are one transaction: what the caller commits, both are.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, func, insert, literal, or_, select, update
from sqlalchemy.sql import ColumnElement

from cardservice.database import UtcDateTime
from cardservice.pki_store.models import certificate, crl, status_index, trail, trail_head
from pki.store import CERTIFICATE_HOLD, IssuedCertificate, StoredCrl
from pki.trail import TrailEntry, TrailHead

_TRAIL_FIELDS = tuple(column.name for column in trail.columns)


class DatabaseCertificateStore:
    """A CertificateStore; the caller owns the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator["DatabaseCertificateStore"]:
        """The same records: the caller's transaction is around them already."""
        yield self

    def record(self, issued: Iterable[IssuedCertificate]) -> None:
        """Keep certificates that are about to be handed out."""
        if rows := [_columns(each) for each in issued]:
            self._connection.execute(insert(certificate), rows)

    def find(self, authority: str, serial: int) -> IssuedCertificate | None:
        """The certificate of this serial number, or None."""
        found = self._select(certificate.c.authority == authority, certificate.c.serial == _hex(serial))
        return found[0] if found else None

    def find_by_identity(self, authority: str, identity: str) -> list[IssuedCertificate]:
        """Every certificate of a card or terminal, the latest issued first."""
        return self._select(certificate.c.authority == authority, certificate.c.identity == identity)

    def issued(self, authority: str) -> list[IssuedCertificate]:
        """Every certificate of an authority, the latest issued first."""
        return self._select(certificate.c.authority == authority)

    def status_index(self, authority: str, identity: str) -> int:
        """The identity's place in the status list, given the first time that it is asked for."""
        self._lock(authority)
        mine = status_index.c.authority == authority
        position = self._connection.scalar(
            select(status_index.c.position).where(mine, status_index.c.identity == identity)
        )
        if position is not None:
            return int(position)
        highest = self._connection.scalar(select(func.max(status_index.c.position)).where(mine))
        position = 0 if highest is None else int(highest) + 1
        self._connection.execute(
            insert(status_index).values(authority=authority, position=position, identity=identity)
        )
        return position

    def keep_status_indexes(self, issued: Iterable[IssuedCertificate]) -> None:
        """Keep the places that these certificates have, given elsewhere before."""
        places = {
            (each.authority, each.status_index, each.identity)
            for each in issued
            if each.status_index is not None
        }
        if places:
            names = ("authority", "position", "identity")
            self._connection.execute(
                insert(status_index), [dict(zip(names, place, strict=True)) for place in sorted(places)]
            )

    def revoke(
        self, authority: str, serial: int, moment: datetime, reason: str, recorded_at: datetime
    ) -> bool:
        """Mark a certificate as revoked or held as of `moment`; whether that changed anything."""
        open_to_it: ColumnElement[bool] = certificate.c.revoked_at.is_(None)
        if reason != CERTIFICATE_HOLD:
            open_to_it = or_(open_to_it, certificate.c.revocation_reason == CERTIFICATE_HOLD)
        done = self._connection.execute(
            update(certificate)
            .where(certificate.c.authority == authority, certificate.c.serial == _hex(serial), open_to_it)
            .values(
                revoked_at=func.coalesce(certificate.c.revoked_at, literal(moment, UtcDateTime)),
                revocation_reason=reason,
                status_changed_at=recorded_at,
            )
        )
        return done.rowcount > 0

    def release(self, authority: str, serial: int, recorded_at: datetime) -> bool:
        """End a hold; whether there was one."""
        done = self._connection.execute(
            update(certificate)
            .where(certificate.c.authority == authority, certificate.c.serial == _hex(serial))
            .where(certificate.c.revocation_reason == CERTIFICATE_HOLD)
            .values(revoked_at=None, revocation_reason=None, status_changed_at=recorded_at)
        )
        return done.rowcount > 0

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked or held certificate of an authority, whichever of its keys has signed it."""
        yield from self._select(certificate.c.authority == authority, certificate.c.revoked_at.is_not(None))

    def next_crl_number(self, authority: str) -> int:
        """One more than the highest number so far; other lists of this authority wait for the commit.

        So each list holds every revocation that was committed before it.
        """
        self._lock(authority)
        highest = self._connection.scalar(select(func.max(crl.c.number)).where(crl.c.authority == authority))
        return int(highest or 0) + 1

    def record_crl(self, crl_: StoredCrl) -> None:
        """Keep a revocation list."""
        self._connection.execute(
            insert(crl).values(
                authority=crl_.authority,
                number=crl_.number,
                issuer=crl_.issuer,
                shard=crl_.shard,
                base_number=crl_.base_number,
                this_update=crl_.this_update,
                next_update=crl_.next_update,
                der=crl_.der,
                sha256=sha256(crl_.der).digest(),
            )
        )

    def latest_crl(self, authority: str, issuer: str | None = None) -> StoredCrl | None:
        """The complete list of everything with the highest number, of one issuer or of whichever; or None."""
        wanted = select(crl).where(crl.c.authority == authority, crl.c.shard.is_(None))
        if issuer is not None:
            wanted = wanted.where(crl.c.issuer == issuer)
        row = self._connection.execute(
            wanted.where(crl.c.base_number.is_(None)).order_by(crl.c.number.desc()).limit(1)
        ).one_or_none()
        return None if row is None else _stored_crl(row)

    def crls(self, authority: str) -> Iterator[StoredCrl]:
        """Every list of an authority, of whatever kind, the oldest first."""
        found = self._connection.execute(
            select(crl).where(crl.c.authority == authority).order_by(crl.c.number)
        )
        yield from map(_stored_crl, found)

    def trail_head(self, authority: str) -> TrailHead | None:
        """The newest entry of the trail; nobody else adds one before the caller's commit."""
        self._lock(authority)
        row = self._connection.execute(
            select(trail_head).where(trail_head.c.authority == authority)
        ).one_or_none()
        return None if row is None else TrailHead(sequence=row.sequence, sha256=row.sha256)

    def append_trail(self, entries: Iterable[TrailEntry]) -> None:
        """Add entries that follow the head."""
        added = [{name: getattr(entry, name) for name in _TRAIL_FIELDS} for entry in entries]
        if not added:
            return
        self._connection.execute(insert(trail), added)
        newest = {name: added[-1][name] for name in ("sequence", "sha256")}
        authority = added[-1]["authority"]
        moved = self._connection.execute(
            update(trail_head).where(trail_head.c.authority == authority).values(**newest)
        )
        if moved.rowcount == 0:
            self._connection.execute(insert(trail_head).values(authority=authority, **newest))

    def trail(self, authority: str) -> Iterator[TrailEntry]:
        """Every entry, the oldest first."""
        for row in self._connection.execute(
            select(trail).where(trail.c.authority == authority).order_by(trail.c.sequence)
        ):
            yield TrailEntry(**{name: getattr(row, name) for name in _TRAIL_FIELDS})

    def _lock(self, authority: str) -> None:
        """Let others wait with this authority until the commit; SQLite has one writer anyway.

        One lock for everything of an authority: nobody waits for a second one while holding the first.
        """
        if self._connection.dialect.name == "postgresql":
            lock = func.pg_advisory_xact_lock(func.hashtext(f"authority {authority}"))
            self._connection.execute(select(lock))

    def _select(self, *where: ColumnElement[bool]) -> list[IssuedCertificate]:
        rows = self._connection.execute(
            select(certificate).where(*where).order_by(certificate.c.issued_at.desc(), certificate.c.serial)
        )
        return [_issued(row) for row in rows]


def _columns(issued: IssuedCertificate) -> dict[str, Any]:
    return {
        "authority": issued.authority,
        "issuer": issued.issuer,
        "serial": _hex(issued.serial),
        "profile": issued.profile,
        "identity": issued.identity,
        "der": issued.der,
        "sha256": sha256(issued.der).digest(),
        "not_before": issued.not_before,
        "not_after": issued.not_after,
        "issued_at": issued.issued_at,
        "status_index": issued.status_index,
        "shard": issued.shard,
        "revoked_at": issued.revoked_at,
        "revocation_reason": issued.reason,
        "status_changed_at": issued.status_changed_at,
    }


def _issued(row: Row[*tuple[Any, ...]]) -> IssuedCertificate:
    return IssuedCertificate(
        authority=row.authority,
        issuer=row.issuer,
        serial=int(row.serial, 16),
        profile=row.profile,
        identity=row.identity,
        der=row.der,
        not_before=row.not_before,
        not_after=row.not_after,
        issued_at=row.issued_at,
        status_index=row.status_index,
        shard=row.shard,
        revoked_at=row.revoked_at,
        reason=row.revocation_reason,
        status_changed_at=row.status_changed_at,
    )


def _stored_crl(row: Row[*tuple[Any, ...]]) -> StoredCrl:
    return StoredCrl(
        authority=row.authority,
        number=row.number,
        issuer=row.issuer,
        shard=row.shard,
        base_number=row.base_number,
        this_update=row.this_update,
        next_update=row.next_update,
        der=row.der,
    )


def _hex(serial: int) -> str:
    return f"{serial:x}"
