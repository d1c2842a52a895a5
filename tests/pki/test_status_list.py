"""Status lists: the specification's vectors, an independent reading, others' programs, and refusals."""

import hashlib
import json
import random
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cwt import COSE, COSEKey
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.errors import StatusIndexUnknown, StatusListMalformed, StatusListRefused, StatusListStale
from pki.status_list import (
    MAX_INDEXES,
    CardStatus,
    StatusList,
    StatusListBuilder,
    StatusListToken,
    open_token,
    sign_token,
)
from pki.status_list.token import MEDIA_TYPE, signer_sha256
from tests.pki.conftest import START, new_key

NODE = Path(__file__).parents[2] / ".venv" / "bin" / "node"
WITNESS = Path(__file__).parents[1] / "witnesses" / "status_list.mjs"
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "token-status-list.json").read_text("utf-8"))

KEY = new_key()
SIGNER = hashlib.sha256(b"the certificate of its signer").digest()
URI = "https://cards.example/pki/status/1"
DAY = timedelta(days=1)

statuses = st.dictionaries(st.integers(0, 4_095), st.sampled_from(CardStatus), max_size=200)


def listed(found: dict[int, CardStatus], size: int = 4_096) -> StatusList:
    builder = StatusListBuilder(size)
    for index, status in found.items():
        builder.set(index, status)
    return builder.build()


def token(statuses: StatusList | None = None) -> StatusListToken:
    return StatusListToken(
        uri=URI,
        issued_at=START,
        expires_at=START + DAY,
        ttl=timedelta(minutes=5),
        statuses=statuses or listed({0: CardStatus.INVALID, 4_095: CardStatus.SUSPENDED}),
    )


def signed(statuses: StatusList | None = None) -> bytes:
    return sign_token(token(statuses), KEY, SIGNER)


def by_the_specification(raw: bytes) -> tuple[dict[int, Any], list[int]]:
    """Claims and statuses, by cbor2 and the letter of Token Status List 4.1 and 5.2; signature verified."""
    message = cbor2.loads(raw)
    assert message.tag == 18
    protected, _, payload, signature = message.value
    assert cbor2.loads(protected) == {1: -7, 16: "application/statuslist+cwt"}
    half = len(signature) // 2
    der = encode_dss_signature(
        int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    )
    to_be_signed = cbor2.dumps(["Signature1", protected, b"", payload])
    KEY.public_key().verify(der, to_be_signed, ec.ECDSA(hashes.SHA256()))
    claims = cbor2.loads(payload)
    bits = claims[65533]["bits"]
    octets = zlib.decompress(claims[65533]["lst"])
    whole = "".join(f"{octet:08b}"[::-1] for octet in octets)
    return claims, [int(whole[at : at + bits][::-1], 2) for at in range(0, len(whole), bits)]


class TestVectors:
    """draft-ietf-oauth-status-list, 4 and appendix C."""

    def test_two_bits_a_status(self) -> None:
        vector = VECTORS["compressed"]
        found = StatusList.from_compressed(bytes.fromhex(vector["lst"]))
        assert found.octets.hex() == vector["octets"]
        values = [found.octets[index // 4] >> (index % 4 * 2) & 3 for index in range(12)]
        assert values == vector["statuses"]
        for index, value in enumerate(vector["statuses"]):
            if value == 3:
                with pytest.raises(StatusIndexUnknown, match="no meaning"):
                    found.status(index)
            else:
                assert found.status(index) == value

    def test_a_million_of_two_bits(self) -> None:
        vector = VECTORS["two bits"]
        structure = cbor2.loads(bytes.fromhex(vector["cbor"]))
        assert structure["bits"] == 2
        found = StatusList.from_compressed(structure["lst"])
        assert len(found) == 2**20
        set_ones = {int(index): value for index, value in vector["statuses"].items()}
        for index, value in set_ones.items():
            if value != 3:
                assert found.status(index) == value
        builder = StatusListBuilder(2**20)
        for index, value in set_ones.items():
            builder.set(index, value)
        assert builder.build() == found

    def test_the_form_of_the_example_token(self) -> None:
        """Its headers and claims are ours; it has one bit a status and a kid, which are not."""
        message = cbor2.loads(bytes.fromhex(VECTORS["token"]))
        assert cbor2.loads(message.value[0]) == {1: -7, 16: MEDIA_TYPE}
        assert set(cbor2.loads(message.value[2])) == {2, 4, 6, 65533, 65534}
        with pytest.raises(StatusListMalformed):
            open_token(bytes.fromhex(VECTORS["token"]), KEY.public_key(), URI, START)


class TestRoundTrip:
    @given(statuses)
    @settings(deadline=None)
    def test_what_is_put_in_comes_out(self, found: dict[int, CardStatus]) -> None:
        ours = StatusList.from_compressed(listed(found).compressed())
        assert [ours.status(index) for index in range(4_096)] == [
            found.get(index, CardStatus.VALID) for index in range(4_096)
        ]

    @given(statuses)
    @settings(deadline=None)
    def test_the_specification_reads_the_same(self, found: dict[int, CardStatus]) -> None:
        claims, values = by_the_specification(signed(listed(found)))
        assert values == [found.get(index, 0) for index in range(4_096)]
        assert {key: claims[key] for key in (2, 4, 6, 65534)} == {
            2: URI,
            4: int((START + DAY).timestamp()),
            6: int(START.timestamp()),
            65534: 300,
        }

    def test_a_token_comes_back(self) -> None:
        assert open_token(signed(), KEY.public_key(), URI, START) == token()
        assert signer_sha256(signed()) == SIGNER

    @pytest.mark.parametrize("size", [1, 3, 4, 5, 4_096, MAX_INDEXES])
    def test_sizes(self, size: int) -> None:
        last = listed({size - 1: CardStatus.SUSPENDED}, size)
        assert last.status(size - 1) is CardStatus.SUSPENDED
        read = open_token(sign_token(token(last), KEY, SIGNER), KEY.public_key(), URI, START)
        assert read.statuses == last

    @pytest.mark.parametrize("size", [0, -1, MAX_INDEXES + 1])
    def test_no_other_sizes(self, size: int) -> None:
        with pytest.raises(ValueError, match="indexes"):
            StatusListBuilder(size)

    @pytest.mark.parametrize("index", [-1, 5, 2**64])
    def test_beyond_the_end_nothing_is_known(self, index: int) -> None:
        builder = StatusListBuilder(4)
        with pytest.raises(StatusIndexUnknown):
            builder.set(index, CardStatus.INVALID)
        with pytest.raises(StatusIndexUnknown):
            builder.build().status(index)

    def test_a_status_can_be_lifted(self) -> None:
        builder = StatusListBuilder(8)
        builder.set_all(range(8), CardStatus.SUSPENDED)
        builder.set(5, CardStatus.VALID)
        assert [builder.build().status(index) for index in (4, 5, 6)] == [2, 0, 2]

    def test_the_worst_case_fits(self) -> None:
        """What cannot be compressed at all."""
        octets = random.Random(1).randbytes(MAX_INDEXES // 4)  # noqa: S311 -- any bytes will do
        raw = sign_token(token(StatusList(octets)), KEY, SIGNER)
        assert open_token(raw, KEY.public_key(), URI, START).statuses.octets == octets

    def test_a_million_cards(self) -> None:
        """With 2 % revoked: some 24 KiB."""
        indexes = random.Random(1).sample(range(10**6), 20_000)  # noqa: S311 -- the same each time
        builder = StatusListBuilder(10**6)
        builder.set_all(indexes, CardStatus.INVALID)
        assert 20_000 < len(sign_token(token(builder.build()), KEY, SIGNER)) < 26_000


class TestRefused:
    def test_another_key(self) -> None:
        with pytest.raises(StatusListRefused, match="signer"):
            open_token(signed(), new_key().public_key(), URI, START)

    def test_another_list(self) -> None:
        with pytest.raises(StatusListRefused, match="status/1"):
            open_token(signed(), KEY.public_key(), URI.replace("1", "2"), START)

    def test_when_stale(self) -> None:
        assert open_token(signed(), KEY.public_key(), URI, START + DAY - timedelta(seconds=1)) == token()
        with pytest.raises(StatusListStale) as refused:
            open_token(signed(), KEY.public_key(), URI, START + DAY)
        assert refused.value.expired_at == START + DAY

    def test_before_its_time(self) -> None:
        assert open_token(signed(), KEY.public_key(), URI, START - timedelta(minutes=5)) == token()
        with pytest.raises(StatusListRefused, match="yet to come"):
            open_token(signed(), KEY.public_key(), URI, START - timedelta(minutes=6))

    def test_a_naive_moment(self) -> None:
        with pytest.raises(ValueError, match="zone"):
            open_token(signed(), KEY.public_key(), URI, START.replace(tzinfo=None))

    def test_a_signature_for_another_use(self) -> None:
        """A CWT of our own signer that is no status list."""
        payload = cbor2.loads(signed()).value[2]
        protected = cbor2.dumps({1: -7})
        with pytest.raises(StatusListMalformed, match="protected header"):
            open_token(_signed(protected, payload), KEY.public_key(), URI, START)

    @pytest.mark.parametrize(
        "changes",
        [
            {65533: {"bits": 1, "lst": zlib.compress(b"\x00")}},
            {65533: {"bits": 2}},
            {65533: {"bits": 2, "lst": zlib.compress(b"\x00"), "more": 1}},
            {65533: {"bits": 2, "lst": b""}},
            {65533: {"bits": 2, "lst": b"\x78\xda"}},
            {65533: {"bits": 2, "lst": zlib.compress(b"\x00")[:-1]}},
            {65533: {"bits": 2, "lst": zlib.compress(b"\x00") + b"\x00"}},
            {65533: {"bits": 2, "lst": zlib.compress(bytes(MAX_INDEXES // 4 + 1), 9)}},
            {65533: {"bits": 2, "lst": zlib.compress(bytes(10**8), 9)}},
            {2: b"bytes"},
            {4: -1},
            {4: 2**63},
            {4: True},
            {6: "now"},
            {65534: 0},
            {65534: None},
            {1: "another claim"},
        ],
        ids=lambda changes: repr(changes)[:40],
    )
    def test_claims_of_its_own_signer(self, changes: dict[int, object]) -> None:
        claims = cbor2.loads(cbor2.loads(signed()).value[2]) | changes
        payload = cbor2.dumps(dict(sorted(claims.items())))
        raw = _signed(cbor2.dumps({1: -7, 16: MEDIA_TYPE}), payload)
        with pytest.raises(StatusListMalformed):
            open_token(raw, KEY.public_key(), URI, START)

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"\xd2",
            b"\xd2\x80",
            b"\xd8\x3d" + signed(),
            signed()[1:],
            signed() + b"\x00",
            b"\xd1" + signed()[1:],
        ],
    )
    def test_what_is_no_token(self, raw: bytes) -> None:
        """Also one in the tag of CWT, which the specification forbids."""
        with pytest.raises(StatusListMalformed):
            open_token(raw, KEY.public_key(), URI, START)

    @pytest.mark.parametrize(
        "unprotected", [{}, {34: [-16, SIGNER], 4: b"12"}, {34: [-16, SIGNER[1:]]}, {34: [-44, SIGNER]}]
    )
    def test_other_headers(self, unprotected: dict[int, object]) -> None:
        message = cbor2.loads(signed())
        message.value[1] = unprotected
        with pytest.raises(StatusListMalformed):
            open_token(cbor2.dumps(message), KEY.public_key(), URI, START)


class TestWitnesses:
    """Programs of others read what we write."""

    def test_the_open_wallet_foundations_library(self) -> None:
        found = {0: CardStatus.INVALID, 7: CardStatus.SUSPENDED, 4_095: CardStatus.INVALID}
        said = _witness(signed(listed(found)), range(4_096))
        assert said.pop("statuses") == [found.get(index, 0) for index in range(4_096)]
        assert said == {
            "algorithm": -7,
            "type": MEDIA_TYPE,
            "verified": True,
            "subject": URI,
            "issuedAt": int(START.timestamp()),
            "expirationTime": int((START + DAY).timestamp()),
            "timeToLive": 300,
            "bits": 2,
        }

    def test_it_would_notice(self) -> None:
        raw = bytearray(signed())
        raw[-1] ^= 1
        assert _witness(bytes(raw), [])["verified"] is False

    def test_the_cwt_library_verifies_the_signature(self) -> None:
        pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        payload = COSE.new().decode(signed(), COSEKey.from_pem(pem, alg="ES256"))
        assert cbor2.loads(payload)[2] == URI


def test_the_signer_is_checked_before_anything_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zlib, "decompressobj", lambda: pytest.fail("inflated"))
    with pytest.raises(StatusListRefused):
        open_token(signed(), new_key().public_key(), URI, START)


def test_times_are_cut_to_the_second() -> None:
    exact = replace(token(), issued_at=START + timedelta(milliseconds=999))
    assert open_token(sign_token(exact, KEY, SIGNER), KEY.public_key(), URI, START).issued_at == START


def _signed(protected: bytes, payload: bytes) -> bytes:
    """Any headers and payload with a signature that is right."""
    der = KEY.sign(cbor2.dumps(["Signature1", protected, b"", payload]), ec.ECDSA(hashes.SHA256()))
    r, s = decode_dss_signature(der)
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {34: [-16, SIGNER]}, payload, signature]))


def _witness(raw: bytes, indexes: Sequence[int]) -> dict[str, Any]:
    pem = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    done = subprocess.run(
        [NODE, WITNESS],
        input=json.dumps({"token": raw.hex(), "key": pem, "indexes": list(indexes)}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said
