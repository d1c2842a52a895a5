"""Whether a certificate may be relied on, for a purpose and at a moment.

The chain is always leaf, issuing authority, root, so that each rule of RFC 5280, 6 that can apply is checked
by name, and each has an error of its own. Whatever a certificate marks as critical and this module does not
know is refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID

from pki.clock import require_aware
from pki.errors import (
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRevoked,
    ChainInvalid,
    PurposeRefused,
    StatusStale,
    StatusUnknown,
)
from pki.profiles import (
    CARD_AUTHENTICATION,
    CONTENT_SIGNER,
    HOLDER_AUTHENTICATION,
    PROFILES,
    SERVICE,
    SIGNATURE,
    TERMINAL,
    Profile,
    arc_of,
)
from pki.trust import TrustStore, edition

__all__ = ["Purpose", "TrustStore", "VerifiedCertificate", "verify"]


class Purpose(Enum):
    """What a certificate is relied on for; one profile each."""

    CARD_AUTHENTICATION = CARD_AUTHENTICATION.name
    HOLDER_AUTHENTICATION = HOLDER_AUTHENTICATION.name
    SIGNATURE = SIGNATURE.name
    TERMINAL = TERMINAL.name
    SERVICE = SERVICE.name
    CONTENT_SIGNER = CONTENT_SIGNER.name

    @property
    def profile(self) -> Profile:
        """The profile of certificates for this purpose."""
        return PROFILES[self.value]


ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)

# What is looked at below. RFC 5280, 4.2: any other critical extension refuses the certificate.
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
# RFC 5280, 5.2.3, 5.2.1
_UNDERSTOOD_IN_CRL = frozenset({ExtensionOID.CRL_NUMBER, ExtensionOID.AUTHORITY_KEY_IDENTIFIER})


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """A certificate that holds for its purpose at the moment, with the evidence that was used."""

    certificate: x509.Certificate
    # The card's UUID, or the id of the terminal or program
    identity: str
    public_key: ec.EllipticCurvePublicKey
    purpose: Purpose
    moment: datetime
    # Issuing authority, root
    chain: tuple[x509.Certificate, x509.Certificate]
    # The lists of the issuing authority and of the root; empty where status was not required
    crls: tuple[x509.CertificateRevocationList, ...]


def verify(
    leaf: x509.Certificate,
    purpose: Purpose,
    moment: datetime,
    trust: TrustStore,
    *,
    require_status: bool = True,
) -> VerifiedCertificate:
    """The certificate with its identity and evidence, if it holds for `purpose` at `moment`.

    Without `require_status` nothing is said of revocation. Raises ChainInvalid, CertificateNotYetValid,
    CertificateExpired, PurposeRefused, StatusUnknown, StatusStale, CertificateRevoked; ValueError for a naive
    moment.
    """
    moment = require_aware(moment)
    issuing = _issuer_of(leaf, trust.intermediates)
    root = _issuer_of(issuing, trust.roots)
    _check_authority(issuing, below=0)
    _check_authority(root, below=1)
    key = _check_leaf(leaf)
    for certificate in (root, issuing, leaf):
        _check_validity(certificate, moment)
    identity = _check_purpose(leaf, issuing, root, purpose)
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    if require_status:
        crls = (_check_status(leaf, issuing, moment, trust), _check_status(issuing, root, moment, trust))
    return VerifiedCertificate(leaf, identity, key, purpose, moment, (issuing, root), crls)


def _issuer_of(certificate: x509.Certificate, candidates: Iterable[x509.Certificate]) -> x509.Certificate:
    """RFC 5280, 6.1.3 (a)(1) and (a)(4)."""
    named = [candidate for candidate in candidates if candidate.subject == certificate.issuer]
    if not named:
        raise ChainInvalid(_name(certificate), f"its issuer {_text(certificate.issuer)} is not trusted here")
    for candidate in named:
        try:
            certificate.verify_directly_issued_by(candidate)
        except (InvalidSignature, ValueError, TypeError):
            continue
        return candidate
    raise ChainInvalid(_name(certificate), "its issuer's key has not signed it")


def _check_authority(certificate: x509.Certificate, below: int) -> None:
    """RFC 5280, 6.1.4 (k) to (o), with `below` authorities between this one and the leaf."""
    _check_common(certificate)
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise ChainInvalid(_name(certificate), "is not an authority's certificate")
    if constraints.path_length is not None and constraints.path_length < below:
        raise ChainInvalid(_name(certificate), "may have no authority below it")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not (usage.key_cert_sign and usage.crl_sign):
        raise ChainInvalid(_name(certificate), "may not sign certificates and revocation lists")


def _check_leaf(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = _check_common(certificate)
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise ChainInvalid(_name(certificate), "is an authority's certificate")
    return key


def _check_common(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    try:
        extensions, key = certificate.extensions, certificate.public_key()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ChainInvalid(_name(certificate), f"cannot be read ({error})") from error
    for extension in extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD:
            oid = extension.oid.dotted_string
            raise ChainInvalid(_name(certificate), f"has a critical extension that is not known here ({oid})")
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ChainInvalid(_name(certificate), "its key is not on P-256")
    if not isinstance(certificate.signature_hash_algorithm, hashes.SHA256):
        raise ChainInvalid(_name(certificate), "is not signed with SHA-256")
    return key


def _check_validity(certificate: x509.Certificate, moment: datetime) -> None:
    """RFC 5280, 6.1.3 (a)(2); both ends belong to it (4.1.2.5)."""
    if moment < certificate.not_valid_before_utc:
        raise CertificateNotYetValid(_name(certificate), certificate.not_valid_before_utc)
    if moment.replace(microsecond=0) > certificate.not_valid_after_utc:
        raise CertificateExpired(_name(certificate), certificate.not_valid_after_utc)


def _check_purpose(
    leaf: x509.Certificate, issuing: x509.Certificate, root: x509.Certificate, purpose: Purpose
) -> str:
    """The identity. The scheme's arc is the root's word, so that no setting of ours can be wrong about it."""
    arc = _arc(root)
    if arc is None or _arc(issuing) != arc or _arc(leaf) != arc:
        raise PurposeRefused(_name(leaf), f"{purpose.value} in this scheme")
    needed = purpose.profile.decisive_usage(arc)
    for certificate in (leaf, issuing):
        usages = _extension(certificate, x509.ExtendedKeyUsage)
        if usages is None or needed not in usages:
            raise PurposeRefused(_name(certificate), purpose.value)
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise PurposeRefused(_name(leaf), f"{purpose.value}: it may not sign")
    try:
        return purpose.profile.naming.identity(leaf)
    except (ValueError, x509.ExtensionNotFound) as error:
        raise PurposeRefused(_name(leaf), f"{purpose.value}: its names are not in order") from error


def _check_status(
    certificate: x509.Certificate, issuer: x509.Certificate, moment: datetime, trust: TrustStore
) -> x509.CertificateRevocationList:
    """RFC 5280, 6.3.3, with complete lists of the issuer alone.

    A list from after the moment serves, too: it holds each revocation with its date, and ours never drop one.
    """
    crl = _newest_crl(certificate, issuer, trust)
    next_update = crl.next_update_utc
    if next_update is None:
        raise StatusUnknown(_name(certificate), "its revocation list has no end")
    revoked = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    if revoked is not None and revoked.revocation_date_utc <= moment:
        raise CertificateRevoked(_name(certificate), revoked.revocation_date_utc, _reason(revoked))
    if moment > next_update:
        raise StatusStale(_name(certificate), next_update)
    return crl


def _newest_crl(
    certificate: x509.Certificate, issuer: x509.Certificate, trust: TrustStore
) -> x509.CertificateRevocationList:
    key = issuer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):  # has been checked with the chain
        raise ChainInvalid(_name(issuer), "its key is not on P-256")
    authentic = [
        crl
        for crl in trust.crls
        if crl.issuer == issuer.subject and _is_complete(crl) and crl.is_signature_valid(key)
    ]
    if not authentic:
        raise StatusUnknown(
            _name(certificate), f"there is no authentic revocation list of {_text(issuer.subject)}"
        )
    return max(authentic, key=edition)


def _is_complete(crl: x509.CertificateRevocationList) -> bool:
    """No delta list and no part of one: those say so by a critical extension. RFC 5280, 5.2.4 and 5.2.5."""
    return all(not extension.critical or extension.oid in _UNDERSTOOD_IN_CRL for extension in crl.extensions)


def _reason(revoked: x509.RevokedCertificate) -> str:
    try:
        return revoked.extensions.get_extension_for_class(x509.CRLReason).value.reason.name
    except x509.ExtensionNotFound:
        return x509.ReasonFlags.unspecified.name


def _arc(certificate: x509.Certificate) -> str | None:
    policies = _extension(certificate, x509.CertificatePolicies)
    arcs = [arc_of(policy.policy_identifier) for policy in policies or ()]
    return next((arc for arc in arcs if arc is not None), None)


def _extension(certificate: x509.Certificate, kind: type[ExtensionT]) -> ExtensionT | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    return _text(certificate.subject)


def _text(name: x509.Name) -> str:
    # RFC 4514, 3 has no short name for what a card is known by
    return name.rfc4514_string({NameOID.SERIAL_NUMBER: "serialNumber"})
