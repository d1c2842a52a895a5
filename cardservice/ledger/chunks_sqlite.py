"""A chunk on SQLite, where one writer at a time holds the database: the same steps in Core statements."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.dialects import sqlite

from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.chunk_values import Sums, Taken, check_versions, payers_of
from cardservice.ledger.models import (
    account,
    counter,
    ledger_transaction,
    payer_state,
    transaction_details,
    transaction_proof,
    transfer,
)
from cardservice.ledger.values import Posting, account_key

# Far fewer than a statement may have parameters.
_KEYS_AT_ONCE = 500


def post(connection: Connection, postings: Sequence[Posting]) -> frozenset[TransactionId]:
    """The ids of those that were posted, in the caller's transaction, which began IMMEDIATE."""
    standing = check_versions(postings, _versions(connection, payers_of(postings)))
    if standing:
        _store(connection, standing)
        _add_up(connection, Sums(standing))
    return frozenset(posting.transaction.id for posting in standing)


def _versions(connection: Connection, payers: Sequence[PayerId]) -> dict[PayerId, int]:
    found: dict[PayerId, int] = {}
    for first in range(0, len(payers), _KEYS_AT_ONCE):
        some = payers[first : first + _KEYS_AT_ONCE]
        rows = connection.execute(select(payer_state).where(payer_state.c.payer_id.in_(some)))
        found |= {PayerId(row.payer_id): row.version for row in rows}
    return found


def _store(connection: Connection, postings: Sequence[Posting]) -> None:
    connection.execute(insert(transaction_proof), [_key(p) | _columns(p.proof) for p in postings])
    connection.execute(insert(ledger_transaction), [_transaction(posting) for posting in postings])
    moved = [
        _key(posting) | {"line": line} | _columns(new)
        for posting in postings
        for line, new in enumerate(posting.transfers, 1)
    ]
    if moved:
        connection.execute(insert(transfer), moved)
    connection.execute(insert(transaction_details), [_key(p) | _columns(p.details) for p in postings])


def _key(posting: Posting) -> dict[str, Any]:
    return {"payer_id": posting.payer_id, "transaction_id": posting.transaction.id}


def _columns(value: Any) -> dict[str, Any]:
    """The fields of a value, which are called as its table's columns are."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _transaction(posting: Posting) -> Mapping[str, Any]:
    new = posting.transaction
    return _columns(new) | {"payer_id": posting.payer_id, "flags": list(new.flags), "proof_of": new.id}


def _add_up(connection: Connection, sums: Sums) -> None:
    own = account.c
    for (payer, name, unit), gain in sorted(sums.accounts.items()):
        kind, card_id, application = account_key(name)
        row = update(account).where(
            own.payer_id == payer,
            own.kind == kind,
            own.card_id == card_id,
            own.application == application,
            own.unit == unit,
        )
        if connection.execute(row.values(balance=own.balance + gain)).rowcount != 1:
            raise Taken(f"{name} in {unit} is no account of payer {payer}")
    for (payer, holder, rule, period), change in sorted(sums.counters.items()):
        new = sqlite.insert(counter).values(
            payer_id=payer, cardholder_id=holder, rule=rule, period=period, used=change
        )
        connection.execute(
            new.on_conflict_do_update(
                index_elements=[column.name for column in counter.primary_key],
                set_={"used": counter.c.used + new.excluded.used},
            )
        )
    state = update(payer_state).where(payer_state.c.payer_id == bindparam("payer"))
    connection.execute(
        state.values(version=payer_state.c.version + bindparam("more")),
        [{"payer": payer, "more": more} for payer, more in sorted(sums.versions.items())],
    )
