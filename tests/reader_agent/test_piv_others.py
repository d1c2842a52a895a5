"""A PIV session with cards that we did not write: recorded ones, and ones that answer as such cards do."""

import gzip
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import Algorithm, KeyReference, ObjectId
from reader_agent.cardspec.piv_data import Discovery
from reader_agent.errors import (
    AgentError,
    CardDataMalformed,
    CardProofInvalid,
    CardRefused,
    ContactNeeded,
    PinBlocked,
    PinMalformed,
    PinNeeded,
    PinWrong,
)
from reader_agent.piv import signing
from reader_agent.piv.inventory import Presence, take_inventory
from reader_agent.piv.session import PivSession
from tests.reader_agent.transcripts import recorded
from tests.reader_agent.verbs import VERBS, WELL_KNOWN_3DES, Answers
from tests.reader_agent.virtual_card.host import make_certificate
from tests.support.vectors import card_vectors

RECORDED: dict[str, Callable[[PivSession], None]] = {
    "yubikey-verify-pin": lambda session: session.verify_pin("123456"),
    "yubikey-change-pin": lambda session: session.change_pin("123456", "654321"),
    "yubikey-change-puk": lambda session: session.change_puk("12345678", "87654321"),
    "yubikey-unblock": lambda session: session.unblock_pin("12345678", "1234567"),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_yubikey_is_asked_what_it_was_asked_then(name: str) -> None:
    card = recorded(name)
    session = PivSession(card)
    session.select()
    RECORDED[name](session)
    assert card.is_over


def test_the_chuid_of_a_recorded_yubikey() -> None:
    session = PivSession(recorded("yubikey-chuid"))
    session.select()
    chuid = session.chuid()
    assert chuid.guid == UUID("ad64beac-1611-4a56-93a2-9d583b74cb44")
    assert chuid.expires_on == date(2030, 1, 1)
    assert chuid.fascn != piv.NON_FEDERAL_FASCN  # nines like ours, and another check character


def test_a_recorded_card_of_rsa_proves_the_key_of_its_compressed_certificate() -> None:
    """Of another maker, without contact: four answers for the certificate, a chain and two for the proof."""
    reading = recorded("contactless-rsa-certificate")
    certificate = PivSession(reading).card_certificate()
    assert reading.is_over
    assert certificate.subject.rfc4514_string() == "CN=6196f446-4207-4835-a93e-87cb14a040f2"
    key = signing.require_suitable(certificate.public_key())
    assert isinstance(key, rsa.RSAPublicKey)
    proving = recorded("contactless-rsa-2048")
    block = b"".join(CommandApdu.decode(bytes.fromhex(sent)).data for sent, _ in proving.exchanges[:2])[10:]
    answer = PivSession(proving).sign(block, KeyReference.CARD_AUTHENTICATION, Algorithm.RSA_2048)
    assert proving.is_over
    numbers = key.public_numbers()
    assert pow(int.from_bytes(answer), numbers.e, numbers.n) == int.from_bytes(block)


def always(sw: str) -> PivSession:
    """A card that answers everything by one status word."""
    return PivSession(Answers(lambda _: bytes.fromhex(sw)))


@pytest.mark.parametrize(
    ("sw", "error", "left"),
    [
        ("63C4", PinWrong, 4),
        ("63C1", PinWrong, 1),
        ("6300", PinWrong, None),  # ISO/IEC 7816-4, 5.6: no information
        ("6303", PinWrong, None),  # as cards counted before 63Cx
        ("63C0", PinBlocked, 0),
        ("6983", PinBlocked, 0),
    ],
)
def test_attempts_left_are_in_the_error(sw: str, error: type[CardRefused], left: int | None) -> None:
    for attempt in RECORDED.values():
        with pytest.raises(error) as refused:
            attempt(always(sw))
        assert getattr(refused.value, "attempts_remaining") == left  # noqa: B009 -- of either class
        assert "123456" not in str(refused.value)


@pytest.mark.parametrize(
    ("left", "words"), [(1, "one attempt is left"), (3, "3 attempts are left"), (None, "PIN")]
)
def test_the_error_says_how_many_are_left(left: int | None, words: str) -> None:
    assert words in str(PinWrong("PIN", 0x63C0, left))


def test_a_card_that_takes_no_pin_here_wants_contact() -> None:
    with pytest.raises(ContactNeeded):
        always("6982").verify_pin("123456")
    with pytest.raises(PinNeeded):
        always("6982").sign(bytes(32), KeyReference.PIV_AUTHENTICATION)
    with pytest.raises(CardRefused):
        always("6D00").verify_pin("123456")


@pytest.mark.parametrize("pin", ["", "12345", "123456789", "12345x"])
def test_what_is_no_pin_is_never_sent(pin: str) -> None:
    card = Answers(lambda _: b"\x90\x00")
    session = PivSession(card)
    attempts: list[Callable[[], None]] = [
        lambda: session.verify_pin(pin),
        lambda: session.change_pin("123456", pin),
        lambda: session.change_pin(pin, "123456"),
        lambda: session.unblock_pin("12345678", pin),
        lambda: session.unblock_pin(pin[:5], "123456"),
    ]
    for attempt in attempts:
        with pytest.raises(PinMalformed):
            attempt()
    assert card.sent == []


@pytest.mark.parametrize(
    ("sw", "left"), [("63C3", 3), ("63C0", 0), ("6983", 0), ("9000", None), ("6982", None)]
)
def test_how_the_pin_stands(sw: str, left: int | None) -> None:
    assert always(sw).pin_attempts() == left


@dataclass
class TripleDesCard:
    """A card whose management key is 3DES: the card's side, written from SP 800-73-4 part 2, A.2."""

    key: bytes = WELL_KNOWN_3DES
    refusal: str = "6A86"
    witness: bytes = bytes(range(8))
    authenticated: bool = False

    def __call__(self, command: bytes) -> bytes:
        """One GENERAL AUTHENTICATE."""
        if command[1] != 0x87 or command[2] != Algorithm.TRIPLE_DES:
            return bytes.fromhex(self.refusal)
        body = tlv.decode(tlv.decode(command[5 : 5 + command[4]])[0].value)
        template = {item.tag: item.value for item in body}
        if template == {0x80: b""}:
            return bytes.fromhex("7C0A8008") + self.encrypt(self.witness) + b"\x90\x00"
        if template[0x80] != self.witness:
            return bytes.fromhex("6982")
        self.authenticated = True
        return bytes.fromhex("7C0A8208") + self.encrypt(template[0x81]) + b"\x90\x00"

    def encrypt(self, block: bytes) -> bytes:
        """One block."""
        encryptor = Cipher(TripleDES(self.key), modes.ECB()).encryptor()  # noqa: S305 -- what the standard says
        return encryptor.update(block) + encryptor.finalize()


@pytest.mark.parametrize("refusal", ["6A86", "6A80", "6A81"])
def test_a_card_with_a_3des_management_key(refusal: str) -> None:
    """It says that AES-192 is not its algorithm, in the words of various makers."""
    card = TripleDesCard(refusal=refusal)
    PivSession(Answers(card)).authenticate_management(WELL_KNOWN_3DES)
    assert card.authenticated


def test_another_3des_key_is_refused() -> None:
    card = TripleDesCard(key=os.urandom(24))
    with pytest.raises(CardRefused):
        PivSession(Answers(card)).authenticate_management(WELL_KNOWN_3DES)
    assert not card.authenticated


def test_a_3des_card_that_does_not_know_the_key_is_noticed() -> None:
    """It takes whatever it is shown."""
    answers = itertools.chain([b"\x6a\x86", bytes.fromhex("7C0A8008") + bytes(8) + b"\x90\x00"])
    liar = itertools.chain(answers, itertools.repeat(bytes.fromhex("7C0A8208") + bytes(8) + b"\x90\x00"))
    with pytest.raises(CardProofInvalid):
        PivSession(Answers(lambda _: next(liar))).authenticate_management(WELL_KNOWN_3DES)


def test_a_refusal_of_the_key_is_not_taken_for_one_of_the_algorithm() -> None:
    """Else a card would be asked twice for what it has refused."""
    card = Answers(lambda _: b"\x69\x82")
    with pytest.raises(CardRefused):
        PivSession(card).authenticate_management(WELL_KNOWN_3DES)
    assert len(card.sent) == 1


def test_a_recorded_yubikeys_witness_is_a_block_of_3des() -> None:
    """And what a stranger makes of it is refused: its answer to us, and ours to it, as recorded."""
    answers = iter(
        bytes.fromhex(answer) for _, answer in recorded("yubikey-mutual-authentication-refused").exchanges
    )
    session = PivSession(
        Answers(lambda command: b"\x6a\x80" if command[2] == Algorithm.AES_192 else next(answers))
    )
    session.select()
    with pytest.raises(CardRefused) as refused:
        session.authenticate_management(WELL_KNOWN_3DES)
    assert refused.value.sw == 0x6982


def objects(contents: dict[int, bytes]) -> Answers:
    """A card with these objects, framed as given."""

    def answer(command: bytes) -> bytes:
        if command[1] == 0xA4:
            return b"\x90\x00"
        if command[1] == 0x20:
            return b"\x63\xc3"
        tag = int.from_bytes(tlv.decode(command[5 : 5 + command[4]])[0].value)
        found = contents.get(tag, b"\x6a\x82")
        return found if len(found) == 2 else found + b"\x90\x00"

    return Answers(answer)


def test_a_discovery_object_is_framed_by_itself() -> None:
    published = {
        vector.name: bytes.fromhex(vector.inputs["object"])
        for vector in card_vectors("piv-tlv")
        if "discovery" in vector.name
    }
    policies = {name: PivSession(objects({0x7E: raw})).discovery() for name, raw in published.items()}
    assert policies["gsa-discovery-46-app-pin-only"] == Discovery()
    assert policies["gsa-discovery-28-global-pin-primary"].prefers_global_pin
    session = PivSession(objects({0x7E: published["gsa-discovery-28-global-pin-primary"]}))
    assert session.pin_reference() is KeyReference.GLOBAL_PIN
    assert PivSession(objects({})).pin_reference() is KeyReference.PIN  # an older card says nothing


def test_objects_are_written_in_their_own_frames() -> None:
    """SP 800-73-5 part 2, 3.3.1: in 5C and 53, or as it is if it frames itself. No Le."""
    card = Answers(lambda _: b"\x90\x00")
    session = PivSession(card)
    session.write(ObjectId.CHUID, b"\x30\x00")
    session.write(ObjectId.DISCOVERY, b"\x4f\x00")
    assert [command.hex().upper() for command in card.sent] == [
        "00DB3FFF095C035FC10253023000",
        "00DB3FFF047E024F00",
    ]


def test_a_compressed_certificate_is_read() -> None:
    certificate = make_certificate(ec.generate_private_key(ec.SECP256R1()).public_key())
    packed = gzip.compress(certificate.public_bytes(Encoding.DER))
    content = tlv.encode(0x70, packed) + bytes.fromhex("710101FE00")
    card = objects({ObjectId.PIV_AUTHENTICATION_CERTIFICATE: piv.encode_data(content)})
    assert PivSession(card).certificate(KeyReference.PIV_AUTHENTICATION) == certificate


def test_a_compressed_certificate_that_grows_without_end_is_refused() -> None:
    packed = gzip.compress(bytes(50_000_000))
    assert len(packed) < 60_000
    content = tlv.encode(0x70, packed[:1500]) + bytes.fromhex("710101FE00")

    def answer(command: bytes) -> bytes:
        return piv.encode_data(content) + b"\x90\x00"

    with pytest.raises(CardDataMalformed):
        PivSession(Answers(answer)).certificate(KeyReference.PIV_AUTHENTICATION)


def test_an_inventory_says_what_is_there_refused_or_broken() -> None:
    certificate = make_certificate(ec.generate_private_key(ec.SECP256R1()).public_key())
    card = objects(
        {
            ObjectId.CHUID: b"\x53\x02\x30\x00",  # no CHUID
            ObjectId.DISCOVERY: b"\x53\x01\x00",  # in the wrong frame
            ObjectId.PRINTED_INFORMATION: b"\x69\x82",
            ObjectId.PIV_AUTHENTICATION_CERTIFICATE: piv.encode_data(
                piv.encode_certificate(certificate.public_bytes(Encoding.DER))
            ),
            ObjectId.DIGITAL_SIGNATURE_CERTIFICATE: piv.encode_data(piv.encode_certificate(b"\x30\x00")),
            ObjectId.CCC: b"\xff\xff\xff",
        }
    )
    found = take_inventory(PivSession(card))
    assert (found.card, found.expires_on, found.pin_attempts) == (None, None, 3)
    assert found.certificates == {KeyReference.PIV_AUTHENTICATION: certificate}
    assert found.objects == {
        ObjectId.DISCOVERY: Presence.MALFORMED,
        ObjectId.CHUID: Presence.READABLE,
        ObjectId.PIV_AUTHENTICATION_CERTIFICATE: Presence.READABLE,
        ObjectId.CCC: Presence.MALFORMED,
        ObjectId.PRINTED_INFORMATION: Presence.REFUSED,
        ObjectId.DIGITAL_SIGNATURE_CERTIFICATE: Presence.READABLE,
    }


STATUS_WORDS = st.sampled_from(
    ["9000", "9000", "9000", "61FF", "6108", "6100", "6C10", "6982", "6A82", "63C2"]
)
TAGS = st.sampled_from(
    [0x53, 0x7C, 0x7E, 0x7F49, 0x70, 0x71, 0x80, 0x81, 0x82, 0x86, 0x30, 0x34, 0x35, 0x4F, 0x5F2F]
)
TEMPLATES = st.recursive(
    st.binary(max_size=70),
    lambda inner: st.lists(st.builds(tlv.encode, TAGS, inner), min_size=1, max_size=4).map(b"".join),
    max_leaves=8,
)
RESPONSES = st.builds(lambda data, sw: data[:256] + bytes.fromhex(sw), TEMPLATES, STATUS_WORDS) | st.binary(
    min_size=2, max_size=258
)


@pytest.mark.parametrize("verb", VERBS)
@settings(deadline=None)
@given(responses=st.lists(RESPONSES, min_size=1, max_size=12))
def test_whatever_a_card_answers_is_a_result_or_an_error_of_ours(verb: str, responses: list[bytes]) -> None:
    """The answers come round again, so that a card that never ends is among them."""
    answers = itertools.cycle(responses)
    session = PivSession(Answers(lambda _: next(answers)))
    with suppress(AgentError):
        VERBS[verb](session)
    session.close()
