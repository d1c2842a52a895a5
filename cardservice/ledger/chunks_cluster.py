"""A chunk on a cluster: shard by shard, in calls of the function that posts many together at their node.

What lies in one shard is posted in rounds of distinct payers, as a batch of authorisations is. Each call is a
transaction of its own at one node, and says of each posting what became of it: what can be posted is posted,
whatever becomes of the rest. The next posting of a payer names the version that the one before it has left;
where that one was not posted, none of the payer's after it is.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import psycopg

from cardservice.ids import PayerId, TransactionId
from cardservice.ledger import nodes
from cardservice.ledger.chunk_values import payers_of, read_versions
from cardservice.ledger.nodes import Place
from cardservice.ledger.posting import REFUSALS
from cardservice.ledger.posting_postgresql import post_in_shard
from cardservice.ledger.values import Outcome, Posting

log = logging.getLogger(__name__)

# Ours: in one call. What a call costs by itself is then little beside its rows.
AT_ONCE = 200


def post(connection: psycopg.Connection[Any], postings: Sequence[Posting]) -> frozenset[TransactionId]:
    """The ids of those that were posted, on a connection in autocommit; the others have changed nothing.

    What concerns payers of two shards is left out, with whatever follows it of the same payers; so is who is
    held by another session, or lies on a node that does not answer. Raises psycopg.Error.
    """
    where = nodes.places(connection, payers_of(postings))
    posted: set[TransactionId] = set()
    for shard in _by_shard(postings, where):
        posted |= _Shard(connection, shard).post()
    return frozenset(posted)


def _by_shard(postings: Sequence[Posting], where: Mapping[PayerId, Place]) -> Iterator[list[Posting]]:
    """What lies in each shard of a node that answers, in the order of the chunk."""
    found: defaultdict[Place, list[Posting]] = defaultdict(list)
    out: set[PayerId] = set()
    for posting in postings:
        payers = {payer for payer, _ in read_versions(posting)}
        places = {where[payer] for payer in payers}
        if len(places) > 1 or not out.isdisjoint(payers):
            out |= payers
        else:
            found[places.pop()].append(posting)
    for place, some in found.items():
        # Asked late: it may have failed over the shard before.
        if place.node not in nodes.away():
            yield some


class _Shard:
    """The postings of one shard on their way."""

    def __init__(self, connection: psycopg.Connection[Any], postings: Sequence[Posting]) -> None:
        self._connection, self._waiting = connection, list(postings)
        # As each payer is left by what was posted.
        self._versions: dict[PayerId, int] = {}
        self._out: set[PayerId] = set()

    def post(self) -> set[TransactionId]:
        """The ids of those that were posted."""
        posted: set[TransactionId] = set()
        while self._waiting:
            turn = self._take()
            try:
                posted |= self._post(turn)
            except REFUSALS as refused:
                # One by one it comes out which of them it was; it costs the others nothing but time.
                log.warning("%d of a chunk were refused together", len(turn), exc_info=refused)
                self._leave_out(turn)
            except psycopg.OperationalError as error:
                if not nodes.is_failure_of_node(self._connection, error):
                    raise
                # Whether these were posted comes out when they are asked for again.
                log.warning("a node has failed over a chunk", exc_info=error)
                return posted
        return posted

    def _take(self) -> list[Posting]:
        """The first that may go together; what shares a payer with one before it waits for that one."""
        turn: list[Posting] = []
        kept: list[Posting] = []
        taken: set[PayerId] = set()
        for posting in self._waiting:
            payers = [payer for payer, _ in read_versions(posting)]
            if not self._out.isdisjoint(payers):
                self._out.update(payers)
                continue
            (turn if len(turn) < AT_ONCE and taken.isdisjoint(payers) else kept).append(posting)
            taken.update(payers)
        self._waiting = kept
        return turn

    def _post(self, turn: Sequence[Posting]) -> set[TransactionId]:
        if not turn:
            return set()
        renewed = [self._renewed(posting) for posting in turn]
        results = post_in_shard(self._connection, renewed, wait=False, lock_timeout_s=0)
        posted: set[TransactionId] = set()
        for posting, result in zip(turn, results, strict=True):
            if result.outcome is Outcome.POSTED and result.version is not None:
                self._versions[posting.payer_id] = result.version
                posted.add(posting.transaction.id)
            else:
                self._leave_out([posting])
        return posted

    def _renewed(self, posting: Posting) -> Posting:
        """With its payers' versions as the chunk itself has left them."""
        versions = self._versions
        return replace(
            posting,
            expected_version=versions.get(posting.payer_id, posting.expected_version),
            also_under=tuple((payer, versions.get(payer, read)) for payer, read in posting.also_under),
        )

    def _leave_out(self, postings: Sequence[Posting]) -> None:
        self._out.update(payer for posting in postings for payer, _ in read_versions(posting))
