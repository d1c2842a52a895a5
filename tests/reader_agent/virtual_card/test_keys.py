"""GENERAL AUTHENTICATE and the management of keys."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import Algorithm
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.conftest import PIN
from tests.reader_agent.virtual_card.host import SELECT_PIV, Host, card_certificate, encrypt
from tests.support.vectors import Vector, card_vectors

DIGEST = bytes(range(32))
ECDSA = ec.ECDSA(Prehashed(hashes.SHA256()))


def public_key(answer: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), piv.decode_public_key(answer))


def test_9e_signs_a_digest_without_a_pin(contact: Host) -> None:
    signature, sw = contact.sign(0x9E, DIGEST)
    assert sw == 0x9000
    key = card_certificate(contact).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(signature, DIGEST, ECDSA)
    with pytest.raises(InvalidSignature):
        key.verify(signature, DIGEST[::-1], ECDSA)


def test_the_published_command_signs_under_the_published_key(contact: Host) -> None:
    """RFC 6979 A.2.5: the digest of "sample" under a key whose public half is printed there."""
    (key_vector,) = card_vectors("ecdsa-p256")
    (command,) = [v for v in card_vectors("piv-apdu") if v.name == "general-authenticate-9e-p256"]
    key = ec.derive_private_key(int(key_vector.inputs["private_key"], 16), ec.SECP256R1())
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    contact.state.commit(contact.state.memory.with_private_key(0x9E, pkcs8))
    answer, sw = contact.raw(command.expected["c_apdu"])
    assert sw == 0x9000
    assert answer[0] == 0x7C
    assert answer[2] == 0x82
    x, y = int(key_vector.expected["x"], 16), int(key_vector.expected["y"], 16)
    published = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    published.verify(answer[4:], key_vector.inputs["message_ascii"].encode(), ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    "data",
    [
        "",
        "7C00",
        "7C0482008100",  # no digest
        "7C2382008" + "11F" + "11" * 31,  # a digest of 31 bytes
        "7C2582008121" + "11" * 33,
        "7C228120" + "11" * 32,  # no request for a response
        "7C2582018120" + "11" * 33,
        "7C268200" + "8120" + "11" * 32 + "8200",  # the same tag twice
        "7C2482008120" + "11" * 31,  # breaks off
    ],
)
def test_what_is_no_digest_is_not_signed(contact: Host, data: str) -> None:
    assert contact.send(0x87, 0x11, 0x9E, bytes.fromhex(data)) == (b"", 0x6A80)


@pytest.mark.parametrize(
    ("algorithm", "slot"), [(0x07, 0x9E), (0x14, 0x9E), (0x11, 0x9D), (0x11, 0x04), (0x11, 0x9B)]
)
def test_other_algorithms_and_slots_are_refused(contact: Host, algorithm: int, slot: int) -> None:
    data = bytes.fromhex("7C2482008120") + DIGEST
    assert contact.send(0x87, algorithm, slot, data) == (b"", 0x6A86)


def test_9a_wants_the_pin_once_and_9c_each_time(contact: Host) -> None:
    assert contact.authenticate() == 0x9000
    keys = {slot: public_key(contact.generate(slot)[0]) for slot in (0x9A, 0x9C)}
    for slot in keys:
        assert contact.sign(slot, DIGEST) == (b"", 0x6982)
    assert contact.verify(PIN) == 0x9000
    for _ in range(2):
        signature, sw = contact.sign(0x9A, DIGEST)
        assert sw == 0x9000
        keys[0x9A].verify(signature, DIGEST, ECDSA)
    signature, sw = contact.sign(0x9C, DIGEST)
    assert sw == 0x9000
    keys[0x9C].verify(signature, DIGEST, ECDSA)
    assert contact.sign(0x9C, DIGEST) == (b"", 0x6982)
    assert contact.verify(PIN) == 0x9000
    assert contact.sign(0x9C, DIGEST)[1] == 0x9000


def test_a_key_is_made_on_the_card_and_survives_a_loss_of_power(personalised: Path) -> None:
    with CardState.load(personalised) as state:
        host = Host.of(state, Face.CONTACT)
        assert host.authenticate() == 0x9000
        made = public_key(host.generate(0x9E)[0])
    with CardState.load(personalised) as state:
        host = Host.of(state, Face.CONTACTLESS)
        made.verify(host.sign(0x9E, DIGEST)[0], DIGEST, ECDSA)
        assert card_certificate(host).public_key() != made  # a new key does not touch the old certificate


@pytest.mark.parametrize(
    ("slot", "data", "sw"),
    [
        (0x82, "AC03800111", 0x6A86),
        (0x9B, "AC03800111", 0x6A86),
        (0x9E, "AC03800106", 0x6A80),
        (0x9E, "AC0480021111", 0x6A80),
        (0x9E, "AC00", 0x6A80),
        (0x9E, "", 0x6A80),
    ],
)
def test_keys_that_cannot_be_made(contact: Host, slot: int, data: str, sw: int) -> None:
    assert contact.authenticate() == 0x9000
    assert contact.send(0x47, 0x00, slot, bytes.fromhex(data)) == (b"", sw)


def test_9d_agrees_on_a_secret_with_the_pin(contact: Host) -> None:
    """SP 800-73-5 part 2, A.5: 85 with the other side's point, answered by the result's X coordinate."""
    assert contact.authenticate() == 0x9000
    card_key = public_key(contact.generate(0x9D)[0])
    other = ec.generate_private_key(ec.SECP256R1())
    point = other.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    data = bytes.fromhex("7C4582008541") + point
    assert contact.send(0x87, 0x11, 0x9D, data) == (b"", 0x6982)
    assert contact.verify(PIN) == 0x9000
    for _ in range(2):
        answer, sw = contact.send(0x87, 0x11, 0x9D, data)
        assert (answer, sw) == (bytes.fromhex("7C228220") + other.exchange(ec.ECDH(), card_key), 0x9000)


@pytest.mark.parametrize(
    "data",
    [
        "7C2482008120" + "11" * 32,  # a digest: 9D does not sign
        "7C4582008541" + "04" + "11" * 64,  # a point beside the curve
        "7C2582008521" + "02" + "11" * 32,  # a compressed one
        "7C43" + "8541" + "04" + "11" * 64,  # no request for a response
    ],
)
def test_what_9d_does_not_agree_on(contact: Host, data: str) -> None:
    assert contact.authenticate() == 0x9000
    assert contact.generate(0x9D)[1] == 0x9000
    assert contact.verify(PIN) == 0x9000
    assert contact.send(0x87, 0x11, 0x9D, bytes.fromhex(data)) == (b"", 0x6A80)


def test_signing_keys_agree_on_nothing(contact: Host) -> None:
    point = card_certificate(contact).public_key()
    assert isinstance(point, ec.EllipticCurvePublicKey)
    raw = point.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    assert contact.send(0x87, 0x11, 0x9E, bytes.fromhex("7C4582008541") + raw) == (b"", 0x6A80)


def test_making_a_key_wants_the_management_key(contact: Host) -> None:
    before = contact.state.memory
    assert contact.generate(0x9E) == (b"", 0x6982)
    assert contact.state.memory is before


@pytest.mark.parametrize("vector", card_vectors("aes-block"), ids=str)
def test_external_authentication_with_published_aes_values(contact: Host, vector: Vector) -> None:
    """The card draws FIPS 197's plaintext as its challenge, and takes its ciphertext for an answer."""
    key, plaintext = bytes.fromhex(vector.inputs["key"]), bytes.fromhex(vector.inputs["plaintext"])
    algorithm = {16: Algorithm.AES_128, 24: Algorithm.AES_192, 32: Algorithm.AES_256}[len(key)]
    contact.state.commit(replace(contact.state.memory, management_algorithm=algorithm, management_key=key))
    host = Host(VirtualCard(contact.state, Face.CONTACT, lambda length: plaintext[:length]), contact.state)
    host.card.power_on()
    host.raw(SELECT_PIV)
    assert host.send(0x87, algorithm, 0x9B, bytes.fromhex("7C028100")) == (
        b"\x7c\x12\x81\x10" + plaintext,
        0x9000,
    )
    response = bytes.fromhex("7C128210" + vector.expected["ciphertext"])
    assert host.send(0x87, algorithm, 0x9B, response) == (b"", 0x9000)
    assert host.generate(0x9E)[1] == 0x9000


def test_mutual_authentication_proves_both_sides(contact: Host) -> None:
    key, algorithm = contact.state.memory.management_key, contact.state.memory.management_algorithm
    drawn = itertools.count(1)
    host = Host(VirtualCard(contact.state, Face.CONTACT, lambda n: bytes((next(drawn),)) * n), contact.state)
    host.card.power_on()
    host.raw(SELECT_PIV)
    answer, sw = host.send(0x87, algorithm, 0x9B, bytes.fromhex("7C028000"))
    assert (answer, sw) == (bytes.fromhex("7C128010") + encrypt(key, b"\x01" * 16), 0x9000)
    challenge = bytes(range(16))
    data = bytes.fromhex("7C248010") + b"\x01" * 16 + bytes.fromhex("8110") + challenge
    answer, sw = host.send(0x87, algorithm, 0x9B, data)
    assert (answer, sw) == (bytes.fromhex("7C128210") + encrypt(key, challenge), 0x9000)
    assert host.generate(0x9E)[1] == 0x9000


def test_a_wrong_management_key_is_refused_and_ends_an_authentication(contact: Host) -> None:
    assert contact.authenticate() == 0x9000
    assert contact.authenticate(bytes(24)) == 0x6982
    assert contact.generate(0x9E) == (b"", 0x6982)


def test_a_challenge_is_good_once(contact: Host) -> None:
    key, algorithm = contact.state.memory.management_key, contact.state.memory.management_algorithm
    challenge = contact.send(0x87, algorithm, 0x9B, bytes.fromhex("7C028100"))[0][4:]
    response = bytes.fromhex("7C128210") + encrypt(key, challenge)
    assert contact.send(0x87, algorithm, 0x9B, response) == (b"", 0x9000)
    assert contact.send(0x87, algorithm, 0x9B, response) == (b"", 0x6A80)


def test_the_card_never_encrypts_for_a_stranger(contact: Host) -> None:
    """Else it would answer its own challenge: 81 with a request for 82 is the command's other form."""
    algorithm = contact.state.memory.management_algorithm
    challenge = contact.send(0x87, algorithm, 0x9B, bytes.fromhex("7C028100"))[0][4:]
    for head in ("7C1482008110", "7C128110"):
        assert contact.send(0x87, algorithm, 0x9B, bytes.fromhex(head) + challenge) == (b"", 0x6A80)
    data = bytes.fromhex("7C248010") + bytes(16) + bytes.fromhex("8110") + challenge
    contact.send(0x87, algorithm, 0x9B, bytes.fromhex("7C028000"))
    assert contact.send(0x87, algorithm, 0x9B, data) == (b"", 0x6982)


@pytest.mark.parametrize("algorithm", [0x00, 0x03, Algorithm.AES_128, Algorithm.AES_256])
def test_the_management_key_has_one_algorithm(contact: Host, algorithm: int) -> None:
    assert contact.send(0x87, algorithm, 0x9B, bytes.fromhex("7C028100")) == (b"", 0x6A86)


@pytest.mark.parametrize("algorithm", [Algorithm.AES_128, Algorithm.AES_192, Algorithm.AES_256])
def test_the_management_key_is_replaced(contact: Host, algorithm: Algorithm) -> None:
    new = bytes(range(100, 100 + piv.AES_KEY_LENGTH[algorithm]))
    old = contact.state.memory.management_key
    data = bytes((algorithm, 0x9B, len(new))) + new
    assert contact.send(0xFF, 0xFF, 0xFF, data, le=None)[1] == 0x6982
    assert contact.authenticate() == 0x9000
    assert contact.send(0xFF, 0xFF, 0xFF, data, le=None)[1] == 0x9000
    contact.card.reset()
    contact.raw(SELECT_PIV)
    assert contact.authenticate(old.ljust(len(new), b"\0")[: len(new)]) == 0x6982
    assert contact.authenticate(new) == 0x9000


@pytest.mark.parametrize(
    "data",
    [
        "",
        "089B",
        "089B10" + "00" * 15,
        "089B11" + "00" * 17,
        "089A10" + "00" * 16,
        "039B18" + "00" * 24,
        "119B10" + "00" * 16,
    ],
)
def test_management_keys_that_cannot_be(contact: Host, data: str) -> None:
    assert contact.authenticate() == 0x9000
    before = contact.state.memory
    assert contact.send(0xFF, 0xFF, 0xFF, bytes.fromhex(data), le=None)[1] == 0x6A80
    assert contact.state.memory is before
