"""Certificates of cards that were here before, so that a card need not be asked for what it said last time.

Reading one takes a card with contactless speed a quarter of a tap. Nothing is believed for being remembered:
each tap verifies the certificate anew, with what is known of its status by then, and has the card sign.

The memory of a terminal is no list of who passed. A certificate lies under a keyed hash of the card's number,
encrypted with a key that only the number opens: nobody without the card, or its number, reads any of it.
"""

import hmac
import os
import secrets
import threading
from collections import OrderedDict
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding

from pki.reading import read_certificate

# Ours: more than a bus sees in a day, in some 4 MB.
KEPT_CARDS: Final = 4_096
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # of AES-GCM, SP 800-38D, 8.2
_NAME, _SEAL = b"name", b"seal"  # ours: what a keyed hash is for


class KnownCards:
    """The certificates of the last cards; in this process alone. For any number of threads."""

    def __init__(self, size: int = KEPT_CARDS) -> None:
        self._size, self._key = size, secrets.token_bytes(_KEY_BYTES)
        self._sealed: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sealed)

    def find(self, card: UUID) -> x509.Certificate | None:
        """What this card's certificate was when it was seen last."""
        name = self._hash(_NAME, card)
        with self._lock:
            if (sealed := self._sealed.get(name)) is None:
                return None
            self._sealed.move_to_end(name)
        nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return read_certificate(self._cipher(card).decrypt(nonce, encrypted, None))

    def keep(self, card: UUID, certificate: x509.Certificate) -> None:
        """Remember a certificate that was verified; the card that was here longest ago gives way."""
        nonce, der = os.urandom(_NONCE_BYTES), certificate.public_bytes(Encoding.DER)
        name, sealed = self._hash(_NAME, card), nonce + self._cipher(card).encrypt(nonce, der, None)
        with self._lock:
            self._sealed[name] = sealed
            self._sealed.move_to_end(name)
            while len(self._sealed) > self._size:
                self._sealed.popitem(last=False)

    def forget(self, card: UUID) -> None:
        """Ask the card itself next time."""
        with self._lock:
            self._sealed.pop(self._hash(_NAME, card), None)

    def _cipher(self, card: UUID) -> AESGCM:
        return AESGCM(self._hash(_SEAL, card))

    def _hash(self, use: bytes, card: UUID) -> bytes:
        return hmac.digest(self._key, use + card.bytes, "sha256")
