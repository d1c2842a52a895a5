"""What a leaf of a day's tree commits to: an entry with all that was posted with it, under a salt.

A leaf is the salt and the entry in deterministic CBOR: a map from the columns' names to what is in them. What
is NULL is left out, so that a column that is added later leaves old leaves as they are. The proof is in it as
the SHA-256 of its ciphertext, which stays when the key is destroyed. Details and answers are erased sooner:
where they have a salt of their own, which goes with them, they are in it as a SHA-256 that is kept beside the
leaf, and that tells nobody what they were.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, RowMapping, Table, and_, select

from cardservice.ledger.closing.models import ledger_sequence, sealed_leaf
from cardservice.ledger.models import (
    ledger_transaction,
    transaction_details,
    transaction_proof,
    transfer,
)
from pki.statements import deterministic

SALT_BYTES = 16
AT_ONCE = 1_000
# Where the database was when it was posted says nothing of the transaction, and is another after a restore.
NOT_SEALED = frozenset({"posted_xid"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_Key = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the sequence; `sealed` is None where its transaction is gone."""

    sequence: int
    payer_id: UUID
    transaction_id: UUID
    settled_on: date
    # What a leaf commits to, without the salt
    sealed: bytes | None
    salt: bytes | None
    # None before it is sealed
    hash: bytes | None
    erased_at: datetime | None
    # The service's signature that it erased the salt
    tombstone: bytes | None
    # Of details and answer: as they were sealed, or before that as they are; and as they are. None: erased
    details_sha256: bytes | None
    details_now_sha256: bytes | None


def entries(connection: Connection, shard: int, epoch: int, after: int, last: int) -> Iterator[Entry]:
    """The entries after one and up to another, some at a time."""
    while after < last:
        upto = min(after + AT_ONCE, last)
        yield from _chunk(connection, shard, epoch, after, upto)
        after = upto


def _chunk(connection: Connection, shard: int, epoch: int, after: int, upto: int) -> Iterator[Entry]:
    entry, leaf = ledger_sequence.c, sealed_leaf.c
    wanted = and_(entry.shard == shard, entry.epoch == epoch, entry.sequence > after, entry.sequence <= upto)
    same = and_(leaf.shard == entry.shard, leaf.epoch == entry.epoch, leaf.sequence == entry.sequence)
    rows = connection.execute(
        select(ledger_sequence, leaf.salt, leaf.hash, leaf.erased_at, leaf.tombstone, leaf.details_sha256)
        .select_from(ledger_sequence.outerjoin(sealed_leaf, same))
        .where(wanted)
        .order_by(entry.sequence)
    ).all()
    transactions = _beside(connection, ledger_transaction, "id", wanted)
    transfers = _beside(connection, transfer, "transaction_id", wanted)
    proofs = _beside(connection, transaction_proof, "transaction_id", wanted)
    details = _beside(connection, transaction_details, "transaction_id", wanted)
    for row in rows:
        key = (row.payer_id, row.transaction_id)
        beside = details.get(key, [])
        details_now, committed = _details_sha256(beside), row.details_sha256
        # Without a salt the hash would tell, once they are erased, whether somebody guesses them rightly.
        if row.hash is None and beside and beside[0]["salt"] is not None:
            committed = details_now
        sealed = None
        if key in transactions:
            sealed = _encoded(
                row, transactions[key][0], transfers.get(key, []), proofs.get(key, []), committed
            )
        yield Entry(
            row.sequence,
            row.payer_id,
            row.transaction_id,
            row.settled_on,
            sealed,
            row.salt,
            row.hash,
            row.erased_at,
            row.tombstone,
            committed,
            details_now,
        )


def _beside(connection: Connection, table: Table, key: str, wanted: Any) -> Mapping[_Key, list[RowMapping]]:
    """The rows of a table that belong to these entries, by payer and transaction."""
    entry = ledger_sequence.c
    same = and_(table.c.payer_id == entry.payer_id, table.c[key] == entry.transaction_id)
    query = select(table).select_from(ledger_sequence.join(table, same)).where(wanted)
    if table is transfer:
        query = query.order_by(table.c.line)
    found: defaultdict[_Key, list[RowMapping]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        found[row["payer_id"], row[key]].append(row)
    return dict(found)


def _details_sha256(rows: list[RowMapping]) -> bytes | None:
    """Of details, their salt, and the stored answer, where they are there."""
    if not rows:
        return None
    [row] = rows
    salt = None if row["salt"] is None else row["salt"].hex()
    kept = [row["retention_class"], salt, row["details"], row["answer"]]
    # As both databases give JSON back: numbers as they were, names in an order of their own.
    return sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).digest()


def _encoded(
    entry: Row[Any],
    transaction: RowMapping,
    transfers: list[RowMapping],
    proofs: list[RowMapping],
    details_sha256: bytes | None,
) -> bytes:
    values: dict[str, object] = {
        "shard": entry.shard,
        "epoch": entry.epoch,
        "entry": entry.sequence,
        "settled_on": entry.settled_on.isoformat(),
        "late": entry.late,
        "transaction": _columns(transaction),
        "transfers": [_columns(moved) for moved in transfers],
    }
    if proofs:
        [proof] = proofs
        values["proof_sha256"] = sha256(proof["key_id"].bytes + proof["nonce"] + proof["ciphertext"]).digest()
    if details_sha256 is not None:
        values["details_sha256"] = details_sha256
    return deterministic(values)


def _columns(row: RowMapping) -> dict[str, object]:
    """What is in a row, as CBOR has it: times in milliseconds since 1970, ids as their bytes."""
    # SQLAlchemy's names are a kind of str of their own.
    return {
        str(name): _plain(value)
        for name, value in row.items()
        if value is not None and name not in NOT_SEALED
    }


def _plain(value: object) -> object:
    match value:
        case UUID():
            return value.bytes
        case datetime():
            return (value - _EPOCH) // _MILLISECOND
        case date():
            return value.isoformat()
        case _:
            return value
