"""What reads a cluster's ledger beside the lanes, and waits for a node that hangs, is given up after a while.

The lanes (`node_lanes`) wait for a node for as long as a turn may take. Every other request has a connection
of the pool to itself, and would keep it for as long as the node hangs: in the end none are left for anybody.
So of a request that takes long each node is asked, and where one hangs the request is ended where it stands.
Its connection goes with it, and nothing stands of a transaction that was not committed; of one that was being
committed it is not known, as when a connection is lost.

What was given up keeps a session at the coordinator until the node goes on (ADR 0167). So there are few, and
from then on what was given up before is refused at once, and not tried again until no node hangs.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent

from cardservice.batching.node_lanes import Guide
from cardservice.ledger.errors import NodeHangs

log = logging.getLogger(__name__)

# Ours: so many of a process's requests are given up before their kind is refused at once.
GIVEN_UP = 8
# Ours: how many times as long as a call to a node a request may take, that is a number of them.
CALLS = 5


@dataclass(slots=True)
class _Waiting:
    """A request that goes on, in its greenlet."""

    greenlet: gevent.Greenlet
    # What ends it, and no other. No `Exception`: SQLAlchemy drops the connection, and does not use it again.
    late: gevent.Timeout
    goes_on: bool = True


class Patience:
    """How long requests wait where a node hangs; of one process."""

    def __init__(self, guide: Guide) -> None:
        self._guide = guide
        self._given_up: list[str] = []

    @contextmanager
    def within(self, kind: str, calls: int = CALLS) -> Iterator[None]:
        """What the caller does, who waits so many times as long as for a call. Raises NodeHangs.

        `kind`: what it has in common with others that wait for the same, such as its route.
        """
        self._refuse(kind)
        waiting = _Waiting(gevent.getcurrent(), gevent.Timeout())
        watch = gevent.spawn_later(calls * self._guide.timeout_s, self._watch, waiting)
        try:
            yield
        except gevent.Timeout as late:
            if late is not waiting.late:
                raise
            self._given_up.append(kind)
            log.warning("a request was given up, since a node hangs", extra={"members": {"route": kind}})
            raise NodeHangs(self._guide.hanging) from None
        finally:
            waiting.goes_on = False
            watch.kill(block=False)

    def _refuse(self, kind: str) -> None:
        if not self._guide.hanging:
            self._given_up.clear()
        elif len(self._given_up) >= GIVEN_UP and kind in self._given_up:
            raise NodeHangs(self._guide.hanging)

    def _watch(self, waiting: _Waiting) -> None:
        while waiting.goes_on:
            if self._guide.look():
                # By the hub itself: then whether it goes on cannot change in between.
                gevent.get_hub().loop.run_callback(_end, waiting)
                return
            gevent.sleep(self._guide.timeout_s)


def _end(waiting: _Waiting) -> None:
    if waiting.goes_on:
        waiting.goes_on = False
        waiting.greenlet.throw(waiting.late)
