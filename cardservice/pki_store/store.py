"""pki's CertificateStore on the service's tables, bound to one database connection.

So a card's state and its certificate's revocation are one transaction: what the caller commits, both are.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.sql import ColumnElement

from cardservice.pki_store.models import certificate, crl
from pki.store import IssuedCertificate, StoredCrl


class DatabaseCertificateStore:
    """A CertificateStore; the caller owns the transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(self, issued: IssuedCertificate) -> None:
        """Keep a certificate that is about to be handed out."""
        self._connection.execute(insert(certificate).values(**_columns(issued)))

    def find(self, authority: str, serial: int) -> IssuedCertificate | None:
        """The certificate of this serial number, or None."""
        found = self._select(certificate.c.authority == authority, certificate.c.serial == _hex(serial))
        return found[0] if found else None

    def find_by_identity(self, authority: str, identity: str) -> list[IssuedCertificate]:
        """Every certificate of a card or terminal, the latest issued first."""
        return self._select(certificate.c.authority == authority, certificate.c.identity == identity)

    def revoke(self, authority: str, serial: int, moment: datetime, reason: str) -> None:
        """Mark a certificate as revoked; the first revocation stands."""
        self._connection.execute(
            update(certificate)
            .where(certificate.c.authority == authority, certificate.c.serial == _hex(serial))
            .where(certificate.c.revoked_at.is_(None))
            .values(revoked_at=moment, revocation_reason=reason)
        )

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked certificate of an authority."""
        yield from self._select(certificate.c.authority == authority, certificate.c.revoked_at.is_not(None))

    def next_crl_number(self, authority: str) -> int:
        """One more than the highest number so far; other lists of this authority wait for the commit.

        So each list holds every revocation that was committed before it.
        """
        if self._connection.dialect.name == "postgresql":
            lock = func.pg_advisory_xact_lock(func.hashtext(f"crl {authority}"))
            self._connection.execute(select(lock))
        highest = self._connection.scalar(select(func.max(crl.c.number)).where(crl.c.authority == authority))
        return int(highest or 0) + 1

    def record_crl(
        self, authority: str, number: int, this_update: datetime, next_update: datetime, der: bytes
    ) -> None:
        """Keep a revocation list."""
        self._connection.execute(
            insert(crl).values(
                authority=authority,
                number=number,
                this_update=this_update,
                next_update=next_update,
                der=der,
                sha256=sha256(der).digest(),
            )
        )

    def latest_crl(self, authority: str) -> StoredCrl | None:
        """The revocation list with the highest number, or None."""
        row = self._connection.execute(
            select(crl).where(crl.c.authority == authority).order_by(crl.c.number.desc()).limit(1)
        ).one_or_none()
        return None if row is None else _stored_crl(row)

    def _select(self, *where: ColumnElement[bool]) -> list[IssuedCertificate]:
        rows = self._connection.execute(
            select(certificate).where(*where).order_by(certificate.c.issued_at.desc(), certificate.c.serial)
        )
        return [_issued(row) for row in rows]


def _columns(issued: IssuedCertificate) -> dict[str, Any]:
    return {
        "authority": issued.authority,
        "serial": _hex(issued.serial),
        "profile": issued.profile,
        "identity": issued.identity,
        "der": issued.der,
        "sha256": sha256(issued.der).digest(),
        "not_before": issued.not_before,
        "not_after": issued.not_after,
        "issued_at": issued.issued_at,
        "revoked_at": issued.revoked_at,
        "revocation_reason": issued.reason,
    }


def _issued(row: Row[*tuple[Any, ...]]) -> IssuedCertificate:
    return IssuedCertificate(
        authority=row.authority,
        serial=int(row.serial, 16),
        profile=row.profile,
        identity=row.identity,
        der=row.der,
        not_before=row.not_before,
        not_after=row.not_after,
        issued_at=row.issued_at,
        revoked_at=row.revoked_at,
        reason=row.revocation_reason,
    )


def _stored_crl(row: Row[*tuple[Any, ...]]) -> StoredCrl:
    return StoredCrl(
        authority=row.authority,
        number=row.number,
        this_update=row.this_update,
        next_update=row.next_update,
        der=row.der,
    )


def _hex(serial: int) -> str:
    return f"{serial:x}"
