"""Signed statements: the canonical bytes that a card or the service signs, and how they are verified."""

from pki.statements.annulment import AnnulNotice
from pki.statements.answers import Answer, answer_certificate_sha256, open_answer, sign_answer
from pki.statements.cbor import decode_deterministic, deterministic
from pki.statements.signing import (
    SignedStatement,
    open_statement,
    seal,
    signature_input,
    verify_statement,
)
from pki.statements.transaction import (
    DETAILS_SALT_BYTES,
    StatementKind,
    TransactionStatement,
    details_hmac,
    parse_payload,
)

__all__ = [
    "DETAILS_SALT_BYTES",
    "AnnulNotice",
    "Answer",
    "SignedStatement",
    "StatementKind",
    "TransactionStatement",
    "answer_certificate_sha256",
    "decode_deterministic",
    "details_hmac",
    "deterministic",
    "open_answer",
    "open_statement",
    "parse_payload",
    "seal",
    "sign_answer",
    "signature_input",
    "verify_statement",
]
