"""Reasons for a revocation, and the revocation list made of them. RFC 5280, 5."""

from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pki.clock import require_aware
from pki.extensions import authority_key_identifier
from pki.store import IssuedCertificate

# RFC 5280, 5.3.1, those that end a certificate for good and mean something for ours
REASONS = {
    reason.name: reason
    for reason in (
        x509.ReasonFlags.unspecified,
        x509.ReasonFlags.key_compromise,
        x509.ReasonFlags.ca_compromise,
        x509.ReasonFlags.affiliation_changed,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
        x509.ReasonFlags.privilege_withdrawn,
    )
}
# As they stand in lists
LISTED_REASONS = REASONS | {x509.ReasonFlags.certificate_hold.name: x509.ReasonFlags.certificate_hold}


def make_crl(
    issuer: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    number: int,
    revoked: Iterable[IssuedCertificate],
    this_update: datetime,
    next_update: datetime,
) -> x509.CertificateRevocationList:
    """A complete list of one issuer, signed."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(this_update)
        .next_update(next_update)
        # RFC 5280, 5.2.3 and 5.2.1
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(authority_key_identifier(issuer), critical=False)
    )
    for issued in revoked:
        builder = builder.add_revoked_certificate(_entry(issued))
    return builder.sign(key, hashes.SHA256())


def whole_seconds(moment: datetime) -> datetime:
    """X.509 knows whole seconds. RFC 5280, 4.1.2.5."""
    return require_aware(moment).astimezone(UTC).replace(microsecond=0)


def _entry(issued: IssuedCertificate) -> x509.RevokedCertificate:
    """RFC 5280, 5.1.2.6 and 5.3.1; `unspecified` is left out, as there."""
    revoked_at, reason = issued.revoked_at, LISTED_REASONS[issued.reason or "unspecified"]
    if revoked_at is None:
        raise ValueError("a certificate that is not revoked cannot be listed")
    builder = x509.RevokedCertificateBuilder().serial_number(issued.serial)
    builder = builder.revocation_date(whole_seconds(revoked_at))
    if reason is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    return builder.build()
