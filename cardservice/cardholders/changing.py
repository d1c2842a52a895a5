"""Changes to many people's records at once: some statements for hundreds of them, however many they are."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, select, update

from cardservice.bulk import insert_many
from cardservice.cardholders.models import cardholder, cardholder_token, record_field
from cardservice.cardholders.records import FINDABLE, findable, read_many, record_keys
from cardservice.cardholders.sealing import Field, RecordKey
from cardservice.cardholders.tokens import tokens_of
from cardservice.ids import CardholderId
from cardservice.ledger.key_ring import KeyRing

_AT_ONCE = 500  # ours: the parameters of one query

Changes = Mapping[CardholderId, Mapping[Field, Any]]


def write_many(
    connection: Connection, kek: KeyRing, changes: Changes, moment: datetime
) -> dict[CardholderId, RecordKey]:
    """Keep values in place of earlier ones, as `records.write_field` does for one person; everybody's key.

    Each has a record already. Their rows are held from here on, in the order of their ids.
    """
    keys: dict[CardholderId, RecordKey] = {}
    for some in _some(changes):
        own = cardholder.c.id
        connection.execute(select(own).where(own.in_(some)).order_by(own).with_for_update())
        keys |= record_keys(connection, kek, some)
        _write(connection, {holder: changes[holder] for holder in some}, keys, moment)
        if found := [holder for holder in some if not changes[holder].keys().isdisjoint(FINDABLE)]:
            _index(connection, kek, found)
    return keys


def keys_of(
    connection: Connection, kek: KeyRing, holders: Collection[CardholderId]
) -> dict[CardholderId, RecordKey]:
    """What seals and opens what is kept of these people, who have records, elsewhere."""
    found: dict[CardholderId, RecordKey] = {}
    for some in _some(holders):
        found |= record_keys(connection, kek, some)
    return found


def _some(holders: Collection[CardholderId]) -> Iterator[list[CardholderId]]:
    ordered = sorted(holders)
    yield from (ordered[at : at + _AT_ONCE] for at in range(0, len(ordered), _AT_ONCE))


def _write(
    connection: Connection, changes: Changes, keys: Mapping[CardholderId, RecordKey], moment: datetime
) -> None:
    stored, whose = record_field.c, defaultdict[Field, list[CardholderId]](list)
    for holder, values in changes.items():
        for field in values:
            whose[field].append(holder)
    for field, holders in whose.items():
        connection.execute(
            delete(record_field).where(stored.field == field, stored.cardholder_id.in_(holders))
        )
    rows = [
        {
            "cardholder_id": holder,
            "field": field,
            "sealed": keys[holder].seal(field, value),
            "changed_at": moment,
        }
        for holder, values in changes.items()
        for field, value in values.items()
        if value is not None
    ]
    insert_many(connection, record_field, rows)


def _index(connection: Connection, kek: KeyRing, holders: list[CardholderId]) -> None:
    """Note anew by what these are found, under the newest version of the key."""
    version, token = kek.latest(), cardholder_token.c
    known = read_many(connection, kek, holders, FINDABLE)
    connection.execute(delete(cardholder_token).where(token.cardholder_id.in_(holders)))
    rows = [
        {"token": each, "cardholder_id": holder}
        for holder in holders
        for each in tokens_of(kek.key(version), findable(known.get(holder, {})))
    ]
    insert_many(connection, cardholder_token, sorted(rows, key=lambda row: str(row["token"])))
    connection.execute(update(cardholder).where(cardholder.c.id.in_(holders)).values(index_version=version))
