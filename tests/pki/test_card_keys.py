"""AN10922 against values that NXP printed and that others computed."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from pki.card_keys import diversify_aes128

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "an10922-aes128.json").read_text()
)["vectors"]
MASTER = bytes(range(16))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_published_values(vector: dict[str, Any]) -> None:
    key = diversify_aes128(
        bytes.fromhex(vector["inputs"]["master_key"]), bytes.fromhex(vector["inputs"]["div_input"])
    )
    assert key == bytes.fromhex(vector["expected"]["diversified_key"])


@pytest.mark.parametrize("length", [16, 17, 30, 31])
def test_a_long_input_is_a_plain_cmac(length: int) -> None:
    """From 16 bytes on an HSM's AES-CMAC does it: the padding is then CMAC's own."""
    cmac = CMAC(AES(MASTER))
    cmac.update(b"\x01" + bytes(length))
    assert diversify_aes128(MASTER, bytes(length)) == cmac.finalize()


@pytest.mark.parametrize("length", [1, 15])
def test_a_short_input_is_none(length: int) -> None:
    cmac = CMAC(AES(MASTER))
    cmac.update(b"\x01" + bytes(length))
    assert diversify_aes128(MASTER, bytes(length)) != cmac.finalize()


@pytest.mark.parametrize("length", [0, 32])
def test_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="1 to 31 bytes"):
        diversify_aes128(MASTER, bytes(length))


@pytest.mark.parametrize("length", [15, 24, 32])
def test_other_masters_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        diversify_aes128(bytes(length), b"x")
