"""The contactless face gives away what a tap needs, and refuses the rest of PIV (SP 800-73-5 without VCI)."""

from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.conftest import PIN, PUK
from tests.reader_agent.virtual_card.host import Host, card_certificate

FREE = {ObjectId.CHUID, ObjectId.DISCOVERY, ObjectId.CARD_AUTHENTICATION_CERTIFICATE}

REFUSED = {
    "VERIFY": "0020008008" + PIN.hex(),
    "VERIFY, how it stands": "00200080",
    "CHANGE REFERENCE DATA": "0024008010" + PIN.hex() * 2,
    "CHANGE REFERENCE DATA, PUK": "0024008110" + PUK.hex() * 2,
    "RESET RETRY COUNTER": "002C008010" + PUK.hex() + PIN.hex(),
    "management key, external": "00870A9B047C02810000",
    "management key, mutual": "00870A9B047C02800000",
    "sign with 9A": "0087119A267C2482008120" + "11" * 32 + "00",
    "sign with 9C": "0087119C267C2482008120" + "11" * 32 + "00",
    "agree with 9D": "0087119D477C4582008541" + "04" + "11" * 64 + "00",
    "make 9E anew": "0047009E05AC0380011100",
    "PUT DATA": "00DB3FFF0A5C035FC1025303340100",
    "SET MANAGEMENT KEY": "00FFFFFF130A9B10" + "00" * 16,
}


def test_a_tap_needs_no_contact(contactless: Host) -> None:
    digest = bytes(range(32))
    signature, sw = contactless.sign(0x9E, digest)
    assert sw == 0x9000
    key = card_certificate(contactless).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    assert contactless.get(ObjectId.CHUID)[1] == 0x9000
    assert contactless.get(ObjectId.DISCOVERY)[1] == 0x9000


@pytest.mark.parametrize("command", REFUSED.values(), ids=REFUSED.keys())
def test_the_rest_is_refused(contactless: Host, command: str) -> None:
    before = contactless.state.memory
    assert contactless.raw(command) == (b"", 0x6982)
    assert contactless.state.memory is before


@pytest.mark.parametrize("object_id", [0x5FC100, *set(ObjectId) - FREE, 0x5FC103])
def test_other_objects_are_refused_whether_they_are_there_or_not(contactless: Host, object_id: int) -> None:
    assert contactless.get(object_id) == (b"", 0x6982)


def test_a_card_made_for_it_does_all_without_contact(personalised: Path) -> None:
    """As a YubiKey does; the standard would want secure messaging."""
    with CardState.load(personalised) as state:
        host = Host.of(state, Face.CONTACT)
        assert host.authenticate() == 0x9000
        assert host.generate(0x9A)[1] == 0x9000
        state.commit(replace(state.memory, contactless_pin=True))
    with CardState.load(personalised) as state:
        host = Host.of(state, Face.CONTACTLESS)
        assert host.sign(0x9A, bytes(32)) == (b"", 0x6982)
        assert host.verify(PIN) == 0x9000
        assert host.sign(0x9A, bytes(32))[1] == 0x9000
        assert host.get(ObjectId.CCC)[1] == 0x9000
        assert host.authenticate() == 0x9000


def test_unknown_instructions_stay_unknown(contactless: Host) -> None:
    assert contactless.raw("00CADF3005") == (b"", 0x6D00)
