"""AES-CMAC and AN10922 against values that RFCs and NXP printed and that others computed."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from pki.card_keys import aes, diversify_aes128, diversify_aes192
from pki.card_keys.diversification import diversification_message
from tests.pki.card_keys import vectors

MASTER = bytes(range(16))
UID = bytes.fromhex("04782E21801D80")


@vectors.of("aes-cmac")
def test_cmac(vector: dict[str, Any]) -> None:
    if "K1" in vector["expected"]:
        (key,) = vectors.inputs(vector, "key")
        assert aes.encrypt_block(key, bytes(16)) == vectors.expected(vector, "L")
        assert aes.cmac_subkeys(key) == (vectors.expected(vector, "K1"), vectors.expected(vector, "K2"))
    elif "mact" in vector["expected"]:
        (mac,) = vectors.inputs(vector, "cmac")
        assert aes.truncated(mac) == vectors.expected(vector, "mact")
    else:
        key, message = vectors.inputs(vector, "key", "message")
        assert aes.cmac(key, message) == vectors.expected(vector, "cmac")


@vectors.of("an10922")
def test_published_values(vector: dict[str, Any]) -> None:
    if "K1" in vector["expected"]:
        (key,) = vectors.inputs(vector, "key")
        assert aes.cmac_subkeys(key) == (vectors.expected(vector, "K1"), vectors.expected(vector, "K2"))
        return
    master, diversification_input = vectors.inputs(vector, "master_key", "div_input")
    derive = diversify_aes128 if len(master) == 16 else diversify_aes192
    assert derive(master, diversification_input) == vectors.expected(vector, "diversified_key")


def test_the_message_of_a_card_is_the_printed_one() -> None:
    """AN10922, 2.2.1: UID, application and system identifier; a plain CMAC of it is the key."""
    (vector,) = (each for each in vectors.VECTORS if each["name"] == "aes128-nxp-abu")
    master, uid, application, system = vectors.inputs(vector, "master_key", "uid", "aid", "system_id")
    message = diversification_message(uid, application, system)
    assert message == vectors.inputs(vector, "cmac_message")[0]
    assert aes.cmac(master, message) == vectors.expected(vector, "diversified_key")


@pytest.mark.parametrize("length", [16, 17, 30, 31])
def test_a_long_input_is_a_plain_cmac(length: int) -> None:
    """From 16 bytes on an HSM's AES-CMAC does it: the padding is then CMAC's own."""
    assert diversify_aes128(MASTER, bytes(length)) == plain_cmac(b"\x01" + bytes(length))


@pytest.mark.parametrize("length", [6, 7, 19, 20])
def test_a_card_s_input_is_a_plain_cmac(length: int) -> None:
    """The shortest and longest system identifiers."""
    message = diversification_message(UID, b"\x10\xc0\xf5", bytes(length))
    assert plain_cmac(message) == diversify_aes128(MASTER, message[1:])


@pytest.mark.parametrize("length", [1, 15])
def test_a_short_input_is_none(length: int) -> None:
    assert diversify_aes128(MASTER, bytes(length)) != plain_cmac(b"\x01" + bytes(length))


@pytest.mark.parametrize("length", [0, 32])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="1 to 31 bytes"):
        diversify_aes128(MASTER, bytes(length))
    with pytest.raises(ValueError, match="1 to 31 bytes"):
        diversify_aes192(bytes(24), bytes(length))


@pytest.mark.parametrize("length", [15, 24, 32])
def test_other_masters_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        diversify_aes128(bytes(length), b"x")


@pytest.mark.parametrize("length", [16, 23, 32])
def test_other_masters_of_192_bits_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="24 bytes"):
        diversify_aes192(bytes(length), b"x")


@pytest.mark.parametrize(
    ("uid", "application", "system", "sentence"),
    [
        (UID[:-1], bytes(3), bytes(6), "UID"),
        (UID + b"\x00", bytes(3), bytes(6), "UID"),
        (UID, bytes(2), bytes(6), "application"),
        (UID, bytes(3), bytes(5), "system identifier"),
        (UID, bytes(3), bytes(21), "system identifier"),
    ],
)
def test_other_parts_of_the_message_are_refused(
    uid: bytes, application: bytes, system: bytes, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        diversification_message(uid, application, system)


def plain_cmac(message: bytes) -> bytes:
    cmac = CMAC(AES(MASTER))
    cmac.update(message)
    return cmac.finalize()
