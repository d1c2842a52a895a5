"""The transaction statement: its fixed vectors, outside witnesses of them, and everything that it is not."""

import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cwt import COSE, COSEKey

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import (
    AnnulNotice,
    StatementKind,
    TransactionStatement,
    decode_deterministic,
    details_hmac,
    deterministic,
    open_answer,
    open_statement,
    parse_payload,
    seal,
    signature_input,
    verify_statement,
)
from pki.statements.cose import from_der, to_der, verify_ecdsa
from pki.statements.errors import AmountNegative, AmountTooLarge, StatementSignatureBare
from tests.pki.card_keys import vectors as outside
from tests.pki.vectors import ANNUL, ANSWER, REQUEST, STATEMENTS
from tests.pki.witnesses import pycose_verifies

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "transaction-statement.json").read_text()
)
AAD = cbor2.dumps(["ashcombe", "transaction", 1])
KEY = ec.generate_private_key(ec.SECP256R1())
ECDSA = ec.ECDSA(hashes.SHA256())

each_statement = pytest.mark.parametrize("vector", VECTORS["statements"], ids=lambda vector: vector["name"])


def published_key() -> ec.EllipticCurvePublicKey:
    key = load_pem_public_key(VECTORS["public_key_pem"].encode())
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def signed_by(key: ec.EllipticCurvePrivateKey, payload: bytes, scheme: str = "ashcombe") -> bytes:
    return seal(payload, key.sign(signature_input(scheme, payload), ECDSA), bytes(32))


@outside.of("ecdsa-p256")
def test_a_signature_that_was_printed(vector: dict[str, Any]) -> None:
    """RFC 6979, A.2.5, through our r‖s and DER."""
    x, y = (int(vector["expected"][name], 16) for name in ("x", "y"))
    key = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    signature = outside.expected(vector, "r") + outside.expected(vector, "s")
    message = vector["inputs"]["message_ascii"].encode()
    verify_ecdsa(key, signature, message)
    assert from_der(to_der(signature)) == signature
    with pytest.raises(StatementSignatureInvalid):
        verify_ecdsa(key, signature, message + b"s")


class TestVectors:
    """The file is the specification by example; the code must agree, and so must others' programs."""

    @each_statement
    def test_the_code_agrees(self, vector: dict[str, Any]) -> None:
        statement = STATEMENTS[vector["name"]]
        payload = bytes.fromhex(vector["payload"])
        assert statement.payload() == payload
        assert parse_payload(payload) == statement
        assert signature_input(statement.scheme, payload).hex() == vector["sig_structure"]
        signed = open_statement(bytes.fromhex(vector["cose_sign1"]))
        assert signed.statement == statement
        assert signed.body.hex() == vector["body"]
        assert signed.signature_der.hex() == vector["signature_der"]
        assert signed.certificate_sha256 == bytes.fromhex(VECTORS["certificate_sha256"])
        assert seal(payload, signed.signature_der, signed.certificate_sha256).hex() == vector["cose_sign1"]
        verify_statement(signed, statement.scheme, published_key())

    @each_statement
    def test_cbor2_writes_the_same_payload_byte_by_byte(self, vector: dict[str, Any]) -> None:
        """From the readable fields and the numbers of the specification alone."""
        values = vector["statement"]
        time = datetime.fromisoformat(values["time"])
        numbered = {
            1: values["scheme"],
            2: UUID(values["id"]).bytes,
            3: values["terminal"],
            4: values["sequence"],
            5: UUID(values["card"]).bytes,
            6: values["kind"],
            7: values["service"],
            8: values["action"],
            9: values["amount_minor"],
            10: values["currency"],
            11: values["tariff_version"],
            12: values["offline"],
            13: bytes.fromhex(values["details_hmac"]),
            14: round(time.timestamp() * 1000),
            15: values["nonce"] and bytes.fromhex(values["nonce"]),
            16: values["replaces"] and UUID(values["replaces"]).bytes,
        }
        present = {key: value for key, value in numbered.items() if value is not None}
        assert cbor2.dumps(present).hex() == vector["payload"]

    @each_statement
    def test_cwt_verifies_the_cose_sign1(self, vector: dict[str, Any]) -> None:
        key = COSEKey.from_pem(VECTORS["public_key_pem"], kid="card", alg="ES256")
        payload = COSE.new().decode(
            bytes.fromhex(vector["cose_sign1"]),
            key,
            external_aad=cbor2.dumps([vector["statement"]["scheme"], "transaction", 1]),
        )
        assert payload.hex() == vector["payload"]

    @each_statement
    def test_pycose_verifies_it_too(self, vector: dict[str, Any]) -> None:
        raw = bytes.fromhex(vector["cose_sign1"])
        external_aad = cbor2.dumps([vector["statement"]["scheme"], "transaction", 1])
        assert pycose_verifies(raw, published_key(), external_aad)
        assert not pycose_verifies(raw, published_key(), cbor2.dumps(["ashcombe", "answer", 1]))

    @each_statement
    def test_openssl_verifies_structure_and_signature(self, vector: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "key.pem").write_text(VECTORS["public_key_pem"])
        (tmp_path / "sig_structure.bin").write_bytes(bytes.fromhex(vector["sig_structure"]))
        (tmp_path / "signature.der").write_bytes(bytes.fromhex(vector["signature_der"]))
        command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature.der"]
        command.append("sig_structure.bin")
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "Verified OK\n")
        (tmp_path / "sig_structure.bin").write_bytes(bytes.fromhex(vector["sig_structure"]) + b"\x00")
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1

    @each_statement
    def test_the_structure_is_that_of_rfc_9052(self, vector: dict[str, Any]) -> None:
        """RFC 9052, 4.4: context, protected header, external data, payload."""
        structure = cbor2.loads(bytes.fromhex(vector["sig_structure"]))
        scheme = vector["statement"]["scheme"]
        assert structure == [
            "Signature1",
            cbor2.dumps({1: -7}),
            cbor2.dumps([scheme, "transaction", 1]),
            bytes.fromhex(vector["payload"]),
        ]
        assert cbor2.dumps(structure).hex() == vector["sig_structure"]

    def test_the_details_hmac_is_that_of_cbor2_and_the_standard_library(self) -> None:
        known = VECTORS["details"]
        salt, data = bytes.fromhex(known["salt"]), cbor2.dumps(known["details"], canonical=True)
        assert hmac.new(salt, data, hashlib.sha256).hexdigest() == known["hmac"]
        assert details_hmac(salt, known["details"]).hex() == known["hmac"]

    def test_annulment_and_answer(self) -> None:
        assert ANNUL.payload().hex() == VECTORS["annul"]["payload"]
        assert ANNUL.body.hex() == VECTORS["annul"]["body"]
        assert ANSWER.payload().hex() == VECTORS["answer"]["payload"]
        raw = bytes.fromhex(VECTORS["answer"]["cose_sign1"])
        assert open_answer(raw, published_key(), "ashcombe") == ANSWER
        for data in (VECTORS["annul"]["payload"], VECTORS["answer"]["payload"]):
            value = cbor2.loads(bytes.fromhex(data))
            assert cbor2.dumps(value).hex() == data


class TestSignature:
    """What a card's signature says, and for whom."""

    def test_the_right_key_verifies(self) -> None:
        verify_statement(open_statement(signed_by(KEY, REQUEST.payload())), "ashcombe", KEY.public_key())

    def test_another_card_does_not(self) -> None:
        signed = open_statement(signed_by(KEY, REQUEST.payload()))
        with pytest.raises(StatementSignatureInvalid):
            verify_statement(signed, "ashcombe", published_key())

    def test_another_statement_does_not(self) -> None:
        signed = open_statement(signed_by(KEY, REQUEST.payload()))
        other = replace(REQUEST, amount_minor=1).payload()
        moved = open_statement(seal(other, signed.signature_der, bytes(32)))
        with pytest.raises(StatementSignatureInvalid):
            verify_statement(moved, "ashcombe", KEY.public_key())

    def test_another_scheme_does_not(self) -> None:
        """The scheme is in the statement and in the external data; both count."""
        for_other = open_statement(signed_by(KEY, REQUEST.payload(), scheme="thornfield"))
        for scheme in ("ashcombe", "thornfield"):
            with pytest.raises(StatementSignatureInvalid):
                verify_statement(for_other, scheme, KEY.public_key())

    def test_a_signature_for_another_use_does_not(self) -> None:
        """A door's challenge, say: the same payload signed with another external data."""
        payload = REQUEST.payload()
        structure = cbor2.dumps(
            ["Signature1", cbor2.dumps({1: -7}), cbor2.dumps(["ashcombe", "door", 1]), payload]
        )
        raw = seal(payload, KEY.sign(structure, ECDSA), bytes(32))
        with pytest.raises(StatementSignatureInvalid):
            verify_statement(open_statement(raw), "ashcombe", KEY.public_key())

    def test_a_bare_signature_does_not_and_is_told_from_another_cards(self) -> None:
        """As a door has its challenge signed: these bytes, and nothing of a purpose or scheme."""
        payload = REQUEST.payload()
        signed = open_statement(seal(payload, KEY.sign(payload, ECDSA), bytes(32)))
        with pytest.raises(StatementSignatureBare):
            verify_statement(signed, "ashcombe", KEY.public_key())
        with pytest.raises(StatementSignatureInvalid) as caught:
            verify_statement(signed, "ashcombe", published_key())
        assert not isinstance(caught.value, StatementSignatureBare)

    def test_another_curve_does_not(self) -> None:
        signed = open_statement(signed_by(KEY, REQUEST.payload()))
        with pytest.raises(StatementSignatureInvalid, match="P-256"):
            verify_statement(signed, "ashcombe", ec.generate_private_key(ec.SECP384R1()).public_key())

    @pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64])
    def test_numbers_out_of_range_do_not(self, signature: bytes) -> None:
        value = cbor2.loads(signed_by(KEY, REQUEST.payload()))
        raw = cbor2.dumps(cbor2.CBORTag(18, [*value.value[:3], signature]))
        with pytest.raises(StatementSignatureInvalid):
            verify_statement(open_statement(raw), "ashcombe", KEY.public_key())

    def test_short_numbers_are_padded(self) -> None:
        """r and s are 32 bytes each, however short they are as DER integers."""
        payload = REQUEST.payload()
        der = bytes.fromhex("3006020101020102")
        signed = open_statement(seal(payload, der, None))
        assert signed.signature == bytes(31) + b"\x01" + bytes(31) + b"\x02"
        assert signed.signature_der == der
        assert signed.certificate_sha256 is None

    @pytest.mark.parametrize(
        "der",
        ["", "3006020101020102ff", "30060201ff020102", "3003020101", "302602210" + "1" * 65 + "020101"],
    )
    def test_what_is_no_signature_is_not_sealed(self, der: str) -> None:
        with pytest.raises(StatementMalformed):
            seal(REQUEST.payload(), bytes.fromhex(der), bytes(32))

    def test_what_is_no_statement_is_not_sealed(self) -> None:
        with pytest.raises(StatementMalformed):
            seal(b"\xa0", KEY.sign(b"", ECDSA), bytes(32))


def sign1(**changed: Any) -> bytes:
    """A COSE_Sign1 by cbor2, changed in one place."""
    parts = {
        "protected": cbor2.dumps({1: -7}),
        "unprotected": {34: [-16, bytes(32)]},
        "payload": REQUEST.payload(),
        "signature": b"\x01" * 64,
        **changed,
    }
    return cbor2.dumps(cbor2.CBORTag(parts.pop("tag", 18), list(parts.values())))


class TestEnvelope:
    """A COSE_Sign1 of exactly one form."""

    def test_the_form(self) -> None:
        assert open_statement(sign1()).statement == REQUEST
        assert open_statement(sign1(unprotected={})).certificate_sha256 is None

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\xd2",
            sign1()[1:],
            sign1(tag=17),
            sign1(tag=98),
            sign1() + b"\x00",
            sign1()[:-1],
            b"\xd8\x12" + sign1()[1:],
            sign1(more=0),
            cbor2.dumps(cbor2.CBORTag(18, {})),
            cbor2.dumps(cbor2.CBORTag(18, [1, 2, 3])),
            sign1(protected=b""),
            sign1(protected=cbor2.dumps({1: -8})),
            sign1(protected=cbor2.dumps({1: -7, 4: b"kid"})),
            sign1(protected={1: -7}),
            sign1(unprotected={1: -7}),
            sign1(unprotected={34: [-16, bytes(31)]}),
            sign1(unprotected={34: [-43, bytes(32)]}),
            sign1(unprotected={34: bytes(32)}),
            sign1(unprotected={34: [-16, bytes(32)], 35: "u"}),
            sign1(unprotected=[]),
            sign1(payload=None),
            sign1(payload="text"),
            sign1(signature=b"\x01" * 63),
            sign1(signature=b"\x01" * 65),
            sign1(signature="s" * 64),
            sign1(payload=bytes(5000)),
        ],
        ids=lambda raw: raw[:12].hex() + f"-{len(raw)}",
    )
    def test_anything_else_is_refused(self, raw: bytes) -> None:
        with pytest.raises(StatementMalformed):
            open_statement(raw)


def changed_payload(**changes: object) -> bytes:
    """The request's map with keys set (k9=…) or, with `...`, left out."""
    values: dict[object, object] = dict(cbor2.loads(REQUEST.payload()))
    for name, value in changes.items():
        key = int(name[1:])
        if value is ...:
            del values[key]
        else:
            values[key] = value
    return cbor2.dumps(dict(sorted(values.items(), key=lambda item: int(str(item[0])))))


class TestPayload:
    """Whatever is not exactly a statement is refused."""

    def test_the_helper_changes_nothing_by_itself(self) -> None:
        assert changed_payload() == REQUEST.payload()

    @pytest.mark.parametrize("key", [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15])
    def test_a_field_is_missing(self, key: int) -> None:
        with pytest.raises(StatementMalformed):
            parse_payload(changed_payload(**{f"k{key}": ...}))

    @pytest.mark.parametrize("key", range(1, 17))
    @pytest.mark.parametrize("value", [None, [], {}, [1], -1, 2**64 - 1, "\n", b"\x00" * 5, ""])
    def test_a_field_has_another_type_or_range(self, key: int, value: object) -> None:
        with pytest.raises(StatementMalformed):
            parse_payload(changed_payload(**{f"k{key}": value}))

    @pytest.mark.parametrize("key", [0, 17, 18, 255])
    def test_an_unknown_key(self, key: int) -> None:
        with pytest.raises(StatementMalformed, match="unknown keys"):
            parse_payload(changed_payload(**{f"k{key}": 0}))

    @pytest.mark.parametrize(
        "changes",
        [
            {"k1": "a scheme"},
            {"k3": "x" * 65},
            {"k4": True},
            {"k4": 2**53},
            {"k6": 0},
            {"k6": 3},
            {"k6": True},
            {"k9": -1},
            {"k9": 2**53},
            {"k9": False},
            {"k10": "gbp"},
            {"k10": "GBPX"},
            {"k11": "x" * 129},
            {"k12": 0},
            {"k13": bytes(31)},
            {"k14": 253402300800000},
            {"k15": bytes(7)},
            {"k15": bytes(65)},
            {"k16": REQUEST.id.bytes},
        ],
        ids=str,
    )
    def test_a_value_out_of_range(self, changes: dict[str, object]) -> None:
        with pytest.raises(StatementMalformed):
            parse_payload(changed_payload(**changes))

    @pytest.mark.parametrize(
        "changes",
        [
            {"k12": True},  # a request, offline
            {"k15": ...},  # a request without a nonce
            {"k6": 2},  # an advice with a nonce
        ],
        ids=str,
    )
    def test_kind_nonce_and_offline_belong_together(self, changes: dict[str, object]) -> None:
        with pytest.raises(StatementMalformed):
            parse_payload(changed_payload(**changes))

    @pytest.mark.parametrize(
        "change",
        [
            lambda p: p + b"\x00",
            lambda p: p[:-1],
            lambda p: b"\xbf" + p[1:] + b"\xff",
            lambda p: b"\xb8\x0f" + p[1:],
            lambda p: p.replace(b"\x09\x18\xeb", b"\x09\x19\x00\xeb"),
            lambda p: cbor2.dumps(dict(reversed(list(cbor2.loads(p).items())))),
            lambda p: b"\xd9\xd9\xf7" + p,
            lambda _: b"\x81" * 900,
            lambda _: b"\xa1\x01" * 500,
            lambda _: cbor2.dumps([1, 2]),
            lambda _: cbor2.dumps({"scheme": "ashcombe"}),
            lambda _: b"",
            lambda p: p + bytes(1024),
        ],
    )
    def test_other_bytes(self, change: Callable[[bytes], bytes]) -> None:
        payload = change(REQUEST.payload())
        assert payload != REQUEST.payload()
        with pytest.raises(StatementMalformed):
            parse_payload(payload)

    @pytest.mark.parametrize(
        ("amount", "error"),
        [(-1, AmountNegative), (-(2**64), AmountNegative), (2**53, AmountTooLarge), (2**63, AmountTooLarge)],
    )
    def test_an_amount_out_of_range_is_told_from_what_is_none(
        self, amount: int, error: type[StatementMalformed]
    ) -> None:
        with pytest.raises(error):
            parse_payload(changed_payload(k9=amount))
        with pytest.raises(error):
            replace(REQUEST, amount_minor=amount)


class TestValues:
    """A statement cannot be made wrong in the first place."""

    @pytest.mark.parametrize(
        "changes",
        [
            {"time": datetime(2026, 11, 24, 8, 15)},  # noqa: DTZ001 -- a naive time is what is refused
            {"time": datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)},
            {"scheme": ""},
            {"terminal": "bus 12"},
            {"terminal": "bus-12\n"},
            {"id": "0192f0a1-7b3c-7d5e-8f90-a1b2c3d4e5f6"},
            {"card": bytes(16)},
            {"kind": 1},
            {"offline": 0},
            {"amount_minor": 2.35},
            {"amount_minor": True},
            {"details_hmac": bytes(16)},
            {"replaces": "x"},
        ],
        ids=str,
    )
    def test_out_of_range(self, changes: dict[str, Any]) -> None:
        with pytest.raises(StatementMalformed):
            replace(REQUEST, **changes)

    def test_time_is_cut_to_the_millisecond_in_utc(self) -> None:
        zone = timezone(timedelta(hours=1))
        moment = datetime(2026, 11, 24, 9, 15, 30, 125_999, tzinfo=zone)
        statement = replace(REQUEST, time=moment)
        assert statement.time == datetime(2026, 11, 24, 8, 15, 30, 125_000, tzinfo=UTC)
        assert statement.time.tzinfo is UTC
        assert parse_payload(statement.payload()) == statement

    def test_every_field_is_in_the_payload(self) -> None:
        """Two statements that differ in any field have different bytes."""
        others: dict[str, Any] = {
            "scheme": "thornfield",
            "id": UUID(int=1),
            "terminal": "bus-13",
            "sequence": 1,
            "card": UUID(int=2),
            "service": "parking",
            "action": "start",
            "amount_minor": None,
            "currency": "PLN",
            "tariff_version": None,
            "details_hmac": bytes(32),
            "time": REQUEST.time + timedelta(milliseconds=1),
            "nonce": bytes(24),
            "replaces": UUID(int=3),
        }
        payloads = {replace(REQUEST, **{name: value}).payload() for name, value in others.items()}
        advice = replace(REQUEST, kind=StatementKind.ADVICE, nonce=None)
        payloads |= {REQUEST.payload(), advice.payload(), replace(advice, offline=True).payload()}
        assert set(others) | {"kind", "offline"} == {field.name for field in fields(TransactionStatement)}
        assert len(payloads) == len(others) + 3

    def test_a_statement_is_small(self) -> None:
        """A card's reader sends only its hash; the service stores all of it."""
        assert len(REQUEST.payload()) < 200
        assert len(signed_by(KEY, REQUEST.payload())) < 320


class TestDetails:
    """The HMAC of what the card does not carry itself."""

    def test_the_order_of_the_details_does_not_matter(self) -> None:
        salt = bytes(16)
        assert details_hmac(salt, {"a": 1, "bb": 2}) == details_hmac(salt, {"bb": 2, "a": 1})

    def test_salt_and_details_both_count(self) -> None:
        digests = {
            details_hmac(salt, details)
            for salt in (bytes(16), b"\x01" * 16)
            for details in ({"a": 1}, {"a": "1"}, {"a": True}, {"a": None}, {})
        }
        assert len(digests) == 10

    @pytest.mark.parametrize("length", [0, 15, 17, 32])
    def test_the_salt_has_sixteen_bytes(self, length: int) -> None:
        with pytest.raises(StatementMalformed):
            details_hmac(bytes(length), {})

    @pytest.mark.parametrize("value", [1.5, {1: 0, "a": 0}, "\ud800", object()])
    def test_details_that_json_could_not_carry_exactly_are_refused(self, value: object) -> None:
        with pytest.raises(StatementMalformed):
            details_hmac(bytes(16), {"a": value})


class TestAnnulNotice:
    """A terminal's own word."""

    def test_it_is_never_a_statement(self) -> None:
        with pytest.raises(StatementMalformed):
            parse_payload(ANNUL.payload())

    @pytest.mark.parametrize(
        "changes",
        [
            {"annuls": ANNUL.id},
            {"annuls": "x"},
            {"time": datetime(2026, 11, 24)},  # noqa: DTZ001 -- a naive time is what is refused
            {"sequence": -1},
            {"terminal": ""},
        ],
        ids=str,
    )
    def test_out_of_range(self, changes: dict[str, Any]) -> None:
        with pytest.raises(StatementMalformed):
            replace(ANNUL, **changes)

    def test_every_field_counts(self) -> None:
        others: dict[str, Any] = {
            "scheme": "thornfield",
            "id": UUID(int=1),
            "terminal": "bus-13",
            "sequence": 1,
            "card": UUID(int=2),
            "annuls": UUID(int=3),
            "time": ANNUL.time + timedelta(milliseconds=1),
        }
        assert set(others) == {field.name for field in fields(AnnulNotice)}
        bodies = {replace(ANNUL, **{name: value}).body for name, value in others.items()}
        assert len(bodies | {ANNUL.body}) == len(others) + 1


def test_the_aad_is_deterministic_cbor() -> None:
    assert deterministic(["ashcombe", "transaction", 1]) == AAD
    assert decode_deterministic(AAD) == ["ashcombe", "transaction", 1]
