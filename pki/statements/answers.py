"""The service's signed answer: what a terminal can show, years later, that it was told."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import fields
from pki.statements.cbor import deterministic
from pki.statements.scheme_bound import SchemeBound

# Ours, as for the transaction statement
_BOUND = SchemeBound("answer", 1)
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
    return _BOUND.sign(answer.scheme, answer.payload(), key, certificate_sha256)


def open_answer(raw: bytes, public_key: ec.EllipticCurvePublicKey, scheme: str) -> Answer:
    """Verify and read an answer. Raises StatementMalformed and StatementSignatureInvalid."""
    values = fields.read_map(_BOUND.open(raw, public_key, scheme), _KEYS, frozenset())
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
