"""A chunk on PostgreSQL: encode, lock, look, one COPY a table, grouped updates.

READ COMMITTED: each statement sees what was committed before it, so that what is looked at after the lock is
the newest. Rows go straight to their tables: an id that is taken all the same breaks the key, and with it the
chunk is taken back.
"""

from collections.abc import Sequence
from typing import Any

import psycopg
from sqlalchemy import Connection

from cardservice.database import driver_of
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.chunk_rows import TABLES, Rows, rows_of, sent
from cardservice.ledger.chunk_values import Sums, Taken, check_versions, payers_of
from cardservice.ledger.values import Posting, account_key

# A payer whom another session holds is not waited for: all that are locked already would wait, too.
_LOCK = """
    SELECT payer_id, version FROM payer_state WHERE payer_id = ANY (%s)
    ORDER BY payer_id FOR NO KEY UPDATE SKIP LOCKED
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
    # Nobody's payer is locked while rows are encoded. They go in key order: two chunks then wait for each
    # other in one direction only, and each finds its place in an index beside the one before.
    rows = [(posting.transaction.id, rows_of(posting)) for posting in sorted(postings, key=_key)]
    with driver_of(connection).cursor() as cursor:
        standing = check_versions(postings, lock(cursor, payers_of(postings)))
        ids = frozenset(posting.transaction.id for posting in standing)
        if standing:
            _store(cursor, [each for id_, each in rows if id_ in ids])
            _add_up(cursor, Sums(standing))
    return ids


def lock(cursor: psycopg.Cursor[Any], payers: Sequence[PayerId]) -> dict[PayerId, int]:
    """The versions of those of the payers that nobody else holds, locked to the end of the transaction."""
    cursor.execute(_LOCK, (list(payers),))
    return {PayerId(payer): version for payer, version in cursor.fetchall()}


def _key(posting: Posting) -> bytes:
    return posting.payer_id.bytes + posting.transaction.id.bytes


def _store(cursor: psycopg.Cursor[Any], rows: Sequence[Rows]) -> None:
    for statement, part in TABLES:
        with cursor.copy(statement) as copy:
            copy.write(sent(map(part, rows)))


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
