"""The nodes of a cluster as a process knows them: who lies where, and which of them do not answer.

A node that has failed is left alone for a moment: whoever lies there is told at once to come again, and no
connection is kept waiting for it that others need. Where the service batches (`batching.node_lanes`) it is
left alone until it has answered a question of its own.
"""

import logging
import re
import time
from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import psycopg

from cardservice.ids import CardId, PayerId

# Each line has the node, and whether it has failed; `api.metrics` counts them.
log = logging.getLogger(__name__)

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
# Of each card every payer that its holder has had, and the node of each.
_OF_CARDS = """
    SELECT card.id, h.payer_id, s.nodename || ':' || s.nodeport
    FROM card
    JOIN cardholder_payer AS h ON h.cardholder_id = card.cardholder_id
    JOIN pg_dist_shard_placement AS s
        ON s.shardid = get_shard_id_for_distribution_column('payer_state', h.payer_id)
    WHERE card.id = ANY (%s::uuid[])
"""
_WORKERS = "SELECT nodename || ':' || nodeport FROM pg_dist_node WHERE isactive AND groupid <> 0"
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


def of_cards(
    connection: psycopg.Connection[Any], cards: Collection[CardId]
) -> list[tuple[CardId, PayerId, str]]:
    """The nodes that have those who pay for these cards; of a card without a payer there is none."""
    rows = connection.execute(_OF_CARDS, (list(cards),)).fetchall()
    return [(CardId(card), PayerId(payer), node) for card, payer, node in rows]


def workers(connection: psycopg.Connection[Any]) -> list[str]:
    """All nodes but the coordinator."""
    return [str(node) for (node,) in connection.execute(_WORKERS).fetchall()]


def away() -> AbstractSet[str]:
    """The nodes that are left alone at present."""
    now = time.monotonic()
    return {node for node, until in _away.items() if until > now}


def leave_alone(node: str, for_s: float = LEFT_ALONE_S) -> None:
    """It has failed, or has not answered in time: whoever lies there is told so, from now on for so long."""
    if node not in away():
        log.warning(
            "the node %s does not answer: who lies there is told to come again",
            node,
            extra={"node": node, "failed": True},
        )
    _away[node] = time.monotonic() + for_s


def answers(node: str) -> None:
    """It has answered: whoever lies there is served again."""
    if _away.pop(node, None) is not None:
        log.warning("the node %s answers again", node, extra={"node": node, "failed": False})


def is_answering(connection: psycopg.Connection[Any], node: str, within_s: float) -> bool:
    """Whether a new connection to the node is answered in time.

    Asked by the coordinator, which gives up by itself. A call to a node that hangs is never given up: to
    cancel it the coordinator would have to connect to the same node, and waits for that without an end.
    """
    host, _, port = node.rpartition(":")
    connection.execute(
        "SELECT set_config('citus.node_connection_timeout', %s, false)", (f"{round(within_s * 1000)}ms",)
    )
    row = connection.execute("SELECT citus_check_connection_to_node(%s, %s)", (host, int(port))).fetchone()
    return bool(row and row[0])


def is_failure_of_node(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Whether a node has failed, and the coordinator, to which the connection leads, has not.

    The node is left alone from now on, where the error names it.
    """
    return not connection.broken and has_failed(error)


def has_failed(error: BaseException | None) -> bool:
    """Whether a coordinator that goes on says by this that a node has failed; it is left alone then."""
    if not isinstance(error, psycopg.Error) or not (error.sqlstate or "").startswith("08"):
        return False
    if (node := named_in(error)) is not None:
        leave_alone(node)
    return True


def named_in(error: BaseException | None) -> str | None:
    """The node that the coordinator says has failed."""
    named = _NAMED.search(str(error)) if isinstance(error, psycopg.Error) else None
    return None if named is None else named[1]


def cards_on(
    connection: psycopg.Connection[Any], cards: Collection[CardId], away: AbstractSet[str]
) -> frozenset[CardId]:
    """Those of the cards of whose payers, present or former, one lies on one of these nodes."""
    return frozenset(card for card, _, node in of_cards(connection, cards) if node in away)


def is_away() -> psycopg.Error:
    """What a call to a node that is left alone comes to: the same as if it had been tried."""
    return psycopg.errors.ConnectionFailure("the node that has this payer does not answer")
