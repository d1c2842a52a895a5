"""The nodes of a cluster as a process knows them: who lies where, and which of them do not answer.

A node that has failed is left alone for a moment: whoever lies there is told at once to come again, and no
connection is kept waiting for it that others need.
"""

import re
import time
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import psycopg

from cardservice.ids import PayerId

# Ours: a terminal asks again after about as long.
LEFT_ALONE_S = 2.0
# As Citus names a node in its errors: "connection to the remote node postgres@10.0.0.7:5432 failed".
_NAMED = re.compile(r"remote node (?:[^\s@]*@)?(\S+:\d+)")
_PLACES = """
    SELECT p.payer, s.shardid, s.nodename || ':' || s.nodeport
    FROM unnest(%s::uuid[]) AS p (payer)
    JOIN pg_dist_shard_placement AS s
        ON s.shardid = get_shard_id_for_distribution_column('payer_state', p.payer)
"""
_away: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a payer's rows lie: what is posted together lies in one shard."""

    shard: int
    node: str


def places(connection: psycopg.Connection[Any], payers: Collection[PayerId]) -> Mapping[PayerId, Place]:
    """Where these payers lie; the coordinator knows, and asks nobody."""
    rows = connection.execute(_PLACES, (list(payers),)).fetchall()
    return {PayerId(payer): Place(shard, node) for payer, shard, node in rows}


def away() -> AbstractSet[str]:
    """The nodes that are left alone at present."""
    now = time.monotonic()
    return {node for node, until in _away.items() if until > now}


def is_failure_of_node(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Whether a node has failed, and the coordinator, to which the connection leads, has not.

    The node is left alone from now on, where the error names it.
    """
    if connection.broken or not (error.sqlstate or "").startswith("08"):
        return False
    named = _NAMED.search(str(error))
    if named is not None:
        _away[named[1]] = time.monotonic() + LEFT_ALONE_S
    return True


def is_away() -> psycopg.Error:
    """What a call to a node that is left alone comes to: the same as if it had been tried."""
    return psycopg.errors.ConnectionFailure("the node that has this payer does not answer")
