"""AES-CMAC keys: in memory, or on a token, which then never gives them away. NIST SP 800-38B.

From such a key others are derived, for what tokens cannot do themselves. NIST SP 800-108r1.
"""

from typing import Protocol

from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import algorithms


class CmacKey(Protocol):
    """A symmetric key that makes AES-CMACs, and is not shown."""

    def cmac(self, message: bytes) -> bytes:
        """The 16 bytes of AES-CMAC over the message. Raises TokenUnavailable."""
        ...


# NIST SP 800-108r1, 4: h, which the function makes at a time. The counter's and the length's bytes are ours
_CMAC_BYTES = 16
_COUNTER_BYTES = _LENGTH_BYTES = 4


def derived(key: CmacKey, label: str, length: int) -> bytes:
    """Key material of `length` bytes from a key that stays where it is. Raises TokenUnavailable.

    NIST SP 800-108r1, 4.1: a KDF in counter mode with CMAC, without a context. The label says what it is for.
    """
    ending = label.encode() + b"\x00" + (8 * length).to_bytes(_LENGTH_BYTES)
    blocks = range(1, -(-length // _CMAC_BYTES) + 1)
    return b"".join(key.cmac(each.to_bytes(_COUNTER_BYTES) + ending) for each in blocks)[:length]


class SoftwareCmacKey:
    """An AES key in memory."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)

    def cmac(self, message: bytes) -> bytes:
        """The 16 bytes of AES-CMAC over the message."""
        made = cmac.CMAC(self._algorithm)
        made.update(message)
        return made.finalize()
