"""What can be erased: proofs are encrypted under a key per cardholder, and details are rows of their own.

The key is kept wrapped under the service's key-encryption key. Destroying it makes every proof of the
cardholder unreadable at once, in rows that are themselves never changed; the ledger goes on adding up.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.ids import CardholderId, PayerId, TransactionId
from cardservice.ledger.errors import ProofErased, ProofMissing, ProofUnreadable
from cardservice.ledger.models import cardholder_key, transaction_details, transaction_proof
from cardservice.ledger.values import NewProof

# RFC 8452: AES-256-GCM-SIV, which a repeated nonce does not break; 12 bytes of it.
_KEY_BITS = 256
_NONCE_BYTES = 12
# Ours: what an encryption is for, so that one cannot be taken for another.
_KEY_CONTEXT = b"citizen-card cardholder key\x00"
_PROOF_CONTEXT = b"citizen-card proof\x00"
_UNREADABLE = "it was changed, or the key is not the one it was sealed under"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A cardholder's key as it is kept; `wrapped` is None once it has been destroyed."""

    wrapped: bytes | None


def find_key(connection: Connection, cardholder_id: CardholderId) -> StoredKey | None:
    """The cardholder's key, or None where none has been made yet."""
    row = _key_row(connection, cardholder_id)
    return None if row is None else StoredKey(row.wrapped)


def unwrap(kek: bytes, cardholder_id: CardholderId, stored: StoredKey) -> bytes:
    """The key itself. Raises ProofErased once it has been destroyed."""
    if stored.wrapped is None:
        raise ProofErased(f"the key of cardholder {cardholder_id} has been destroyed")
    # The service has one such key: its cipher is made once, and not for each cardholder's.
    return _opened(_cipher(kek), stored.wrapped, _KEY_CONTEXT + cardholder_id.bytes)


def key_of(connection: Connection, kek: bytes, cardholder_id: CardholderId, moment: datetime) -> bytes:
    """The cardholder's key, made when it is first wanted. Raises ProofErased once it has been destroyed."""
    row = _key_row(connection, cardholder_id)
    if row is None:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        new = {"cardholder_id": cardholder_id, "wrapped": _wrap(kek, cardholder_id), "created_at": moment}
        # Of two sessions that make it at the same time, one is the first.
        connection.execute(dialect.insert(cardholder_key).values(**new).on_conflict_do_nothing())
        row = _key_row(connection, cardholder_id)
    return unwrap(kek, cardholder_id, StoredKey(None if row is None else row.wrapped))


def seal_proof(
    key: bytes, cardholder_id: CardholderId, transaction_id: TransactionId, evidence: bytes
) -> NewProof:
    """The evidence (statement, card, chain, …) encrypted under the cardholder's key, for this transaction."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ciphertext = AESGCMSIV(key).encrypt(nonce, evidence, _PROOF_CONTEXT + transaction_id.bytes)
    return NewProof(cardholder_id, nonce, ciphertext)


def open_proof(connection: Connection, kek: bytes, payer_id: PayerId, transaction_id: TransactionId) -> bytes:
    """The evidence of a stored transaction. Raises ProofMissing, ProofErased and ProofUnreadable."""
    stored = transaction_proof.c
    row = connection.execute(
        select(transaction_proof).where(stored.payer_id == payer_id, stored.transaction_id == transaction_id)
    ).one_or_none()
    if row is None:
        raise ProofMissing(f"transaction {transaction_id} carries no proof")
    wrapped = _key_row(connection, CardholderId(row.cardholder_id))
    if wrapped is None:
        raise ProofUnreadable(f"cardholder {row.cardholder_id} has no key")
    if wrapped.wrapped is None:
        raise ProofErased(f"the proof of transaction {transaction_id} was erased on {wrapped.destroyed_at}")
    key = _decrypt(kek, wrapped.wrapped, _KEY_CONTEXT + row.cardholder_id.bytes)
    return _decrypt(key, row.nonce + row.ciphertext, _PROOF_CONTEXT + transaction_id.bytes)


def destroy_key(connection: Connection, cardholder_id: CardholderId, moment: datetime) -> None:
    """Make all proofs of the cardholder unreadable, for good; backups keep the key until they expire.

    A cardholder who has no key yet gets none any more.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    never = {"cardholder_id": cardholder_id, "created_at": moment, "destroyed_at": moment}
    connection.execute(dialect.insert(cardholder_key).values(**never).on_conflict_do_nothing())
    connection.execute(
        update(cardholder_key)
        .where(cardholder_key.c.cardholder_id == cardholder_id, cardholder_key.c.wrapped.is_not(None))
        .values(wrapped=None, destroyed_at=moment)
    )


def erase_details(
    connection: Connection, payer_id: PayerId, transaction_ids: Collection[TransactionId]
) -> int:
    """Erase details and stored answers of these transactions; how many there were. Their ids stay taken."""
    stored = transaction_details.c
    rows = delete(transaction_details).where(
        stored.payer_id == payer_id, stored.transaction_id.in_(transaction_ids)
    )
    return connection.execute(rows).rowcount


def _key_row(
    connection: Connection, cardholder_id: CardholderId
) -> Row[bytes | None, datetime | None] | None:
    stored = cardholder_key.c
    query = select(stored.wrapped, stored.destroyed_at).where(stored.cardholder_id == cardholder_id)
    return connection.execute(query).one_or_none()


def _wrap(kek: bytes, cardholder_id: CardholderId) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    key = AESGCMSIV.generate_key(_KEY_BITS)
    return nonce + AESGCMSIV(kek).encrypt(nonce, key, _KEY_CONTEXT + cardholder_id.bytes)


def _decrypt(key: bytes, sealed: bytes, context: bytes) -> bytes:
    try:
        cipher = AESGCMSIV(key)
    except ValueError as error:
        raise ProofUnreadable(_UNREADABLE) from error
    return _opened(cipher, sealed, context)


@lru_cache(maxsize=1)
def _cipher(kek: bytes) -> AESGCMSIV:
    return AESGCMSIV(kek)


def _opened(cipher: AESGCMSIV, sealed: bytes, context: bytes) -> bytes:
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return cipher.decrypt(nonce, ciphertext, context)
    except (InvalidTag, ValueError) as error:
        raise ProofUnreadable(_UNREADABLE) from error
