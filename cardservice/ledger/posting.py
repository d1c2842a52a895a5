"""Posting: what was decided is stored, once, if nothing has changed since, or not at all.

PostgreSQL does it in one call of the function in `posting.sql`; SQLite in the same steps (`posting_sqlite`).
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import psycopg
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from cardservice.database import Database, driver_of
from cardservice.ids import PayerId
from cardservice.ledger import posting_postgresql, posting_sqlite
from cardservice.ledger.errors import PostingInvalid, PostingRefused
from cardservice.ledger.locking import lock_states
from cardservice.ledger.reading import read_known
from cardservice.ledger.values import Outcome, Posting, PostingResult

# What a constraint, or the function itself, refuses: nothing of the batch is stored.
REFUSALS = (psycopg.IntegrityError, psycopg.DataError)


def post(
    database: Database, postings: Sequence[Posting], *, lock_timeout_s: float = 1.0
) -> list[PostingResult]:
    """What became of each posting, in their order; each is stored as a whole or not at all.

    Several are posted together: their payers and ids must all be distinct, and those whose payer another
    session holds are tried again alone, each for at most `lock_timeout_s`. Raises PostingInvalid for what is
    wrong in itself, and PostingRefused for what a constraint refuses: then none of them is stored; on a
    cluster none of that shard. Where the database is away: SQLAlchemy's OperationalError or psycopg's.
    """
    check_distinct(postings)
    results = _attempt(database, postings, wait=len(postings) == 1, lock_timeout_s=lock_timeout_s)
    if len(postings) > 1:
        for row, result in enumerate(results):
            if result.outcome is Outcome.BUSY:
                results[row] = _attempt(database, [postings[row]], wait=True, lock_timeout_s=lock_timeout_s)[
                    0
                ]
    return results


@contextmanager
def locked(
    database: Database, payer_ids: Collection[PayerId], *, lock_timeout_s: float = 1.0
) -> Iterator[Connection]:
    """A transaction that holds these payers' locks from its beginning, for a decision that must not miss.

    Read with `reading.read_on` and post with `post_on` on the connection it yields. Raises SQLAlchemy's
    OperationalError where another session holds a payer for longer than `lock_timeout_s`.
    """
    with database.begin() as connection:
        if database.dialect == "postgresql":
            timeout = func.set_config("lock_timeout", f"{round(lock_timeout_s * 1000)}ms", True)
            connection.execute(select(timeout))
        lock_states(connection, payer_ids)
        yield connection


def post_on(
    connection: Connection, postings: Sequence[Posting], *, wait: bool = True, lock_timeout_s: float = 1.0
) -> list[PostingResult]:
    """`post` in the caller's transaction, which it leaves to be committed; BUSY only where not `wait`."""
    check_distinct(postings)
    try:
        if connection.dialect.name == "sqlite":
            results = posting_sqlite.post(connection, postings)
        else:
            results = posting_postgresql.post(driver_of(connection), postings, wait, lock_timeout_s)
    except (IntegrityError, DataError) as error:
        raise PostingRefused(f"refused by the database: {error.orig}") from error
    except REFUSALS as error:
        raise PostingRefused(f"refused by the database: {error}") from error
    return [
        _with_known(connection, posting, result) for posting, result in zip(postings, results, strict=True)
    ]


def _attempt(
    database: Database, postings: Sequence[Posting], *, wait: bool, lock_timeout_s: float
) -> list[PostingResult]:
    try:
        if database.dialect == "sqlite":
            with database.begin() as connection:
                return post_on(connection, postings)
        with database.posting_engine.connect() as connection:
            return post_on(connection, postings, wait=wait, lock_timeout_s=lock_timeout_s)
    except psycopg.errors.LockNotAvailable:
        return [PostingResult(Outcome.BUSY) for _ in postings]
    except OperationalError as error:
        if not getattr(error.orig, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
            raise
        return [PostingResult(Outcome.BUSY) for _ in postings]


def _with_known(connection: Connection, posting: Posting, result: PostingResult) -> PostingResult:
    if result.outcome is not Outcome.KNOWN:
        return result
    payers = (posting.payer_id, *(payer for payer, _ in posting.also_under))
    return replace(result, known=read_known(connection, payers, (posting.transaction.id,))[0])


def check_distinct(postings: Sequence[Posting]) -> None:
    """Raises PostingInvalid where two postings share a payer or an id."""
    payers = [
        payer
        for posting in postings
        for payer in (posting.payer_id, *(other for other, _ in posting.also_under))
    ]
    ids = [posting.transaction.id for posting in postings]
    ids += [posting.tombstone for posting in postings if posting.tombstone is not None]
    if len(payers) > len(set(payers)) or len(ids) > len(set(ids)):
        raise PostingInvalid("a payer or an id occurs twice; post in rounds of distinct payers")
