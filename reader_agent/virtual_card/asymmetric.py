"""The asymmetric keys: made on the card, used by their rules (SP 800-73-5 part 2, 3.2.4, 3.3.2, appendix A).

RSA with 2048 or 3072 bits, P-256 and P-384: whatever a card of somebody else may have, so that what reads
such cards can be tried. A scheme asks for P-256.
"""

from typing import Final, TypeAlias

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
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
CURVES: Final[dict[int, ec.EllipticCurve]] = {
    Algorithm.ECC_P256: ec.SECP256R1(),
    Algorithm.ECC_P384: ec.SECP384R1(),
}
# The hash whose digest a curve signs, SP 800-78-5, table 2.
HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    Algorithm.ECC_P256: hashes.SHA256(),
    Algorithm.ECC_P384: hashes.SHA384(),
}
RSA_EXPONENT: Final = 65537  # SP 800-78-5, 3.1

_Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def use_key(
    algorithm: int, slot: int, template: dict[int, bytes], state: CardState, security: SecurityStatus
) -> bytes:
    """Sign with 9A, 9C or 9E; agree on a secret, or decipher, with 9D; the answer's 7C. Raises Refused."""
    pkcs8 = state.memory.private_keys.get(slot)
    if slot not in SLOTS or pkcs8 is None:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    key = _load(pkcs8)
    if algorithm != _algorithm_of(key):
        raise Refused(StatusWord.INCORRECT_P1_P2)
    agrees = slot not in SIGNING_SLOTS and isinstance(key, ec.EllipticCurvePrivateKey)
    what = piv.TAG_EXPONENTIATION if agrees else piv.TAG_CHALLENGE
    if set(template) != {what, piv.TAG_RESPONSE} or template[piv.TAG_RESPONSE] != b"":
        raise Refused(StatusWord.INCORRECT_DATA)
    if isinstance(key, rsa.RSAPrivateKey):
        result = _raise(KeyReference(slot), key, template[what], security)
    elif agrees:
        result = _agree(key, template[what], security)
    else:
        result = _sign(KeyReference(slot), key, template[what], security)
    return templates.answer(piv.TAG_RESPONSE, result)


def generate_key_pair(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """Make a slot's key anew; its public key. A certificate of the old key stays until it is overwritten."""
    security.require_management()
    if command.p1 != 0x00 or command.p2 not in SLOTS:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    control = templates.only(command.data, piv.TAG_KEY_CONTROL)
    key = _generate(templates.only(control, piv.TAG_ALGORITHM))
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    state.commit(state.memory.with_private_key(command.p2, pkcs8))
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return piv.encode_rsa_public_key(numbers.n, numbers.e)
    point = key.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return piv.encode_public_key(point)


def _generate(identifier: bytes) -> _Key:
    number = identifier[0] if len(identifier) == 1 else None
    for algorithm, length in piv.RSA_BYTES.items():
        if number == algorithm:
            return rsa.generate_private_key(RSA_EXPONENT, 8 * length)
    if number not in CURVES:
        raise Refused(StatusWord.INCORRECT_DATA)
    return ec.generate_private_key(CURVES[number])


def _load(pkcs8: bytes) -> _Key:
    key = serialization.load_der_private_key(pkcs8, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Refused(StatusWord.MEMORY_FAILURE)
    return key


def _algorithm_of(key: _Key) -> int | None:
    if isinstance(key, rsa.RSAPrivateKey):
        return next((found for found, length in piv.RSA_BYTES.items() if 8 * length == key.key_size), None)
    return next((found for found, curve in CURVES.items() if curve.name == key.curve.name), None)


def _sign(
    slot: KeyReference, key: ec.EllipticCurvePrivateKey, digest: bytes, security: SecurityStatus
) -> bytes:
    algorithm = _algorithm_of(key)
    if algorithm is None or len(digest) != piv.SIGNED_LENGTH[Algorithm(algorithm)]:
        raise Refused(StatusWord.INCORRECT_DATA)
    _spend_pin(slot, security)
    return key.sign(digest, ec.ECDSA(Prehashed(HASHES[algorithm])))


def _raise(slot: KeyReference, key: rsa.RSAPrivateKey, block: bytes, security: SecurityStatus) -> bytes:
    """RSASP1 and RSADP of RFC 8017, 5.1.2 and 5.2.1, on what the host has padded, or somebody encrypted.

    By Chinese remainders, in the time that Python takes: a software card keeps no secret from its computer.
    """
    numbers, length, value = key.private_numbers(), key.key_size // 8, int.from_bytes(block)
    if len(block) != length or value >= numbers.public_numbers.n:
        raise Refused(StatusWord.INCORRECT_DATA)
    _spend_pin(slot, security)
    by_p, by_q = pow(value, numbers.dmp1, numbers.p), pow(value, numbers.dmq1, numbers.q)
    return (by_q + (by_p - by_q) * numbers.iqmp % numbers.p * numbers.q).to_bytes(length)


def _agree(key: ec.EllipticCurvePrivateKey, point: bytes, security: SecurityStatus) -> bytes:
    """The X coordinate that both sides come to (SP 800-73-5 part 2, appendix A.5)."""
    try:
        # Refuses a point that is not on the curve: it would give the key away bit by bit.
        other = ec.EllipticCurvePublicKey.from_encoded_point(key.curve, point)
    except ValueError:
        raise Refused(StatusWord.INCORRECT_DATA) from None
    if point[0] != 0x04:  # uncompressed alone, SP 800-73-5 part 2, 3.3.2
        raise Refused(StatusWord.INCORRECT_DATA)
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
