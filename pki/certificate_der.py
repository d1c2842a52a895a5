"""End-entity certificates put together from DER (ITU-T X.690), as RFC 5280, 4.1 lays them out.

`cryptography` makes the same bytes, and encodes every extension anew for each certificate. Here what never
changes is encoded once, for who issues many. A test compares the two, byte by byte.
"""

import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID

from pki import der

# RFC 5280, 4.1.2.1: version 3
_V3 = bytes.fromhex("a003020102")
_ECDSA = ec.ECDSA(hashes.SHA256())
# SEC 1, 2.3.3: uncompressed, on P-256
_POINT_BYTES = 65
_SHA1_BYTES = 20
# What stands before the 20 octets of a SHA-1 in an Extension subjectKeyIdentifier
_KEY_IDENTIFIER = der.extension(
    ExtensionOID.SUBJECT_KEY_IDENTIFIER, der.tlv(der.OCTET_STRING, bytes(_SHA1_BYTES))
)[:-_SHA1_BYTES]


def signed_certificate(
    key: ec.EllipticCurvePrivateKey,
    *,
    serial: int,
    issuer: bytes,
    validity: bytes,
    subject: bytes,
    public_key: bytes,
    extensions: bytes,
) -> bytes:
    """The certificate, signed with ECDSA and SHA-256; all but the serial number is given in DER."""
    tbs = der.tlv(
        der.SEQUENCE,
        _V3,
        der.integer(serial),
        der.ECDSA_WITH_SHA256,
        issuer,
        validity,
        subject,
        public_key,
        der.tlv(der.context(3), der.tlv(der.SEQUENCE, extensions)),
    )
    # X.690, 8.6.2.2: no bit of the last octet is unused
    signature = der.tlv(der.BIT_STRING, b"\x00", key.sign(tbs, _ECDSA))
    return der.tlv(der.SEQUENCE, tbs, der.ECDSA_WITH_SHA256, signature)


def validity(not_before: datetime, not_after: datetime) -> bytes:
    """A Validity. RFC 5280, 4.1.2.5."""
    return der.tlv(der.SEQUENCE, der.time(not_before), der.time(not_after))


def subject_key_identifier(public_key: bytes) -> bytes:
    """The Extension that names a P-256 key, which is given as DER. RFC 5280, 4.2.1.2 (1)."""
    # SHA-1 by definition, of the point alone
    return _KEY_IDENTIFIER + hashlib.sha1(public_key[-_POINT_BYTES:], usedforsecurity=False).digest()


def extension(value: x509.ExtensionType, *, critical: bool) -> bytes:
    """An Extension. RFC 5280, 4.1."""
    content = value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
    return der.extension(value.oid, content, critical=critical)
