"""The list of other schemes' issuing authorities that are recognised here, and what they are trusted for.

A COSE_Sign1 (RFC 9052, 4.2), tagged 18, signed by a key that the scheme's root itself has certified for that;
the certificate is in the protected header (x5chain, RFC 9360, 2). The payload is a map in deterministic CBOR.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from pki.clock import require_aware
from pki.errors import StatementMalformed, StatementSignatureInvalid, TrustListRefused
from pki.profiles import PROFILES, TRUST_LIST_SIGNER, arc_of
from pki.statements import fields
from pki.statements.cbor import decode_deterministic, deterministic
from pki.statements.cose import ECDSA_SHA256, SIGNATURE_BYTES, TAG_COSE_SIGN1, from_der, verify_ecdsa
from pki.trust import TrustStore

# What a certificate can be unreadable by; the warning is for what later versions of `cryptography` refuse.
_UNREADABLE = (
    *(ValueError, TypeError, UnsupportedAlgorithm, CryptographyDeprecationWarning),
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
)
# Ours: the use and version that the signature is bound to
_USE, _VERSION = "trust-list", 1
# RFC 9052, 3.1: 1 is the algorithm; RFC 9053, 2.1: ES256 is -7; RFC 9360, 2: 33 is x5chain
_ALGORITHM, _ES256, _X5CHAIN = 1, -7, 33
VALIDITY = timedelta(days=90)

# Ours: the payload's keys, and those of an entry
_SCHEME, _NUMBER, _ISSUED, _EXPIRES, _RECOGNISED = 1, 2, 3, 4, 5
_ENTRY_SCHEME, _ENTRY_NAME, _ENTRY_CERTIFICATE, _ENTRY_PURPOSES, _ENTRY_CRL_URL = 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """Another scheme's issuing authority, and what its certificates are trusted for here."""

    scheme: str
    name: str
    certificate: x509.Certificate
    # Names of profiles
    purposes: tuple[str, ...]
    # Where its revocation list is fetched
    crl_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """What a scheme recognises, as of `issued` and until `expires`."""

    scheme: str
    # Higher than that of every list before
    number: int
    issued: datetime
    expires: datetime
    recognised: tuple[Recognised, ...]

    def authorities_for(self, purpose: str) -> tuple[x509.Certificate, ...]:
        """The certificates of those that are trusted for this purpose, by the profile's name."""
        return tuple(entry.certificate for entry in self.recognised if purpose in entry.purposes)


@dataclass(frozen=True, slots=True)
class SignedTrustList:
    """A list as it was received; nothing in it has been verified."""

    trust_list: TrustList
    signer: x509.Certificate
    protected: bytes
    payload: bytes
    # r‖s
    signature: bytes


def sign_trust_list(
    trust_list: TrustList, signer: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> bytes:
    """The signed list. Raises StatementMalformed and TrustListRefused for what cannot be one."""
    payload = deterministic(_to_map(trust_list))
    if signer.public_key() != key.public_key():
        raise TrustListRefused("the key is not that of the signer's certificate")
    protected = deterministic({_ALGORITHM: _ES256, _X5CHAIN: signer.public_bytes(Encoding.DER)})
    signature = from_der(key.sign(_sig_structure(trust_list.scheme, protected, payload), ECDSA_SHA256))
    data = TAG_COSE_SIGN1 + deterministic([protected, {}, payload, signature])
    open_trust_list(data)
    return data


def open_trust_list(data: bytes) -> SignedTrustList:
    """Read what `sign_trust_list` wrote. Raises StatementMalformed; verifies nothing."""
    if data[:1] != TAG_COSE_SIGN1:
        raise StatementMalformed("not a COSE_Sign1 with its tag 18")
    match decode_deterministic(data[1:]):
        case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)] if not unprotected:
            pass
        case _:
            raise StatementMalformed("a trust list is a COSE_Sign1 with an empty unprotected header")
    if len(signature) != SIGNATURE_BYTES:
        raise StatementMalformed(f"the signature has {len(signature)} bytes, not {SIGNATURE_BYTES}")
    header = decode_deterministic(protected)
    match header:
        case {1: -7, 33: bytes(der)} if _has(header, 2):
            signer = _certificate(der)
        case _:
            raise StatementMalformed("the protected header is not {1: -7, 33: a certificate}")
    return SignedTrustList(_from_map(decode_deterministic(payload)), signer, protected, payload, signature)


def verify_trust_list(
    data: bytes, scheme: str, moment: datetime, trust: TrustStore, newest_number: int = 0
) -> TrustList:
    """The list, if this scheme's root stands behind it at `moment` and it is no older than what was seen.

    The root's revocation list must be among the trust store's. Raises StatementMalformed,
    StatementSignatureInvalid and TrustListRefused.
    """
    moment = require_aware(moment)
    signed = open_trust_list(data)
    found = signed.trust_list
    if found.scheme != scheme:
        raise TrustListRefused(f"it is the list of {found.scheme}, not of {scheme}")
    root = _root_of(signed.signer, trust)
    _check_signer(signed.signer, root, moment, trust)
    key = signed.signer.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise StatementSignatureInvalid("ES256 needs a P-256 key")
    verify_ecdsa(key, signed.signature, _sig_structure(scheme, signed.protected, signed.payload))
    if not found.issued <= moment <= found.expires:
        raise TrustListRefused(
            f"it holds from {found.issued.isoformat()} to {found.expires.isoformat()}; fetch a new one"
        )
    if found.number < newest_number:
        raise TrustListRefused(f"it has the number {found.number}, and number {newest_number} has been seen")
    return found


def _root_of(signer: x509.Certificate, trust: TrustStore) -> x509.Certificate:
    for root in trust.roots:
        try:
            signer.verify_directly_issued_by(root)
        except (InvalidSignature, *_UNREADABLE):
            continue
        return root
    raise TrustListRefused("its signer's certificate is not issued by the scheme's root")


def _check_signer(
    signer: x509.Certificate, root: x509.Certificate, moment: datetime, trust: TrustStore
) -> None:
    """The root's word that this key signs such lists, which it has not taken back."""
    for certificate in (root, signer):
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            raise TrustListRefused(f"the certificate {certificate.subject.rfc4514_string()} is out of date")
    try:
        usages = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        policies = root.extensions.get_extension_for_class(x509.CertificatePolicies).value
    except (x509.ExtensionNotFound, *_UNREADABLE) as error:
        raise TrustListRefused("its signer's certificate is not for trust lists") from error
    arcs = [arc for arc in (arc_of(policy.policy_identifier) for policy in policies) if arc is not None]
    if not any(TRUST_LIST_SIGNER.decisive_usage(arc) in usages for arc in arcs):
        raise TrustListRefused("its signer's certificate is not for trust lists")
    key = root.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TrustListRefused("the root's key is not on P-256")
    lists = [crl for crl in trust.crls if crl.issuer == root.subject and crl.is_signature_valid(key)]
    if not lists:
        raise TrustListRefused("the root's revocation list is missing, so it may be revoked")
    newest = max(lists, key=lambda crl: crl.last_update_utc)
    if newest.next_update_utc is None or moment > newest.next_update_utc:
        raise TrustListRefused("the root's revocation list was to be renewed; fetch a new one")
    if newest.get_revoked_certificate_by_serial_number(signer.serial_number) is not None:
        raise TrustListRefused("its signer's certificate was revoked")


def _sig_structure(scheme: str, protected: bytes, payload: bytes) -> bytes:
    """RFC 9052, 4.4."""
    external = deterministic([scheme, _USE, _VERSION])
    return deterministic(["Signature1", protected, external, payload])


def _to_map(trust_list: TrustList) -> dict[int, object]:
    return {
        _SCHEME: trust_list.scheme,
        _NUMBER: trust_list.number,
        _ISSUED: fields.milliseconds(trust_list.issued),
        _EXPIRES: fields.milliseconds(trust_list.expires),
        _RECOGNISED: [_entry_map(entry) for entry in trust_list.recognised],
    }


def _entry_map(entry: Recognised) -> dict[int, object]:
    found: dict[int, object] = {
        _ENTRY_SCHEME: entry.scheme,
        _ENTRY_NAME: entry.name,
        _ENTRY_CERTIFICATE: entry.certificate.public_bytes(Encoding.DER),
        _ENTRY_PURPOSES: sorted(entry.purposes),
    }
    return found if entry.crl_url is None else found | {_ENTRY_CRL_URL: entry.crl_url}


def _from_map(content: object) -> TrustList:
    match content:
        case {1: scheme, 2: number, 3: issued, 4: expires, 5: list(entries)} if _has(content, 5):
            trust_list = TrustList(
                scheme=fields.identifier("scheme", scheme),
                number=fields.integer("number", number),
                issued=fields.moment("issued", issued),
                expires=fields.moment("expires", expires),
                recognised=tuple(map(_entry, entries)),
            )
        case _:
            raise StatementMalformed("the payload is not a trust list")
    if trust_list.number < 1 or trust_list.expires <= trust_list.issued:
        raise StatementMalformed("a trust list has a number from 1 on, and ends after it begins")
    return trust_list


def _entry(content: object) -> Recognised:
    match content:
        case {1: scheme, 2: name, 3: bytes(der), 4: list(purposes)} if _has(content, 4):
            crl_url = None
        case {
            1: scheme,
            2: name,
            3: bytes(der),
            4: list(purposes),
            5: str(crl_url),
        } if _has(content, 5):
            pass
        case _:
            raise StatementMalformed("an entry of the trust list is not as it should be")
    names = tuple(fields.identifier("purpose", purpose) for purpose in purposes)
    if not names or names != tuple(sorted(set(names))) or not set(names) <= set(PROFILES):
        raise StatementMalformed("an entry of the trust list names a purpose that is not known here")
    return Recognised(
        scheme=fields.identifier("scheme", scheme),
        name=fields.label("name", name),
        certificate=_authority(_certificate(der)),
        purposes=names,
        crl_url=crl_url,
    )


def _has(content: object, keys: int) -> bool:
    """Whether it is a map of so many keys: whatever a pattern does not name is refused."""
    return isinstance(content, dict) and len(content) == keys


def _authority(certificate: x509.Certificate) -> x509.Certificate:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, *_UNREADABLE) as error:
        raise StatementMalformed("an entry of the trust list holds no authority's certificate") from error
    if not constraints.ca:
        raise StatementMalformed("an entry of the trust list holds no authority's certificate")
    return certificate


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except _UNREADABLE as error:
        raise StatementMalformed("the trust list holds something else where a certificate belongs") from error
