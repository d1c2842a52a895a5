"""Commands and responses against published bytes, where their encoding changes, and any bytes."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import ApduError, CommandApdu, ResponseApdu
from reader_agent.cardspec.piv import Instruction, ObjectId
from tests.support.vectors import Vector, card_vectors

COMMANDS = {
    "get-data-9a-cert": CommandApdu(
        0, 0xCB, 0x3F, 0xFF, piv.encode_tag_list(ObjectId.PIV_AUTHENTICATION_CERTIFICATE), 256
    ),
    "get-data-chuid": CommandApdu(0, 0xCB, 0x3F, 0xFF, piv.encode_tag_list(ObjectId.CHUID), 256),
    "get-data-discovery": CommandApdu(0, 0xCB, 0x3F, 0xFF, piv.encode_tag_list(ObjectId.DISCOVERY), 256),
    "select-piv-full-aid": CommandApdu(0, Instruction.SELECT, 0x04, 0x00, piv.AID, 256),
    "verify-pin-123456": CommandApdu(0, Instruction.VERIFY, 0x00, 0x80, piv.encode_pin("123456")),
}

# Length of the data, extended or not, and the Lc field that must stand before it.
DATA_LENGTHS = [
    (0, False, ""),
    (1, False, "01"),
    (0x7F, False, "7F"),
    (0x80, False, "80"),
    (0xFF, False, "FF"),
    (0, True, ""),
    (1, True, "000001"),
    (0x7F, True, "00007F"),
    (0x80, True, "000080"),
    (0xFF, True, "0000FF"),
    (0x100, True, "000100"),
    (0xFFFF, True, "00FFFF"),
]

# Ne, extended or not, whether data stands before it, and the Le field (ISO/IEC 7816-4:2020, 5.2).
EXPECTED_LENGTHS = [
    (1, False, b"", "01"),
    (0xFF, False, b"", "FF"),
    (0x100, False, b"", "00"),
    (0x100, False, b"\xaa", "00"),
    (1, True, b"", "000001"),
    (0x100, True, b"", "000100"),
    (0xFFFF, True, b"", "00FFFF"),
    (0x10000, True, b"", "000000"),
    (0xFF, True, b"\xaa", "00FF"),
    (0x10000, True, b"\xaa", "0000"),
]


@pytest.mark.parametrize(
    "vector", [vector for vector in card_vectors("piv-apdu") if vector.name in COMMANDS], ids=str
)
def test_piv_commands_are_the_published_bytes(vector: Vector) -> None:
    raw = bytes.fromhex(vector.expected["c_apdu"])
    assert COMMANDS[vector.name].encode() == raw
    assert CommandApdu.decode(raw) == COMMANDS[vector.name]


@pytest.mark.parametrize("vector", card_vectors("iso-wrap"), ids=str)
def test_wrapped_commands_are_the_published_bytes(vector: Vector) -> None:
    command = CommandApdu(
        0x90, int(vector.inputs["ins"], 16), 0, 0, bytes.fromhex(vector.inputs["data"]), 256
    )
    assert command.encode() == bytes.fromhex(vector.expected["c_apdu"])
    assert CommandApdu.decode(command.encode()) == command


@pytest.mark.parametrize(("length", "extended", "lc"), DATA_LENGTHS)
def test_the_data_length_is_written_where_its_encoding_changes(length: int, extended: bool, lc: str) -> None:
    data = b"\x5a" * length
    raw = CommandApdu(0x00, 0xDB, 0x3F, 0xFF, data).encode(extended=extended)
    assert raw == bytes.fromhex("00DB3FFF" + lc) + data
    assert CommandApdu.decode(raw).data == data


@pytest.mark.parametrize(("le", "extended", "data", "field"), EXPECTED_LENGTHS)
def test_the_expected_length_is_written_where_its_encoding_changes(
    le: int, extended: bool, data: bytes, field: str
) -> None:
    command = CommandApdu(0x00, 0xCB, 0x3F, 0xFF, data, le)
    raw = command.encode(extended=extended)
    assert raw.endswith(bytes.fromhex(field))
    assert CommandApdu.decode(raw) == command


@pytest.mark.parametrize(
    "command",
    [CommandApdu(0, 0xDB, 0, 0, bytes(0x100)), CommandApdu(0, 0xCB, 0, 0, b"", 0x101)],
    ids=["256 bytes of data", "257 bytes expected"],
)
def test_what_is_too_long_for_a_short_command_is_never_cut(command: CommandApdu) -> None:
    with pytest.raises(ApduError):
        command.encode()


@pytest.mark.parametrize(
    "make",
    [
        lambda: CommandApdu(0x100, 0, 0, 0),
        lambda: CommandApdu(0, -1, 0, 0),
        lambda: CommandApdu(0, 0, 256, 0),
        lambda: CommandApdu(0, 0, 0, 256),
        lambda: CommandApdu(0, 0, 0, 0, bytes(0x10000)),
        lambda: CommandApdu(0, 0, 0, 0, le=0),
        lambda: CommandApdu(0, 0, 0, 0, le=0x10001),
    ],
    ids=["cla", "ins", "p1", "p2", "data", "le 0", "le 65537"],
)
def test_a_command_that_no_bytes_can_carry_is_not_made(make: Callable[[], CommandApdu]) -> None:
    with pytest.raises(ApduError):
        make()


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "00A404",  # no whole header
        "00A4040002AA",  # Lc says two, one came
        "00A4040001AABBCC",  # more than an Le behind the data
        "00A404000000",  # an extended Lc that breaks off
        "00A40400000000AA",  # extended, counting nothing, with something
        "00A40400000002AA",  # extended, two announced, one came
        "00A40400000001AABB",  # one byte of an extended Le
    ],
)
def test_lengths_that_contradict_each_other_are_refused(raw: str) -> None:
    with pytest.raises(ApduError):
        CommandApdu.decode(bytes.fromhex(raw))


@given(st.binary(max_size=600))
def test_any_bytes_are_one_command_or_none(raw: bytes) -> None:
    try:
        command = CommandApdu.decode(raw)
    except ApduError:
        return
    forms = [command.encode(extended=True)]
    if len(command.data) < 256 and (command.le or 0) <= 256:
        forms.append(command.encode())
    assert raw in forms


@given(st.binary(max_size=300))
def test_any_bytes_are_one_response_or_none(raw: bytes) -> None:
    if len(raw) < 2:
        with pytest.raises(ApduError):
            ResponseApdu.decode(raw)
        return
    response = ResponseApdu.decode(raw)
    assert (response.data, response.sw) == (raw[:-2], raw[-2] << 8 | raw[-1])
    assert response.encode() == raw
