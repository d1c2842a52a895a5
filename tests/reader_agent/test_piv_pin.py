"""PIN, PUK and the keys that want them, over a session with the software card."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY, KeyReference, ObjectId
from reader_agent.errors import CardRefused, ContactNeeded, PinBlocked, PinNeeded, PinWrong
from reader_agent.piv.card_key import CardPrivateKey
from reader_agent.piv.session import PivSession
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.world import DirectConnection

PIN, PUK = "123456", "87654321"
DIGEST = hashlib.sha256(b"a declaration").digest()
PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
PRIVATE_KEYS = (KeyReference.PIV_AUTHENTICATION, KeyReference.DIGITAL_SIGNATURE)


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    """A card with a PIN and a PUK that are known here."""
    memory = factory_memory(os.urandom, pin=PIN.encode() + b"\xff\xff", puk=PUK.encode())
    CardState.create(tmp_path / "card.json", memory).close()
    return tmp_path / "card.json"


@pytest.fixture
def connection(card_file: Path) -> Iterator[DirectConnection]:
    """That card in the contact reader."""
    with DirectConnection.to(card_file) as connection:
        yield connection


@pytest.fixture
def session(connection: DirectConnection) -> PivSession:
    """Its identity application, selected."""
    session = PivSession(connection)
    session.select()
    return session


@pytest.fixture
def keys(connection: DirectConnection) -> dict[KeyReference, ec.EllipticCurvePublicKey]:
    """Keys 9A and 9C, made by an administrator who has left."""
    administrator = PivSession(connection)
    administrator.select()
    administrator.authenticate_management(WELL_KNOWN_TRANSPORT_KEY)
    keys = {key: administrator.generate_key(key) for key in PRIVATE_KEYS}
    administrator.close()
    connection.card.reset()
    return keys


def test_9a_signs_after_the_pin_and_9c_once(
    keys: dict[KeyReference, ec.EllipticCurvePublicKey], session: PivSession
) -> None:
    for key in PRIVATE_KEYS:
        with pytest.raises(PinNeeded):
            session.sign(DIGEST, key)
    session.verify_pin(PIN)
    for key in (*PRIVATE_KEYS, KeyReference.PIV_AUTHENTICATION):
        keys[key].verify(session.sign(DIGEST, key), DIGEST, PREHASHED)
    with pytest.raises(PinNeeded):
        session.sign(DIGEST, KeyReference.DIGITAL_SIGNATURE)


def test_a_key_with_a_pin_signs_for_cryptography(
    keys: dict[KeyReference, ec.EllipticCurvePublicKey], session: PivSession
) -> None:
    public = keys[KeyReference.DIGITAL_SIGNATURE]
    key = CardPrivateKey(session, public, KeyReference.DIGITAL_SIGNATURE)
    session.verify_pin(PIN)
    public.verify(key.sign(DIGEST, PREHASHED), DIGEST, PREHASHED)


def test_the_pin_ends_with_the_block(
    keys: dict[KeyReference, ec.EllipticCurvePublicKey], session: PivSession, connection: DirectConnection
) -> None:
    """Whoever comes next, without a reset in between, cannot sign."""
    with session.exclusive_with_pin(PIN):
        keys[KeyReference.PIV_AUTHENTICATION].verify(
            session.sign(DIGEST, KeyReference.PIV_AUTHENTICATION), DIGEST, PREHASHED
        )
    stranger = PivSession(connection)
    stranger.select()
    with pytest.raises(PinNeeded):
        stranger.sign(DIGEST, KeyReference.PIV_AUTHENTICATION)
    session.close()
    assert connection.closed_with_reset[-1] is True


def test_close_forgets_the_pin_and_resets(session: PivSession, connection: DirectConnection) -> None:
    session.verify_pin(PIN)
    session.close()
    assert connection.sent[-1] == bytes.fromhex("0020FF80")
    assert connection.closed_with_reset == [True]
    assert session.pin_attempts() == 5


def test_close_after_the_card_was_pulled_is_quiet(session: PivSession, connection: DirectConnection) -> None:
    session.verify_pin(PIN)
    connection.is_pulled = True
    session.close()
    assert connection.closed_with_reset == [True]


def test_without_a_pin_nothing_is_reset(session: PivSession, connection: DirectConnection) -> None:
    """A tap leaves the card to whoever else uses it."""
    session.pin_attempts()
    session.close()
    assert connection.closed_with_reset == [False]


def test_wrong_pins_count_down_and_block_and_the_puk_unblocks(session: PivSession) -> None:
    for left in (4, 3, 2, 1):
        with pytest.raises(PinWrong) as wrong:
            session.verify_pin("000000")
        assert wrong.value.attempts_remaining == left == session.pin_attempts()
    with pytest.raises(PinBlocked):
        session.verify_pin("000000")
    with pytest.raises(PinBlocked):
        session.verify_pin(PIN)
    with pytest.raises(PinWrong) as wrong:
        session.unblock_pin("00000000", "24681357")
    assert (wrong.value.name, wrong.value.attempts_remaining) == ("PUK", 9)
    session.unblock_pin(PUK, "24681357")
    assert session.pin_attempts() == 5
    session.verify_pin("24681357")


def test_pin_and_puk_are_changed(session: PivSession) -> None:
    session.change_pin(PIN, "24681357")
    session.change_puk(PUK, "ABCDEFGH")
    session.forget_pin()
    with pytest.raises(PinWrong):
        session.verify_pin(PIN)
    session.verify_pin("24681357")
    session.unblock_pin("ABCDEFGH", PIN)
    session.forget_pin()
    session.verify_pin(PIN)


def test_without_contact_a_pin_is_refused_in_plain_words(card_file: Path) -> None:
    with DirectConnection.to(card_file, Face.CONTACTLESS) as connection:
        session = PivSession(connection)
        session.select()
        with pytest.raises(ContactNeeded, match="contact reader"):
            session.verify_pin(PIN)
        assert session.pin_attempts() is None
        with pytest.raises(CardRefused):
            session.read(ObjectId.PRINTED_INFORMATION)
