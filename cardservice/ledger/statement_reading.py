"""What an account statement reads beside its entries: whose name a provider has, and what was given back."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, and_, select

from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing.rounds import on_cluster
from cardservice.ledger.models import ledger_transaction, transfer
from cardservice.providers.models import provider


def whose(
    connection: Connection, payer_id: PayerId, *columns: ColumnElement[UUID]
) -> list[ColumnElement[bool]]:
    """For a cluster, which sees that one shard has all that is wanted only where each table is told so."""
    return [column == payer_id for column in columns] if on_cluster(connection) else []


def names_of(connection: Connection, provider_ids: Collection[str]) -> Mapping[str, str]:
    """The providers' names. On a cluster they lie elsewhere than entries, and are not joined with them."""
    if not provider_ids:
        return {}
    own = provider.c
    rows = connection.execute(select(own.id, own.name).where(own.id.in_(provider_ids)))
    return {row.id: row.name for row in rows}


def undone_by(
    connection: Connection, payer_id: PayerId, ids: Collection[TransactionId]
) -> Iterator[tuple[TransactionId, tuple[Any, ...]]]:
    """What these transactions give something back of: id, kind, service, action, and when it occurred."""
    moved, stored = transfer.c, ledger_transaction.c
    same = and_(stored.payer_id == payer_id, stored.id == moved.reverses_transaction)
    query = (
        select(
            moved.transaction_id, stored.id, stored.kind, stored.service, stored.action, stored.occurred_at
        )
        .join_from(transfer, ledger_transaction, same)
        .where(moved.payer_id == payer_id, moved.transaction_id.in_(ids))
        .distinct()
        .order_by(stored.occurred_at, stored.id)
    )
    for by, *undone in connection.execute(query):
        yield by, tuple(undone)
