"""Records as rows of `sqlite3`, and back."""

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from pki.clock import require_aware
from pki.store import IssuedCertificate, RecordedStatus, StoredCrl
from pki.trail import TrailEntry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
CERTIFICATE_COLUMNS = (
    *("authority", "issuer", "serial", "profile", "identity", "der", "not_before", "not_after", "issued_at"),
    *("status_index", "shard", "revoked_at", "reason", "status_changed_at"),
)
_MOMENTS = ("not_before", "not_after", "issued_at", "revoked_at", "status_changed_at")


def read_status(connection: sqlite3.Connection, authority: str, serial: int) -> RecordedStatus | None:
    """The status of a certificate, by a connection to the records that stays open."""
    row = connection.execute(
        "SELECT issuer, revoked_at, reason FROM certificate WHERE authority = ? AND serial = ?",
        (authority, f"{serial:x}"),
    ).fetchone()
    if row is None:
        return None
    issuer, revoked_at, reason = row
    return RecordedStatus(issuer, None if revoked_at is None else from_ms(revoked_at), reason)


def certificate_row(issued: IssuedCertificate) -> tuple[Any, ...]:
    """The columns of a certificate's row, in the order of CERTIFICATE_COLUMNS."""
    revoked_at, changed_at = issued.revoked_at, issued.status_changed_at
    return (
        *(issued.authority, issued.issuer, f"{issued.serial:x}", issued.profile, issued.identity, issued.der),
        *(to_ms(issued.not_before), to_ms(issued.not_after), to_ms(issued.issued_at)),
        *(issued.status_index, issued.shard, None if revoked_at is None else to_ms(revoked_at)),
        *(issued.reason, None if changed_at is None else to_ms(changed_at)),
    )


def trail_row(entry: TrailEntry) -> tuple[Any, ...]:
    """The columns of a trail entry's row."""
    return (
        *(entry.authority, entry.sequence, entry.at_ms, entry.actor, entry.operation),
        *(entry.detail, entry.sha256),
    )


def issued_certificate(row: sqlite3.Row) -> IssuedCertificate:
    """The certificate of a row."""
    values: dict[str, Any] = dict(row)
    values["serial"] = int(values["serial"], 16)
    for name in _MOMENTS:
        values[name] = None if values[name] is None else from_ms(values[name])
    return IssuedCertificate(**values)


def stored_crl(row: sqlite3.Row) -> StoredCrl:
    """The revocation list of a row."""
    values: dict[str, Any] = dict(row)
    for name in ("this_update", "next_update"):
        values[name] = from_ms(values[name])
    return StoredCrl(**values)


def to_ms(moment: datetime) -> int:
    """A moment as the tables have it: milliseconds since 1970."""
    return (require_aware(moment) - _EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The moment of so many milliseconds."""
    return _EPOCH + milliseconds * _MILLISECOND
