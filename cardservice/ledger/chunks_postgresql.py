"""A chunk on PostgreSQL: COPY to temporary tables, lock, look, one INSERT a table, grouped updates.

COPY comes first: nobody's payer is locked while rows travel. READ COMMITTED: each statement sees what was
committed before it, so that what is looked at after the lock is the newest.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection

from cardservice.database import driver_of
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.chunk_rows import COPY_ROWS, COPY_TRANSFERS, TABLES, rows_of, transfers_of
from cardservice.ledger.chunk_values import Sums, Taken, check_versions, payers_of
from cardservice.ledger.values import Posting, account_key

# A payer whom another session holds is not waited for: all that are locked already would wait, too.
_LOCK = """
    SELECT payer_id, version FROM payer_state WHERE payer_id = ANY (%s)
    ORDER BY payer_id FOR NO KEY UPDATE SKIP LOCKED
"""
_LEAVE_OUT = (
    "DELETE FROM advice_chunk WHERE id = ANY (%s)",
    "DELETE FROM advice_chunk_transfer WHERE transaction_id = ANY (%s)",
)
# Rows are inserted in key order: two chunks then wait for each other in one direction only.
_PROOFS = """
    INSERT INTO transaction_proof (payer_id, transaction_id, key_id, nonce, ciphertext)
    SELECT payer_id, id, key_id, nonce, ciphertext FROM advice_chunk ORDER BY payer_id, id
    ON CONFLICT DO NOTHING
"""
_TRANSACTIONS = """
    INSERT INTO ledger_transaction (
        payer_id, id, origin, kind, terminal_id, sequence, provider_id, service, action, decision, reason,
        amount_minor, unit, tariff_version, offline, flags, body, occurred_at, posted_at, proof_of
    )
    SELECT
        payer_id, id, origin, kind, terminal_id, sequence, provider_id, service, action, decision, reason,
        amount_minor, unit, tariff_version, offline, flags, body, occurred_at, posted_at, id
    FROM advice_chunk ORDER BY payer_id, id
    ON CONFLICT DO NOTHING
"""
_TRANSFERS = """
    INSERT INTO transfer (
        payer_id, transaction_id, line, debit, credit, amount_minor, unit, tax_code, tax_rate_bp, net_minor,
        tax_minor, supplier
    )
    SELECT
        payer_id, transaction_id, line, debit, credit, amount_minor, unit, tax_code, tax_rate_bp, net_minor,
        tax_minor, supplier
    FROM advice_chunk_transfer ORDER BY payer_id, transaction_id, line
    ON CONFLICT DO NOTHING
"""
_DETAILS = """
    INSERT INTO transaction_details (payer_id, transaction_id, retention_class, details, salt, answer)
    SELECT payer_id, id, retention_class, details, salt, answer FROM advice_chunk ORDER BY payer_id, id
    ON CONFLICT DO NOTHING
"""
_ACCOUNTS = """
    UPDATE account AS a SET balance = a.balance + g.gain
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[])
        AS g (payer, kind, card, application, unit, gain)
    WHERE a.payer_id = g.payer AND a.kind = g.kind AND a.card_id = g.card AND a.application = g.application
        AND a.unit = g.unit
"""
_COUNTERS = """
    INSERT INTO counter (payer_id, cardholder_id, rule, period, used)
    SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::bigint[]) ORDER BY 1, 2, 3, 4
    ON CONFLICT (payer_id, cardholder_id, rule, period) DO UPDATE SET used = counter.used + excluded.used
"""
_VERSIONS = """
    UPDATE payer_state AS s SET version = s.version + g.more
    FROM unnest(%s::uuid[], %s::bigint[]) AS g (payer, more) WHERE s.payer_id = g.payer
"""


def post(connection: Connection, postings: Sequence[Posting]) -> frozenset[TransactionId]:
    """The ids of those that were posted, in the caller's transaction."""
    with driver_of(connection).cursor() as cursor:
        _bring(cursor, postings)
        standing = check_versions(postings, lock(cursor, payers_of(postings)))
        _leave_out(cursor, postings, standing)
        if standing:
            _store(cursor, standing)
            _add_up(cursor, Sums(standing))
    return frozenset(posting.transaction.id for posting in standing)


def lock(cursor: psycopg.Cursor[Any], payers: Sequence[PayerId]) -> dict[PayerId, int]:
    """The versions of those of the payers that nobody else holds, locked to the end of the transaction."""
    cursor.execute(_LOCK, (list(payers),))
    return {PayerId(payer): version for payer, version in cursor.fetchall()}


def _bring(cursor: psycopg.Cursor[Any], postings: Sequence[Posting]) -> None:
    for table in TABLES:
        cursor.execute(table)
    for statement, rows in ((COPY_ROWS, rows_of(postings)), (COPY_TRANSFERS, transfers_of(postings))):
        with cursor.copy(statement) as copy:
            copy.write(rows)


def _leave_out(cursor: psycopg.Cursor[Any], postings: Sequence[Posting], standing: Sequence[Posting]) -> None:
    out = {p.transaction.id for p in postings} - {p.transaction.id for p in standing}
    if out:
        for statement in _LEAVE_OUT:
            cursor.execute(statement, (list(out),))


def _store(cursor: psycopg.Cursor[Any], postings: Sequence[Posting]) -> None:
    moved = sum(len(posting.transfers) for posting in postings)
    expected = ((_PROOFS, len(postings)), (_TRANSACTIONS, len(postings)), (_TRANSFERS, moved))
    for statement, count in (*expected, (_DETAILS, len(postings))):
        if cursor.execute(statement).rowcount != count:
            raise Taken("an id of the chunk is taken")


def _add_up(cursor: psycopg.Cursor[Any], sums: Sums) -> None:
    if sums.accounts:
        gains = [
            (payer, *account_key(name), unit, gain) for (payer, name, unit), gain in sums.accounts.items()
        ]
        if cursor.execute(_ACCOUNTS, _arrays(gains)).rowcount != len(gains):
            raise Taken("a transfer names no account of its payer in this unit")
    if sums.counters:
        cursor.execute(_COUNTERS, _arrays([(*key, change) for key, change in sums.counters.items()]))
    cursor.execute(_VERSIONS, _arrays(list(sums.versions.items())))


def _arrays(rows: Sequence[tuple[Any, ...]]) -> list[list[Any]]:
    """One array a column."""
    return [list(column) for column in zip(*rows, strict=True)]
