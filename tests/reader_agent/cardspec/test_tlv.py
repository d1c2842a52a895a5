"""Data objects against published bytes, at the lengths where the encoding changes, and any bytes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_agent.cardspec import tlv
from tests.support.vectors import Vector, card_vectors

# ISO/IEC 7816-4:2020, 6.3, table of length fields.
LENGTHS = [
    (0, "00"),
    (1, "01"),
    (0x7F, "7F"),
    (0x80, "8180"),
    (0xFF, "81FF"),
    (0x100, "820100"),
    (0xFFFF, "82FFFF"),
    (0x10000, "83010000"),
]


@pytest.mark.parametrize("vector", card_vectors("ber-tlv"), ids=str)
def test_headers_are_the_published_bytes(vector: Vector) -> None:
    value = bytes(int(vector.inputs["value_len"]))
    raw = bytes.fromhex(vector.expected["header"]) + value
    assert tlv.encode(int(vector.inputs["tag"], 16), value) == raw
    assert tlv.decode(raw) == [tlv.Tlv(int(vector.inputs["tag"], 16), value)]


@pytest.mark.parametrize(
    "vector", [vector for vector in card_vectors("piv-tlv") if "object" in vector.inputs], ids=str
)
def test_published_objects_hold_the_published_values(vector: Vector) -> None:
    raw = bytes.fromhex(vector.inputs["object"])
    for path, value in vector.expected.items():
        found = raw
        for tag in path.split("."):
            inner = tlv.find(found, int(tag, 16))
            assert inner is not None, f"{path} is missing"
            found = inner
        assert found.hex().upper() == value


@pytest.mark.parametrize(("length", "field"), LENGTHS)
def test_lengths_are_written_in_their_shortest_form(length: int, field: str) -> None:
    assert tlv.encode_length(length) == bytes.fromhex(field)
    raw = b"\x53" + bytes.fromhex(field) + bytes(length)
    assert tlv.decode(raw) == [tlv.Tlv(0x53, bytes(length))]


def test_a_padded_length_is_read() -> None:
    assert tlv.decode(bytes.fromhex("5384000000015A")) == [tlv.Tlv(0x53, b"\x5a")]


@pytest.mark.parametrize("tag", [0x01, 0x53, 0x5F2F, 0x7F49, 0x5FC102, 0xBF8F7F, 0xFE])
def test_tags_of_one_to_three_bytes(tag: int) -> None:
    assert tlv.decode(tlv.encode(tag, b"\x01")) == [tlv.Tlv(tag, b"\x01")]


@pytest.mark.parametrize("tag", [0, -1, 0x1F, 0x5F, 0x5302, 0x5FC1, 0x5F2F00, 0x5F808080, 0x5F808001])
def test_numbers_that_are_no_tags_are_not_written(tag: int) -> None:
    with pytest.raises(tlv.TlvError):
        tlv.encode(tag, b"")


@pytest.mark.parametrize("length", [-1, 0x1000000])
def test_lengths_that_cannot_be_written(length: int) -> None:
    with pytest.raises(tlv.TlvError):
        tlv.encode_length(length)


@pytest.mark.parametrize(
    "raw",
    [
        "53",  # no length
        "5301",  # no value
        "5302AA",  # half a value
        "5380AA0000",  # indefinite length
        "5381",  # half a length
        "53820100",  # a value announced, none there
        "538500000000015A",  # five length bytes
        "5F",  # half a tag
        "5FC1",
        "5F80808001AA",  # four tag bytes
        "0000",  # 00 is no tag
        "53015A00",  # padding behind an object
    ],
)
def test_bytes_that_are_no_objects_are_refused(raw: str) -> None:
    with pytest.raises(tlv.TlvError):
        tlv.decode(bytes.fromhex(raw))


def test_find_takes_the_first_and_looks_at_one_level_only() -> None:
    raw = bytes.fromhex("5301AA5301BB61035401CC")
    assert tlv.find(raw, 0x53) == b"\xaa"
    assert tlv.find(raw, 0x54) is None


@given(st.binary(max_size=400))
def test_any_bytes_are_read_to_their_end_or_refused(raw: bytes) -> None:
    try:
        items = tlv.decode(raw)
    except tlv.TlvError:
        return
    assert tlv.decode(b"".join(item.encode() for item in items)) == items
    assert sum(len(item.value) for item in items) < max(1, len(raw))


def test_the_beginning_of_an_object() -> None:
    """What is whole is read; what is cut off is left out, wherever that is."""
    inner = tlv.encode(0x34, bytes(16)) + tlv.encode(0x35, b"20310615")
    whole = tlv.encode(0x53, inner + tlv.encode(0x3E, bytes(900)))
    for length in range(4, len(whole)):
        tags = [item.tag for item in tlv.decode_beginning(whole[:length], 0x53)]
        assert tags == [0x34, 0x35][: (length >= 22) + (length >= 32)]
    with pytest.raises(tlv.TlvError):
        tlv.decode_beginning(whole, 0x7E)


@given(st.binary(max_size=100))
def test_the_beginning_of_anything(data: bytes) -> None:
    """Read or refused."""
    with suppress(tlv.TlvError):
        assert sum(len(item.encode()) for item in tlv.decode_beginning(data, 0x53)) <= 2 * len(data)
