"""COSE key thumbprints (RFC 9679): how a statement names a public key, its signer's or its holder's."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

from pki.statements.cbor import deterministic

KID_BYTES = 8
# RFC 9053, 7.1.1: kty 1 is EC2 (2), crv -1 is P-256 (1), x -2 and y -3
_KTY, _EC2, _CRV, _P256, _X, _Y = 1, 2, -1, 1, -2, -3
_COORDINATE_BYTES = 32


def key_thumbprint(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of a P-256 key's required COSE parameters, 32 bytes. RFC 9679, 3. Raises ValueError."""
    if not isinstance(key.curve, ec.SECP256R1):
        # TRY004: a value that does not fit, not a wrong type
        raise ValueError("thumbprints are made of P-256 keys")  # noqa: TRY004
    numbers = key.public_numbers()
    x, y = (number.to_bytes(_COORDINATE_BYTES, "big") for number in (numbers.x, numbers.y))
    return hashlib.sha256(deterministic({_KTY: _EC2, _CRV: _P256, _X: x, _Y: y})).digest()


def key_id(key: ec.EllipticCurvePublicKey) -> bytes:
    """Ours: the first 8 bytes of the thumbprint. It finds a signer's key and proves nothing."""
    return key_thumbprint(key)[:KID_BYTES]
