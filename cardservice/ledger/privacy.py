"""What can be erased: proofs are encrypted under a key per cardholder, and details are rows of their own.

The key is kept wrapped under the service's key-encryption key. Destroying it makes every proof of the
cardholder unreadable at once, in rows that are themselves never changed; the ledger goes on adding up.

A proof names its key, never its cardholder: only the key's own row tells whose it is, until it is destroyed.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cardservice.bulk import insert_many
from cardservice.ids import CardholderId, KeyId, PayerId, TransactionId, new_random_id
from cardservice.ledger.errors import ProofErased, ProofMissing, ProofUnreadable
from cardservice.ledger.key_ring import FIRST_VERSION, KeyRing
from cardservice.ledger.models import cardholder_key, transaction_details, transaction_proof
from cardservice.ledger.values import NewProof

# RFC 8452: AES-256-GCM-SIV, which a repeated nonce does not break; 12 bytes of it.
_KEY_BITS = 256
_NONCE_BYTES = 12
# The versions in use: to make the cipher takes as long as to open a cardholder's key by it.
_WRAPPING_KEYS_IN_MEMORY = 4
# Ours: what an encryption is for, so that one cannot be taken for another.
_KEY_CONTEXT = b"citizen-card cardholder key\x00"
_PROOF_CONTEXT = b"citizen-card proof\x00"


@dataclass(frozen=True, slots=True, repr=False)
class OpenKey:
    """A cardholder's key, to encrypt with."""

    id: KeyId
    key: bytes


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A cardholder's key as it is kept, and under which version; `wrapped` is None once it was destroyed."""

    id: KeyId
    kek_version: int
    wrapped: bytes | None
    # The key itself, where it was unwrapped already, for as long as this value lives.
    opened: OpenKey | None = field(default=None, repr=False, compare=False)


def find_key(connection: Connection, cardholder_id: CardholderId) -> StoredKey | None:
    """The cardholder's key, or None where none has been made yet."""
    stored = cardholder_key.c
    row = connection.execute(
        select(stored.id, stored.kek_version, stored.wrapped).where(stored.cardholder_id == cardholder_id)
    ).one_or_none()
    return None if row is None else StoredKey(KeyId(row.id), row.kek_version, row.wrapped)


def find_keys(
    connection: Connection, cardholder_ids: Collection[CardholderId]
) -> dict[CardholderId, StoredKey]:
    """The keys of those of these cardholders that have one."""
    stored = cardholder_key.c
    rows = connection.execute(
        select(stored.cardholder_id, stored.id, stored.kek_version, stored.wrapped).where(
            stored.cardholder_id.in_(cardholder_ids)
        )
    )
    return {
        CardholderId(holder): StoredKey(KeyId(key_id), version, wrapped)
        for holder, key_id, version, wrapped in rows
    }


def unwrap(ring: KeyRing, stored: StoredKey) -> OpenKey:
    """The key itself. Raises ProofErased once it has been destroyed, and ProofUnreadable."""
    if stored.opened is not None:
        return stored.opened
    if stored.wrapped is None:
        raise ProofErased("the cardholder's key has been destroyed")
    return OpenKey(stored.id, _unwrapped(ring, stored.id, stored.kek_version, stored.wrapped))


def key_of(connection: Connection, ring: KeyRing, cardholder_id: CardholderId, moment: datetime) -> OpenKey:
    """The cardholder's key, made when it is first wanted. Raises ProofErased once it has been destroyed."""
    stored = find_key(connection, cardholder_id)
    if stored is None:
        dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
        # Drawn, not counted up: it tells nothing of when and beside whom it was made.
        made = OpenKey(KeyId(new_random_id()), AESGCMSIV.generate_key(_KEY_BITS))
        new = wrapped_row(ring, ring.latest(), cardholder_id, made, moment)
        # Of two sessions that make it at the same time, one is the first.
        connection.execute(dialect.insert(cardholder_key).values(**new).on_conflict_do_nothing())
        stored = find_key(connection, cardholder_id)
    if stored is None:
        raise ProofErased(f"cardholder {cardholder_id} has no key")
    return unwrap(ring, stored)


def make_keys(
    connection: Connection, ring: KeyRing, holders: Collection[CardholderId], moment: datetime
) -> dict[CardholderId, OpenKey]:
    """A key for each of these cardholders, who are new and have none."""
    made = {holder: OpenKey(KeyId(new_random_id()), AESGCMSIV.generate_key(_KEY_BITS)) for holder in holders}
    if made:
        version = ring.latest()
        rows = [wrapped_row(ring, version, holder, own, moment) for holder, own in made.items()]
        insert_many(connection, cardholder_key, rows)
    return made


def wrapped_row(
    ring: KeyRing, version: int, holder: CardholderId, own: OpenKey, moment: datetime
) -> dict[str, Any]:
    """A new key as it is kept, wrapped under a version: a row of `cardholder_key`."""
    return {
        "id": own.id,
        "cardholder_id": holder,
        "kek_version": version,
        "wrapped": _wrapped(ring, version, own.id, own.key),
        "created_at": moment,
    }


def seal_proof(key: OpenKey, transaction_id: TransactionId, evidence: bytes) -> NewProof:
    """The evidence (statement, card, chain, …) encrypted under the cardholder's key, for this transaction."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    ciphertext = AESGCMSIV(key.key).encrypt(nonce, evidence, _PROOF_CONTEXT + transaction_id.bytes)
    return NewProof(key.id, nonce, ciphertext)


def open_proof(
    connection: Connection, ring: KeyRing, payer_id: PayerId, transaction_id: TransactionId
) -> bytes:
    """The evidence of a stored transaction. Raises ProofMissing, ProofErased and ProofUnreadable."""
    stored, keys = transaction_proof.c, cardholder_key.c
    row = connection.execute(
        select(stored.nonce, stored.ciphertext, cardholder_key)
        .select_from(transaction_proof.outerjoin(cardholder_key, keys.id == stored.key_id))
        .where(stored.payer_id == payer_id, stored.transaction_id == transaction_id)
    ).one_or_none()
    if row is None:
        raise ProofMissing(f"transaction {transaction_id} carries no proof")
    if row.id is None:
        raise ProofUnreadable(f"the key of transaction {transaction_id} is missing")
    if row.wrapped is None:
        day = row.destroyed_at.date()
        raise ProofErased(f"the proof of transaction {transaction_id} was erased on {day}", day)
    key = _unwrapped(ring, KeyId(row.id), row.kek_version, row.wrapped)
    return _decrypt(AESGCMSIV(key), row.nonce + row.ciphertext, _PROOF_CONTEXT + transaction_id.bytes)


def destroy_key(connection: Connection, cardholder_id: CardholderId, moment: datetime) -> None:
    """Make all proofs of the cardholder unreadable, for good; backups keep the key until they expire.

    A cardholder who has no key yet gets none any more. When is kept by the day: the very moment would tell
    which of the keys that were destroyed is that of a card whose end is public.
    """
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    never = {
        "id": new_random_id(),
        "cardholder_id": cardholder_id,
        "kek_version": FIRST_VERSION,
        "created_at": day,
        "destroyed_at": day,
    }
    connection.execute(dialect.insert(cardholder_key).values(**never).on_conflict_do_nothing())
    connection.execute(
        update(cardholder_key)
        .where(cardholder_key.c.cardholder_id == cardholder_id, cardholder_key.c.wrapped.is_not(None))
        .values(wrapped=None, destroyed_at=day)
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


def rewrap(connection: Connection, ring: KeyRing, limit: int) -> int:
    """Wrap up to `limit` keys anew, that are not under the newest version yet; how many were found.

    A key that was destroyed meanwhile stays so. Raises ProofUnreadable and KeyVersionMissing.
    """
    # Once for all of it: another thread may meet a newer version meanwhile.
    stored, version = cardholder_key.c, ring.newest
    rows = connection.execute(
        select(stored.id, stored.kek_version, stored.wrapped)
        .where(stored.wrapped.is_not(None), stored.kek_version != version)
        .order_by(stored.id)
        .limit(limit)
    ).all()
    for row in rows:
        key_id = KeyId(row.id)
        key = _unwrapped(ring, key_id, row.kek_version, row.wrapped)
        connection.execute(
            update(cardholder_key)
            .where(stored.id == key_id, stored.wrapped == row.wrapped)
            .values(wrapped=_wrapped(ring, version, key_id, key), kek_version=version)
        )
    return len(rows)


def wrapped_under(connection: Connection) -> dict[int, int]:
    """How many keys there are under each version that wraps any."""
    stored = cardholder_key.c
    rows = connection.execute(
        select(stored.kek_version, func.count())
        .where(stored.wrapped.is_not(None))
        .group_by(stored.kek_version)
    )
    return {row[0]: row[1] for row in rows}


def _wrapped(ring: KeyRing, version: int, key_id: KeyId, key: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _under(ring.key(version)).encrypt(nonce, key, _KEY_CONTEXT + key_id.bytes)


def _unwrapped(ring: KeyRing, key_id: KeyId, version: int, wrapped: bytes) -> bytes:
    return _decrypt(_under(ring.key(version)), wrapped, _KEY_CONTEXT + key_id.bytes)


@lru_cache(maxsize=_WRAPPING_KEYS_IN_MEMORY)
def _under(kek: bytes) -> AESGCMSIV:
    """The cipher of a key that wraps, which the ring keeps as long; a cardholder's is never kept."""
    return AESGCMSIV(kek)


def _decrypt(cipher: AESGCMSIV, sealed: bytes, context: bytes) -> bytes:
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return cipher.decrypt(nonce, ciphertext, context)
    except (InvalidTag, ValueError) as error:
        raise ProofUnreadable("it was changed, or the key is not the one it was sealed under") from error
