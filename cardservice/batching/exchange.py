"""The exchange of a worker with greenlets: two lanes, one that reads and one that posts.

On a cluster there are two for each node (`node_lanes`).
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent
import psycopg
from gevent.lock import BoundedSemaphore
from psycopg import waiting

from cardservice.authorisation import reading_postgresql
from cardservice.authorisation.found import Found, Wanted
from cardservice.batching.lane import TURN_TIMEOUT_S, Lane
from cardservice.batching.node_lanes import NODE_TIMEOUT_S, SEVERAL, Guide, NodeLanes
from cardservice.batching.patience import Patience
from cardservice.database import Database, UnfitDatabase, driver_of
from cardservice.errors import Busy
from cardservice.ledger import posting_postgresql
from cardservice.ledger.errors import PostingRefused
from cardservice.ledger.posting import REFUSALS, post
from cardservice.ledger.values import Outcome, Posting, PostingResult

# How many may wait for a payer that others hold, each on a connection of the pool for up to a second.
LONE_TRIES = 4
LONE_TRY_S = 1.0
LONE_TRIES_S = 3.0


class BatchedExchange:
    """Gathers what a worker's requests ask for; each lane has one turn in the air at a time.

    On a cluster a turn to a node may take `node_timeout_s`.
    """

    def __init__(self, database: Database, node_timeout_s: float = NODE_TIMEOUT_S) -> None:
        """Raises UnfitDatabase where a call to the database would stop every other request of the worker."""
        if waiting.wait is waiting.wait_c:
            raise UnfitDatabase(
                "psycopg was imported before gevent had patched the standard library: every call would stop"
                " all requests; start the service by `cardservice serve`, without preloading it"
            )
        self._database = database
        connect = _connector(database)
        self._reads: Lane[Wanted, Found] | NodeLanes[Wanted, Found]
        self._posts: Lane[Posting, PostingResult] | NodeLanes[Posting, PostingResult]
        self._guide: Guide | None = None
        # Of what does not come by the lanes.
        self.patience: Patience | None = None
        if _is_divided(database):
            self._guide = guide = Guide(connect, node_timeout_s)
            self.patience = Patience(guide)
            self._reads = NodeLanes(
                guide.of_wanted, lambda node: guide.lane("reading", node, reading_postgresql.read)
            )
            self._posts = NodeLanes(guide.of_postings, lambda node: guide.lane("posting", node, _post, _keys))
        else:
            self._reads = Lane("reading", connect, reading_postgresql.read)
            self._posts = Lane("posting", connect, _post, _keys)
        self._lone_tries = BoundedSemaphore(LONE_TRIES)

    def read(self, wanted: Sequence[Wanted]) -> list[Found]:
        """See Exchange."""
        answers = self._reads.ask(wanted)
        found = [answer for answer in answers if isinstance(answer, Found)]
        if len(found) < len(answers):
            raise next(answer for answer in answers if isinstance(answer, Exception))
        return found

    def post(self, postings: Sequence[Posting]) -> list[PostingResult | Exception]:
        """See Exchange."""
        answers = self._posts.ask(postings)
        # Of many in one request that are busy, as many are tried again as there is time for.
        deadline = time.monotonic() + LONE_TRIES_S
        return [
            self._settled(posting, answer, deadline)
            for posting, answer in zip(postings, answers, strict=True)
        ]

    def close(self) -> None:
        """See Exchange."""
        self._reads.close()
        self._posts.close()
        if self._guide is not None:
            self._guide.close()

    def _settled(
        self, posting: Posting, answer: PostingResult | Exception, deadline: float
    ) -> PostingResult | Exception:
        """What is busy is tried again alone, where it may wait without keeping anybody else."""
        if isinstance(answer, REFUSALS):
            return PostingRefused(f"refused by the database: {answer}")
        if isinstance(answer, Exception) or answer.outcome is not Outcome.BUSY:
            return answer
        if time.monotonic() > deadline or not self._lone_tries.acquire(timeout=LONE_TRY_S):
            return answer
        try:
            with gevent.Timeout(LONE_TRY_S + TURN_TIMEOUT_S):
                [alone] = post(self._database, [posting], lock_timeout_s=LONE_TRY_S)
        except PostingRefused as refused:
            return refused
        except gevent.Timeout:
            if self._guide is not None:
                self._guide.was_late(SEVERAL)
            return _not_known()
        except psycopg.OperationalError:
            return _not_known()
        finally:
            self._lone_tries.release()
        return alone


def _post(connection: psycopg.Connection[Any], postings: Sequence[Posting]) -> list[PostingResult]:
    return posting_postgresql.post(connection, postings, wait=False, lock_timeout_s=LONE_TRY_S)


def _keys(posting: Posting) -> Sequence[object]:
    """What posting takes once a call: payers, and ids."""
    others = (payer for payer, _ in posting.also_under)
    return [posting.payer_id, *others, posting.transaction.id, *filter(None, [posting.tombstone])]


def _not_known() -> Busy:
    return Busy("it is not known whether this was posted; send the same message again")


def _is_divided(database: Database) -> bool:
    """Whether it lies on a cluster; asked once, for a ledger is divided while no service runs."""
    with database.posting_engine.connect() as connection:
        return posting_postgresql.is_distributed(driver_of(connection))


def _connector(database: Database) -> Callable[[], psycopg.Connection[Any]]:
    """Makes a connection like the posting engine's, outside its pool."""

    def connect() -> psycopg.Connection[Any]:
        raw = database.posting_engine.raw_connection()
        driver = raw.driver_connection
        raw.detach()
        if not isinstance(driver, psycopg.Connection):
            raise TypeError("a connection to PostgreSQL is wanted")
        return driver

    return connect
