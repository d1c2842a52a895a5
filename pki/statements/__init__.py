"""Signed statements: the canonical bytes that a card or the service signs, and how they are verified."""

from pki.statements.annulment import AnnulNotice
from pki.statements.answers import Answer, open_answer, sign_answer
from pki.statements.cbor import byte_strings, decode_deterministic, deterministic
from pki.statements.entitlement import (
    CardBinding,
    Entitlement,
    KeyBinding,
    SignedEntitlement,
    open_entitlement,
    sign_entitlement,
    verify_entitlement,
)
from pki.statements.leaf_tombstone import (
    LeafTombstone,
    open_tombstone,
    sign_tombstone,
)
from pki.statements.many_answers import (
    ManyAnswers,
    answers_digest,
    open_many_answers,
    sign_many_answers,
)
from pki.statements.scheme_bound import signer_sha256
from pki.statements.signing import (
    SignedStatement,
    enclose,
    open_statement,
    seal,
    signature_input,
    verify_statement,
)
from pki.statements.thumbprint import key_id, key_thumbprint
from pki.statements.transaction import (
    DETAILS_SALT_BYTES,
    StatementKind,
    TransactionStatement,
    details_hmac,
    encoded_details_hmac,
    parse_payload,
)
from pki.statements.tree_head import (
    TreeHead,
    open_tree_head,
    sign_tree_head,
)

__all__ = [
    "DETAILS_SALT_BYTES",
    "AnnulNotice",
    "Answer",
    "CardBinding",
    "Entitlement",
    "KeyBinding",
    "LeafTombstone",
    "ManyAnswers",
    "SignedEntitlement",
    "SignedStatement",
    "StatementKind",
    "TransactionStatement",
    "TreeHead",
    "answers_digest",
    "byte_strings",
    "decode_deterministic",
    "details_hmac",
    "deterministic",
    "enclose",
    "encoded_details_hmac",
    "key_id",
    "key_thumbprint",
    "open_answer",
    "open_entitlement",
    "open_many_answers",
    "open_statement",
    "open_tombstone",
    "open_tree_head",
    "parse_payload",
    "seal",
    "sign_answer",
    "sign_entitlement",
    "sign_many_answers",
    "sign_tombstone",
    "sign_tree_head",
    "signature_input",
    "signer_sha256",
    "verify_entitlement",
    "verify_statement",
]
