"""What OCSP responses say (RFC 6960), of the issuer itself or of a responder that it has appointed."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki.reading import UNREADABLE
from pki.verification.names import extension
from pki.verification.status import EvidenceKind, Finding, Revocation

# RFC 5280, 5.3.1: what an absent reason means
_UNSPECIFIED = x509.ReasonFlags.unspecified.name


class OcspEvidence:
    """OCSP responses in DER; one that cannot be read says nothing."""

    def __init__(self, responses: Iterable[bytes]) -> None:
        self._responses = [found for raw in responses if (found := _read(raw)) is not None]

    def about(self, certificate: x509.Certificate, issuer: x509.Certificate) -> Iterator[Finding]:
        """A finding of each response that speaks of the certificate and that its issuer vouches for."""
        for response in self._responses:
            try:
                yield from list(_findings(response, certificate, issuer))
            except UNREADABLE:  # inside; what cannot be read says nothing
                continue


def _findings(
    response: ocsp.OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> Iterator[Finding]:
    for single in response.responses:
        if not _is_about(single, certificate, issuer):
            continue
        signer = _signer_of(response, issuer)
        finding = None if signer is None else _finding(single, response, signer)
        if finding is not None:
            yield finding


def _read(raw: bytes) -> ocsp.OCSPResponse | None:
    try:
        response = ocsp.load_der_ocsp_response(raw)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        if any(found.critical for found in response.extensions):
            return None
        return response if list(response.responses) else None
    except UNREADABLE:
        return None


def _is_about(
    single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    """RFC 6960, 3.2, 1: the identifier is that of the certificate."""
    algorithm = single.hash_algorithm
    return (
        single.serial_number == certificate.serial_number
        and isinstance(algorithm, hashes.SHA1 | hashes.SHA256)
        and single.issuer_name_hash == _digest(algorithm, issuer.subject.public_bytes())
        and single.issuer_key_hash == _digest(algorithm, _key_bits(issuer))
    )


def _finding(
    single: ocsp.OCSPSingleResponse, response: ocsp.OCSPResponse, signer: x509.Certificate
) -> Finding | None:
    """None where the responder knows nothing of it, or does not say until when this holds.

    A responder's word counts for no longer than it is appointed: whoever finds its key later can date back
    what it signs, and is not believed.
    """
    this_update, next_update = single.this_update_utc, single.next_update_utc
    status, revocation = single.certificate_status, None
    if next_update is None or status is ocsp.OCSPCertStatus.UNKNOWN:
        return None
    if status is ocsp.OCSPCertStatus.REVOKED:
        reason, revoked_at = single.revocation_reason, single.revocation_time_utc
        if revoked_at is None:
            return None
        revocation = Revocation(revoked_at, _UNSPECIFIED if reason is None else reason.name)
    until = min(next_update, signer.not_valid_after_utc)
    return Finding(EvidenceKind.OCSP, this_update, until, revocation, (response.public_bytes(Encoding.DER),))


def _signer_of(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> x509.Certificate | None:
    """RFC 6960, 4.2.2.2: the issuer, or whom it appointed for this; None where neither has signed."""
    signers = (issuer, *(each for each in response.certificates if _is_appointed(each, issuer, response)))
    return next((signer for signer in signers if _has_signed(signer, response)), None)


def _is_appointed(responder: x509.Certificate, issuer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    try:
        usages = extension(responder, x509.ExtendedKeyUsage)
        usage = extension(responder, x509.KeyUsage)
        if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
            return False
        if usage is None or not usage.digital_signature:
            return False
        responder.verify_directly_issued_by(issuer)
        return _is_valid(responder, response.produced_at_utc)
    except (InvalidSignature, *UNREADABLE):
        return False


def _is_valid(responder: x509.Certificate, moment: datetime) -> bool:
    """At the moment of signing: it is short-lived, and nobody asks for its status (4.2.2.2.1)."""
    return responder.not_valid_before_utc <= moment <= responder.not_valid_after_utc


def _has_signed(signer: x509.Certificate, response: ocsp.OCSPResponse) -> bool:
    try:
        key, algorithm = signer.public_key(), response.signature_hash_algorithm
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(algorithm, hashes.SHA256):
            return False
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _digest(algorithm: hashes.SHA1 | hashes.SHA256, data: bytes) -> bytes:
    digest = Hash(algorithm)
    digest.update(data)
    return digest.finalize()


def _key_bits(issuer: x509.Certificate) -> bytes:
    """RFC 6960, 4.1.1: the key's BIT STRING without its head, which for our curve is the point."""
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
