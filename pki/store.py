"""What an authority has issued, revoked, published and done: the seam. `pki.sqlite_store` is behind it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pki.crl import RevokedEntry
from pki.trail import TrailEntry, TrailHead

# RFC 5280, 5.3.1: the one reason that can be taken back
CERTIFICATE_HOLD = "certificate_hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedCertificate:
    """A certificate with what its authority knows of it."""

    authority: str
    # Which of the authority's keys has signed it: `cards`, after a rollover `cards-2`
    issuer: str
    serial: int
    profile: str
    # The card's UUID, the terminal's or the program's id
    identity: str
    der: bytes
    not_before: datetime
    not_after: datetime
    issued_at: datetime
    # The card's place in the status list, and the shard of the revocation list that the certificate names
    status_index: int | None = None
    shard: int | None = None
    # Of a revocation or a hold; a revocation that follows a hold keeps the hold's
    revoked_at: datetime | None = None
    reason: str | None = None
    # When it was last revoked, held or released; None where it never was. Delta lists are made by this.
    status_changed_at: datetime | None = None

    @property
    def is_held(self) -> bool:
        """Whether it is suspended, and may be released."""
        return self.reason == CERTIFICATE_HOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCrl:
    """A certificate revocation list that was published."""

    authority: str
    # Of the lists of an authority, of whatever kind and key, each has another number
    number: int
    issuer: str
    this_update: datetime
    next_update: datetime
    der: bytes
    # None: of everything that the issuer has signed
    shard: int | None = None
    # The number of the list that this one only says the changes since. RFC 5280, 5.2.4
    base_number: int | None = None


@dataclass(frozen=True, slots=True)
class RecordedStatus:
    """What is recorded of the status of a certificate; good where `revoked_at` is None."""

    issuer: str
    revoked_at: datetime | None
    reason: str | None


class CertificateStore(Protocol):
    """Keeps an authority's records. When a method returns, they are as durable as its owner's commit."""

    def transaction(self) -> AbstractContextManager["CertificateStore"]:
        """The same records, to be changed together: all of it is kept or nothing."""
        ...

    def record(self, issued: Iterable[IssuedCertificate]) -> None:
        """Keep certificates that are about to be handed out. Raises SerialTaken."""
        ...

    def find(self, authority: str, serial: int) -> IssuedCertificate | None:
        """The certificate of this serial number, or None."""
        ...

    def find_by_identity(self, authority: str, identity: str) -> Sequence[IssuedCertificate]:
        """Every certificate of an identity, the latest issued first."""
        ...

    def issued(self, authority: str) -> Iterable[IssuedCertificate]:
        """Every certificate of an authority, the latest issued first."""
        ...

    def status_index(self, authority: str, identity: str) -> int:
        """The identity's place in the status list, drawn the first time that it is asked for.

        See `pki.status_list.allocation`.
        """
        ...

    def status_indexes(self, authority: str, identities: Iterable[str]) -> Mapping[str, int]:
        """The same for several identities at once."""
        ...

    def revoke(
        self, authority: str, serial: int, moment: datetime, reason: str, recorded_at: datetime
    ) -> bool:
        """Mark a certificate as revoked or held as of `moment`; whether that changed anything.

        The first revocation stands; a hold can become a revocation, which keeps the hold's moment.
        """
        ...

    def release(self, authority: str, serial: int, recorded_at: datetime) -> bool:
        """End a hold; whether there was one."""
        ...

    def erase(self, authority: str, identity: str, pseudonym: str) -> None:
        """Forget the identity's certificates, and whose they were; serials, statuses and places stay."""
        ...

    def revoked(self, authority: str) -> Iterator[IssuedCertificate]:
        """Every revoked or held certificate of an authority, whichever of its keys has signed it."""
        ...

    def listed(
        self,
        authority: str,
        issuer: str,
        *,
        shard: int | None = None,
        changed_since: datetime | None = None,
    ) -> Iterator[RevokedEntry]:
        """What a revocation list says of one issuer's certificates, all or those of a shard.

        With `changed_since`, as a delta list has it: only those whose status has changed from then on, and
        `remove_from_crl` for those that are good again. They come one by one: there may be a million.
        """
        ...

    def last_change(
        self, authority: str, issuer: str | None = None, shard: int | None = None
    ) -> datetime | None:
        """When a status was last changed, of an issuer and shard or of whichever; None: never."""
        ...

    def shards(self, authority: str, issuer: str) -> Sequence[int]:
        """The shards that certificates of this issuer name, in order."""
        ...

    def status(self, authority: str, serial: int) -> RecordedStatus | None:
        """The status of a certificate; None for one that was never issued."""
        ...

    def highest_status_index(self, authority: str) -> int | None:
        """The highest place that was given; None where none was."""
        ...

    def ended_cards(self, authority: str, first: int, after: int) -> Iterator[tuple[int, str]]:
        """Places in the status list from `first` to before `after` whose card is revoked or held; the reason.

        A card is what the newest of its certificates of each profile says: one that was superseded does not
        end it.
        """
        ...

    def next_crl_number(self, authority: str) -> int:
        """Higher than that of every list before. RFC 5280, 5.2.3."""
        ...

    def record_crl(self, crl: StoredCrl, /) -> None:
        """Keep a revocation list that is about to be published."""
        ...

    def latest_crl(
        self, authority: str, issuer: str | None = None, *, shard: int | None = None, delta: bool = False
    ) -> StoredCrl | None:
        """The list with the highest number, of one issuer or of whichever; or None.

        That of everything, or of a shard; the complete one, or the delta.
        """
        ...

    def crls(self, authority: str) -> Iterator[StoredCrl]:
        """Every list of an authority, of whatever kind, the oldest first."""
        ...

    def trail_head(self, authority: str) -> TrailHead | None:
        """The newest entry of the trail; within a transaction, nobody else adds one before its end."""
        ...

    def append_trail(self, entries: Iterable[TrailEntry]) -> None:
        """Add entries that follow the head."""
        ...

    def trail(self, authority: str) -> Iterator[TrailEntry]:
        """Every entry, the oldest first."""
        ...
