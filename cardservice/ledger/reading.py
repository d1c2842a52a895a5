"""What a decision is made on: payers' states, and whether ids are known and what became of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, func, select

from cardservice.database import Database
from cardservice.ids import CardholderId, PayerId, ProviderId, TerminalId, TransactionId
from cardservice.ledger.closing.rounds import on_cluster
from cardservice.ledger.models import (
    account,
    counter,
    ledger_transaction,
    payer_limit,
    payer_state,
    transaction_details,
    transfer,
)
from cardservice.ledger.values import (
    AccountName,
    AccountView,
    CounterView,
    KnownTransaction,
    LimitView,
    PayerView,
    ReadQuery,
    ReadResult,
    StoredTransfer,
)

_Key = tuple[UUID, UUID]


def read(database: Database, queries: Sequence[ReadQuery]) -> list[ReadResult]:
    """One result a query, all as of one moment: views of its payers, and its ids found under any of them."""
    with database.reading() as connection:
        return read_on(connection, queries)


def read_on(connection: Connection, queries: Sequence[ReadQuery]) -> list[ReadResult]:
    """`read` within the caller's transaction; for a decision under the payers' locks."""
    payers = {payer for query in queries for payer in query.payer_ids}
    ids = {wanted for query in queries for wanted in query.transaction_ids}
    views = read_payers(connection, payers)
    known = read_known(connection, payers, ids) if ids else []
    return [
        ReadResult(
            {payer: views[payer] for payer in query.payer_ids if payer in views},
            {
                found.id: found
                for found in known
                if found.id in query.transaction_ids and found.payer_id in query.payer_ids
            },
        )
        for query in queries
    ]


def read_payers(connection: Connection, payer_ids: Collection[PayerId]) -> dict[PayerId, PayerView]:
    """The payers' states. The version comes first, so that it is never newer than what it stands for."""
    versions = connection.execute(select(payer_state).where(payer_state.c.payer_id.in_(payer_ids))).all()
    accounts = read_accounts(connection, payer_ids)
    counters = _grouped(connection.execute(select(counter).where(counter.c.payer_id.in_(payer_ids))))
    limits = _grouped(
        connection.execute(
            select(payer_limit).where(payer_limit.c.payer_id.in_(payer_ids)).order_by(payer_limit.c.id)
        )
    )
    return {
        PayerId(row.payer_id): PayerView(
            PayerId(row.payer_id),
            row.version,
            accounts.get(row.payer_id, ()),
            tuple(
                CounterView(CardholderId(entry.cardholder_id), entry.rule, entry.period, entry.used)
                for entry in counters[row.payer_id]
            ),
            tuple(
                LimitView(
                    entry.cardholder_id, entry.rule, entry.amount_minor, entry.valid_from, entry.recorded_at
                )
                for entry in limits[row.payer_id]
            ),
        )
        for row in versions
    }


def read_accounts(
    connection: Connection, payer_ids: Collection[PayerId]
) -> dict[PayerId, tuple[AccountView, ...]]:
    """The payers' accounts, in the order of their keys."""
    stored = account.c
    rows = connection.execute(
        select(account)
        .where(stored.payer_id.in_(payer_ids))
        .order_by(stored.kind, stored.card_id, stored.application)
    )
    return {
        PayerId(payer_id): tuple(
            AccountView(row.kind, row.card_id, row.application, row.unit, row.balance, row.floor)
            for row in found
        )
        for payer_id, found in _grouped(rows).items()
    }


def read_known(
    connection: Connection, payer_ids: Collection[PayerId], ids: Collection[TransactionId]
) -> list[KnownTransaction]:
    """The transactions of these ids under any of these payers, with what has become of them since."""
    stored = ledger_transaction
    rows = connection.execute(
        select(stored).where(stored.c.payer_id.in_(payer_ids), stored.c.id.in_(ids))
    ).all()
    if not rows:
        return []
    transfers = _transfers(connection, payer_ids, ids)
    answers = _answers(connection, payer_ids, ids)
    annulled = _later(connection, payer_ids, ids, "annuls")
    kept = _later(connection, payer_ids, ids, "duplicate_of")
    return [
        _known(row, transfers[row.payer_id, row.id], answers.get((row.payer_id, row.id)), annulled, kept)
        for row in rows
    ]


def _known(
    row: Row[*tuple[Any, ...]],
    transfers: Sequence[StoredTransfer],
    answer: Mapping[str, Any] | None,
    annulled: Mapping[UUID, TransactionId],
    kept: Mapping[UUID, TransactionId],
) -> KnownTransaction:
    kept_by = kept.get(row.id)
    return KnownTransaction(
        payer_id=PayerId(row.payer_id),
        id=TransactionId(row.id),
        origin=row.origin,
        kind=row.kind,
        body=row.body,
        terminal_id=None if row.terminal_id is None else TerminalId(row.terminal_id),
        sequence=row.sequence,
        provider_id=None if row.provider_id is None else ProviderId(row.provider_id),
        service=row.service,
        action=row.action,
        decision=row.decision,
        reason=row.reason,
        amount_minor=row.amount_minor,
        unit=row.unit,
        tariff_version=row.tariff_version,
        offline=row.offline,
        flags=tuple(row.flags),
        replaces=row.replaces,
        duplicate_of=row.duplicate_of,
        annuls=row.annuls,
        occurred_at=row.occurred_at,
        posted_at=row.posted_at,
        answer=answer,
        transfers=tuple(transfers),
        # An annul of what a duplicate keeps undid nothing; what an annul undid is never kept by a duplicate.
        annulled_by=annulled.get(row.id) if kept_by is None else None,
        kept_by=kept_by,
    )


def _transfers(
    connection: Connection, payer_ids: Collection[PayerId], ids: Collection[TransactionId]
) -> Mapping[_Key, list[StoredTransfer]]:
    reversal = transfer.alias()
    # It says nothing new; but by it a cluster sees that the nodes of these payers have all that is wanted.
    named = (reversal.c.payer_id.in_(payer_ids),) if on_cluster(connection) else ()
    reversed_minor = (
        select(func.coalesce(func.sum(reversal.c.amount_minor), 0))
        .where(
            reversal.c.payer_id == transfer.c.payer_id,
            reversal.c.reverses_transaction == transfer.c.transaction_id,
            reversal.c.reverses_line == transfer.c.line,
            *named,
        )
        .scalar_subquery()
    )
    rows = connection.execute(
        select(transfer, reversed_minor.label("reversed_minor"))
        .where(transfer.c.payer_id.in_(payer_ids), transfer.c.transaction_id.in_(ids))
        .order_by(transfer.c.line)
    )
    found: defaultdict[_Key, list[StoredTransfer]] = defaultdict(list)
    for row in rows:
        found[row.payer_id, row.transaction_id].append(
            StoredTransfer(
                line=row.line,
                debit=AccountName(row.debit),
                credit=AccountName(row.credit),
                amount_minor=row.amount_minor,
                unit=row.unit,
                # PostgreSQL adds up bigints to a numeric.
                reversed_minor=int(row.reversed_minor),
                tax_code=row.tax_code,
                tax_rate_bp=row.tax_rate_bp,
                net_minor=row.net_minor,
                tax_minor=row.tax_minor,
                supplier=row.supplier,
                reverses_transaction=row.reverses_transaction,
                reverses_line=row.reverses_line,
            )
        )
    return found


def _answers(
    connection: Connection, payer_ids: Collection[PayerId], ids: Collection[TransactionId]
) -> dict[_Key, Mapping[str, Any]]:
    stored = transaction_details
    rows = connection.execute(
        select(stored.c.payer_id, stored.c.transaction_id, stored.c.answer).where(
            stored.c.payer_id.in_(payer_ids), stored.c.transaction_id.in_(ids)
        )
    )
    return {(row.payer_id, row.transaction_id): row.answer for row in rows}


def _later(
    connection: Connection, payer_ids: Collection[PayerId], ids: Collection[TransactionId], naming: str
) -> dict[UUID, TransactionId]:
    """Of each id the first approved annul, or the first duplicate, that names it, under any of the payers."""
    stored = ledger_transaction
    named = stored.c[naming]
    effective = stored.c.decision == ("approved" if naming == "annuls" else "duplicate")
    rows = connection.execute(
        select(named.label("named"), stored.c.id)
        .where(stored.c.payer_id.in_(payer_ids), named.in_(ids), effective)
        .order_by(stored.c.posted_at.desc(), stored.c.id.desc())
    )
    return {row.named: TransactionId(row.id) for row in rows}


def _grouped(rows: Iterable[Row[*tuple[Any, ...]]]) -> Mapping[UUID, list[Row[*tuple[Any, ...]]]]:
    found: defaultdict[UUID, list[Row[*tuple[Any, ...]]]] = defaultdict(list)
    for row in rows:
        found[row.payer_id].append(row)
    return found
