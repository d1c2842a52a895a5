"""COSE_Sign1 (RFC 9052, 4.2) in the one form that this platform uses: ES256, tagged, strictly read."""

from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements.cbor import decode_deterministic, deterministic

# RFC 9052, 4.2: CBOR tag 18 announces a COSE_Sign1; as a head byte, major type 6
TAG_COSE_SIGN1 = b"\xd2"
# RFC 9052, 3.1: header parameter 1 is the algorithm; RFC 9053, 2.1: ES256 is -7
PROTECTED = deterministic({1: -7})
# RFC 9360, 2: header parameter 34 (x5t) is a certificate's thumbprint, [hash algorithm, hash]
X5T = 34
# RFC 9054, 3.2: SHA-256 is -16
SHA_256 = -16
# RFC 9053, 2.1: r and s, each as long as the curve's order
SIGNATURE_BYTES = 64
# A statement has some 250 bytes; what is much longer is none.
MAX_SIGN1_BYTES = 4_096

_CURVE_BYTES = 32
# What a COSE_Sign1 begins with that names its certificate, up to the 32 bytes of its hash; and what comes
# before the signature.
_NAMED = (
    TAG_COSE_SIGN1
    + b"\x84"
    + deterministic(PROTECTED)
    + deterministic({X5T: [SHA_256, b""]})[:-1]
    + b"\x58\x20"
)
_SIGNATURE_HEAD = b"\x58\x40"
ECDSA_SHA256 = ec.ECDSA(hashes.SHA256())


@dataclass(frozen=True, slots=True)
class Sign1:
    """The parts of a COSE_Sign1; nothing in it has been verified."""

    payload: bytes
    signature: bytes
    # SHA-256 of the signer's certificate. Not covered by the signature: it finds a key, it proves nothing.
    certificate_sha256: bytes | None


def sig_structure(external_aad: bytes, payload: bytes, protected: bytes = PROTECTED) -> bytes:
    """What is signed. RFC 9052, 4.4."""
    return _before_payload(external_aad, protected) + deterministic(payload)


@lru_cache(maxsize=64)
def _before_payload(external_aad: bytes, protected: bytes) -> bytes:
    """The array but for its last item: the same for everything that is signed for one use."""
    return deterministic(["Signature1", protected, external_aad, b""])[:-1]


def encode_sign1(sign1: Sign1) -> bytes:
    """The tagged COSE_Sign1, which `decode_sign1` reads. Raises StatementMalformed."""
    unprotected: dict[object, object] = {}
    if sign1.certificate_sha256 is not None:
        unprotected[X5T] = [SHA_256, sign1.certificate_sha256]
    _require_signature(sign1.signature)
    _thumbprint(unprotected)
    parts = [PROTECTED, unprotected, sign1.payload, sign1.signature]
    return TAG_COSE_SIGN1 + deterministic(parts, MAX_SIGN1_BYTES)


def decode_sign1(data: bytes) -> Sign1:
    """Read a tagged COSE_Sign1 of exactly our form. Raises StatementMalformed."""
    if (named := _named(data)) is not None:
        return named
    if data[:1] != TAG_COSE_SIGN1:
        raise StatementMalformed("not a COSE_Sign1 with its tag 18")
    match decode_deterministic(data[1:], MAX_SIGN1_BYTES):
        case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)]:
            pass
        case _:
            raise StatementMalformed("a COSE_Sign1 is an array of two headers, payload and signature")
    if protected != PROTECTED:
        raise StatementMalformed("the protected header is not {1: -7} (ES256)")
    _require_signature(signature)
    return Sign1(payload, signature, _thumbprint(unprotected))


def _named(data: bytes) -> Sign1 | None:
    """One of the usual form, cut out by its lengths; None where the strict reader has to look."""
    at = len(_NAMED) + 32
    if not data.startswith(_NAMED) or len(data) > MAX_SIGN1_BYTES:
        return None
    # RFC 8949, 4.2.1: each form of a length is for what the one before is too short for.
    if data.startswith(b"\x58", at):
        start, shortest = at + 2, 24
    elif data.startswith(b"\x59", at):
        start, shortest = at + 3, 256
    else:
        return None
    length = int.from_bytes(data[at + 1 : start], "big")
    end = start + length
    if length < shortest or len(data) != end + 66 or not data.startswith(_SIGNATURE_HEAD, end):
        return None
    return Sign1(data[start:end], data[end + 2 :], data[at - 32 : at])


def _require_signature(signature: bytes) -> None:
    if len(signature) != SIGNATURE_BYTES:
        raise StatementMalformed(f"the signature has {len(signature)} bytes, not {SIGNATURE_BYTES}")


def _thumbprint(unprotected: dict[object, object]) -> bytes | None:
    if not unprotected:
        return None
    match unprotected:
        case {34: [-16, bytes(digest)]} if len(unprotected) == 1 and len(digest) == 32:
            return digest
        case _:
            raise StatementMalformed("the unprotected header holds something else than x5t with SHA-256")


def verify_ecdsa(public_key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> None:
    """Return if the key has signed this message. Raises StatementSignatureInvalid."""
    if not isinstance(public_key.curve, ec.SECP256R1):
        raise StatementSignatureInvalid("ES256 needs a P-256 key")
    try:
        public_key.verify(to_der(signature), message, ECDSA_SHA256)
    except InvalidSignature as error:
        raise StatementSignatureInvalid("the signature does not verify") from error


def from_der(signature: bytes) -> bytes:
    """r‖s of a DER ECDSA-Sig-Value (RFC 3279, 2.2.3), each padded to 32 bytes. Raises StatementMalformed."""
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(_CURVE_BYTES, "big") + s.to_bytes(_CURVE_BYTES, "big")
    except (ValueError, OverflowError) as error:
        raise StatementMalformed("not the DER of a P-256 signature") from error


def to_der(signature: bytes) -> bytes:
    """The DER ECDSA-Sig-Value of r‖s, which `openssl` reads."""
    r, s = signature[:_CURVE_BYTES], signature[_CURVE_BYTES:]
    return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
