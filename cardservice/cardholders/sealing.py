"""How a person's record is encrypted: each field by itself, under the key that is the person's own.

The key is the one that the proofs of the person are encrypted under (`ledger.privacy`), wrapped under the
service's key-encryption key: a new version of that takes wrapping anew and touches no field, and destroying
the key makes the record unreadable with the proofs.
"""

import json
import secrets
from enum import StrEnum
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cardservice.cardholders.errors import RecordUnreadable
from cardservice.ids import CardholderId
from cardservice.ledger.privacy import OpenKey

# Ours. The first byte of what is sealed: by HKDF-SHA-256 and AES-256-GCM-SIV (RFC 5869, RFC 8452).
_FORMAT = b"\x01"
_KEY_BYTES, _NONCE_BYTES = 32, 12
_CONTEXT = b"citizen-card record\x00"
# Ours: a text is filled up to whole blocks, so that its length tells little.
_BLOCK_BYTES = 64


class Field(StrEnum):
    """What a record has; each value is sealed for its field, so that none can be taken for another."""

    NAME = "name"
    FORM = "form"
    ALLERGENS = "allergens"
    # As `photos` makes it; the others are JSON.
    PHOTO = "photo"
    BORN_ON = "born_on"
    ADDRESS = "address"
    CONTACT = "contact"
    PREFERENCES = "preferences"
    CONSENTS = "consents"
    FLAGS = "flags"
    # The school and what it calls the pupil
    PUPIL = "pupil"
    # What an import has changed, as it was; kept with the import
    IMPORT = "import"
    # Kept with the proof that was seen, and with an application that was refused
    PROOF = "proof"
    REFUSAL = "refusal"
    # Kept with who may act for a child, or is barred from it
    GUARDIAN = "guardian"


class RecordKey:
    """Seals and opens the fields of one person."""

    def __init__(self, own: OpenKey, holder: CardholderId) -> None:
        derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=_CONTEXT + own.id.bytes).derive(own.key)
        self._cipher, self._holder = AESGCMSIV(derived), holder

    def seal(self, field: Field, value: Any) -> bytes:
        """The ciphertext of a field's value: bytes of a photo, or what JSON can say."""
        plain = value if field is Field.PHOTO else _padded(value)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, self._bound_to(field))

    def open(self, field: Field, sealed: bytes) -> Any:
        """The value again. Raises RecordUnreadable: it was changed or moved, or sealed under another key."""
        nonce, ciphertext = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _FORMAT:
            raise RecordUnreadable(self._holder, field)
        try:
            plain = self._cipher.decrypt(nonce, ciphertext, self._bound_to(field))
        except (InvalidTag, ValueError) as error:
            raise RecordUnreadable(self._holder, field) from error
        return plain if field is Field.PHOTO else json.loads(plain)

    def _bound_to(self, field: Field) -> bytes:
        """Whose it is and what: a ciphertext that is put elsewhere does not open."""
        return _CONTEXT + self._holder.bytes + field.encode()


def _padded(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    # White space after a value is JSON (RFC 8259, 2).
    return text + b" " * (-len(text) % _BLOCK_BYTES)
