"""A PIV session, with the software card directly, and with transcripts where a card has to misbehave."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY, KeyReference, ObjectId
from reader_agent.errors import (
    CardDataMalformed,
    CardDataMissing,
    CardNotPiv,
    CardProofInvalid,
    CardRefused,
)
from reader_agent.piv.card_key import CardPrivateKey
from reader_agent.piv.session import PivSession
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.world import DirectConnection, blank_card

DIGEST = hashlib.sha256(b"a statement").digest()
PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass
class Script:
    """A connection that answers what was written down, and checks what it is asked."""

    exchanges: Sequence[tuple[str, str]]
    position: int = field(default=0)

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """The next line's answer."""
        expected, answer = self.exchanges[self.position]
        self.position += 1
        assert command.hex() == expected.replace(" ", "").lower()
        raw = bytes.fromhex(answer)
        return raw[:-2], int.from_bytes(raw[-2:])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nobody else is here."""
        yield

    def close(self, *, reset: bool = False) -> None:
        """Nothing to let go of."""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[DirectConnection]:
    """A blank card."""
    with DirectConnection.to(blank_card(tmp_path / "card.json")) as connection:
        yield connection


@pytest.fixture
def session(connection: DirectConnection) -> PivSession:
    """The identity application of a blank card, selected."""
    session = PivSession(connection)
    session.select()
    return session


@pytest.fixture
def administrator(session: PivSession) -> PivSession:
    """The same, after the transport key was shown."""
    session.authenticate_management(WELL_KNOWN_TRANSPORT_KEY)
    return session


def test_a_key_is_made_and_signs(administrator: PivSession) -> None:
    """The signature over a digest verifies under the key that the card gave out."""
    key = administrator.generate_key(KeyReference.CARD_AUTHENTICATION)
    key.verify(administrator.sign(DIGEST), DIGEST, PREHASHED)


def test_cryptography_signs_with_the_card(administrator: PivSession) -> None:
    """A certificate request, self-signed by a key that this machine has never seen."""
    public = administrator.generate_key(KeyReference.CARD_AUTHENTICATION)
    key = CardPrivateKey(administrator, public)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    assert request.is_signature_valid
    assert request.public_key() == public
    assert key.key_size == 256
    public.verify(key.sign(DIGEST, PREHASHED), DIGEST, PREHASHED)


def test_a_card_key_does_nothing_else(administrator: PivSession) -> None:
    """It cannot be exported, agree on anything, or sign another hash."""
    key = CardPrivateKey(administrator, administrator.generate_key(KeyReference.CARD_AUTHENTICATION))
    with pytest.raises(TypeError):
        key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(TypeError):
        key.private_numbers()
    with pytest.raises(TypeError):
        key.exchange(ec.ECDH(), key.public_key())
    with pytest.raises(TypeError):
        key.sign(b"data", ec.ECDSA(hashes.SHA384()))


@pytest.mark.parametrize("length", [0, 1, 0x7F, 0x80, 0xF0, 0xFF, 0x100, 0x3FF, 1000])
def test_objects_of_any_length_come_back(administrator: PivSession, length: int) -> None:
    """Command chaining out and GET RESPONSE back, around every boundary of a length field."""
    content = os.urandom(length)
    administrator.write(ObjectId.PIV_AUTHENTICATION_CERTIFICATE, content)
    if length:
        assert administrator.read(ObjectId.PIV_AUTHENTICATION_CERTIFICATE) == content
    else:
        with pytest.raises(CardDataMissing):
            administrator.read(ObjectId.PIV_AUTHENTICATION_CERTIFICATE)


@pytest.mark.parametrize("length", [16, 24, 32])
def test_management_keys_of_each_length(tmp_path: Path, length: int) -> None:
    """AES-128, AES-192 and AES-256; then replaced, and the old one is refused."""
    key, other = os.urandom(length), os.urandom(16)
    CardState.create(tmp_path / "card.json", factory_memory(os.urandom, transport_key=key)).close()
    with DirectConnection.to(tmp_path / "card.json") as connection:
        session = PivSession(connection)
        session.select()
        session.authenticate_management(key)
        session.set_management_key(other)
        session.authenticate_management(other)
        with pytest.raises(CardRefused):
            session.authenticate_management(key)


def test_without_the_management_key_nothing_is_written(session: PivSession) -> None:
    """Neither an object nor a key."""
    with pytest.raises(CardRefused) as refused:
        session.write(ObjectId.CHUID, b"\x30\x00")
    assert refused.value.sw == 0x6982
    with pytest.raises(CardRefused):
        session.generate_key(KeyReference.CARD_AUTHENTICATION)


def test_a_card_that_does_not_know_the_key_is_noticed() -> None:
    """It accepts whatever it is shown; its answer to our challenge gives it away."""

    class Liar:
        """Answers with the right shape and the wrong content."""

        def transmit(self, command: bytes) -> tuple[bytes, int]:
            """A witness first, then a response."""
            tag = 0x80 if command[4] == 4 else 0x82
            return bytes((0x7C, 18, tag, 16)) + bytes(16), 0x9000

        @contextmanager
        def transaction(self) -> Iterator[None]:
            """Nobody else is here."""
            yield

        def close(self, *, reset: bool = False) -> None:
            """Nothing to let go of."""

    with pytest.raises(CardProofInvalid):
        PivSession(Liar()).authenticate_management(bytes(16))


def test_a_blank_card_says_so(session: PivSession) -> None:
    """No identity and no certificate."""
    with pytest.raises(CardDataMissing):
        session.chuid()
    with pytest.raises(CardDataMissing):
        session.card_certificate()
    with pytest.raises(CardRefused):
        session.sign(DIGEST)


def test_close_resets_after_the_management_key(
    connection: DirectConnection, administrator: PivSession
) -> None:
    """Nobody inherits the right to write."""
    administrator.close()
    assert connection.closed_with_reset == [True]


def test_only_whole_digests_are_signed(session: PivSession) -> None:
    """A programmer's error, not the card's."""
    with pytest.raises(ValueError, match="32 bytes"):
        session.sign(b"short")


SELECT = "00A4040009 A00000030800001000 00"
GET_CHUID = "00CB3FFF05 5C035FC102 00"
SIGN = f"00871 19E26 7C24 8200 8120 {DIGEST.hex()} 00".replace("00871 19E", "0087119E")


def test_the_commands_on_the_wire() -> None:
    """SP 800-73-5 part 2: SELECT, GET DATA, GENERAL AUTHENTICATE, byte for byte."""
    script = Script(
        [
            (SELECT, "61114F06000010000100 7907 4F05A000000308 9000".replace(" ", "")),
            (GET_CHUID, "6A82"),
            (SIGN, "7C0A 8208 3006020101020101 9000".replace(" ", "")),
        ]
    )
    session = PivSession(script)
    session.select()
    with pytest.raises(CardDataMissing):
        session.chuid()
    assert session.sign(DIGEST) == bytes.fromhex("3006020101020101")
    assert script.position == 3


def test_no_piv_on_the_card() -> None:
    """A bank card, a phone."""
    with pytest.raises(CardNotPiv) as refused:
        PivSession(Script([(SELECT, "6A82")])).select()
    assert refused.value.sw == 0x6A82


def test_wrong_le_and_61xx_are_followed() -> None:
    """ISO/IEC 7816-4, 5.3.4 and 5.6: 6CXX names the right Le; 61XX wants GET RESPONSE, 6100 a full one."""
    script = Script(
        [
            (GET_CHUID, "6C20"),
            ("00CB3FFF05 5C035FC102 20", "5304 6102".replace(" ", "")),
            ("00C0000002", "3002 6100".replace(" ", "")),
            ("00C0000000", "ABCD 9000".replace(" ", "")),
        ]
    )
    assert PivSession(script).read(ObjectId.CHUID) == bytes.fromhex("3002ABCD")


@pytest.mark.parametrize("answer", ["9000", "5302AB9000", "FF9000", "5303AB9000", "30029000"])
def test_nonsense_is_malformed(answer: str) -> None:
    """Cut off, or not what was asked for: an error of ours, whatever the card says."""
    with pytest.raises(CardDataMalformed):
        PivSession(Script([(GET_CHUID, answer)])).chuid()


def test_an_answer_without_end_is_cut_off() -> None:
    """A card that always has more."""

    class Endless(Script):
        """Always 256 bytes, and more to come."""

        def transmit(self, command: bytes) -> tuple[bytes, int]:
            """The same, for ever."""
            del command
            return bytes(256), 0x6100

    with pytest.raises(CardDataMalformed, match="does not end"):
        PivSession(Endless([])).read(ObjectId.CHUID)


def test_a_chain_that_is_refused_ends() -> None:
    """The second half is not sent after the card refused the first."""
    first = "10DB3FFF FF 5C035FC102 5382012C" + "00" * 246
    script = Script([(first, "6884")])
    with pytest.raises(CardRefused) as refused:
        PivSession(script).write(ObjectId.CHUID, bytes(300))
    assert refused.value.sw == 0x6884
