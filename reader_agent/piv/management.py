"""Authentication of the card's administrator by its management key, slot 9B (SP 800-73-5 part 2, A.1)."""

import hmac
import os
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.piv import Algorithm, KeyReference
from reader_agent.errors import CardDataMalformed, CardProofInvalid

_ALGORITHM_OF_LENGTH = {length: algorithm for algorithm, length in piv.AES_KEY_LENGTH.items()}
_WHAT = "accept the management key"

GeneralAuthenticate = Callable[[Algorithm, KeyReference, bytes, str], bytes]


def algorithm_of(key: bytes) -> Algorithm:
    """The algorithm of a management key, by its length: AES alone (SP 800-78-5, 6.2). Raises ValueError."""
    if (algorithm := _ALGORITHM_OF_LENGTH.get(len(key))) is None:
        raise ValueError("a management key is an AES key of 16, 24 or 32 bytes")
    return algorithm


def authenticate(general_authenticate: GeneralAuthenticate, key: bytes) -> None:
    """Mutual authentication (A.1.2): the card's witness proves us, our challenge proves the card.

    Raises CardRefused where the card does not accept the key, CardProofInvalid where it does not know it.
    """
    algorithm = algorithm_of(key)
    answer = general_authenticate(algorithm, KeyReference.MANAGEMENT, tlv.encode(piv.TAG_WITNESS, b""), _WHAT)
    witness = _decrypt(key, _block(answer, piv.TAG_WITNESS))
    challenge = os.urandom(piv.AES_BLOCK_LENGTH)
    answer = general_authenticate(
        algorithm,
        KeyReference.MANAGEMENT,
        tlv.encode(piv.TAG_WITNESS, witness)
        + tlv.encode(piv.TAG_CHALLENGE, challenge)
        + tlv.encode(piv.TAG_RESPONSE, b""),
        _WHAT,
    )
    if not hmac.compare_digest(_block(answer, piv.TAG_RESPONSE), _encrypt(key, challenge)):
        raise CardProofInvalid


def _block(answer: bytes, tag: int) -> bytes:
    try:
        block = tlv.find(answer, tag)
    except tlv.TlvError as error:
        raise CardDataMalformed(f"the card's answer is no BER-TLV: {error}") from error
    if block is None or len(block) != piv.AES_BLOCK_LENGTH:
        raise CardDataMalformed("the card's answer to the management key has not the length of a block")
    return block


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    # S305: one random block each, as the standard wants it
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305


def _encrypt(key: bytes, block: bytes) -> bytes:
    encryptor = _cipher(key).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def _decrypt(key: bytes, block: bytes) -> bytes:
    decryptor = _cipher(key).decryptor()
    return decryptor.update(block) + decryptor.finalize()
