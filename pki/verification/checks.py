"""The rules that are checked certificate by certificate, with `cryptography` alone: fast, and each by name.

Ours beyond RFC 5280: P-256 with SHA-256 everywhere; an authority says by its key usage that it signs
certificates and lists.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from pki.errors import CertificateExpired, CertificateNotYetValid, ChainInvalid
from pki.reading import UNREADABLE, require_whole_octets
from pki.verification.errors import CertificateSignatureInvalid, IssuerUnknown
from pki.verification.names import extension, subject, text

_ECDSA = ec.ECDSA(hashes.SHA256())
# RFC 5758, 3.2: the AlgorithmIdentifier in DER, and where it ends at the latest inside of what is signed:
# after its head, version and serial number (RFC 5280, 4.1.2.2: at most 20 octets, and a head)
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_INSIDE = 4 + 5 + 22 + len(_ECDSA_WITH_SHA256)
_BIT_STRING = 0x03  # X.690, 8.6

# What is looked at of a leaf. RFC 5280, 4.2: any other critical extension refuses the certificate.
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
    }
)
# What `rfc5280` looks at in an authority besides. RFC 5280, 4.2.1.5, 4.2.1.10, 4.2.1.11, 4.2.1.14
CONSTRAINTS = frozenset(
    {
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """An authority that may have issued something, with its key read once; None where it is not on P-256."""

    certificate: x509.Certificate
    subject: x509.Name
    key: ec.EllipticCurvePublicKey | None

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "Candidate":
        """Of a certificate that can be read."""
        key = certificate.public_key()
        is_ours = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        return cls(certificate, certificate.subject, key if is_ours else None)  # type: ignore[arg-type]


def issuer_of(certificate: x509.Certificate, candidates: Iterable[Candidate]) -> x509.Certificate:
    """Which of these has signed it. RFC 5280, 6.1.3 (a)(1) and (a)(4).

    Raises IssuerUnknown and CertificateSignatureInvalid.
    """
    issuer = certificate.issuer
    named = [candidate for candidate in candidates if candidate.subject == issuer]
    if not named:
        raise IssuerUnknown(subject(certificate), f"its issuer {text(issuer)} is not trusted here")
    for candidate in named:
        try:
            _check_signature(certificate, candidate)
        except (InvalidSignature, *UNREADABLE):
            continue
        return candidate.certificate
    raise CertificateSignatureInvalid(subject(certificate), "its issuer's key has not signed it")


def _check_signature(certificate: x509.Certificate, candidate: Candidate) -> None:
    """Return if the candidate's key has signed the certificate, and every byte of it is accounted for."""
    if candidate.key is not None and _has_our_form(certificate):
        # As below, in a third less time
        candidate.key.verify(certificate.signature, certificate.tbs_certificate_bytes, _ECDSA)
    else:
        require_whole_octets(certificate)
        certificate.verify_directly_issued_by(candidate.certificate)


def _has_our_form(certificate: x509.Certificate) -> bool:
    """RFC 5280, 4.1.1: what is signed, ecdsa-with-SHA256 as inside, and a signature of whole octets."""
    signed, signature = certificate.tbs_certificate_bytes, certificate.signature
    outside = _ECDSA_WITH_SHA256 + bytes([_BIT_STRING, len(signature) + 1, 0]) + signature
    return _ECDSA_WITH_SHA256 in signed[:_INSIDE] and certificate.public_bytes(Encoding.DER).endswith(
        signed + outside
    )


def check_authority(certificate: x509.Certificate, below: int) -> None:
    """RFC 5280, 6.1.4 (k) to (o), `below` authorities between this one and the leaf. Raises ChainInvalid."""
    _check_common(certificate, _UNDERSTOOD | CONSTRAINTS)
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise ChainInvalid(subject(certificate), "is not an authority's certificate")
    if constraints.path_length is not None and constraints.path_length < below:
        raise ChainInvalid(subject(certificate), "may have no authority below it")
    usage = extension(certificate, x509.KeyUsage)
    if usage is None or not (usage.key_cert_sign and usage.crl_sign):
        raise ChainInvalid(subject(certificate), "may not sign certificates and revocation lists")


def check_leaf(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    """The key of what is no authority. Raises ChainInvalid."""
    key = _check_common(certificate, _UNDERSTOOD)
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise ChainInvalid(subject(certificate), "is an authority's certificate")
    return key


def check_validity(certificate: x509.Certificate, moment: datetime) -> None:
    """RFC 5280, 6.1.3 (a)(2); both ends belong to it (4.1.2.5).

    Raises CertificateNotYetValid and CertificateExpired.
    """
    if moment < certificate.not_valid_before_utc:
        raise CertificateNotYetValid(subject(certificate), certificate.not_valid_before_utc)
    if moment.replace(microsecond=0) > certificate.not_valid_after_utc:
        raise CertificateExpired(subject(certificate), certificate.not_valid_after_utc)


def is_constrained(certificate: x509.Certificate) -> bool:
    """Whether this authority limits names or policies below it, so that a leaf has to be judged by them."""
    return any(found.oid in CONSTRAINTS for found in certificate.extensions)


def _check_common(
    certificate: x509.Certificate, understood: frozenset[x509.ObjectIdentifier]
) -> ec.EllipticCurvePublicKey:
    extensions, key = certificate.extensions, certificate.public_key()
    for found in extensions:
        if found.critical and found.oid not in understood:
            oid = found.oid.dotted_string
            raise ChainInvalid(
                subject(certificate), f"has a critical extension that is not known here ({oid})"
            )
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ChainInvalid(subject(certificate), "its key is not on P-256")
    if not isinstance(certificate.signature_hash_algorithm, hashes.SHA256):
        raise ChainInvalid(subject(certificate), "is not signed with SHA-256")
    return key
