"""AES-CMAC keys: in memory, or on a token, which then never gives them away. NIST SP 800-38B."""

from typing import Protocol

from cryptography.hazmat.primitives import cmac
from cryptography.hazmat.primitives.ciphers import algorithms


class CmacKey(Protocol):
    """A symmetric key that makes AES-CMACs, and is not shown."""

    def cmac(self, message: bytes) -> bytes:
        """The 16 bytes of AES-CMAC over the message. Raises TokenUnavailable."""
        ...


class SoftwareCmacKey:
    """An AES key in memory."""

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.AES(key)

    def cmac(self, message: bytes) -> bytes:
        """The 16 bytes of AES-CMAC over the message."""
        made = cmac.CMAC(self._algorithm)
        made.update(message)
        return made.finalize()
