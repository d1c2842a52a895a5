"""The service's signed answers."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cwt import COSE, COSEKey

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import (
    Answer,
    open_answer,
    open_statement,
    parse_payload,
    seal,
    sign_answer,
    signer_sha256,
)
from pki.statements.cose import decode_sign1, from_der, to_der
from tests.pki.vectors import ANSWER, REQUEST

KEY = ec.generate_private_key(ec.SECP256R1())
THUMBPRINT = bytes(range(32))
RAW = sign_answer(ANSWER, KEY, THUMBPRINT)


def test_an_answer_comes_back() -> None:
    assert open_answer(RAW, KEY.public_key(), "ashcombe") == ANSWER
    assert signer_sha256(RAW) == THUMBPRINT


def test_cwt_verifies_it() -> None:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    key = COSEKey.from_pem(pem, alg="ES256", kid="service")
    aad = cbor2.dumps(["ashcombe", "answer", 1])
    assert COSE.new().decode(RAW, key, external_aad=aad) == ANSWER.payload()


def test_another_key_does_not_verify() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(StatementSignatureInvalid):
        open_answer(RAW, other.public_key(), "ashcombe")


def test_another_scheme_does_not_verify() -> None:
    with pytest.raises(StatementSignatureInvalid):
        open_answer(RAW, KEY.public_key(), "thornfield")


def test_an_answer_that_names_another_scheme_is_refused() -> None:
    """The service's key is the same, and it has signed for this scheme; the answer says another."""
    payload = replace(ANSWER, scheme="thornfield").payload()
    aad = cbor2.dumps(["ashcombe", "answer", 1])
    structure = cbor2.dumps(["Signature1", cbor2.dumps({1: -7}), aad, payload])
    signature = from_der(KEY.sign(structure, ec.ECDSA(hashes.SHA256())))
    raw = cbor2.dumps(cbor2.CBORTag(18, [cbor2.dumps({1: -7}), {}, payload, signature]))
    with pytest.raises(StatementSignatureInvalid, match="another scheme"):
        open_answer(raw, KEY.public_key(), "ashcombe")


def test_every_field_is_signed() -> None:
    others: dict[str, Any] = {
        "scheme": "thornfield",
        "id": UUID(int=1),
        "body": bytes(32),
        "decision": "declined",
        "reason": "floor",
        "time": ANSWER.time + timedelta(milliseconds=1),
    }
    assert set(others) == {field.name for field in fields(Answer)}
    sign1 = cbor2.loads(RAW).value
    for name, value in others.items():
        sign1[2] = replace(ANSWER, **{name: value}).payload()
        with pytest.raises(StatementSignatureInvalid):
            open_answer(cbor2.dumps(cbor2.CBORTag(18, sign1)), KEY.public_key(), "ashcombe")


def test_a_card_cannot_be_made_to_sign_an_answer() -> None:
    """An answer's signature is none over a statement, nor the other way round."""
    with pytest.raises(StatementMalformed):
        open_statement(RAW)
    with pytest.raises(StatementMalformed):
        parse_payload(ANSWER.payload())
    statement = seal(REQUEST.payload(), to_der(decode_sign1(RAW).signature), THUMBPRINT)
    with pytest.raises(StatementSignatureInvalid):
        open_answer(statement, KEY.public_key(), "ashcombe")


@pytest.mark.parametrize(
    "changes", [{"body": bytes(31)}, {"decision": ""}, {"reason": "two words"}, {"id": bytes(16)}], ids=str
)
def test_out_of_range(changes: dict[str, Any]) -> None:
    with pytest.raises(StatementMalformed):
        replace(ANSWER, **changes)


@pytest.mark.parametrize("raw", [b"", b"\xd2\x80", RAW[:-1], RAW + b"\x00", RAW[1:]], ids=len)
def test_other_bytes(raw: bytes) -> None:
    with pytest.raises(StatementMalformed):
        open_answer(raw, KEY.public_key(), "ashcombe")
