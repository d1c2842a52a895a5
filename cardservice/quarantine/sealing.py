"""How what lies in quarantine is encrypted: under the key of the person whose card it is of, where known.

So it goes with the person, as their proofs do: of whoever is erased nothing here can be read. What is of no
known card is encrypted under the key-encryption key itself, and anew when that has a new version.
"""

import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import ColumnElement, Connection, LargeBinary, Row, delete, func, select, update

from cardservice.advices.wire import card_of
from cardservice.cards.models import card
from cardservice.errors import CardServiceError
from cardservice.ids import CardholderId, CardId
from cardservice.ledger.errors import LedgerError
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.models import cardholder_key
from cardservice.ledger.privacy import OpenKey, StoredKey, find_keys, unwrap
from cardservice.quarantine.models import quarantine

_VERSION_BYTES, _NONCE_BYTES, _CARD_BYTES = 4, 12, 16
# Ours: what an encryption is for, so that one cannot be taken for another.
_CONTEXT = b"citizen-card quarantine\x00"
# Ours: messages that are looked at in one statement.
_AT_ONCE = 500


class QuarantineUnreadable(CardServiceError):
    """A message in quarantine does not decrypt: it was changed, or the key is another."""

    code = "quarantine_unreadable"


def keys_for(connection: Connection, ring: KeyRing, entries: Collection[bytes]) -> Mapping[bytes, OpenKey]:
    """The keys of those whose cards these entries name, by the card's bytes; of unknown cards none."""
    cards = sorted({named for each in entries if len(named := card_of(each)) == _CARD_BYTES})
    found: dict[bytes, OpenKey] = {}
    for first in range(0, len(cards), _AT_ONCE):
        some = [UUID(bytes=each) for each in cards[first : first + _AT_ONCE]]
        rows = connection.execute(select(card.c.id, card.c.cardholder_id).where(card.c.id.in_(some))).all()
        keys = find_keys(connection, {CardholderId(row.cardholder_id) for row in rows})
        for row in rows:
            key = keys.get(CardholderId(row.cardholder_id))
            # Where somebody's key does not open, the message is kept all the same.
            with suppress(LedgerError):
                if key is not None:
                    found[row.id.bytes] = unwrap(ring, key)
    return found


def sealed(ring: KeyRing, own: OpenKey | None, entry: bytes, body: bytes) -> bytes:
    """An entry encrypted under a person's key; or under the ring's newest, with whose version it begins."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    if own is not None:
        return nonce + AESGCMSIV(own.key).encrypt(nonce, entry, _CONTEXT + body)
    version = ring.latest()
    ciphertext = AESGCMSIV(ring.key(version)).encrypt(nonce, entry, _CONTEXT + body)
    return _prefix(version) + nonce + ciphertext


def opened(connection: Connection, ring: KeyRing, row: Row[*tuple[object, ...]]) -> bytes:
    """The entry of a row of `quarantine` again. Raises QuarantineUnreadable."""
    kept: bytes = row.sealed
    try:
        if row.key_id is None:
            version, kept = int.from_bytes(kept[:_VERSION_BYTES], "big"), kept[_VERSION_BYTES:]
            key = ring.key(version)
        else:
            key = _own_key(connection, ring, row.key_id)
        return AESGCMSIV(key).decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], _CONTEXT + row.body)
    except (InvalidTag, ValueError, LookupError, LedgerError) as error:
        raise QuarantineUnreadable(
            f"message {row.id} in quarantine was changed, or the key that sealed it is gone"
        ) from error


def seal_anew(connection: Connection, ring: KeyRing, after: int) -> tuple[int, int | None]:
    """Seal some messages after one under the newest version; how many, and after which it goes on.

    None: it is done. What is of a card that is known by now is sealed under its holder's key. What cannot be
    read is left.
    """
    stored = quarantine.c
    wanted = select(quarantine).where(
        stored.key_id.is_(None), _version() != _prefix(ring.newest), stored.id > after
    )
    rows = connection.execute(wanted.order_by(stored.id).limit(_AT_ONCE).with_for_update()).all()
    entries: dict[int, bytes] = {}
    for row in rows:
        try:
            entries[row.id] = opened(connection, ring, row)
        except QuarantineUnreadable:
            continue
    keys = keys_for(connection, ring, entries.values())
    bodies = {row.id: row.body for row in rows}
    for number, entry in entries.items():
        own = keys.get(card_of(entry))
        anew = sealed(ring, own, entry, bodies[number])
        values = {"sealed": anew, "key_id": None if own is None else own.id}
        connection.execute(update(quarantine).where(stored.id == number).values(**values))
    return len(entries), rows[-1].id if len(rows) == _AT_ONCE else None


def sealed_under(connection: Connection) -> dict[int, int]:
    """How many messages there are under each version of the key-encryption key itself."""
    version = _version()
    rows = connection.execute(
        select(version, func.count()).where(quarantine.c.key_id.is_(None)).group_by(version)
    )
    return {int.from_bytes(bytes(row[0]), "big"): row[1] for row in rows}


def held_of(connection: Connection, holder: CardholderId) -> list[Row[*tuple[object, ...]]]:
    """What is kept of a person's cards, the oldest first."""
    key = find_keys(connection, [holder]).get(holder)
    if key is None:
        return []
    own = quarantine.c
    return list(connection.execute(select(quarantine).where(own.key_id == key.id).order_by(own.id)).all())


def count_held(connection: Connection, holder: CardholderId) -> int:
    """How many messages these are."""
    own = select(cardholder_key.c.id).where(cardholder_key.c.cardholder_id == holder)
    wanted = select(func.count()).select_from(quarantine).where(quarantine.c.key_id.in_(own))
    return connection.execute(wanted).scalar_one()


def holder_of(connection: Connection, row: Row[*tuple[object, ...]]) -> CardholderId | None:
    """Whose card a message is of, where that is known."""
    own = cardholder_key.c
    found = connection.scalar(select(own.cardholder_id).where(own.id == row.key_id))
    return None if found is None else CardholderId(found)


def forget_held(
    connection: Connection, ring: KeyRing, holder: CardholderId, cards: Collection[CardId]
) -> int:
    """Take away what is kept of a person's cards, also what is sealed under no key of theirs; how many."""
    own = find_keys(connection, [holder]).get(holder)
    forgotten = 0
    if own is not None:
        forgotten += connection.execute(delete(quarantine).where(quarantine.c.key_id == own.id)).rowcount
    numbers = list(_sealed_before(connection, ring, {each.bytes for each in cards}))
    for first in range(0, len(numbers), _AT_ONCE):
        some = numbers[first : first + _AT_ONCE]
        forgotten += connection.execute(delete(quarantine).where(quarantine.c.id.in_(some))).rowcount
    return forgotten


def _sealed_before(connection: Connection, ring: KeyRing, cards: Collection[bytes]) -> Iterator[int]:
    after: int | None = 0
    while after is not None:
        wanted = select(quarantine).where(quarantine.c.key_id.is_(None), quarantine.c.id > after)
        rows = connection.execute(wanted.order_by(quarantine.c.id).limit(_AT_ONCE)).all()
        for row in rows:
            try:
                entry = opened(connection, ring, row)
            except QuarantineUnreadable:
                continue
            if card_of(entry) in cards:
                yield row.id
        after = rows[-1].id if len(rows) == _AT_ONCE else None


def _own_key(connection: Connection, ring: KeyRing, key_id: UUID) -> bytes:
    own = cardholder_key.c
    row = connection.execute(
        select(own.id, own.kek_version, own.wrapped).where(own.id == key_id)
    ).one_or_none()
    if row is None:
        raise LookupError(key_id)
    return unwrap(ring, StoredKey(row.id, row.kek_version, row.wrapped)).key


def _version() -> ColumnElement[bytes]:
    return func.substr(quarantine.c.sealed, 1, _VERSION_BYTES, type_=LargeBinary)


def _prefix(version: int) -> bytes:
    return version.to_bytes(_VERSION_BYTES, "big")
