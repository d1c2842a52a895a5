"""How OCSP names a certificate: hashes of its issuer's name and key, and its serial number."""

import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import der

# The content octets of the hash algorithms' identifiers (RFC 3370, 2.1; RFC 5754, 2). RFC 5019 wants SHA-1,
# which only finds an issuer here and protects nothing; RFC 9919 SHA-256.
SHA1 = bytes.fromhex("2b0e03021a")
SHA256 = bytes.fromhex("608648016503040201")
HASHES = {
    SHA1: "sha1",
    SHA256: "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}

_NULL = bytes((der.NULL, 0))


@dataclass(frozen=True, slots=True)
class CertId:
    """Which certificate is meant. RFC 6960, 4.1.1."""

    # As it came: it is answered with the same bytes
    raw: bytes
    # The content of the hash algorithm's identifier
    hash_algorithm: bytes
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int


def cert_id(issuer: x509.Certificate, serial: int, hash_algorithm: bytes = SHA256) -> CertId:
    """The name of this issuer's certificate, as a client gives it."""
    name_hash, key_hash = issuer_hashes(issuer, hash_algorithm)
    raw = der.tlv(
        der.SEQUENCE,
        der.tlv(der.SEQUENCE, der.tlv(der.OID, hash_algorithm), _NULL),
        der.tlv(der.OCTET_STRING, name_hash),
        der.tlv(der.OCTET_STRING, key_hash),
        der.integer(serial),
    )
    return CertId(raw, hash_algorithm, name_hash, key_hash, serial)


def issuer_hashes(issuer: x509.Certificate, hash_algorithm: bytes) -> tuple[bytes, bytes]:
    """The hashes of an issuer's name and of its key. RFC 6960, 4.1.1."""
    name = HASHES[hash_algorithm]
    return (
        hashlib.new(name, issuer.subject.public_bytes(), usedforsecurity=False).digest(),
        hashlib.new(name, key_octets(issuer), usedforsecurity=False).digest(),
    )


def key_octets(certificate: x509.Certificate) -> bytes:
    """The octets of the subjectPublicKey, without tag, length and unused bits. RFC 6960, 4.1.1."""
    return certificate.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
