"""Persons' fields in the database, sealed; and what they are found by."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from cardservice.cardholders.models import cardholder, cardholder_token, record_field
from cardservice.cardholders.sealing import Field, RecordKey
from cardservice.cardholders.tokens import Findable, tokens_of, upn_of
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing
from cardservice.ledger.privacy import StoredKey, find_keys, key_of, unwrap

# Ours: the parameters of one query
_AT_ONCE = 500
# The flag of a record whose address is shown to nobody without a right (`details.FLAGS`)
PROTECTED_ADDRESS = "protected_address"
# What somebody is found by.
FINDABLE = (Field.NAME, Field.BORN_ON, Field.ADDRESS, Field.PUPIL, Field.FLAGS)


def write_field(
    connection: Connection, kek: KeyRing, holder: CardholderId, field: Field, value: Any, moment: datetime
) -> None:
    """Keep a value in place of an earlier one; None takes it away. What the person is found by follows.

    The caller holds the person's row.
    """
    stored = record_field.c
    connection.execute(delete(record_field).where(stored.cardholder_id == holder, stored.field == field))
    if value is not None:
        key = RecordKey(key_of(connection, kek, holder, moment), holder)
        connection.execute(
            insert(record_field).values(
                cardholder_id=holder, field=field, sealed=key.seal(field, value), changed_at=moment
            )
        )
    if field in FINDABLE:
        index(connection, kek, holder)


def read_fields(
    connection: Connection, kek: KeyRing, holder: CardholderId, fields: Collection[Field] = tuple(Field)
) -> dict[Field, Any]:
    """The values of those of these fields that the person has. Raises RecordUnreadable."""
    return read_many(connection, kek, [holder], fields).get(holder, {})


def read_many(
    connection: Connection, kek: KeyRing, holders: Collection[CardholderId], fields: Collection[Field]
) -> dict[CardholderId, dict[Field, Any]]:
    """The same of many persons, some hundreds at once."""
    found: dict[CardholderId, dict[Field, Any]] = {}
    wanted = sorted(holders)
    for at in range(0, len(wanted), _AT_ONCE):
        found |= _read_some(connection, kek, wanted[at : at + _AT_ONCE], fields)
    return found


def _read_some(
    connection: Connection, kek: KeyRing, holders: Collection[CardholderId], fields: Collection[Field]
) -> dict[CardholderId, dict[Field, Any]]:
    stored = record_field.c
    rows = connection.execute(
        select(stored.cardholder_id, stored.field, stored.sealed).where(
            stored.cardholder_id.in_(holders), stored.field.in_([field.value for field in fields])
        )
    ).all()
    if not rows:
        return {}
    keys = record_keys(connection, kek, holders)
    found: dict[CardholderId, dict[Field, Any]] = {}
    for row in rows:
        holder, field = CardholderId(row.cardholder_id), Field(row.field)
        if holder not in keys:
            continue  # it was destroyed, and the record with it
        found.setdefault(holder, {})[field] = keys[holder].open(field, row.sealed)
    return found


def record_key(connection: Connection, kek: KeyRing, holder: CardholderId) -> RecordKey:
    """What seals and opens what is kept of a person elsewhere; of somebody who has a record."""
    return RecordKey(unwrap(kek, find_keys(connection, [holder])[holder]), holder)


def record_keys(
    connection: Connection, kek: KeyRing, holders: Collection[CardholderId]
) -> dict[CardholderId, RecordKey]:
    """The same of many persons, some hundreds at once; without those whose key was destroyed."""
    found = find_keys(connection, holders)
    return {
        holder: RecordKey(unwrap(kek, key), holder)
        for holder, key in found.items()
        if key.wrapped is not None
    }


def opened_allergens(kek: KeyRing, key: StoredKey, holder: CardholderId, sealed: bytes) -> frozenset[str]:
    """What somebody must not eat, of a value that was read. Raises RecordUnreadable, and as `unwrap`."""
    return frozenset(RecordKey(unwrap(kek, key), holder).open(Field.ALLERGENS, sealed))


def opened_name(kek: KeyRing, key: StoredKey, holder: CardholderId, sealed: bytes) -> str:
    """Somebody's name, of a value that was read. Raises RecordUnreadable, and as `unwrap`."""
    return str(RecordKey(unwrap(kek, key), holder).open(Field.NAME, sealed))


def index(connection: Connection, kek: KeyRing, holder: CardholderId) -> None:
    """Note anew by what somebody is found, under the newest version of the key."""
    values = read_fields(connection, kek, holder, FINDABLE)
    version = kek.latest()
    tokens = tokens_of(kek.key(version), findable(values))
    connection.execute(delete(cardholder_token).where(cardholder_token.c.cardholder_id == holder))
    if tokens:
        connection.execute(
            insert(cardholder_token), [{"token": token, "cardholder_id": holder} for token in sorted(tokens)]
        )
    connection.execute(update(cardholder).where(cardholder.c.id == holder).values(index_version=version))


def index_some(connection: Connection, kek: KeyRing, limit: int) -> int:
    """Do so for up to `limit` persons who are not found under the newest version yet; how many there were."""
    wanted = (
        select(cardholder.c.id)
        .where(cardholder.c.index_version < kek.newest)
        .order_by(cardholder.c.index_version, cardholder.c.id)
        .limit(limit)
        .with_for_update()
    )
    holders = connection.scalars(wanted).all()
    for holder in holders:
        index(connection, kek, CardholderId(holder))
    return len(holders)


def findable(values: Mapping[Field, Any]) -> Findable:
    """What a record gives to be found by; an address that is protected is not tried out by its postcode."""
    is_protected = PROTECTED_ADDRESS in (values.get(Field.FLAGS) or ())
    return Findable(
        name=values.get(Field.NAME, ""),
        born_on=values.get(Field.BORN_ON),
        postcode=None if is_protected else (values.get(Field.ADDRESS) or {}).get("postcode"),
        school=(values.get(Field.PUPIL) or {}).get("school"),
        upn=upn_of((values.get(Field.PUPIL) or {}).get("number", "")),
    )
