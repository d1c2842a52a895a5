"""Postings on a cluster: a call for each shard, and one in several steps where a posting concerns two."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from cardservice.ids import PayerId
from cardservice.ledger import nodes
from cardservice.ledger.nodes import Place
from cardservice.ledger.values import Outcome, Posting, PostingResult

# Posts at the node of the first one's payer; all lie in one shard.
Call = Callable[[Sequence[Posting]], list[PostingResult]]
_LOCK = "SELECT version FROM payer_state WHERE payer_id = %s FOR NO KEY UPDATE"
_KNOWN = "SELECT EXISTS (SELECT FROM ledger_transaction WHERE payer_id = %s AND id = %s)"


def post(
    connection: psycopg.Connection[Any],
    postings: Sequence[Posting],
    call: Call,
    wait: bool,
    lock_timeout_s: float,
) -> list[PostingResult]:
    """The results in the order of the postings: those of a shard are posted whatever becomes of the others'.

    What lies on a node that does not answer is BUSY. Raises psycopg.Error, and where all of it lies there.
    """
    alone = len(postings) == 1 and not postings[0].also_under
    if alone and not nodes.away():
        return call(postings)
    where = nodes.places(connection, [payer for posting in postings for payer in _payers(posting)])
    found: dict[int, PostingResult] = {}
    failed: psycopg.Error | None = None
    for rows, crossing in _groups(postings, where):
        some = [postings[row] for row in rows]
        try:
            if not nodes.away().isdisjoint(where[payer].node for one in some for payer in _payers(one)):
                raise nodes.is_away()
            done = [_crossing(connection, some[0], call, wait, lock_timeout_s)] if crossing else call(some)
        except psycopg.OperationalError as error:
            if not nodes.is_failure_of_node(connection, error):
                raise
            failed, done = error, [PostingResult(Outcome.BUSY)] * len(rows)
        found |= zip(rows, done, strict=True)
    if failed is not None and all(result.outcome is Outcome.BUSY for result in found.values()):
        raise failed
    return [found[row] for row in range(len(postings))]


def _payers(posting: Posting) -> list[PayerId]:
    return [posting.payer_id, *(payer for payer, _ in posting.also_under)]


def _groups(
    postings: Sequence[Posting], where: Mapping[PayerId, Place]
) -> Sequence[tuple[Sequence[int], bool]]:
    """The postings' numbers, those of one shard together; each that concerns two alone, and told so."""
    together: dict[int, list[int]] = {}
    crossing = []
    for row, posting in enumerate(postings):
        shards = {where[payer].shard for payer in _payers(posting)}
        if len(shards) == 1:
            together.setdefault(shards.pop(), []).append(row)
        else:
            crossing.append(([row], True))
    return [*((rows, False) for rows in together.values()), *crossing]


def _crossing(
    connection: psycopg.Connection[Any], posting: Posting, call: Call, wait: bool, lock_timeout_s: float
) -> PostingResult:
    """A posting whose card had a payer in another shard: the steps of `post_transactions`, payer by payer.

    Locked are all, in key order, before anything is looked at; what is written lies in one shard alone.
    """
    expected = {posting.payer_id: posting.expected_version, **dict(posting.also_under)}
    with connection.transaction():
        if wait:
            connection.execute(
                "SELECT set_config('lock_timeout', %s, true)", (f"{round(lock_timeout_s * 1000)}ms",)
            )
        lock = _LOCK if wait else f"{_LOCK} SKIP LOCKED"
        versions = {payer: connection.execute(lock, (payer,)).fetchone() for payer in sorted(expected)}
        if None in versions.values():
            return PostingResult(Outcome.BUSY)
        for payer in expected:
            known = connection.execute(_KNOWN, (payer, posting.transaction.id)).fetchone()
            if known is not None and known[0]:
                return PostingResult(Outcome.KNOWN)
        if any(row is None or row[0] != expected[payer] for payer, row in versions.items()):
            return PostingResult(Outcome.VERSION_CHANGED)
        return call([replace(posting, also_under=())])[0]
