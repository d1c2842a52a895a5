"""GET DATA and PUT DATA: who may read and write what (SP 800-73-5 part 1, table 2)."""

import os
from pathlib import Path

import pytest

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.application import MAX_OBJECT_LENGTH, Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.conftest import PIN
from tests.reader_agent.virtual_card.host import EXPIRES_ON, GUID, Host


def test_the_chuid_names_the_card(contact: Host) -> None:
    answer, sw = contact.get(ObjectId.CHUID)
    assert sw == 0x9000
    assert piv.Chuid.decode(piv.decode_data(answer)) == piv.Chuid(GUID, EXPIRES_ON)


def test_a_new_card_has_no_identity(card_file: Path) -> None:
    with CardState.load(card_file) as state:
        host = Host.of(state, Face.CONTACT)
        assert host.get(ObjectId.CHUID) == (b"", 0x6A82)
        assert host.get(ObjectId.CARD_AUTHENTICATION_CERTIFICATE) == (b"", 0x6A82)
        assert host.sign(0x9E, bytes(32)) == (b"", 0x6A86)
        assert host.get(ObjectId.CCC)[1] == 0x9000
        assert host.get(ObjectId.DISCOVERY)[1] == 0x9000


def test_two_cards_have_nothing_in_common_but_what_their_maker_gives_all() -> None:
    first, second = factory_memory(os.urandom), factory_memory(os.urandom)
    assert first.uid != second.uid
    assert first.objects[ObjectId.CCC] != second.objects[ObjectId.CCC]
    assert first.puk.value == second.puk.value == b"12345678"
    assert first.pin.value != second.pin.value
    assert first.pin.tries_left == second.pin.tries_left == 0


@pytest.mark.parametrize("length", [1, 0x7F, 0x80, 0xFF, 0x100, 3000, MAX_OBJECT_LENGTH])
def test_what_is_put_is_got_after_a_loss_of_power(personalised: Path, length: int) -> None:
    content = os.urandom(length)
    with CardState.load(personalised) as state:
        host = Host.of(state, Face.CONTACT)
        assert host.authenticate() == 0x9000
        assert host.put(ObjectId.SECURITY_OBJECT, content) == 0x9000
    with CardState.load(personalised) as state:
        answer, sw = Host.of(state, Face.CONTACT).get(ObjectId.SECURITY_OBJECT)
    assert (piv.decode_data(answer), sw) == (content, 0x9000)


def test_putting_nothing_deletes(contact: Host) -> None:
    assert contact.authenticate() == 0x9000
    assert contact.put(ObjectId.CHUID, b"") == 0x9000
    assert contact.get(ObjectId.CHUID) == (b"", 0x6A82)


def test_an_object_or_the_card_can_be_full(contact: Host) -> None:
    assert contact.authenticate() == 0x9000
    assert contact.put(ObjectId.FACIAL_IMAGE, bytes(MAX_OBJECT_LENGTH + 1)) == 0x6A84
    outcomes = [contact.put(0x5FC10D + number, bytes(MAX_OBJECT_LENGTH)) for number in range(6)]
    assert outcomes == [0x9000] * 5 + [0x6A84]
    assert contact.get(ObjectId.CHUID)[1] == 0x9000


def test_writing_wants_the_management_key(contact: Host) -> None:
    before = contact.get(ObjectId.CHUID)
    assert contact.put(ObjectId.CHUID, b"\x34\x00") == 0x6982
    assert contact.verify(PIN) == 0x9000
    assert contact.put(ObjectId.CHUID, b"\x34\x00") == 0x6982
    assert contact.get(ObjectId.CHUID) == before


@pytest.mark.parametrize("object_id", [0x5FC100, 0x5FC125, 0x5FFF01, 0x7F61])
def test_objects_that_there_are_not(contact: Host, object_id: int) -> None:
    assert contact.get(object_id) == (b"", 0x6A82)
    assert contact.authenticate() == 0x9000
    assert contact.put(object_id, b"\x01") == 0x6A81


@pytest.mark.parametrize("object_id", [ObjectId.PRINTED_INFORMATION, ObjectId.FACIAL_IMAGE, 0x5FC103])
def test_what_is_about_the_person_wants_the_pin(contact: Host, object_id: int) -> None:
    assert contact.get(object_id) == (b"", 0x6982)
    assert contact.verify(PIN) == 0x9000
    assert contact.get(object_id) == (b"", 0x6A82)
    assert contact.authenticate() == 0x9000
    assert contact.put(object_id, b"\x01\x00") == 0x9000
    assert contact.get(object_id) == (bytes.fromhex("53020100"), 0x9000)


@pytest.mark.parametrize(
    ("command", "sw"),
    [
        ("00CB3FFE055C035FC10200", 0x6A86),
        ("00CB3FFF00", 0x6A80),
        ("00CB3FFF055D035FC10200", 0x6A80),
        ("00CB3FFF065C035FC1027E00", 0x6A80),
        ("00CB3FFF045C035FC100", 0x6A80),
    ],
)
def test_commands_that_name_no_object(contact: Host, command: str, sw: int) -> None:
    assert contact.raw(command) == (b"", sw)


@pytest.mark.parametrize("data", ["", "5C035FC102", "53013400", "5C035FC1025301345301", "53015A5C035FC102"])
def test_writes_that_are_no_object(contact: Host, data: str) -> None:
    assert contact.authenticate() == 0x9000
    assert contact.send(0xDB, 0x3F, 0xFF, bytes.fromhex(data), le=None)[1] == 0x6A80
