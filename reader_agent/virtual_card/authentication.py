"""GENERAL AUTHENTICATE and what makes its keys (SP 800-73-5 part 2, 3.2.4, 3.3.2 and appendix A)."""

import hmac
from dataclasses import replace

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import Algorithm, KeyReference
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card.memory import RandomBytes
from reader_agent.virtual_card.security import Refused, SecurityStatus
from reader_agent.virtual_card.state import CardState

SIGNING_SLOTS = (
    KeyReference.PIV_AUTHENTICATION,
    KeyReference.DIGITAL_SIGNATURE,
    KeyReference.CARD_AUTHENTICATION,
)
DIGEST_LENGTH = 32  # SHA-256, the hash that SP 800-78-5, 3.1, pairs with P-256


def authenticate(
    command: CommandApdu, state: CardState, security: SecurityStatus, random_bytes: RandomBytes
) -> bytes:
    """Sign a digest with 9A, 9C or 9E, or take part in an authentication with 9B."""
    template = _template(command.data)
    if command.p2 == KeyReference.MANAGEMENT:
        if command.p1 != state.memory.management_algorithm:
            raise Refused(StatusWord.INCORRECT_P1_P2)
        return _authenticate_management(template, state, security, random_bytes)
    if command.p2 not in SIGNING_SLOTS or command.p1 != Algorithm.ECC_P256:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    return _sign(KeyReference(command.p2), template, state, security)


def generate_key_pair(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """Make a slot's key anew; its public key. A certificate of the old key stays until it is overwritten."""
    security.require_management()
    if command.p1 != 0x00 or command.p2 not in SIGNING_SLOTS:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    control = _value(command.data, piv.TAG_KEY_CONTROL)
    if _value(control, piv.TAG_ALGORITHM) != bytes((Algorithm.ECC_P256,)):
        raise Refused(StatusWord.INCORRECT_DATA)
    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    state.commit(state.memory.with_private_key(command.p2, pkcs8))
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return piv.encode_public_key(point)


def set_management_key(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """Yubico's command (see cardspec.piv.Instruction): algorithm ‖ 9B ‖ length ‖ key."""
    security.require_management()
    if (command.p1, command.p2) != (0xFF, 0xFF):
        raise Refused(StatusWord.INCORRECT_P1_P2)
    if len(command.data) < 3:
        raise Refused(StatusWord.INCORRECT_DATA)
    number, slot, length = command.data[:3]
    key = command.data[3:]
    expected = {int(algorithm): size for algorithm, size in piv.AES_KEY_LENGTH.items()}.get(number)
    if slot != KeyReference.MANAGEMENT or length != len(key) or length != expected:
        raise Refused(StatusWord.INCORRECT_DATA)
    state.commit(replace(state.memory, management_algorithm=Algorithm(number), management_key=key))
    return b""


def _sign(
    slot: KeyReference, template: dict[int, bytes], state: CardState, security: SecurityStatus
) -> bytes:
    pkcs8 = state.memory.private_keys.get(slot)
    if pkcs8 is None:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    digest = template.get(piv.TAG_CHALLENGE, b"")
    if set(template) != {piv.TAG_CHALLENGE, piv.TAG_RESPONSE} or template[piv.TAG_RESPONSE] != b"":
        raise Refused(StatusWord.INCORRECT_DATA)
    if len(digest) != DIGEST_LENGTH:
        raise Refused(StatusWord.INCORRECT_DATA)
    _spend_pin(slot, security)
    key = serialization.load_der_private_key(pkcs8, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused(StatusWord.MEMORY_FAILURE)
    signature = key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    return tlv.encode(piv.TAG_DYNAMIC_AUTHENTICATION, tlv.encode(piv.TAG_RESPONSE, signature))


def _spend_pin(slot: KeyReference, security: SecurityStatus) -> None:
    """9E wants no PIN, 9A one a session, 9C one each time (SP 800-73-5 part 1, 5.1)."""
    if slot is KeyReference.PIV_AUTHENTICATION and not security.pin_verified:
        raise Refused(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
    if slot is KeyReference.DIGITAL_SIGNATURE:
        if not security.pin_fresh:
            raise Refused(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
        security.pin_fresh = False


def _authenticate_management(
    template: dict[int, bytes], state: CardState, security: SecurityStatus, random_bytes: RandomBytes
) -> bytes:
    # What the card has drawn is good for the next step alone, whatever that is.
    challenge, witness = security.challenge, security.witness
    security.challenge = security.witness = None
    if template == {piv.TAG_CHALLENGE: b""}:  # appendix A.1, external: the card draws a challenge
        security.challenge = random_bytes(piv.AES_BLOCK_LENGTH)
        return _answer(piv.TAG_CHALLENGE, security.challenge)
    if template == {piv.TAG_WITNESS: b""}:  # mutual: the card draws a witness and shows it encrypted
        security.witness = random_bytes(piv.AES_BLOCK_LENGTH)
        return _answer(piv.TAG_WITNESS, _encrypt(state, security.witness))
    if set(template) == {piv.TAG_RESPONSE} and challenge is not None:
        _accept(template[piv.TAG_RESPONSE], _encrypt(state, challenge), security)
        return b""
    hosts = template.get(piv.TAG_CHALLENGE, b"")
    if witness is not None and piv.TAG_WITNESS in template and len(hosts) == piv.AES_BLOCK_LENGTH:
        _accept(template[piv.TAG_WITNESS], witness, security)
        return _answer(piv.TAG_RESPONSE, _encrypt(state, hosts))
    # Above all never 81 with 82, an encryption of whatever is sent: it would answer the card's own challenge.
    raise Refused(StatusWord.INCORRECT_DATA)


def _accept(shown: bytes, expected: bytes, security: SecurityStatus) -> None:
    security.management = hmac.compare_digest(shown, expected)
    security.require_management()


def _encrypt(state: CardState, block: bytes) -> bytes:
    # One block under a mode that is none: what the card command is defined to do, SP 800-73-5 part 2, 3.2.4.
    encryptor = Cipher(algorithms.AES(state.memory.management_key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()


def _answer(tag: int, value: bytes) -> bytes:
    return tlv.encode(piv.TAG_DYNAMIC_AUTHENTICATION, tlv.encode(tag, value))


def _template(data: bytes) -> dict[int, bytes]:
    items = _decode(_value(data, piv.TAG_DYNAMIC_AUTHENTICATION))
    if len({item.tag for item in items}) != len(items):
        raise Refused(StatusWord.INCORRECT_DATA)
    return {item.tag: item.value for item in items}


def _value(data: bytes, tag: int) -> bytes:
    """The value of the one object that `data` must be."""
    items = _decode(data)
    if [item.tag for item in items] != [tag]:
        raise Refused(StatusWord.INCORRECT_DATA)
    return items[0].value


def _decode(data: bytes) -> list[tlv.Tlv]:
    try:
        return tlv.decode(data)
    except tlv.TlvError:
        raise Refused(StatusWord.INCORRECT_DATA) from None
