"""Whether an authority's records are what its trail says was done, and nothing else."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from pki import trail
from pki.errors import AuditFailed, TrailBroken
from pki.store import CertificateStore, IssuedCertificate, StoredCrl
from pki.trail import TrailEntry, TrailHead, checked

__all__ = ["Audited", "audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What was found in order."""

    authority: str
    entries: int
    certificates: int
    revoked: int
    # Note it elsewhere: the next audit can be told that the trail reached it
    head: TrailHead | None

    def to_json(self) -> dict[str, object]:
        """For scripts."""
        return {
            "authority": self.authority,
            "entries": self.entries,
            "certificates": self.certificates,
            "revoked": self.revoked,
            "head": None if self.head is None else str(self.head),
        }

    def __str__(self) -> str:
        """For a person, in a line."""
        return (
            f"{self.authority}: {self.entries} entries, {self.certificates} certificates, "
            f"{self.revoked} revoked; head {self.head}"
        )


@dataclass(slots=True)
class _Told:
    """What the trail says of one certificate."""

    entry: TrailEntry
    sha256: str
    issuer: str
    reason: str | None
    # Forgotten for its holder's sake: only serial and status are left.
    erased: bool = False


def audit(
    store: CertificateStore,
    authority: str,
    issuers: Mapping[str, x509.Certificate],
    reached: TrailHead | None = None,
) -> Audited:
    """Check the trail, and the records and lists against it; `issuers` are the authority's certificates.

    `reached` is a head that was noted before. Raises TrailBroken, which names the entry, and AuditFailed,
    which names what the trail and the records disagree about.
    """
    with store.transaction() as records:
        entries = checked(records.trail(authority), authority)
        head = records.trail_head(authority)
        _check_head(authority, entries, head, reached)
        told, lists = _replay(entries)
        _check_crls(authority, list(records.crls(authority)), lists, issuers)
        issued = list(records.issued(authority))
        _check_certificates(authority, told, issued, issuers)
    return Audited(
        authority=authority,
        entries=len(entries),
        certificates=len(issued),
        revoked=sum(record.revoked_at is not None for record in issued),
        head=head,
    )


def _check_head(
    authority: str, entries: list[TrailEntry], head: TrailHead | None, reached: TrailHead | None
) -> None:
    """The end is what the store says it is, and no earlier than what was noted."""
    last = entries[-1].head if entries else None
    if last != head:
        missing = 0 if last is None else last.sequence
        raise TrailBroken(authority, missing + 1, "is missing: the trail was longer")
    if reached is not None:
        if last is None or last.sequence < reached.sequence:
            after = 0 if last is None else last.sequence
            raise TrailBroken(authority, after + 1, f"is missing: the trail had reached {reached.sequence}")
        if entries[reached.sequence - 1].sha256 != reached.sha256:
            raise TrailBroken(authority, reached.sequence, "is not the one that was noted")


@dataclass(slots=True)
class _ToldList:
    """What the trail says of one revocation list."""

    entry: TrailEntry
    sha256: str
    # Of an issuer's newest complete list: whatever was revoked when it was made
    serials: frozenset[str] | None = None


def _replay(entries: list[TrailEntry]) -> tuple[dict[str, _Told], dict[int, _ToldList]]:
    """What each certificate and list came to by what was done."""
    told: dict[str, _Told] = {}
    lists: dict[int, _ToldList] = {}
    newest = _newest_complete_lists(entries)
    for entry in entries:
        facts = entry.facts
        if entry.operation in {trail.ISSUE, trail.IMPORT}:
            _begin(told, entry)
        elif entry.operation in {trail.REVOKE, trail.HOLD, trail.RELEASE}:
            serial = str(facts["serial"])
            if serial not in told:
                raise AuditFailed(entry.authority, f"entry {entry.sequence} is of an unknown {serial}")
            told[serial].reason = None if entry.operation == trail.RELEASE else str(facts["reason"])
        elif entry.operation == trail.ERASE:
            serial = str(facts["serial"])
            if serial not in told:
                raise AuditFailed(entry.authority, f"entry {entry.sequence} is of an unknown {serial}")
            told[serial].erased = True
        elif entry.operation == trail.CRL:
            made = lists[int(facts["number"] or 0)] = _ToldList(entry, str(facts["sha256"]))
            if entry.sequence in newest:
                made.serials = frozenset(
                    serial for serial, each in told.items() if each.reason and each.issuer == facts["issuer"]
                )
    return told, lists


def _begin(told: dict[str, _Told], entry: TrailEntry) -> None:
    facts = entry.facts
    serial, reason = str(facts["serial"]), facts.get("reason")
    if serial in told:
        raise AuditFailed(entry.authority, f"entry {entry.sequence} gives the serial {serial} again")
    told[serial] = _Told(
        entry, str(facts["sha256"]), str(facts["issuer"]), None if reason is None else str(reason)
    )


def _newest_complete_lists(entries: Iterable[TrailEntry]) -> set[int]:
    newest: dict[object, int] = {}
    for entry in entries:
        if entry.operation == trail.CRL:
            facts = entry.facts
            if facts["shard"] is None and facts["base_number"] is None:
                newest[facts["issuer"]] = entry.sequence
    return set(newest.values())


def _check_crls(
    authority: str,
    kept: Iterable[StoredCrl],
    told: Mapping[int, _ToldList],
    issuers: Mapping[str, x509.Certificate],
) -> None:
    for stored in kept:
        said = told.get(stored.number)
        if said is None or hashlib.sha256(stored.der).hexdigest() != said.sha256:
            raise AuditFailed(authority, f"the revocation list {stored.number} is not in the trail as it is")
        crl = x509.load_der_x509_crl(stored.der)
        key = issuers[stored.issuer].public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not crl.is_signature_valid(key):
            raise AuditFailed(authority, f"the revocation list {stored.number} is not {stored.issuer}'s")
        if said.serials is not None and {f"{each.serial_number:x}" for each in crl} != said.serials:
            raise AuditFailed(authority, f"the revocation list {stored.number} lists something else")


def _check_certificates(
    authority: str,
    told: Mapping[str, _Told],
    issued: Iterable[IssuedCertificate],
    issuers: Mapping[str, x509.Certificate],
) -> None:
    known = set()
    for record in issued:
        serial = f"{record.serial:x}"
        known.add(serial)
        if serial not in told:
            raise AuditFailed(authority, f"the certificate {serial} is not in the trail")
        said = told[serial]
        if said.erased != (not record.der):
            erased = "erased" if said.erased else "not erased"
            raise AuditFailed(authority, f"the certificate {serial} is {erased} by the trail")
        if not said.erased and hashlib.sha256(record.der).hexdigest() != said.sha256:
            raise AuditFailed(
                authority, f"the certificate {serial} is not that of entry {said.entry.sequence}"
            )
        if record.reason != said.reason:
            states = f"{record.reason or 'good'} in the records, {said.reason or 'good'} by the trail"
            raise AuditFailed(authority, f"the certificate {serial} is {states}")
        if not said.erased:
            _check_signature(authority, record, issuers)
    for serial, said in told.items():
        if serial not in known:
            raise AuditFailed(
                authority, f"the certificate {serial} of entry {said.entry.sequence} is missing"
            )


def _check_signature(
    authority: str, record: IssuedCertificate, issuers: Mapping[str, x509.Certificate]
) -> None:
    try:
        certificate = x509.load_der_x509_certificate(record.der)
        certificate.verify_directly_issued_by(issuers[record.issuer])
    except (ValueError, TypeError, KeyError, InvalidSignature) as error:
        raise AuditFailed(authority, f"the certificate {record.serial:x} is not {record.issuer}'s") from error
