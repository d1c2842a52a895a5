"""Many answers under one signature: what a terminal that told thousands can show that it was told."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import StatementSignatureInvalid
from pki.statements import fields
from pki.statements.cbor import deterministic
from pki.statements.scheme_bound import SchemeBound

# Ours, as for one answer
_BOUND = SchemeBound("answers", 1)
_KEYS = frozenset({1, 2, 3, 4, 5})


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyAnswers:
    """Made only if every field is in range; else StatementMalformed."""

    scheme: str
    terminal: str
    # How many answers they are, and the SHA-256 of their payloads one after another
    count: int
    digest: bytes
    # When they were given together; each has its own time. In UTC, cut to the millisecond
    time: datetime

    def __post_init__(self) -> None:
        fields.identifier("scheme", self.scheme)
        fields.identifier("terminal", self.terminal)
        fields.integer("count", self.count)
        fields.octets("digest", self.digest, 32)
        object.__setattr__(self, "time", fields.moment("time", self.time))

    def payload(self) -> bytes:
        """A map with integer keys in deterministic CBOR."""
        return deterministic(
            {
                1: self.scheme,
                2: self.terminal,
                3: self.count,
                4: self.digest,
                5: fields.milliseconds(self.time),
            }
        )


def answers_digest(payloads: Iterable[bytes]) -> bytes:
    """The digest of answers by their payloads (`Answer.payload`), in their order."""
    digest = hashlib.sha256()
    for payload in payloads:
        digest.update(payload)
    return digest.digest()


def sign_many_answers(
    answers: ManyAnswers, key: ec.EllipticCurvePrivateKey, certificate_sha256: bytes
) -> bytes:
    """The tagged COSE_Sign1, which names the certificate of the key by its SHA-256."""
    return _BOUND.sign(answers.scheme, answers.payload(), key, certificate_sha256)


def open_many_answers(raw: bytes, public_key: ec.EllipticCurvePublicKey, scheme: str) -> ManyAnswers:
    """Verify and read the signed answers. Raises StatementMalformed and StatementSignatureInvalid."""
    values = fields.read_map(_BOUND.open(raw, public_key, scheme), _KEYS, frozenset())
    answers = ManyAnswers(
        scheme=fields.identifier("scheme", values[1]),
        terminal=fields.identifier("terminal", values[2]),
        count=fields.integer("count", values[3]),
        digest=fields.octets("digest", values[4], 32),
        time=fields.moment("time", values[5]),
    )
    if answers.scheme != scheme:
        raise StatementSignatureInvalid("the answers were given in another scheme")
    return answers
