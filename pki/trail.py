"""The trail: what an authority did, each entry bound to the one before by its hash.

Nobody who changes or removes an entry can hide it without making every later one anew. What was cut off at
the end shows by what the store itself knows (`pki.auditing`), and by a head that was noted elsewhere.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pki.clock import require_aware
from pki.errors import TrailBroken

# What is hashed as the entry before the first
GENESIS = bytes(32)

CREATE, ISSUE, IMPORT = "create", "issue", "import"
REVOKE, HOLD, RELEASE = "revoke", "hold", "release"
# The certificate itself and whose it was are forgotten; its serial and its status stay.
ERASE = "erase"
CRL = "crl"
SUCCEED, CEREMONY = "succeed", "ceremony"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# The shortest form, as it is hashed
_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode
# Ours: the form that is hashed, so that another can follow
_FORMAT = "citizen-card-trail/1"

Detail = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailHead:
    """The newest entry of an authority's trail."""

    sequence: int
    sha256: bytes

    def __str__(self) -> str:
        return f"{self.sequence}:{self.sha256.hex()}"

    @classmethod
    def parse(cls, text: str) -> "TrailHead":
        """What `str` has written. Raises ValueError."""
        sequence, _, digest = text.partition(":")
        try:
            head = cls(sequence=int(sequence), sha256=bytes.fromhex(digest))
        except ValueError as error:
            raise ValueError(f"{text!r} is not SEQUENCE:HASH") from error
        if head.sequence < 1 or len(head.sha256) != len(GENESIS):
            raise ValueError(f"{text!r} is not SEQUENCE:HASH")
        return head


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailEntry:
    """One operation. `detail` is JSON exactly as it was hashed."""

    authority: str
    # 1 is the first
    sequence: int
    # Milliseconds since 1970, UTC
    at_ms: int
    actor: str
    operation: str
    detail: str
    sha256: bytes

    @property
    def at(self) -> datetime:
        """When it was done."""
        return _EPOCH + self.at_ms * _MILLISECOND

    @property
    def facts(self) -> dict[str, str | int | None]:
        """The detail, read."""
        found = json.loads(self.detail)
        return found if isinstance(found, dict) else {}

    @property
    def head(self) -> TrailHead:
        """This entry as what the next one follows."""
        return TrailHead(sequence=self.sequence, sha256=self.sha256)


def next_entry(
    head: TrailHead | None, authority: str, operation: str, actor: str, moment: datetime, detail: Detail
) -> TrailEntry:
    """The entry that follows `head`; None is the beginning."""
    sequence = 1 if head is None else head.sequence + 1
    at_ms = (require_aware(moment) - _EPOCH) // _MILLISECOND
    text = _json(dict(detail))
    previous = GENESIS if head is None else head.sha256
    digest = _digest(previous, authority, sequence, at_ms, actor, operation, text)
    return TrailEntry(
        authority=authority,
        sequence=sequence,
        at_ms=at_ms,
        actor=actor,
        operation=operation,
        detail=text,
        sha256=digest,
    )


def checked(entries: Iterable[TrailEntry], authority: str) -> list[TrailEntry]:
    """The entries of one authority in their order, if each follows the one before. Raises TrailBroken."""
    good: list[TrailEntry] = []
    previous = GENESIS
    for expected, entry in enumerate(entries, start=1):
        if entry.sequence != expected:
            raise TrailBroken(authority, expected, f"is missing (after it comes {entry.sequence})")
        fields = (entry.authority, entry.sequence, entry.at_ms, entry.actor, entry.operation, entry.detail)
        if entry.authority != authority or _digest(previous, *fields) != entry.sha256:
            raise TrailBroken(authority, expected, "is not what was written, or the one before it is not")
        good.append(entry)
        previous = entry.sha256
    return good


def _digest(
    previous: bytes, authority: str, sequence: int, at_ms: int, actor: str, operation: str, detail: str
) -> bytes:
    # The list of these in JSON; the encoder takes several times as long for one.
    hashed = (
        f'["{_FORMAT}","{previous.hex()}",{_json(authority)},{sequence:d},{at_ms:d},'
        f"{_json(actor)},{_json(operation)},{_json(detail)}]"
    )
    return hashlib.sha256(hashed.encode()).digest()
