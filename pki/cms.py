"""Signatures of a content signer as a card carries them: CMS (RFC 5652) in one form and no other.

`cryptography` signs CMS for mail, with the content type `data` alone. FIPS 201-3 names other types, and wants
attributes that mail has not. Verifying puts together what the signer must have written, and takes nothing
else: what is read from a card is never searched for something that might do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki import der
from pki.errors import ContentSignatureInvalid, DerMalformed

_Oid = x509.ObjectIdentifier

# FIPS 201-3, appendix B: id-PIV-CHUIDSecurityObject and id-PIV-biometricObject
CHUID_OBJECT = _Oid("2.16.840.1.101.3.6.1")
BIOMETRIC_OBJECT = _Oid("2.16.840.1.101.3.6.2")
# ICAO Doc 9303-10, 4.6.2.3: id-icao-mrtd-security-ldsSecurityObject
LDS_SECURITY_OBJECT = _Oid("2.23.136.1.1.1")
# FIPS 201-3, appendix B: pivSigner-DN and pivFASC-N; RFC 4530, 2.1 and 4: entryUUID
SIGNER_DN = _Oid("2.16.840.1.101.3.6.5")
FASC_N = _Oid("2.16.840.1.101.3.6.6")
ENTRY_UUID = _Oid("1.3.6.1.1.16.4")

_SIGNED_DATA = _Oid("1.2.840.113549.1.7.2")  # RFC 5652, 5.1
_CONTENT_TYPE = _Oid("1.2.840.113549.1.9.3")  # RFC 5652, 11.1
_MESSAGE_DIGEST = _Oid("1.2.840.113549.1.9.4")  # RFC 5652, 11.2
_SET = 0x31  # ITU-T X.690, 8.12
# RFC 5754, 2: the parameters are absent
_SHA256 = der.tlv(der.SEQUENCE, der.object_identifier(_Oid("2.16.840.1.101.3.4.2.1")))
# RFC 5652, 5.1: 3 where the content is not `data`. 5.3: 1 where the signer is named by issuer and number.
_DATA_VERSION, _SIGNER_VERSION = 3, 1
# Ours: more than any of ours has
_MOST_ELEMENTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedContent:
    """What is signed, and how it travels."""

    kind: x509.ObjectIdentifier
    content: bytes
    # Whether the content stands within the signature, as in a security object, or beside it
    is_enclosed: bool
    # Whether the signer's certificate travels along
    carries_certificate: bool
    # Beside type, digest and the signer's name: the DER of each one's only value
    attributes: Mapping[x509.ObjectIdentifier, bytes] = field(default_factory=dict)


def sign(signed: SignedContent, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The CMS of this content (RFC 5652, 5), in DER. The same content has the same, whenever it is signed."""
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    return _assemble(signed, certificate, key.sign(_attributes(signed, certificate, _SET), algorithm))


def verify(cms: bytes, signed: SignedContent, certificate: x509.Certificate) -> None:
    """Return if this certificate's key has signed exactly this content, in the form of `sign`.

    Whether the certificate may be relied on is for `pki.verification`. Raises ContentSignatureInvalid.
    """
    try:
        signature = _signature(cms)
    except DerMalformed as error:
        raise ContentSignatureInvalid(f"this is no signature of a content signer: {error}") from error
    if cms != _assemble(signed, certificate, signature):
        raise ContentSignatureInvalid("this is a signature of other content, or by another signer")
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ContentSignatureInvalid("the content signer's key is not on an elliptic curve")
    try:
        key.verify(signature, _attributes(signed, certificate, _SET), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise ContentSignatureInvalid("the content signer's signature does not verify") from error


def carried_certificate(cms: bytes) -> x509.Certificate:
    """The signer's certificate that travels along, unverified. Raises ContentSignatureInvalid."""
    try:
        for part in _signed_data(cms):
            if part.tag == der.context(0):
                return x509.load_der_x509_certificate(part.content)
    except (DerMalformed, ValueError) as error:
        raise ContentSignatureInvalid(f"this is no signature of a content signer: {error}") from error
    raise ContentSignatureInvalid("the content signer's certificate is not with its signature")


def _assemble(signed: SignedContent, certificate: x509.Certificate, signature: bytes) -> bytes:
    """RFC 5652, 3 and 5.1."""
    enclosed = der.tlv(der.context(0), der.tlv(der.OCTET_STRING, signed.content))
    carried = der.tlv(der.context(0), certificate.public_bytes(Encoding.DER))
    data = der.tlv(
        der.SEQUENCE,
        der.integer(_DATA_VERSION),
        der.tlv(_SET, _SHA256),
        der.tlv(der.SEQUENCE, der.object_identifier(signed.kind), enclosed if signed.is_enclosed else b""),
        carried if signed.carries_certificate else b"",
        der.tlv(_SET, _signer(signed, certificate, signature)),
    )
    return der.tlv(der.SEQUENCE, der.object_identifier(_SIGNED_DATA), der.tlv(der.context(0), data))


def _signer(signed: SignedContent, certificate: x509.Certificate, signature: bytes) -> bytes:
    """RFC 5652, 5.3."""
    return der.tlv(
        der.SEQUENCE,
        der.integer(_SIGNER_VERSION),
        der.tlv(der.SEQUENCE, certificate.issuer.public_bytes(), der.integer(certificate.serial_number)),
        _SHA256,
        _attributes(signed, certificate, der.context(0)),
        der.ECDSA_WITH_SHA256,
        der.tlv(der.OCTET_STRING, signature),
    )


def _attributes(signed: SignedContent, certificate: x509.Certificate, tag: int) -> bytes:
    """The signed attributes, in the order of DER. RFC 5652, 5.4: what is signed has the tag of a SET."""
    values = {
        _CONTENT_TYPE: der.object_identifier(signed.kind),
        _MESSAGE_DIGEST: der.tlv(der.OCTET_STRING, sha256(signed.content).digest()),
        SIGNER_DN: certificate.subject.public_bytes(),
        **signed.attributes,
    }
    encoded = [
        der.tlv(der.SEQUENCE, der.object_identifier(oid), der.tlv(_SET, value))
        for oid, value in values.items()
    ]
    return der.tlv(tag, *sorted(encoded))


def _signed_data(cms: bytes) -> list[der.Element]:
    _, wrapped = _exactly(der.read(cms).expect(der.SEQUENCE), 2)
    (data,) = _exactly(wrapped.expect(der.context(0)), 1)
    return data.expect(der.SEQUENCE).children(_MOST_ELEMENTS)


def _signature(cms: bytes) -> bytes:
    """The only thing in a CMS that its content and signer do not determine."""
    parts = _signed_data(cms)
    if not parts:
        raise DerMalformed("it is empty")
    (signer,) = _exactly(parts[-1].expect(_SET), 1)
    return _exactly(signer.expect(der.SEQUENCE), 6)[-1].expect(der.OCTET_STRING).content


def _exactly(element: der.Element, count: int) -> list[der.Element]:
    children = element.children(count)
    if len(children) != count:
        raise DerMalformed(f"{len(children)} elements stand where {count} belong")
    return children
