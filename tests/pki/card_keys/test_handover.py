"""Masters sealed for a terminal: that terminal alone opens them, for one request."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pki.card_keys import (
    Application,
    KeyRequest,
    ReleasedMaster,
    TerminalMaster,
    TerminalRole,
    seal_masters,
)
from pki.card_keys.errors import CardKeysUnreadable
from pki.statements.cbor import deterministic
from tests.pki.card_keys.conftest import TRANSPORT

SCHEME, BUS = "ashcombe", "bus-12"
MASTERS = (
    ReleasedMaster(TerminalMaster(TRANSPORT, TerminalRole.READ), bytes(range(16))),
    ReleasedMaster(TerminalMaster(TRANSPORT, TerminalRole.DEBIT, 255), bytes(range(16, 32))),
    ReleasedMaster(TerminalMaster(Application(0xFFFFFF), TerminalRole.DEBIT), bytes(16)),
)
SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@pytest.mark.parametrize("masters", [MASTERS, ()], ids=["some", "none"])
def test_the_terminal_gets_them(masters: tuple[ReleasedMaster, ...]) -> None:
    request = KeyRequest(SCHEME, BUS)
    sealed = seal_masters(masters, request.public_key, SCHEME, BUS)
    assert request.open(sealed) == masters
    assert all(each.value not in sealed for each in masters)


def test_nobody_else_does() -> None:
    """Another request of the same terminal, another terminal and another scheme have other keys."""
    request = KeyRequest(SCHEME, BUS)
    sealed = seal_masters(MASTERS, request.public_key, SCHEME, BUS)
    with pytest.raises(CardKeysUnreadable):
        KeyRequest(SCHEME, BUS).open(sealed)
    for scheme, terminal in (("beckford", BUS), (SCHEME, "bus-13")):
        with pytest.raises(CardKeysUnreadable):
            request.open(seal_masters(MASTERS, request.public_key, scheme, terminal))


@given(st.data())
def test_what_was_changed_is_refused(data: st.DataObject) -> None:
    request = KeyRequest(SCHEME, BUS)
    sealed = bytearray(seal_masters(MASTERS, request.public_key, SCHEME, BUS))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    for changed in (bytes(sealed), bytes(sealed[:at])):
        with pytest.raises(CardKeysUnreadable):
            request.open(changed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        deterministic({}),
        deterministic(7),
        deterministic([7]),
        deterministic([[0xF5C011, 1, 0]]),
        deterministic([[0xF5C011, 0, 0, bytes(16)]]),
        deterministic([[0xF5C011, 3, 0, bytes(16)]]),
        deterministic([[0xF5C011, 1, 256, bytes(16)]]),
        deterministic([[1 << 24, 1, 0, bytes(16)]]),
        deterministic([[0xF5C011, 1, 0, bytes(15)]]),
        deterministic([["f5c011", 1, 0, bytes(16)]]),
    ],
    ids=bytes.hex,
)
def test_what_is_no_list_of_masters_is_refused(content: bytes) -> None:
    """Also where it was sealed well: keys 0 and 3 cannot be taken over."""
    request = KeyRequest(SCHEME, BUS)
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), request.public_key)
    sealed = SUITE.encrypt(content, key, deterministic([SCHEME, "card-keys", 1, BUS]))
    with pytest.raises(CardKeysUnreadable):
        request.open(sealed)


def test_it_is_sealed_for_a_point_of_p256() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).public_key()
    points = [other.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint), b"", b"\x04" + bytes(64)]
    for point in points:
        with pytest.raises(ValueError, match=r"."):
            seal_masters(MASTERS, point, SCHEME, BUS)
