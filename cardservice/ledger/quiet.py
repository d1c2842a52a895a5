"""Cardholders for whom the ledger has nothing: those of a query whose payers have moved nothing of a kind.

On a cluster cardholders lie elsewhere than transactions: they are looked at some by some.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, func, select

from cardservice.cardholders.models import cardholder
from cardservice.ledger.closing.rounds import on_cluster
from cardservice.ledger.models import cardholder_payer, ledger_transaction

# Ours: cardholders in one question to the nodes.
_AT_ONCE = 1_000


def quiet_holders(
    connection: Connection, wanted: Select[Any], moved: ColumnElement[bool], limit: int | None = None
) -> list[UUID]:
    """Those of `wanted`, cardholders' ids, with no transaction that is `moved`: in order, at most `limit`."""
    if not on_cluster(connection):
        return list(connection.scalars(wanted.where(_has_none(moved)).limit(limit)))
    quiet = (
        holder
        for some in connection.scalars(wanted).partitions(_AT_ONCE)
        for holder in _quiet_of(connection, some, moved)
    )
    return list(islice(quiet, limit))


def count_quiet(connection: Connection, wanted: Select[Any], moved: ColumnElement[bool]) -> int:
    """How many there are."""
    if on_cluster(connection):
        return len(quiet_holders(connection, wanted, moved))
    found = wanted.where(_has_none(moved)).order_by(None).subquery()
    return connection.execute(select(func.count()).select_from(found)).scalar_one()


def _has_none(moved: ColumnElement[bool]) -> ColumnElement[bool]:
    transactions = (
        select(ledger_transaction.c.id)
        .join(cardholder_payer, cardholder_payer.c.payer_id == ledger_transaction.c.payer_id)
        .where(cardholder_payer.c.cardholder_id == cardholder.c.id, moved)
    )
    return ~transactions.exists()


def _quiet_of(connection: Connection, holders: Sequence[UUID], moved: ColumnElement[bool]) -> list[UUID]:
    pays, stored = cardholder_payer.c, ledger_transaction.c
    paying = connection.execute(
        select(pays.cardholder_id, pays.payer_id).where(pays.cardholder_id.in_(holders))
    ).all()
    asked = {row.payer_id for row in paying}
    busy = set(
        connection.scalars(select(stored.payer_id).where(stored.payer_id.in_(asked), moved).distinct())
    )
    heard = {row.cardholder_id for row in paying if row.payer_id in busy}
    return [holder for holder in holders if holder not in heard]
