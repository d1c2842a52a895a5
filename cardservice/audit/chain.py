"""The audit trail as a chain of hashes: what is changed or taken out of it later is found.

Entries are written by many at once, each in the transaction of what it is about, and would wait for each
other if each had to name the one before it. So the worker links them, within seconds, in an order that is the
chain's own. Until then the database's rights alone keep an entry as it is (`grants.py`).

A link commits to an entry's subject under a salt, which erasing the person takes away: the chain still holds,
and nobody can find out by trial who it was.
"""

import hmac
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Self

from sqlalchemy import Connection, Row, Select, insert, select, update

from cardservice.audit.models import audit, audit_head, audit_link
from cardservice.database import Database
from pki.statements import deterministic

# No database transaction of ours lasts so long: what is older and not linked is found by `verify` alone.
_RECENT = timedelta(days=1)
_AT_ONCE = 1_000
_MOST_BYTES = 1 << 20
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_HEAD = re.compile("([0-9]{1,18}):([0-9a-f]{64})")
_ERASED = "erased:"
# What takes subjects out of entries: a person was erased, or whose records were read is kept no longer.
_FORGETTING = ("cardholder.erase", "retention.reads")


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: how many links, and the hash of the last."""

    sequence: int
    sha256: bytes

    def __str__(self) -> str:
        return f"{self.sequence}:{self.sha256.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """A head as `str` writes it. Raises ValueError."""
        match = _HEAD.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no head of a trail; one looks like 12:0123…")
        return cls(int(match[1]), bytes.fromhex(match[2]))


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at the whole trail has come to."""

    head: Head
    entries: int
    # Of persons who were erased: whom they were about cannot be told any more.
    erased: int
    # Written within a moment, and not linked yet.
    waiting: int
    findings: tuple[str, ...]


def lengthen(database: Database, moment: datetime | None) -> int:
    """Link what was written since, of the day before `moment` or, without one, ever; how many entries."""
    linked = 0
    while True:
        with database.begin() as connection:
            count = _lengthen(connection, moment)
        linked += count
        if count < _AT_ONCE:
            return linked


def verify(connection: Connection, reached: Head | None = None) -> Verified:
    """Compute the chain anew; `reached`: a head of earlier, which must still be in it."""
    findings: list[str] = []
    head = Head(0, bytes(32))
    erased, count = 0, 0
    forgotten = select(audit.c.subject).where(audit.c.action.in_(_FORGETTING))
    pseudonyms = set(connection.scalars(forgotten))
    found_reached = reached is None or reached == head
    for row in connection.execute(_linked()).yield_per(_AT_ONCE):
        count += 1
        findings += _faults(row, head, pseudonyms)
        erased += row.salt is None
        head = Head(row.sequence, row.link_sha256)
        found_reached = found_reached or head == reached
    stored = connection.execute(select(audit_head.c.sequence, audit_head.c.sha256)).one()
    if Head(*stored) != head:
        findings.append(f"the chain ends at {head}, and should at {Head(*stored)}: its end was cut off")
    if not found_reached:
        findings.append(f"the chain does not hold {reached}, where it has been")
    return Verified(head, count, erased, len(connection.execute(_unlinked()).all()), tuple(findings))


def _lengthen(connection: Connection, moment: datetime | None) -> int:
    # The one row, changed to itself: whoever else links waits here, on both databases.
    connection.execute(update(audit_head).values(sequence=audit_head.c.sequence))
    sequence, hashed = connection.execute(select(audit_head.c.sequence, audit_head.c.sha256)).one()
    wanted = _unlinked()
    if moment is not None:
        wanted = wanted.where(audit.c.at > moment - _RECENT)
    links = []
    for row in connection.execute(wanted.limit(_AT_ONCE)).all():
        sequence += 1
        salt = secrets.token_bytes(16)
        commitment = _commitment(salt, row.subject)
        hashed = _hash(hashed, sequence, row, commitment)
        links.append(
            {
                "sequence": sequence,
                "audit_id": row.id,
                "salt": salt,
                "subject_sha256": commitment,
                "sha256": hashed,
            }
        )
    if links:
        connection.execute(insert(audit_link), links)
        connection.execute(update(audit_head).values(sequence=sequence, sha256=hashed))
    return len(links)


def _linked() -> Select[*tuple[Any, ...]]:
    own = audit_link.c
    return (
        select(audit, own.sequence, own.salt, own.subject_sha256, own.sha256.label("link_sha256"))
        .select_from(audit_link.outerjoin(audit, audit.c.id == own.audit_id))
        .order_by(own.sequence)
    )


def _unlinked() -> Select[*tuple[Any, ...]]:
    linked = select(audit_link.c.audit_id).where(audit_link.c.audit_id == audit.c.id)
    return select(audit).where(~linked.exists()).order_by(audit.c.id)


def _faults(row: Row[*tuple[Any, ...]], before: Head, pseudonyms: set[str]) -> Iterator[str]:
    if row.sequence != before.sequence + 1:
        yield f"link {before.sequence + 1} is missing"
    if row.id is None:
        yield f"link {row.sequence}: its entry is missing"
        return
    if not hmac.compare_digest(_hash(before.sha256, row.sequence, row, row.subject_sha256), row.link_sha256):
        yield f"link {row.sequence}: entry {row.id} is not what was linked"
    if row.salt is None:
        if row.subject not in pseudonyms or not row.subject.startswith(_ERASED):
            yield f"link {row.sequence}: entry {row.id} has lost its subject, and nobody was erased"
    elif not hmac.compare_digest(_commitment(row.salt, row.subject), row.subject_sha256):
        yield f"link {row.sequence}: entry {row.id} is about something else than was linked"


def _hash(before: bytes, sequence: int, row: Row[*tuple[Any, ...]], commitment: bytes) -> bytes:
    """Ours: SHA-256 of the deterministic CBOR of the link before and all that the entry says."""
    said = [row.id, (row.at - _EPOCH) // _MILLISECOND, row.actor, row.action, commitment, _plain(row.detail)]
    return sha256(deterministic(["audit", before, sequence, *said], _MOST_BYTES)).digest()


def _commitment(salt: bytes, subject: str) -> bytes:
    return sha256(salt + subject.encode()).digest()


def _plain(detail: object) -> str:
    """A detail as text that is the same on both databases: JSONB keeps no order of names."""
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
