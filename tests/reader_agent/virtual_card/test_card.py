"""Power, selection, length fields and chains: what every command passes through."""

from functools import reduce
from operator import xor
from pathlib import Path

import pytest

from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.errors import CardUnpowered
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.host import SELECT_PIV, Host

GET_CERTIFICATE = "00CB3FFF055C035FC101"


def test_an_unpowered_card_answers_nothing(card_file: Path) -> None:
    with CardState.load(card_file) as state:
        card = VirtualCard(state, Face.CONTACT)
        with pytest.raises(CardUnpowered):
            card.transmit(SELECT_PIV)
        card.power_on()
        card.power_off()
        with pytest.raises(CardUnpowered):
            card.transmit(SELECT_PIV)


@pytest.mark.parametrize("face", Face)
def test_the_atr_is_well_formed(card_file: Path, face: Face) -> None:
    """TS, T0 with the count of historical bytes, TD1 80, TD2 01, those bytes, a TCK that makes all XOR 0."""
    with CardState.load(card_file) as state:
        atr = VirtualCard(state, face).atr
    assert atr[:1] + atr[2:4] == bytes.fromhex("3B8001")
    assert len(atr) == 4 + (atr[1] & 0x0F) + 1
    assert reduce(xor, atr[1:]) == 0
    assert bytes.fromhex("80F9A00000030800001000")[1:] in atr


def test_the_faces_have_atrs_of_their_own(card_file: Path) -> None:
    with CardState.load(card_file) as state:
        assert VirtualCard(state, Face.CONTACT).atr == bytes.fromhex("3B8B800180F9A00000030800001000C8")
        assert VirtualCard(state, Face.CONTACTLESS).atr != VirtualCard(state, Face.CONTACT).atr


@pytest.mark.parametrize("aid", ["A00000030800001000", "A0000003080000100001", "A000000308000010000100"])
def test_piv_is_selected_by_its_whole_or_truncated_name(contact: Host, aid: str) -> None:
    contact.card.reset()
    raw = bytes.fromhex(aid)
    answer, sw = contact.raw(bytes.fromhex("00A40400") + bytes((len(raw),)) + raw + b"\x00")
    assert (answer.hex().upper(), sw) == ("61114F0600001000010079074F05A000000308", 0x9000)


@pytest.mark.parametrize(
    "command",
    [
        "00A4040007627601FF00000000",  # names that OpenSC tries first
        "00A4040006A0000000010100",
        "00A404000BE82B0601040181C31F020100",
        "00A4040008A00000030800001000",  # too short a PIV name
        "00A404000CA00000030800001000010000",  # too long a one
        "00A40000023F0000",  # a file, not an application
        "00A4040000",
    ],
)
def test_other_names_are_not_found_and_change_nothing(contact: Host, command: str) -> None:
    assert contact.raw(command) == (b"", 0x6A82)
    assert contact.get(ObjectId.CHUID)[1] == 0x9000


def test_nothing_works_before_selection(contact: Host) -> None:
    contact.card.reset()
    assert contact.get(ObjectId.CHUID) == (b"", 0x6D00)
    assert contact.raw("00CADF3005") == (b"", 0x6D00)


def test_a_reset_forgets_who_authenticated(contact: Host) -> None:
    assert contact.authenticate() == 0x9000
    contact.card.reset()
    contact.raw(SELECT_PIV)
    assert contact.put(ObjectId.CHUID, b"\x34\x00") == 0x6982


@pytest.mark.parametrize(
    ("cla", "sw"),
    [
        (0x00, 0x9000),
        (0x01, 0x6881),
        (0x03, 0x6881),
        (0x04, 0x6882),
        (0x0C, 0x6882),
        (0x80, 0x6E00),
        (0xFF, 0x6E00),
    ],
)
def test_classes(contact: Host, cla: int, sw: int) -> None:
    assert contact.raw(bytes((cla,)) + bytes.fromhex("CB3FFF035C017E00"))[1] == sw


@pytest.mark.parametrize("ins", [0x00, 0x0E, 0xB0, 0xCA, 0xD6, 0xFD])
def test_unknown_instructions(contact: Host, ins: int) -> None:
    assert contact.raw(bytes((0x00, ins, 0x00, 0x00, 0x00))) == (b"", 0x6D00)


@pytest.mark.parametrize("command", ["", "00", "00CB3F", "00CB3FFF055C", "00CB3FFF0000055C035FC1020000"])
def test_what_is_no_short_command_has_the_wrong_length(contact: Host, command: str) -> None:
    assert contact.raw(command) == (b"", 0x6700)


def test_a_long_answer_comes_in_pieces(contact: Host) -> None:
    whole, sw = contact.get(ObjectId.CARD_AUTHENTICATION_CERTIFICATE)
    assert sw == 0x9000
    assert len(whole) > 256
    first, sw = contact.raw(GET_CERTIFICATE + "00")
    assert (first, sw) == (whole[:256], 0x6100 | len(whole) - 256)
    second, sw = contact.raw("00C0000008")
    assert (second, sw) == (whole[256:264], 0x6100 | len(whole) - 264)
    rest, sw = contact.raw("00C0000000")
    assert (rest, sw) == (whole[264:], 0x9000)
    assert contact.raw("00C0000000") == (b"", 0x6985)


def test_opensc_reads_eight_bytes_first(contact: Host) -> None:
    whole, _ = contact.get(ObjectId.CHUID)
    first, sw = contact.raw("00CB3FFF055C035FC10208")
    assert (first, sw) == (whole[:8], 0x6100 | len(whole) - 8)
    again, sw = contact.raw(bytes.fromhex("00CB3FFF055C035FC102") + bytes((len(whole),)))
    assert (again, sw) == (whole, 0x9000)


def test_without_le_the_answer_waits(contact: Host) -> None:
    whole, _ = contact.get(ObjectId.DISCOVERY)
    assert contact.raw("00CB3FFF035C017E") == (b"", 0x6100 | len(whole))
    assert contact.raw("00C0000000") == (whole, 0x9000)


def test_another_command_drops_what_waits(contact: Host) -> None:
    assert contact.raw(GET_CERTIFICATE + "00")[1] >> 8 == 0x61
    contact.raw("00CB3FFF035C017E00")
    assert contact.raw("00C0000000") == (b"", 0x6985)


def test_a_command_may_come_in_pieces(contact: Host) -> None:
    whole, _ = contact.get(ObjectId.CHUID)
    assert contact.raw("10CB3FFF025C03") == (b"", 0x9000)
    assert contact.raw("10CB3FFF015F") == (b"", 0x9000)
    assert contact.raw("00CB3FFF02C10200") == (whole, 0x9000)


def test_a_chain_that_another_command_breaks_into_is_dropped(contact: Host) -> None:
    assert contact.raw("10CB3FFF025C03") == (b"", 0x9000)
    assert contact.raw("0020008000")[1] == 0x63C5
    assert contact.raw("00CB3FFF035FC10200")[1] == 0x6A80


def test_a_session_begins_well_after_one_that_broke_off(contact: Host) -> None:
    assert contact.raw("10A4040001A0") == (b"", 0x6884)
    assert contact.raw(SELECT_PIV)[1] == 0x9000
    assert contact.raw("10CB3FFF025C03") == (b"", 0x9000)
    assert contact.raw(SELECT_PIV)[1] == 0x9000
    assert contact.get(ObjectId.CHUID)[1] == 0x9000


def test_a_chain_has_an_end(contact: Host) -> None:
    assert contact.authenticate() == 0x9000
    piece = bytes.fromhex("10DB3FFFFF") + bytes(255)
    answers = {contact.raw(piece)[1] for _ in range(70)}
    assert answers == {0x9000, 0x6A84}
    assert contact.get(ObjectId.CHUID)[1] == 0x9000
