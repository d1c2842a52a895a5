"""The P-256 keys: made on the card, used by their rules (SP 800-73-5 part 2, 3.2.4, 3.3.2, appendix A)."""

from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import Algorithm, KeyReference
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card import templates
from reader_agent.virtual_card.security import Refused, SecurityStatus
from reader_agent.virtual_card.state import CardState

SIGNING_SLOTS: Final = (
    KeyReference.PIV_AUTHENTICATION,
    KeyReference.DIGITAL_SIGNATURE,
    KeyReference.CARD_AUTHENTICATION,
)
SLOTS: Final = (*SIGNING_SLOTS, KeyReference.KEY_MANAGEMENT)
DIGEST_LENGTH: Final = 32  # SHA-256, the hash that SP 800-78-5, 3.1, pairs with P-256


def use_key(
    algorithm: int, slot: int, template: dict[int, bytes], state: CardState, security: SecurityStatus
) -> bytes:
    """Sign a digest with 9A, 9C or 9E, or agree on a secret with 9D; the answer's 7C. Raises Refused."""
    pkcs8 = state.memory.private_keys.get(slot)
    if slot not in SLOTS or algorithm != Algorithm.ECC_P256 or pkcs8 is None:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    what = piv.TAG_CHALLENGE if slot in SIGNING_SLOTS else piv.TAG_EXPONENTIATION
    if set(template) != {what, piv.TAG_RESPONSE} or template[piv.TAG_RESPONSE] != b"":
        raise Refused(StatusWord.INCORRECT_DATA)
    key = serialization.load_der_private_key(pkcs8, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused(StatusWord.MEMORY_FAILURE)
    if what == piv.TAG_CHALLENGE:
        result = _sign(KeyReference(slot), key, template[what], security)
    else:
        result = _agree(key, template[what], security)
    return templates.answer(piv.TAG_RESPONSE, result)


def generate_key_pair(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """Make a slot's key anew; its public key. A certificate of the old key stays until it is overwritten."""
    security.require_management()
    if command.p1 != 0x00 or command.p2 not in SLOTS:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    control = templates.only(command.data, piv.TAG_KEY_CONTROL)
    if templates.only(control, piv.TAG_ALGORITHM) != bytes((Algorithm.ECC_P256,)):
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


def _sign(
    slot: KeyReference, key: ec.EllipticCurvePrivateKey, digest: bytes, security: SecurityStatus
) -> bytes:
    if len(digest) != DIGEST_LENGTH:
        raise Refused(StatusWord.INCORRECT_DATA)
    _spend_pin(slot, security)
    return key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256())))


def _agree(key: ec.EllipticCurvePrivateKey, point: bytes, security: SecurityStatus) -> bytes:
    """The X coordinate that both sides come to (SP 800-73-5 part 2, appendix A.6)."""
    if len(point) != piv.P256_POINT_LENGTH:
        raise Refused(StatusWord.INCORRECT_DATA)
    try:
        # Refuses a point that is not on the curve: it would give the key away bit by bit.
        other = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise Refused(StatusWord.INCORRECT_DATA) from None
    _spend_pin(KeyReference.KEY_MANAGEMENT, security)
    return key.exchange(ec.ECDH(), other)


def _spend_pin(slot: KeyReference, security: SecurityStatus) -> None:
    """9E wants no PIN, 9A and 9D one a session, 9C one each time (SP 800-73-5 part 1, 5.1)."""
    if slot is KeyReference.CARD_AUTHENTICATION:
        return
    if slot is KeyReference.DIGITAL_SIGNATURE:
        if not security.pin_fresh:
            raise Refused(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
        security.pin_fresh = False
    elif not security.pin_verified:
        raise Refused(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
