"""The service's signed answer: what a terminal can show, years later, that it was told."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import fields
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

# Ours, as for the transaction statement
_USE, _VERSION = "answer", 1
_KEYS = frozenset({1, 2, 3, 4, 5, 6})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Made only if every field is in range; else StatementMalformed."""

    scheme: str
    # The id and the body (SHA-256 of the payload) of the message that is answered
    id: UUID
    body: bytes
    decision: str
    reason: str
    # In UTC, cut to the millisecond
    time: datetime

    def __post_init__(self) -> None:
        for name in ("scheme", "decision", "reason"):
            fields.identifier(name, getattr(self, name))
        if not isinstance(self.id, UUID):
            raise StatementMalformed("id is not a UUID")
        fields.octets("body", self.body, 32)
        object.__setattr__(self, "time", fields.moment("time", self.time))

    def payload(self) -> bytes:
        """The answer's bytes: a map with integer keys in deterministic CBOR."""
        return deterministic(
            {
                1: self.scheme,
                2: self.id.bytes,
                3: self.body,
                4: self.decision,
                5: self.reason,
                6: fields.milliseconds(self.time),
            }
        )


def sign_answer(answer: Answer, key: ec.EllipticCurvePrivateKey, certificate_sha256: bytes) -> bytes:
    """The tagged COSE_Sign1 of an answer, which names the certificate of the key by its SHA-256."""
    payload = answer.payload()
    signature = key.sign(_signature_input(answer.scheme, payload), ECDSA_SHA256)
    return encode_sign1(Sign1(payload, from_der(signature), certificate_sha256))


def open_answer(raw: bytes, public_key: ec.EllipticCurvePublicKey, scheme: str) -> Answer:
    """Verify and read an answer. Raises StatementMalformed and StatementSignatureInvalid."""
    sign1 = decode_sign1(raw)
    verify_ecdsa(public_key, sign1.signature, _signature_input(scheme, sign1.payload))
    values = fields.read_map(sign1.payload, _KEYS, frozenset())
    answer = Answer(
        scheme=fields.identifier("scheme", values[1]),
        id=fields.uuid("id", values[2]),
        body=fields.octets("body", values[3], 32),
        decision=fields.identifier("decision", values[4]),
        reason=fields.identifier("reason", values[5]),
        time=fields.moment("time", values[6]),
    )
    if answer.scheme != scheme:
        raise StatementSignatureInvalid("the answer was made for another scheme")
    return answer


def answer_certificate_sha256(raw: bytes) -> bytes | None:
    """Which certificate to verify an answer with; itself unverified. Raises StatementMalformed."""
    return decode_sign1(raw).certificate_sha256


def _signature_input(scheme: str, payload: bytes) -> bytes:
    return sig_structure(_bound_to(scheme), payload)


@lru_cache(maxsize=16)
def _bound_to(scheme: str) -> bytes:
    """The external_aad (RFC 9052, 4.3): the same for everything that a scheme signs here."""
    return deterministic([scheme, _USE, _VERSION])
