"""What certificate revocation lists say: complete ones, with their delta lists, whole or in shards.

RFC 5280, 6.3.3, for lists that the certificate's own issuer has signed with the same key. Indirect lists and
those of some reasons only are passed over: they never clear a certificate here.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from threading import Lock

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import CRLEntryExtensionOID, ExtensionOID

from pki.reading import UNREADABLE
from pki.verification.names import extension
from pki.verification.status import EvidenceKind, Finding, Revocation

# RFC 5280, 5.2: what is understood; a list with another critical extension is passed over
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.CRL_NUMBER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.DELTA_CRL_INDICATOR,
        ExtensionOID.ISSUING_DISTRIBUTION_POINT,
        ExtensionOID.FRESHEST_CRL,
    }
)
# RFC 5280, 5.3: an entry with another critical extension cannot be taken for what it seems to say
_UNDERSTOOD_IN_ENTRY = frozenset({CRLEntryExtensionOID.CRL_REASON, CRLEntryExtensionOID.INVALIDITY_DATE})
_REMOVED = x509.ReasonFlags.remove_from_crl.name


# Up to so many entries are kept by number, some 300 bytes each; longer lists are read through each time.
_MAX_INDEXED = 50_000


@dataclass(frozen=True)
class _List:
    """A list that can be used, with what decides where."""

    crl: x509.CertificateRevocationList
    der: bytes
    number: int
    # Of a delta list: the number of the complete list that it goes with
    base_number: int | None
    scope: x509.IssuingDistributionPoint | None
    next_update: datetime

    @property
    def this_update(self) -> datetime:
        return self.crl.last_update_utc

    def entry(self, serial: int) -> x509.RevokedCertificate | None:
        """What it says of this serial number. Raises ValueError where an entry cannot be read."""
        if self._by_serial is None:
            return self.crl.get_revoked_certificate_by_serial_number(serial)
        return self._by_serial.get(serial)

    @cached_property
    def _by_serial(self) -> dict[int, x509.RevokedCertificate] | None:
        return {each.serial_number: each for each in self.crl} if len(self.crl) <= _MAX_INDEXED else None

    @property
    def edition(self) -> tuple[int, datetime]:
        """What orders the lists of one authority: their number (RFC 5280, 5.2.3), then their date."""
        return self.number, self.this_update


class CrlEvidence:
    """Lists of any authorities; each signature is verified once, when it is first needed."""

    def __init__(self, crls: Iterable[x509.CertificateRevocationList]) -> None:
        self._by_issuer: dict[x509.Name, list[_List]] = {}
        for crl in crls:
            usable = _usable(crl)
            if usable is not None:
                self._by_issuer.setdefault(crl.issuer, []).append(usable)
        self._authentic: dict[x509.Certificate, tuple[_List, ...]] = {}
        self._lock = Lock()

    def about(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Finding]:
        """A finding of each scope's newest complete list, with its newest delta list."""
        lists = self._of(issuer)
        covering = [each for each in lists if _covers(each.scope, certificate)]
        complete = [each for each in covering if each.base_number is None]
        for scope in _distinct(each.scope for each in complete):
            newest = max((each for each in complete if each.scope == scope), key=lambda each: each.edition)
            finding = _finding(certificate, newest, _delta_of(newest, covering))
            if finding is not None:
                yield finding

    def _of(self, issuer: x509.Certificate) -> tuple[_List, ...]:
        named = self._by_issuer.get(issuer.subject)
        if named is None:
            return ()
        with self._lock:
            if issuer not in self._authentic:
                key = issuer.public_key()
                self._authentic[issuer] = tuple(
                    each
                    for each in named
                    if isinstance(key, ec.EllipticCurvePublicKey) and each.crl.is_signature_valid(key)
                )
            return self._authentic[issuer]


def _usable(crl: x509.CertificateRevocationList) -> _List | None:
    """None for a list without an end, of some reasons, of others' certificates, or with what is not known."""
    try:
        next_update = crl.next_update_utc
        if next_update is None:
            return None
        if any(found.critical and found.oid not in _UNDERSTOOD for found in crl.extensions):
            return None
        scope = extension(crl, x509.IssuingDistributionPoint)
        if scope is not None and (
            scope.indirect_crl or scope.only_some_reasons or scope.only_contains_attribute_certs
        ):
            return None
        number = extension(crl, x509.CRLNumber)
        delta = extension(crl, x509.DeltaCRLIndicator)
        return _List(
            crl,
            crl.public_bytes(Encoding.DER),
            -1 if number is None else number.crl_number,
            None if delta is None else delta.crl_number,
            scope,
            next_update,
        )
    except UNREADABLE:
        return None


def _covers(scope: x509.IssuingDistributionPoint | None, certificate: x509.Certificate) -> bool:
    """RFC 5280, 6.3.3 (b)(2)."""
    if scope is None:
        return True
    constraints = extension(certificate, x509.BasicConstraints)
    is_authority = constraints is not None and constraints.ca
    if (scope.only_contains_user_certs and is_authority) or (
        scope.only_contains_ca_certs and not is_authority
    ):
        return False
    if scope.full_name is None:
        return scope.relative_name is None
    points = extension(certificate, x509.CRLDistributionPoints)
    names = [
        name
        for point in points or ()
        # Another issuer's or of some reasons only: not what our lists are
        if point.crl_issuer is None and point.reasons is None
        for name in point.full_name or ()
    ]
    return any(name in names for name in scope.full_name)


def _delta_of(complete: _List, lists: Iterable[_List]) -> _List | None:
    """RFC 5280, 6.3.3 (c): the same scope, made for this complete list or an older one, and newer than it."""
    deltas = [
        each
        for each in lists
        if each.base_number is not None
        and each.scope == complete.scope
        and each.base_number <= complete.number < each.number
    ]
    return max(deltas, key=lambda each: each.edition, default=None)


def _finding(certificate: x509.Certificate, complete: _List, delta: _List | None) -> Finding | None:
    """RFC 5280, 6.3.3 (i) to (k). None where an entry says something that is not understood."""
    used = [complete] if delta is None else [delta, complete]
    try:
        revocation = _revocation(certificate, used)
    except UNREADABLE:
        return None
    return Finding(
        EvidenceKind.CRL,
        max(each.this_update for each in used),
        # Either of them tells the whole state while it is current
        max(each.next_update for each in used),
        revocation,
        tuple(each.der for each in reversed(used)),
    )


def _revocation(certificate: x509.Certificate, used: Iterable[_List]) -> Revocation | None:
    """Of the first list that names it. Raises ValueError where it cannot be understood."""
    for each in used:
        entry = each.entry(certificate.serial_number)
        if entry is None:
            continue
        if any(found.critical and found.oid not in _UNDERSTOOD_IN_ENTRY for found in entry.extensions):
            raise ValueError("an entry has a critical extension that is not known here")
        reason = extension(entry, x509.CRLReason)
        name = x509.ReasonFlags.unspecified.name if reason is None else reason.reason.name
        return None if name == _REMOVED else Revocation(entry.revocation_date_utc, name)
    return None


def _distinct(
    scopes: Iterable[x509.IssuingDistributionPoint | None],
) -> Iterator[x509.IssuingDistributionPoint | None]:
    seen: list[x509.IssuingDistributionPoint | None] = []
    for scope in scopes:
        if scope not in seen:
            seen.append(scope)
            yield scope
