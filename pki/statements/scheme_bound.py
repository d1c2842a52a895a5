"""What the service signs over a payload: a COSE_Sign1 that holds for one use and one scheme alone."""

from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec

from pki.statements.cbor import deterministic
from pki.statements.cose import (
    ECDSA_SHA256,
    Sign1,
    decode_sign1,
    encode_sign1,
    from_der,
    sig_structure,
    verify_ecdsa,
)


@dataclass(frozen=True, slots=True)
class SchemeBound:
    """One use of a key. What is signed for another use, version or scheme does not verify for this one."""

    use: str
    version: int

    def signature_input(self, scheme: str, payload: bytes) -> bytes:
        """The Sig_structure (RFC 9052, 4.4). A card is given its SHA-256 to sign."""
        return sig_structure(_external_aad(scheme, self.use, self.version), payload)

    def sign(
        self, scheme: str, payload: bytes, key: ec.EllipticCurvePrivateKey, certificate_sha256: bytes
    ) -> bytes:
        """The tagged COSE_Sign1, which names the certificate of the key by its SHA-256."""
        signature = key.sign(self.signature_input(scheme, payload), ECDSA_SHA256)
        return encode_sign1(Sign1(payload, from_der(signature), certificate_sha256))

    def open(self, raw: bytes, public_key: ec.EllipticCurvePublicKey, scheme: str) -> bytes:
        """The verified payload. Raises StatementMalformed and StatementSignatureInvalid."""
        sign1 = decode_sign1(raw)
        verify_ecdsa(public_key, sign1.signature, self.signature_input(scheme, sign1.payload))
        return sign1.payload


@lru_cache(maxsize=64)
def _external_aad(scheme: str, use: str, version: int) -> bytes:
    """RFC 9052, 4.3: the same for everything that a scheme signs for one use."""
    return deterministic([scheme, use, version])


def signer_sha256(raw: bytes) -> bytes | None:
    """By which certificate a COSE_Sign1 is to be verified; itself unverified. Raises StatementMalformed."""
    return decode_sign1(raw).certificate_sha256
