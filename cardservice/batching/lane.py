"""A lane: a queue of what requests wait for, and one greenlet that takes a turn's worth of it at a time.

While a turn is in the air, on the lane's own connection, the next one gathers: the busier a worker is, the
more go together. Whatever goes wrong, whoever waits gets an answer.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import gevent
import psycopg
from gevent.event import Event

from cardservice.errors import Busy
from cardservice.ledger.nodes import is_failure_of_node

log = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")

# In one turn. More would keep the first waiting for the last, and gain little (docs/ledger.md).
TURN = 64
# A turn costs as much as four of what it carries. So it leaves when the worker has nothing else to do, where
# that comes within this.
GATHER_S = 0.01
# Waiting beside those: beyond that a worker is behind by a second or more, and says so at once.
MAX_WAITING = 1_024
# A turn takes milliseconds. One that takes longer than this has lost its database, or its network.
TURN_TIMEOUT_S = 10.0
# Who changes tables takes locks in another order than a turn does: the database then ends one of the two.
DEADLOCKS_IN_A_TURN = 5


@dataclass(slots=True)
class Asked(Generic[R]):
    """What one request waits for."""

    missing: int
    answers: list[R | Exception | None]
    done: Event = field(default_factory=Event)

    def wait(self) -> list[R | Exception]:
        """The answer to each, in their order."""
        if self.missing:
            self.done.wait()
        return [answer for answer in self.answers if answer is not None]

    def answer(self, place: int, answer: R | Exception) -> None:
        self.answers[place] = answer
        self.missing -= 1
        if not self.missing:
            self.done.set()


@dataclass(frozen=True, slots=True)
class _Ticket(Generic[T, R]):
    """One of the things that a request asked for, and where its answer belongs."""

    item: T
    asked: Asked[R]
    place: int


class Lane(Generic[T, R]):
    """Flies what is asked for in turns.

    `fly` answers a turn in its order, on a connection in autocommit. `keys`: two items that share one never
    go in the same turn, and of those the one that was asked for first goes first. `was_late` is called after
    a turn that took longer than `timeout_s`.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], psycopg.Connection[Any]],
        fly: Callable[[psycopg.Connection[Any], Sequence[T]], Sequence[R]],
        keys: Callable[[T], Sequence[object]] = lambda _: (),
        timeout_s: float = TURN_TIMEOUT_S,
        was_late: Callable[[], None] = lambda: None,
    ) -> None:
        self._name, self._connect, self._fly, self._keys = name, connect, fly, keys
        self._timeout_s, self._was_late = timeout_s, was_late
        self._queue: deque[_Ticket[T, R]] = deque()
        self._filled = Event()
        self._connection: psycopg.Connection[Any] | None = None
        self._pilot: gevent.Greenlet | None = None
        # Those of the turn that is in the air.
        self._aloft: Sequence[_Ticket[T, R]] = ()

    def ask(self, items: Sequence[T]) -> list[R | Exception]:
        """The answer to each, in their order; an exception is its item's alone. Raises as `begin`."""
        return self.begin(items).wait()

    def begin(self, items: Sequence[T]) -> Asked[R]:
        """Ask without waiting. Raises Busy where so many wait that there is no hope of an answer in time."""
        if len(self._queue) + len(items) > MAX_WAITING:
            raise Busy("too much is being asked for at once; send the same message again")
        asked: Asked[R] = Asked(len(items), [None] * len(items))
        if not items:
            return asked
        self._queue.extend(_Ticket(item, asked, place) for place, item in enumerate(items))
        self._filled.set()
        if self._pilot is None or self._pilot.dead:
            # The first time, and where the greenlet was ended by what it does not survive.
            self._pilot = gevent.spawn(self._turns)
        return asked

    def close(self) -> None:
        """End the greenlet and its connection; whoever still waits is answered."""
        if self._pilot is not None:
            self._pilot.kill()
        self._drop_connection()

    def _turns(self) -> None:
        try:
            while True:
                self._filled.wait()
                self._gather()
                self._aloft = self._take()
                self._turn(self._aloft)
                self._aloft = ()
        finally:
            # Ended from outside: nobody waits for ever, and nobody sends on a connection that still answers.
            self._drop_connection()
            _answer_all([*self._aloft, *self._queue], _lost())
            self._aloft = ()
            self._queue.clear()
            self._filled.clear()

    def _gather(self) -> None:
        """Let whatever else the worker could do now come first: most of it ends in this queue, too."""
        if len(self._queue) < TURN:
            with gevent.Timeout(GATHER_S, False):
                gevent.idle()

    def _take(self) -> Sequence[_Ticket[T, R]]:
        """The first of the queue that may go together; what may not keeps its place."""
        turn: list[_Ticket[T, R]] = []
        kept: list[_Ticket[T, R]] = []
        taken: set[object] = set()
        while self._queue and len(turn) < TURN and len(kept) < MAX_WAITING:
            ticket = self._queue.popleft()
            keys = self._keys(ticket.item)
            (turn if taken.isdisjoint(keys) else kept).append(ticket)
            taken.update(keys)
        self._queue.extendleft(reversed(kept))
        if not self._queue:
            self._filled.clear()
        return turn

    def _turn(self, turn: Sequence[_Ticket[T, R]]) -> None:
        """Fly it; where the database refuses it as a whole, one by one: a bad one costs nobody else."""
        try:
            answers = self._flown(turn)
        except psycopg.Error as error:
            if self._connection is None:
                log.error("the %s lane has lost its connection", self._name, exc_info=error)  # noqa: TRY400 - its own words
                _answer_all(turn, _lost())
            elif len(turn) == 1:
                # Of a node of a cluster it is as little known whether it has posted.
                _answer_all(turn, _lost() if (error.sqlstate or "").startswith("08") else error)
            else:
                log.warning("a turn of %d in the %s lane was refused", len(turn), self._name, exc_info=error)
                for ticket in turn:
                    self._turn([ticket])
        except Exception as error:
            # A fault of the program: what asked for it is told, and the lane goes on.
            log.exception("a turn in the %s lane failed", self._name)
            self._drop_connection()
            _answer_all(turn, error)
        else:
            for ticket, answer in zip(turn, answers, strict=True):
                ticket.asked.answer(ticket.place, answer)

    def _flown(self, turn: Sequence[_Ticket[T, R]]) -> Sequence[R]:
        for _ in range(DEADLOCKS_IN_A_TURN):
            try:
                return self._flown_once(turn)
            except psycopg.errors.DeadlockDetected as error:
                # Nothing of it is done, and whoever it stood against has gone on.
                log.warning("the %s lane flies a turn again after a deadlock", self._name, exc_info=error)
        return self._flown_once(turn)

    def _flown_once(self, turn: Sequence[_Ticket[T, R]]) -> Sequence[R]:
        with self._connected() as connection:
            return self._fly(connection, [ticket.item for ticket in turn])

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        """The lane's connection, made where there is none; dropped where it does not survive the turn."""
        timeout = gevent.Timeout.start_new(self._timeout_s)
        try:
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection
        except gevent.Timeout as late:
            self._drop_connection()
            if late is not timeout:
                raise
            self._was_late()
            raise psycopg.OperationalError("the database did not answer in time") from None
        except psycopg.Error as error:
            if self._connection is None or _is_lost(self._connection, error):
                self._drop_connection()
            raise
        finally:
            timeout.close()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _answer_all(tickets: Sequence[_Ticket[T, R]], answer: Exception) -> None:
    for ticket in tickets:
        ticket.asked.answer(ticket.place, answer)


def _is_lost(connection: psycopg.Connection[Any], error: psycopg.Error) -> bool:
    """Whether it is the connection that failed: without a code, or by one of PostgreSQL 15, appendix A.

    On a cluster class 08 can be of the server's own connection to a node: this one is still there then.
    """
    if error.sqlstate is None or error.sqlstate.startswith("57P"):
        return True
    return error.sqlstate.startswith("08") and not is_failure_of_node(connection, error)


def _lost() -> Busy:
    return Busy("it is not known whether this was posted; send the same message again")
