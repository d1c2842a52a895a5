"""End-entity certificates put together from DER (ITU-T X.690), as RFC 5280, 4.1 lays them out.

`cryptography` makes the same bytes, and encodes every extension anew for each certificate. Here what never
changes is encoded once, for who issues many. A test compares the two, byte by byte.
"""

from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pki.clock import require_aware

# X.690, 8.1.2: identifier octets
_BOOLEAN, _INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _SEQUENCE = 0x01, 0x02, 0x03, 0x04, 0x06, 0x30
_UTC_TIME, _GENERALIZED_TIME, _VERSION_TAG, _EXTENSIONS_TAG = 0x17, 0x18, 0xA0, 0xA3
# RFC 5280, 4.1.2.1: version 3
_V3 = bytes.fromhex("a003020102")
# RFC 5758, 3.2: ecdsa-with-SHA256, without parameters
_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
# RFC 5280, 4.1.2.5: from 2050 on a time is a GeneralizedTime
_LAST_UTC_TIME_YEAR = 2049
_ECDSA = ec.ECDSA(hashes.SHA256())


def signed_certificate(
    key: ec.EllipticCurvePrivateKey,
    *,
    serial: int,
    issuer: bytes,
    not_before: datetime,
    not_after: datetime,
    subject: bytes,
    public_key: bytes,
    extensions: bytes,
) -> bytes:
    """The certificate, signed with ECDSA and SHA-256; names, key and extensions are given in DER."""
    validity = _tlv(_SEQUENCE, _time(not_before) + _time(not_after))
    number = _tlv(_INTEGER, serial.to_bytes(serial.bit_length() // 8 + 1, "big"))
    listed = _tlv(_EXTENSIONS_TAG, _tlv(_SEQUENCE, extensions))
    tbs = _tlv(
        _SEQUENCE,
        b"".join((_V3, number, _ECDSA_WITH_SHA256, issuer, validity, subject, public_key, listed)),
    )
    # X.690, 8.6.2.2: no bit of the last octet is unused
    signature = _tlv(_BIT_STRING, b"\x00" + key.sign(tbs, _ECDSA))
    return _tlv(_SEQUENCE, tbs + _ECDSA_WITH_SHA256 + signature)


def extension(value: x509.ExtensionType, *, critical: bool) -> bytes:
    """An Extension. RFC 5280, 4.1."""
    mark = _tlv(_BOOLEAN, b"\xff") if critical else b""
    content = value.value if isinstance(value, x509.UnrecognizedExtension) else value.public_bytes()
    return _tlv(_SEQUENCE, _oid(value.oid) + mark + _tlv(_OCTET_STRING, content))


@lru_cache(maxsize=64)
def _oid(oid: x509.ObjectIdentifier) -> bytes:
    """X.690, 8.19."""
    first, second, *rest = (int(component) for component in oid.dotted_string.split("."))
    return _tlv(_OID, b"".join(_base128(number) for number in (40 * first + second, *rest)))


def _base128(number: int) -> bytes:
    octets = [number & 0x7F]
    while number := number >> 7:
        octets.append(0x80 | (number & 0x7F))
    return bytes(reversed(octets))


def _time(moment: datetime) -> bytes:
    """To the second. RFC 5280, 4.1.2.5."""
    utc = require_aware(moment)
    rest = b"%02d%02d%02d%02d%02dZ" % (utc.month, utc.day, utc.hour, utc.minute, utc.second)
    if utc.year > _LAST_UTC_TIME_YEAR:
        return _tlv(_GENERALIZED_TIME, b"%04d%b" % (utc.year, rest))
    return _tlv(_UTC_TIME, b"%02d%b" % (utc.year % 100, rest))


def _tlv(tag: int, content: bytes) -> bytes:
    """One element, its length in the shortest form. X.690, 8.1.3 and 10.1."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content
