"""A transaction statement with the card's signature around it."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import StatementSignatureInvalid
from pki.statements import fields
from pki.statements.cose import (
    Sign1,
    decode_sign1,
    encode_sign1,
    from_der,
    to_der,
    verify_ecdsa,
)
from pki.statements.errors import StatementSignatureBare
from pki.statements.scheme_bound import SchemeBound
from pki.statements.transaction import TransactionStatement, parse_payload

# Ours: the use and version that the signature is bound to, so that it can never count as one of another use.
_BOUND = SchemeBound("transaction", 1)


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement as it was received; its signature has not been verified."""

    raw: bytes
    payload: bytes
    statement: TransactionStatement
    # r‖s, 64 bytes
    signature: bytes
    # Which certificate to look for; not covered by the signature
    certificate_sha256: bytes | None

    @property
    def signature_der(self) -> bytes:
        """The signature as the card gave it and as `openssl` reads it."""
        return to_der(self.signature)

    @property
    def body(self) -> bytes:
        """SHA-256 of the payload: what tells one message from another under the same id."""
        return hashlib.sha256(self.payload).digest()


def signature_input(scheme: str, payload: bytes) -> bytes:
    """The Sig_structure (RFC 9052, 4.4). The card is given its SHA-256 to sign."""
    return _BOUND.signature_input(scheme, payload)


def seal(payload: bytes, signature_der: bytes, certificate_sha256: bytes | None) -> bytes:
    """The tagged COSE_Sign1 of a payload and the card's DER signature. Raises StatementMalformed."""
    parse_payload(payload)
    return enclose(payload, signature_der, certificate_sha256)


def enclose(payload: bytes, signature_der: bytes, certificate_sha256: bytes | None) -> bytes:
    """The same for the payload of a statement that the caller has made itself, which is not read again."""
    return encode_sign1(Sign1(payload, from_der(signature_der), certificate_sha256))


def open_statement(raw: bytes) -> SignedStatement:
    """Read what `seal` wrote. Raises StatementMalformed; verifies no signature."""
    sign1 = decode_sign1(raw)
    return SignedStatement(
        raw, sign1.payload, parse_payload(sign1.payload), sign1.signature, sign1.certificate_sha256
    )


def verify_statement(signed: SignedStatement, scheme: str, public_key: ec.EllipticCurvePublicKey) -> None:
    """Return if this card key has signed the statement for this scheme. Raises StatementSignatureInvalid.

    StatementSignatureBare where it has signed the payload as any other challenge is signed, such as a door's.
    """
    fields.identifier("scheme", scheme)
    if signed.statement.scheme != scheme:
        raise StatementSignatureInvalid("the statement was made for another scheme")
    try:
        verify_ecdsa(public_key, signed.signature, signature_input(scheme, signed.payload))
    except StatementSignatureInvalid:
        # Whoever made a card sign a challenge knows it: to be told so helps staff alone.
        if _is_bare(signed, public_key):
            raise StatementSignatureBare(
                "the card has signed this as a challenge, not as a payment"
            ) from None
        raise


def _is_bare(signed: SignedStatement, public_key: ec.EllipticCurvePublicKey) -> bool:
    try:
        verify_ecdsa(public_key, signed.signature, signed.payload)
    except StatementSignatureInvalid:
        return False
    return True
