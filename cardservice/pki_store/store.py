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
from pki.crl import REMOVE_FROM_CRL, RevokedEntry
from pki.status_list.allocation import free_indexes
from pki.store import CERTIFICATE_HOLD, IssuedCertificate, RecordedStatus, StoredCrl
from pki.trail import TrailEntry, TrailHead

# What is read for a list comes in such portions.
_ROWS_AT_ONCE = 5_000
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
        """The identity's place in the status list, drawn the first time that it is asked for."""
        return self.status_indexes(authority, (identity,))[identity]

    def status_indexes(self, authority: str, identities: Iterable[str]) -> dict[str, int]:
        """The same for several identities at once."""
        self._lock(authority)
        columns = status_index.c
        wanted = list(dict.fromkeys(identities))

        def kept(condition: ColumnElement[bool]) -> list[tuple[str, int]]:
            query = select(columns.identity, columns.position).where(
                columns.authority == authority, condition
            )
            return [(row.identity, row.position) for row in self._connection.execute(query.where(condition))]

        places = dict(kept(columns.identity.in_(wanted)))
        new = [identity for identity in wanted if identity not in places]
        if new:
            highest = self.highest_status_index(authority)
            free = free_indexes(
                highest, len(new), lambda some: [row[1] for row in kept(columns.position.in_(some))]
            )
            given = dict(zip(new, free, strict=True))
            self._connection.execute(
                insert(status_index),
                [
                    {"authority": authority, "position": position, "identity": identity}
                    for identity, position in given.items()
                ],
            )
            places |= given
        return places

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

    def erase(self, authority: str, identity: str, pseudonym: str) -> None:
        """Forget the identity's certificates, and whose they were; serials, statuses and places stay."""
        for table, values in ((certificate, {"der": b""}), (status_index, {})):
            self._connection.execute(
                update(table)
                .where(table.c.authority == authority, table.c.identity == identity)
                .values(identity=pseudonym, **values)
            )

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked or held certificate of an authority, whichever of its keys has signed it."""
        yield from self._select(certificate.c.authority == authority, certificate.c.revoked_at.is_not(None))

    def listed(
        self,
        authority: str,
        issuer: str,
        *,
        shard: int | None = None,
        changed_since: datetime | None = None,
    ) -> Iterator[RevokedEntry]:
        """What a revocation list says of one issuer's certificates, all or those of a shard."""
        columns = certificate.c
        wanted = select(
            columns.serial,
            func.coalesce(columns.revoked_at, columns.status_changed_at, type_=UtcDateTime()),
            func.coalesce(columns.revocation_reason, REMOVE_FROM_CRL),
        ).where(columns.authority == authority, columns.issuer == issuer)
        if shard is not None:
            wanted = wanted.where(columns.shard == shard)
        if changed_since is None:
            wanted = wanted.where(columns.revoked_at.is_not(None))
        else:
            wanted = wanted.where(columns.status_changed_at >= changed_since)
        for serial, moment, reason in self._connection.execute(
            wanted, execution_options={"yield_per": _ROWS_AT_ONCE}
        ):
            yield RevokedEntry(int(serial, 16), moment, reason)

    def last_change(
        self, authority: str, issuer: str | None = None, shard: int | None = None
    ) -> datetime | None:
        """When a status was last changed, of an issuer and shard or of whichever; None: never."""
        changed_at = certificate.c.status_changed_at
        wanted = select(func.max(changed_at, type_=UtcDateTime())).where(
            certificate.c.authority == authority, changed_at.is_not(None)
        )
        if issuer is not None:
            wanted = wanted.where(certificate.c.issuer == issuer)
        if shard is not None:
            wanted = wanted.where(certificate.c.shard == shard)
        changed: datetime | None = self._connection.scalar(wanted)
        return changed

    def shards(self, authority: str, issuer: str) -> list[int]:
        """The shards that certificates of this issuer name, in order."""
        columns = certificate.c
        found = self._connection.scalars(
            select(columns.shard)
            .distinct()
            .where(columns.authority == authority, columns.issuer == issuer, columns.shard.is_not(None))
            .order_by(columns.shard)
        )
        return [int(shard or 0) for shard in found]

    def status(self, authority: str, serial: int) -> RecordedStatus | None:
        """The status of a certificate; None for one that was never issued."""
        columns = certificate.c
        row = self._connection.execute(
            select(columns.issuer, columns.revoked_at, columns.revocation_reason).where(
                columns.authority == authority, columns.serial == _hex(serial)
            )
        ).one_or_none()
        return None if row is None else RecordedStatus(row.issuer, row.revoked_at, row.revocation_reason)

    def highest_status_index(self, authority: str) -> int | None:
        """The highest place that was given; None where none was."""
        highest = self._connection.scalar(
            select(func.max(status_index.c.position)).where(status_index.c.authority == authority)
        )
        return None if highest is None else int(highest)

    def ended_cards(self, authority: str, first: int, after: int) -> Iterator[tuple[int, str]]:
        """Places in the status list from `first` to before `after` whose card is revoked or held."""
        ended, newer = certificate.alias("ended"), certificate.alias("newer")
        replaced = (
            select(literal(1))
            .select_from(newer)
            .where(newer.c.authority == ended.c.authority, newer.c.identity == ended.c.identity)
            .where(newer.c.profile == ended.c.profile, newer.c.issued_at > ended.c.issued_at)
            .correlate(ended)
        )
        for row in self._connection.execute(
            select(ended.c.status_index, ended.c.revocation_reason)
            .where(ended.c.authority == authority, ended.c.revoked_at.is_not(None), ~replaced.exists())
            .where(ended.c.status_index >= first, ended.c.status_index < after),
            execution_options={"yield_per": _ROWS_AT_ONCE},
        ):
            yield row.status_index, row.revocation_reason

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

    def latest_crl(
        self, authority: str, issuer: str | None = None, *, shard: int | None = None, delta: bool = False
    ) -> StoredCrl | None:
        """The list with the highest number, of one issuer or of whichever; or None."""
        kind = crl.c.base_number.is_not(None) if delta else crl.c.base_number.is_(None)
        wanted = select(crl).where(crl.c.authority == authority, kind)
        wanted = wanted.where(crl.c.shard.is_(None) if shard is None else crl.c.shard == shard)
        if issuer is not None:
            wanted = wanted.where(crl.c.issuer == issuer)
        row = self._connection.execute(wanted.order_by(crl.c.number.desc()).limit(1)).one_or_none()
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
