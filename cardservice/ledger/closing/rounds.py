"""Rounds: what stands for transaction numbers where the ledger is divided over a cluster (`rounds.sql`).

A worker asks every node to begin the next round, and asks again the next time that it comes by: when on every
node all is over that was under way, nothing can be added any more to the rounds before. What is there already
is numbered in any case, in whatever round it was posted: a round only says from where on to look.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from cardservice.database import Database, driver_of
from cardservice.ledger.errors import NodeAway
from cardservice.ledger.posting_postgresql import is_distributed

# Ours: the advisory lock that stands for numbering a ledger on a cluster
_NUMBERING = 0x6C656467657200
# After every round that there will ever be, and within bigint
NEVER = (1 << 62) - 1
_ASK = text(
    "SELECT nodeid, success, result"
    " FROM run_command_on_all_nodes(format('SELECT round_has_begun(%s)', CAST(:round AS bigint)))"
)


def on_cluster(connection: Connection) -> bool:
    """Whether the ledger lies on a cluster, as this connection found it."""
    return connection.dialect.name == "postgresql" and is_distributed(driver_of(connection))


def begun(connection: Connection, number: int) -> bool:
    """Whether everything that is posted from now on has this round or a later one, on every node.

    Begins it where it has not begun. Raises NodeAway: one of the nodes does not answer.
    """
    # A node that begins it now is asked at once what it waits for.
    return _ask(connection, number) or _ask(connection, number)


def _ask(connection: Connection, number: int) -> bool:
    answers = connection.execute(_ASK.bindparams(round=number)).all()
    away = [answer.nodeid for answer in answers if not answer.success]
    if away:
        raise NodeAway(away)
    return all(answer.result == "t" for answer in answers)


def hold(connection: Connection) -> bool:
    """Keep numbering to this transaction alone, to its end; False, without a wait, where another has it.

    More than the lock of the worker's row, which is free a moment before the nodes have what was committed.
    """
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _NUMBERING}))


@contextmanager
def pause(database: Database) -> Iterator[None]:
    """Nothing is numbered until the end of the block, on a cluster; elsewhere a reader sees one moment."""
    if database.dialect == "sqlite":
        yield
        return
    with database.reading() as connection:
        if on_cluster(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _NUMBERING})
        yield
