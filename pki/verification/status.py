"""Whether a certificate was revoked: evidence of several kinds, and how much of it a caller wants.

Revocation lists, OCSP responses and token status lists are read elsewhere. They say what they know of a
certificate as a `Finding`; what follows from that is decided here, for all of them alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from cryptography import x509

from pki.errors import CertificateRevoked, StatusStale, StatusUnknown
from pki.verification.errors import CertificateSuspended
from pki.verification.names import subject, text

# RFC 5280, 5.3.1: the one revocation that may be taken back
HOLD = x509.ReasonFlags.certificate_hold.name


class EvidenceKind(Enum):
    """Where a finding comes from."""

    CRL = "crl"
    OCSP = "ocsp"
    STATUS_LIST = "status-list"


@dataclass(frozen=True, slots=True)
class Revocation:
    """Since when, and why: the name of an x509.ReasonFlags."""

    revoked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What authentic evidence says of one certificate. No revocation means that there was none until then."""

    kind: EvidenceKind
    # When it was true, and until when there would be something newer
    this_update: datetime
    next_update: datetime
    revocation: Revocation | None
    # The evidence itself, to be kept: DER, or a CWT; of a complete and a delta list both
    sources: tuple[bytes, ...]


class StatusEvidence(Protocol):
    """Authentic evidence of some kind. Whatever it cannot authenticate it says nothing of."""

    def about(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterable[Finding]:
        """All that is known of a certificate that this issuer has issued; never raises for what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class RevocationPolicy:
    """How much evidence is wanted. Evidence that a certificate is revoked counts under each of them."""

    # False: nothing is looked at, and nothing is said of revocation
    required: bool = True
    # Evidence that should have been renewed still serves if it is of no longer ago than this
    max_age: timedelta | None = None

    @classmethod
    def soft_fail(cls, max_age: timedelta) -> "RevocationPolicy":
        """Evidence that was not renewed in time serves up to this age; without any the status is unknown."""
        return cls(max_age=max_age)


HARD_FAIL = RevocationPolicy()
NOT_REQUIRED = RevocationPolicy(required=False)


@dataclass(frozen=True, slots=True)
class Passed:
    """What let a certificate pass, and when the next revocation takes effect that is known of already."""

    finding: Finding
    next_revocation: datetime | None


def judge(
    certificate: x509.Certificate, findings: Iterable[Finding], moment: datetime, policy: RevocationPolicy
) -> Passed:
    """The finding that lets the certificate pass at `moment`.

    A revocation counts from its date on, whatever the age of the evidence; a hold only where nothing newer
    has released it. Evidence of after the moment serves: it holds each revocation with its date. Raises
    CertificateRevoked, CertificateSuspended, StatusStale, StatusUnknown.
    """
    known = sorted(findings, key=lambda finding: finding.this_update, reverse=True)
    if not known:
        issuer = text(certificate.issuer)
        raise StatusUnknown(subject(certificate), f"there is no authentic revocation list of {issuer}")
    to_come = []
    for finding in known:
        revocation = finding.revocation
        if revocation is None:
            continue
        if revocation.revoked_at > moment:
            to_come.append(revocation.revoked_at)
            continue
        if revocation.reason != HOLD:
            raise CertificateRevoked(subject(certificate), revocation.revoked_at, revocation.reason)
        if finding is known[0]:
            raise CertificateSuspended(subject(certificate), revocation.revoked_at, revocation.reason)
    latest = max(known, key=lambda finding: finding.next_update)
    next_revocation = min(to_come, default=None)
    if moment <= latest.next_update:
        return Passed(latest, next_revocation)
    if policy.max_age is not None and moment - known[0].this_update <= policy.max_age:
        return Passed(known[0], next_revocation)
    raise StatusStale(subject(certificate), latest.next_update)
