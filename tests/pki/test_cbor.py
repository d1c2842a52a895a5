"""Deterministic CBOR: cbor2 and the RFC's own examples are the witnesses."""

import contextlib
from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import StatementMalformed
from pki.statements import decode_deterministic, deterministic
from pki.statements.cbor import MAX_BYTES, MAX_DEPTH

INTEGERS = st.integers(min_value=-(2**64), max_value=2**64 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
SCALARS = st.none() | st.booleans() | INTEGERS | st.binary(max_size=300) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(INTEGERS, inner, max_size=5)
        | st.dictionaries(TEXT, inner, max_size=5)
    ),
    max_leaves=8,
).filter(lambda value: depth(value) <= MAX_DEPTH)


def depth(value: object) -> int:
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
        case _:
            return 0


# RFC 8949, appendix A, those of our types
APPENDIX_A: list[tuple[object, str]] = [
    (0, "00"),
    (1, "01"),
    (10, "0a"),
    (23, "17"),
    (24, "1818"),
    (25, "1819"),
    (100, "1864"),
    (1000, "1903e8"),
    (1000000, "1a000f4240"),
    (1000000000000, "1b000000e8d4a51000"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-18446744073709551616, "3bffffffffffffffff"),
    (-1, "20"),
    (-10, "29"),
    (-100, "3863"),
    (-1000, "3903e7"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"", "40"),
    (b"\x01\x02\x03\x04", "4401020304"),
    ("", "60"),
    ("a", "6161"),
    ("IETF", "6449455446"),
    ('"\\', "62225c"),
    ("\u00fc", "62c3bc"),
    ("\u6c34", "63e6b0b4"),
    ("\U00010151", "64f0908591"),
    ([], "80"),
    ([1, 2, 3], "83010203"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    (list(range(1, 26)), "98190102030405060708090a0b0c0d0e0f101112131415161718181819"),
    ({}, "a0"),
    ({1: 2, 3: 4}, "a201020304"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
    (["a", {"b": "c"}], "826161a161626163"),
    (
        {"a": "A", "b": "B", "c": "C", "d": "D", "e": "E"},
        "a56161614161626142616361436164614461656145",
    ),
]


@pytest.mark.parametrize(("value", "encoded"), APPENDIX_A, ids=[encoded for _, encoded in APPENDIX_A])
def test_rfc_8949_appendix_a(value: object, encoded: str) -> None:
    assert deterministic(value) == bytes.fromhex(encoded)
    assert decode_deterministic(bytes.fromhex(encoded)) == value


@given(VALUES)
def test_every_value_comes_back_and_cbor2_reads_the_same(value: object) -> None:
    data = deterministic(value)
    assert decode_deterministic(data) == value
    assert cbor2.loads(data) == value


@given(VALUES)
def test_the_lengths_are_those_of_cbor2(value: object) -> None:
    """Both write each item in its shortest form; only the order of a map's keys is another rule."""
    assert len(deterministic(value)) == len(cbor2.dumps(value, canonical=True))


@given(st.binary(max_size=64))
def test_what_is_decoded_has_no_other_encoding(data: bytes) -> None:
    try:
        value = decode_deterministic(data)
    except StatementMalformed:
        return
    assert deterministic(value) == data


@given(VALUES, st.data())
def test_no_change_of_a_byte_is_taken_for_the_same_value(value: object, draw: Any) -> None:
    data = bytearray(deterministic(value))
    at = draw.draw(st.integers(0, len(data) - 1))
    data[at] ^= draw.draw(st.integers(1, 255))
    with contextlib.suppress(StatementMalformed):
        assert deterministic(decode_deterministic(bytes(data))) == bytes(data)


def test_keys_are_in_bytewise_order() -> None:
    """RFC 8949, 4.2.1, where it differs from the length-first order of RFC 7049 that cbor2 has."""
    value = {10: 0, 100: 0, -1: 0}
    assert deterministic(value).hex() == "a30a001864002000"
    assert cbor2.dumps(value, canonical=True).hex() == "a30a002000186400"
    assert deterministic({"b": 0, "aa": 0}).hex() == "a261620062616100"


MALFORMED = [
    ("nothing", ""),
    ("cut short in a head", "18"),
    ("cut short in a head of eight", "1b00000000000000"),
    ("cut short in bytes", "4401"),
    ("cut short in an array", "8201"),
    ("cut short in a map", "a101"),
    ("a length beyond the data", "5bffffffffffffffff"),
    ("a count beyond the data", "9bffffffffffffffff"),
    ("trailing bytes", "0000"),
    ("an integer longer than needed", "1817"),
    ("an integer of 16 bits longer than needed", "1900ff"),
    ("an integer of 32 bits longer than needed", "1a0000ffff"),
    ("an integer of 64 bits longer than needed", "1b00000000ffffffff"),
    ("a length longer than needed", "580100"),
    ("a count longer than needed", "980100"),
    ("an indefinite byte string", "5f4100ff"),
    ("an indefinite text", "7f6161ff"),
    ("an indefinite array", "9f00ff"),
    ("an indefinite map", "bf0000ff"),
    ("a stray break", "ff"),
    ("reserved additional information", "1c"),
    ("a half float", "f93c00"),
    ("a float", "fa3f800000"),
    ("a double", "fb3ff0000000000000"),
    ("undefined", "f7"),
    ("an unassigned simple value", "f0"),
    ("a simple value in two bytes", "f8ff"),
    ("false in two bytes", "f814"),
    ("a tag", "c000"),
    ("a big number", "c249010000000000000000"),
    ("keys out of order", "a202000100"),
    ("text keys out of order", "a2616200616100"),
    ("a key twice", "a201000100"),
    ("keys of two types", "a20100616100"),
    ("a byte string as key", "a1410000"),
    ("an array as key", "a18000"),
    ("true as key", "a1f500"),
    ("text that is not UTF-8", "61ff"),
    ("text with a surrogate", "63eda080"),
    ("an overlong UTF-8 form", "62c080"),
]


@pytest.mark.parametrize("data", [data for _, data in MALFORMED], ids=[name for name, _ in MALFORMED])
def test_anything_else_is_refused(data: str) -> None:
    with pytest.raises(StatementMalformed):
        decode_deterministic(bytes.fromhex(data))


@pytest.mark.parametrize("opening", [b"\x81", b"\xa1\x00"])
def test_nesting_is_bounded(opening: bytes) -> None:
    decode_deterministic(opening * MAX_DEPTH + b"\x00")
    with pytest.raises(StatementMalformed, match="nested"):
        decode_deterministic(opening * (MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(StatementMalformed, match="nested"):
        decode_deterministic(opening * 30_000 + b"\x00")


def test_size_is_bounded() -> None:
    data = deterministic(bytes(MAX_BYTES - 3))  # its head has three bytes
    assert len(decode_deterministic(data)) == MAX_BYTES - 3  # type: ignore[arg-type]  # bytes, as encoded
    with pytest.raises(StatementMalformed, match="more than"):
        deterministic(bytes(MAX_BYTES))
    with pytest.raises(StatementMalformed, match="more than"):
        decode_deterministic(bytes(MAX_BYTES + 1))


def nested(levels: int) -> object:
    value: object = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        float("nan"),
        {1, 2},
        object(),
        2**64,
        -(2**64) - 1,
        "\ud800",
        {1: 0, "a": 0},
        {b"a": 0},
        {True: 0},
        {None: 0},
        bytearray(b"a"),
        nested(MAX_DEPTH + 1),
        nested(10_000),
    ],
)
def test_other_values_have_no_encoding(value: object) -> None:
    with pytest.raises(StatementMalformed):
        deterministic(value)
