"""Signatures by a card's keys of every kind that PIV has, verified before anybody gets them.

A curve's key signs a digest. An RSA key only computes: what it is given is padded here, by PKCS #1 v1.5 or
PSS, and no card knows which. A scheme's own cards have P-256 alone; this is for cards of others.
"""

import hashlib
import os
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import Algorithm, KeyReference
from reader_agent.errors import CardProofInvalid, KeyUnsuitable
from reader_agent.piv.session import CURVES, CardPublicKey, PivSession

# DigestInfo of SHA-256 up to the digest, RFC 8017, 9.2, note 1
_SHA256_INFO: Final = bytes.fromhex("3031300D060960864801650304020105000420")
_SALT_BYTES: Final = 32  # as long as the digest, SP 800-78-5, 3.1


def require_suitable(key: object) -> CardPublicKey:
    """The same key, if a PIV card can sign with such a one (SP 800-78-5, 3.1). Raises KeyUnsuitable."""
    if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) and _algorithm_of(key) is not None:
        return key
    raise KeyUnsuitable("the card's key is none of RSA with 2048 or 3072 bits, P-256 and P-384")


def hash_of(key: CardPublicKey) -> hashes.HashAlgorithm:
    """The hash that goes with a key: SHA-384 with P-384, else SHA-256 (SP 800-78-5, table 2)."""
    return hashes.SHA384() if _algorithm_of(key) is Algorithm.ECC_P384 else hashes.SHA256()


def sign(
    session: PivSession, reference: KeyReference, key: CardPublicKey, digest: bytes, *, pss: bool = False
) -> bytes:
    """The signature of a card's key over a digest of `hash_of(key)`; DER from a curve's key.

    `pss`: RSA is padded by PSS instead of PKCS #1 v1.5. Raises CardError; CardProofInvalid where another key
    than this one has signed; KeyUnsuitable.
    """
    algorithm = _algorithm_of(key)
    if algorithm is None:
        raise KeyUnsuitable("no PIV card signs with such a key")
    if isinstance(key, rsa.RSAPublicKey):
        encoded = emsa_pss(digest, key.key_size, os.urandom(_SALT_BYTES)) if pss else emsa_pkcs1(digest, key)
        signature = session.sign(encoded, reference, algorithm)
    else:
        signature = session.sign(digest, reference, algorithm)
    try:
        _verify(key, signature, digest, pss=pss)
    except InvalidSignature as error:
        raise CardProofInvalid from error
    return signature


def _algorithm_of(key: CardPublicKey) -> Algorithm | None:
    """How a card with this public key is asked to sign."""
    if isinstance(key, rsa.RSAPublicKey):
        return next((found for found, length in piv.RSA_BYTES.items() if 8 * length == key.key_size), None)
    return next((found for found, curve in CURVES.items() if curve.name == key.curve.name), None)


def emsa_pkcs1(digest: bytes, key: rsa.RSAPublicKey) -> bytes:
    """EMSA-PKCS1-v1_5 of a SHA-256 digest, as long as the modulus (RFC 8017, 9.2)."""
    info = _SHA256_INFO + digest
    return b"\x00\x01" + b"\xff" * (key.key_size // 8 - len(info) - 3) + b"\x00" + info


def emsa_pss(digest: bytes, modulus_bits: int, salt: bytes) -> bytes:
    """EMSA-PSS of a SHA-256 digest with MGF1 of the same hash (RFC 8017, 9.1.1)."""
    length = modulus_bits // 8
    h = hashlib.sha256(bytes(8) + digest + salt).digest()
    block = bytes(length - len(salt) - len(h) - 2) + b"\x01" + salt
    masked = bytes(a ^ b for a, b in zip(block, _mgf1(h, len(block)), strict=True))
    # One bit less than the modulus has: the number stays below it.
    return bytes((masked[0] & 0x7F,)) + masked[1:] + h + b"\xbc"


def _mgf1(seed: bytes, length: int) -> bytes:
    """RFC 8017, appendix B.2.1."""
    blocks = (hashlib.sha256(seed + counter.to_bytes(4)).digest() for counter in range(-(-length // 32)))
    return b"".join(blocks)[:length]


def _verify(key: CardPublicKey, signature: bytes, digest: bytes, *, pss: bool) -> None:
    prehashed = utils.Prehashed(hash_of(key))
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(prehashed))
    elif pss:
        key.verify(signature, digest, padding.PSS(padding.MGF1(hashes.SHA256()), _SALT_BYTES), prehashed)
    else:
        key.verify(signature, digest, padding.PKCS1v15(), prehashed)
