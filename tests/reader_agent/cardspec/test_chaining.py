"""Long commands in pieces, at every length where the number of pieces or a length field changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_agent.cardspec import chaining
from reader_agent.cardspec.apdu import ApduError, CommandApdu

# Length of the data, and the lengths of its pieces (ISO/IEC 7816-4:2020, 5.3.3): Lc says 255 at most.
PIECES = [
    (0, [0]),
    (1, [1]),
    (0x7F, [0x7F]),
    (0x80, [0x80]),
    (0xFF, [0xFF]),
    (0x100, [0xFF, 1]),
    (0x1FE, [0xFF, 0xFF]),
    (0xFFFF, [0xFF] * 257),
]


@pytest.mark.parametrize(("length", "pieces"), PIECES)
def test_data_goes_out_in_pieces(length: int, pieces: list[int]) -> None:
    data = bytes(index % 251 for index in range(length))
    found = chaining.split(CommandApdu(0x00, 0xDB, 0x3F, 0xFF, data, 256))
    assert [len(piece.data) for piece in found] == pieces
    assert b"".join(piece.data for piece in found) == data
    assert [piece.cla for piece in found] == [0x10] * (len(pieces) - 1) + [0x00]
    assert [piece.le for piece in found] == [None] * (len(pieces) - 1) + [256]
    assert all(len(piece.encode()) <= 4 + 1 + 255 + 1 for piece in found)


def test_the_last_piece_of_a_chain_is_byte_for_byte() -> None:
    first, last = chaining.split(CommandApdu(0x00, 0x87, 0x07, 0x9C, bytes(0x100)))
    assert first.encode() == bytes.fromhex("1087079CFF") + bytes(255)
    assert last.encode() == bytes.fromhex("0087079C0100")


def test_a_proprietary_class_is_not_chained() -> None:
    """Its bit 5 means what its owner says (5.4.2)."""
    assert len(chaining.split(CommandApdu(0x90, 0x3D, 0, 0, bytes(0xFF), 256))) == 1
    with pytest.raises(ApduError):
        chaining.split(CommandApdu(0x90, 0x3D, 0, 0, bytes(0x100), 256))


def test_more_than_256_bytes_cannot_be_asked_for_at_once() -> None:
    with pytest.raises(ApduError):
        chaining.split(CommandApdu(0x00, 0xCB, 0x3F, 0xFF, b"", 257))


@pytest.mark.parametrize(
    ("sw", "raw"), [(0x6101, "00C0000001"), (0x61FF, "00C00000FF"), (0x6100, "00C0000000")]
)
def test_what_waits_is_fetched(sw: int, raw: str) -> None:
    fetch = chaining.get_response(sw)
    assert fetch is not None
    assert fetch.encode() == bytes.fromhex(raw)


@pytest.mark.parametrize(("sw", "le"), [(0x6C01, "01"), (0x6CFF, "FF"), (0x6C00, "00")])
def test_a_wrong_le_is_put_right(sw: int, le: str) -> None:
    again = chaining.with_exact_length(CommandApdu(0x00, 0xCB, 0x3F, 0xFF, b"\x5c\x01\x7e", 256), sw)
    assert again is not None
    assert again.encode() == bytes.fromhex("00CB3FFF035C017E" + le)


@given(st.integers(0, 0xFFFF))
def test_other_status_words_ask_for_nothing(sw: int) -> None:
    assert (chaining.get_response(sw) is None) == (sw >> 8 != 0x61)
    assert (chaining.with_exact_length(CommandApdu(0, 0xCB, 0x3F, 0xFF), sw) is None) == (sw >> 8 != 0x6C)


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        ("00200080", "0020008000"),  # case 1
        ("00C0000000", "00C0000000"),  # case 2
        ("0020008008313233343536FFFF", "0020008008313233343536FFFF"),  # case 3
        ("00CB3FFF055C035FC10200", "00CB3FFF055C035FC102"),  # case 4
        ("00CB3FFF055C035FC10250", "00CB3FFF055C035FC102"),
        ("00DB3FFFFF" + "53" * 255, "00DB3FFFFF" + "53" * 255),
        ("00CB3FFFFF" + "5C" * 255 + "00", "00CB3FFFFF" + "5C" * 255),
        ("00CB3FFF0000055C035FC1020000", "00CB3FFF0000055C035FC1020000"),  # extended: not for T=0
        ("00CB3F", "00CB3F"),
        ("", ""),
    ],
)
def test_a_command_by_t0(command: str, sent: str) -> None:
    """ISO/IEC 7816-3:2006, 12.2: the four cases of a short command, and what is none."""
    assert chaining.as_t0(bytes.fromhex(command)).hex().upper() == sent
