"""Authentication of the card's administrator by its management key, slot 9B (SP 800-73-5 part 2, A.2)."""

import hmac
import os
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.piv import Algorithm, KeyReference
from reader_agent.cardspec.status import StatusWord
from reader_agent.errors import CardDataMalformed, CardProofInvalid, CardRefused

_ALGORITHM_OF_LENGTH: Final = {length: algorithm for algorithm, length in piv.AES_KEY_LENGTH.items()}
_WHAT: Final = "accept the management key"
# How cards say that their management key is of another algorithm than the one asked for (part 2, 3.2.4).
_OTHER_ALGORITHM: Final = frozenset(
    {StatusWord.INCORRECT_DATA, StatusWord.FUNCTION_NOT_SUPPORTED, StatusWord.INCORRECT_P1_P2}
)

GeneralAuthenticate = Callable[[Algorithm, KeyReference, bytes, str], bytes]


def algorithm_of(key: bytes) -> Algorithm:
    """The algorithm of a management key of ours, by its length: AES alone (SP 800-78-5, 6.2).

    Raises ValueError.
    """
    if (algorithm := _ALGORITHM_OF_LENGTH.get(len(key))) is None:
        raise ValueError("a management key is an AES key of 16, 24 or 32 bytes")
    return algorithm


def authenticate(general_authenticate: GeneralAuthenticate, key: bytes) -> Algorithm:
    """Mutual authentication (A.2): the card's witness proves us, our challenge proves the card.

    A key of 24 bytes is tried as AES-192 and, where the card says that this is not its algorithm, as 3DES,
    which many cards of others still have. Asking costs nothing: it is no attempt. Returns the algorithm.
    Raises CardRefused where the card does not accept the key, CardProofInvalid where it does not know it.
    """
    algorithm, witness = _witness(general_authenticate, key)
    challenge = os.urandom(_block_length(algorithm))
    answer = general_authenticate(
        algorithm,
        KeyReference.MANAGEMENT,
        tlv.encode(piv.TAG_WITNESS, _decrypt(algorithm, key, witness))
        + tlv.encode(piv.TAG_CHALLENGE, challenge)
        + tlv.encode(piv.TAG_RESPONSE, b""),
        _WHAT,
    )
    response = _block(answer, piv.TAG_RESPONSE, algorithm)
    if not hmac.compare_digest(response, _encrypt(algorithm, key, challenge)):
        raise CardProofInvalid
    return algorithm


def _witness(general_authenticate: GeneralAuthenticate, key: bytes) -> tuple[Algorithm, bytes]:
    """The algorithm that the card takes this key for, and the witness that it has encrypted with it."""
    candidates = [algorithm_of(key)]
    if len(key) == piv.TRIPLE_DES_KEY_LENGTH:
        candidates.append(Algorithm.TRIPLE_DES)
    template = tlv.encode(piv.TAG_WITNESS, b"")
    *others, last = candidates
    for algorithm in others:
        try:
            answer = general_authenticate(algorithm, KeyReference.MANAGEMENT, template, _WHAT)
        except CardRefused as refused:
            if refused.sw in _OTHER_ALGORITHM:
                continue
            raise
        return algorithm, _block(answer, piv.TAG_WITNESS, algorithm)
    answer = general_authenticate(last, KeyReference.MANAGEMENT, template, _WHAT)
    return last, _block(answer, piv.TAG_WITNESS, last)


def _block(answer: bytes, tag: int, algorithm: Algorithm) -> bytes:
    try:
        block = tlv.find(answer, tag)
    except tlv.TlvError as error:
        raise CardDataMalformed(f"the card's answer is no BER-TLV: {error}") from error
    if block is None or len(block) != _block_length(algorithm):
        raise CardDataMalformed("the card's answer to the management key has not the length of a block")
    return block


def _block_length(algorithm: Algorithm) -> int:
    return piv.TRIPLE_DES_BLOCK_LENGTH if algorithm is Algorithm.TRIPLE_DES else piv.AES_BLOCK_LENGTH


def _cipher(algorithm: Algorithm, key: bytes) -> Cipher[modes.ECB]:
    # S305: one random block each, as the standard wants it
    if algorithm is Algorithm.TRIPLE_DES:
        return Cipher(TripleDES(key), modes.ECB())  # noqa: S305 -- one block
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 -- one block


def _encrypt(algorithm: Algorithm, key: bytes, block: bytes) -> bytes:
    encryptor = _cipher(algorithm, key).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def _decrypt(algorithm: Algorithm, key: bytes, block: bytes) -> bytes:
    decryptor = _cipher(algorithm, key).decryptor()
    return decryptor.update(block) + decryptor.finalize()
