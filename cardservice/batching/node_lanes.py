"""Lanes of a process whose ledger lies on a cluster: one for each node, so that none waits for another's.

A node that hangs keeps those waiting who lie there, and them no longer than a turn may take: then it is left
alone, and whoever lies there is told at once to come again, until it has answered a question of its own. What
concerns several nodes has a lane for itself.

Who lies where is looked up at the coordinator and remembered for a while. A memory that is wrong, since a
shard was moved meanwhile, costs nothing but that somebody waits in another's lane.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic, TypeVar

import gevent
import psycopg
from gevent.lock import BoundedSemaphore

from cardservice.authorisation.found import Wanted
from cardservice.batching.lane import Asked, Lane
from cardservice.errors import Busy
from cardservice.ids import CardId
from cardservice.ledger import nodes
from cardservice.ledger.values import Posting

T = TypeVar("T")
R = TypeVar("R")

Connect = Callable[[], psycopg.Connection[Any]]
# Ours: how long a turn to a node may take. One takes milliseconds.
NODE_TIMEOUT_S = 2.0
# The lane of what concerns several nodes, or nobody knows which.
SEVERAL = ""
# Ours: how long a place is remembered, and how many of cards and payers.
PLACES_FOR_S = 60.0
PLACES = 200_000
# A node that is left alone is asked so often whether it answers, and given so long for it.
ASK_AGAIN_S, ANSWER_WITHIN_S = 1.0, 1.0


class NodeLanes(Generic[T, R]):
    """A lane for each node, made when the first item for it comes; asked like one lane.

    At each node one turn is in the air at a time: that many calls of this process and no more wait for it.
    `where` says of each item the node that it concerns, or SEVERAL.
    """

    def __init__(
        self, where: Callable[[Sequence[T]], Sequence[str]], make: Callable[[str], Lane[T, R]]
    ) -> None:
        self._where, self._make = where, make
        self._lanes: dict[str, Lane[T, R]] = {}

    def ask(self, items: Sequence[T]) -> list[R | Exception]:
        """The answer to each, in their order; an exception is the answer to its item alone."""
        rows_of: dict[str, list[int]] = defaultdict(list)
        for row, node in enumerate(self._where(items)):
            rows_of[node].append(row)
        asked = {node: self._begin(node, [items[row] for row in rows]) for node, rows in rows_of.items()}
        found: dict[int, R | Exception] = {}
        for node, rows in rows_of.items():
            found |= zip(rows, asked[node].wait(), strict=True)
        return [found[row] for row in range(len(items))]

    def close(self) -> None:
        """End all of them."""
        for lane in self._lanes.values():
            lane.close()

    def _begin(self, node: str, items: Sequence[T]) -> Asked[R]:
        """What is refused is answered at once."""
        try:
            if node in nodes.away():
                raise _come_again()
            if node not in self._lanes:
                self._lanes[node] = self._make(node)
            return self._lanes[node].begin(items)
        except Busy as busy:
            return Asked(0, [busy] * len(items))


class Guide:
    """Knows who lies where, and watches over nodes that do not answer."""

    def __init__(self, connect: Connect, timeout_s: float) -> None:
        self._connect, self.timeout_s = connect, timeout_s
        self._asks: Lane[CardId, Sequence[str]] = Lane("places", connect, self._look_up, timeout_s=timeout_s)
        self._of_cards: dict[object, Sequence[str]] = {}
        self._of_payers: dict[object, str] = {}
        self._forget_at = 0.0
        self._watched: dict[str, gevent.Greenlet] = {}
        # Those away that did not refuse: they kept whoever asked waiting.
        self.hanging: set[str] = set()
        self._looking, self._looked_at = BoundedSemaphore(), -ASK_AGAIN_S

    def of_wanted(self, wanted: Sequence[Wanted]) -> Sequence[str]:
        """The node of whoever pays for each message's card."""
        self._forget()
        unknown = list({one.card_id for one in wanted} - self._of_cards.keys())
        if unknown:
            self._asks.ask(unknown)
        return [_only(self._of_cards.get(one.card_id, ())) for one in wanted]

    def of_postings(self, postings: Sequence[Posting]) -> Sequence[str]:
        """The node of each posting's payers, as they were found when it was decided on."""
        return [
            _only(
                {
                    self._of_payers.get(payer, SEVERAL)
                    for payer in (one.payer_id, *(other for other, _ in one.also_under))
                }
            )
            for one in postings
        ]

    def lane(
        self,
        name: str,
        node: str,
        fly: Callable[[psycopg.Connection[Any], Sequence[T]], Sequence[R]],
        keys: Callable[[T], Sequence[object]] = lambda _: (),
    ) -> Lane[T, R]:
        """A lane to this node, or to SEVERAL."""

        def guarded(connection: psycopg.Connection[Any], items: Sequence[T]) -> Sequence[R]:
            # It may have been left alone while these waited.
            if node in nodes.away():
                raise nodes.is_away()
            try:
                return fly(connection, items)
            finally:
                self.watch()

        return Lane(
            f"{name} {node}".rstrip(),
            self._connect,
            guarded,
            keys,
            self.timeout_s,
            lambda: self.was_late(node),
        )

    def was_late(self, node: str) -> None:
        """A call has taken too long: of one node it is that one's fault, of several each is asked."""
        if node == SEVERAL:
            gevent.spawn(self._ask_each)
        else:
            nodes.leave_alone(node)
            self.watch()

    def watch(self) -> None:
        """Ask each node that is left alone again and again, until it answers."""
        for node in nodes.away() - self._watched.keys():
            self._watched[node] = gevent.spawn(self._ask_until_it_answers, node)

    def look(self) -> AbstractSet[str]:
        """The nodes that hang: each is asked, unless that was done a moment ago."""
        with self._looking:
            if time.monotonic() >= self._looked_at + ASK_AGAIN_S:
                self._ask_each()
                self._looked_at = time.monotonic()
        return frozenset(self.hanging)

    def close(self) -> None:
        """End what runs beside the requests."""
        gevent.killall(list(self._watched.values()))
        self._asks.close()

    def _look_up(
        self, connection: psycopg.Connection[Any], cards: Sequence[CardId]
    ) -> Sequence[Sequence[str]]:
        found: dict[object, list[str]] = {card: [] for card in cards}
        for card, payer, node in nodes.of_cards(connection, cards):
            found[card].append(node)
            self._of_payers[payer] = node
        self._of_cards |= found
        return [found[card] for card in cards]

    def _forget(self) -> None:
        if time.monotonic() > self._forget_at or len(self._of_payers) > PLACES:
            self._of_cards.clear()
            self._of_payers.clear()
            self._forget_at = time.monotonic() + PLACES_FOR_S

    def _ask_until_it_answers(self, node: str) -> None:
        try:
            while not self._is_answering(node):
                # Beyond the next question, so that nobody is sent there in between.
                nodes.leave_alone(node, ASK_AGAIN_S + 2 * ANSWER_WITHIN_S + nodes.LEFT_ALONE_S)
                gevent.sleep(ASK_AGAIN_S)
            nodes.answers(node)
        finally:
            del self._watched[node]

    def _ask_each(self) -> None:
        with gevent.Timeout(self.timeout_s, False):
            connection = self._connect()
            try:
                every = nodes.workers(connection)
            finally:
                connection.close()
            gevent.joinall([gevent.spawn(self._ask, node) for node in every])

    def _ask(self, node: str) -> None:
        if not self._is_answering(node):
            nodes.leave_alone(node)
            self.watch()

    def _is_answering(self, node: str) -> bool:
        """By a connection of its own: those that are open may lead to a node that hangs."""
        try:
            with gevent.Timeout(2 * ANSWER_WITHIN_S):
                connection = self._connect()
                try:
                    began = time.monotonic()
                    found = nodes.is_answering(connection, node, ANSWER_WITHIN_S)
                finally:
                    connection.close()
        except (gevent.Timeout, psycopg.Error, OSError):
            # Of the coordinator; nothing is known of the node.
            return False
        # One that is dead refuses at once.
        if found or time.monotonic() - began < ANSWER_WITHIN_S:
            self.hanging.discard(node)
        else:
            self.hanging.add(node)
        return found


def _only(found: Collection[str]) -> str:
    """The one node among them."""
    every = set(found)
    return every.pop() if len(every) == 1 else SEVERAL


def _come_again() -> Busy:
    return Busy("the node that has this payer does not answer; send the same message again")
