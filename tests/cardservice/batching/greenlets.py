"""What the tests do with a batched exchange, in a process whose standard library gevent has patched.

`python -m tests.cardservice.batching.greenlets SCENARIO URL` prints what came of it as JSON.
"""

# ruff: noqa: E402 - psycopg must find gevent's patches when it is imported
from gevent import monkey

monkey.patch_all()

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import gevent
import psycopg
from gevent.event import Event
from sqlalchemy import text

from cardservice.batching import exchange as module
from cardservice.batching import lane
from cardservice.batching import patience as patience_module
from cardservice.batching.exchange import BatchedExchange
from cardservice.batching.lane import Lane
from cardservice.batching.node_lanes import Guide, NodeLanes
from cardservice.batching.patience import Patience
from cardservice.database import Database, connect
from cardservice.errors import Busy
from cardservice.ids import PayerId
from cardservice.ledger import posting_postgresql
from cardservice.ledger.errors import NodeHangs
from cardservice.ledger.payers import create_payer, touch_payers
from cardservice.ledger.posting import post
from cardservice.ledger.values import PAYER_PREPAID, Posting, PostingResult
from tests.cardservice.ledger.postings import CURRENCY, MOMENT, balances_of, sale, topup, view_of
from tests.support.databases import deadlocks

LIMIT_S = 60.0
MONEY = 1_000


def one_payer_twice(database: Database) -> Any:
    """Asked for at once: the turns that were flown, and what came of both."""
    [payer] = payers(database, 1)
    flown = turns()
    with exchange_of(database) as exchange:
        came = at_once(exchange, [[sale(payer, 1, 200)], [sale(payer, 1, 200)]])
    return {"turns": flown, "came": told(came), "left": left(database, [payer])}


def one_payer_twice_without_keys(database: Database) -> Any:
    """The same, where a turn takes whatever waits."""
    setattr(module, "_keys", lambda _: ())  # noqa: B010 - for mypy
    return one_payer_twice(database)


def a_bad_row(database: Database) -> Any:
    """One of 64 names an account that its payer does not have."""
    found = payers(database, 64)
    postings = [sale(payer, 1, 100) for payer in found]
    [line] = postings[17].transfers
    postings[17] = replace(postings[17], transfers=(replace(line, unit="EUR"),))
    with exchange_of(database) as exchange:
        came = at_once(exchange, [[posting] for posting in postings])
    return {"came": told(came), "left": left(database, found)}


def a_held_payer(database: Database) -> Any:
    """Staff hold one of eight: whose answers come before they let go, and whose after."""
    found = payers(database, 8)
    order: list[str] = []

    def ask(exchange: BatchedExchange, payer: PayerId) -> None:
        [answer] = exchange.post([sale(payer, 1, 100)])
        assert isinstance(answer, PostingResult)
        order.append(("held " if payer == found[3] else "") + answer.outcome)

    with exchange_of(database) as exchange:
        with database.begin() as connection:
            touch_payers(connection, [found[3]])
            asking = [gevent.spawn(ask, exchange, payer) for payer in found]
            gevent.joinall(asking[:3] + asking[4:], timeout=LIMIT_S, raise_error=True)
            order.append("let go")
        gevent.joinall(asking, timeout=LIMIT_S, raise_error=True)
    return {"order": order, "left": left(database, found)}


def killed_in_flight(database: Database) -> Any:
    """The lane's session is ended while a turn waits in the database; then the same is sent again, twice."""
    found = payers(database, 5)
    asked = [[sale(payer, 1, 100)] for payer in found]
    with exchange_of(database) as exchange:
        with closed_gate(database) as gate:
            asking = [gevent.spawn(exchange.post, postings) for postings in asked]
            gate.until_waiting()
            gate.end_sessions()
            gevent.joinall(asking, timeout=LIMIT_S, raise_error=True)
        came = told([greenlet.value for greenlet in asking])
        again, once_more = told(at_once(exchange, asked)), told(at_once(exchange, asked))
    return {"came": came, "again": again, "once more": once_more, "left": left(database, found)}


def pilot_killed(database: Database) -> Any:
    """The lane's greenlet is ended while a turn is in the air and another gathers; then there is another."""
    found = payers(database, 3)
    asked = [[sale(payer, 1, 100)] for payer in found]
    with exchange_of(database) as exchange:
        with closed_gate(database) as gate:
            asking = [gevent.spawn(exchange.post, asked[0])]
            gate.until_waiting()
            asking += [gevent.spawn(exchange.post, postings) for postings in asked[1:]]
            gevent.sleep(0)
            assert isinstance(exchange._posts, Lane)
            assert exchange._posts._pilot is not None
            exchange._posts._pilot.kill()
            gevent.joinall(asking, timeout=LIMIT_S, raise_error=True)
        came = told([greenlet.value for greenlet in asking])
        after = told(at_once(exchange, asked[1:]))
    return {"came": came, "after": after, "left": left(database, found[1:])}


def two_workers(database: Database) -> Any:
    """Two exchanges post for the same payers, one forwards and one backwards, until every sale is posted."""
    found = payers(database, 12)

    def work(exchange: BatchedExchange, order: Sequence[PayerId]) -> int:
        posted = 0
        for _ in range(4):
            missing = list(order)
            while missing:
                sales = [sale(payer, view_of(database, payer).version, 10) for payer in missing]
                came = [answer for [answer] in at_once(exchange, [[one] for one in sales])]
                outcomes = dict(zip(missing, told([came]), strict=True))
                assert set(outcomes.values()) <= {"posted", "version_changed", "busy"}, outcomes
                missing = [payer for payer in missing if outcomes[payer] != "posted"]
            posted += len(order)
        return posted

    with exchange_of(database) as one, exchange_of(database) as other:
        working = [gevent.spawn(work, one, found), gevent.spawn(work, other, found[::-1])]
        gevent.joinall(working, timeout=LIMIT_S, raise_error=True)
    return {
        "posted": sum(greenlet.value for greenlet in working),
        "deadlocks": deadlocks(database),
        "left": left(database, found),
    }


def batches_of_64(database: Database) -> Any:
    """Two workers sell to the same payers, in opposite orders; one's row is bad, and staff hold a payer.

    Staff let go once everybody else has an answer, and not before.
    """
    found = payers(database, 64)
    bad, held = found[17], found[40]
    came: list[dict[PayerId, str]] = [{}, {}]

    def ask(exchange: BatchedExchange, worker: int, payer: PayerId) -> None:
        posting = sale(payer, 1, 100)
        if payer == bad:
            [line] = posting.transfers
            posting = replace(posting, transfers=(replace(line, unit="EUR"),))
        came[worker][payer] = told([exchange.post([posting])])[0]

    with exchange_of(database) as one, exchange_of(database) as other:
        with database.begin() as connection:
            touch_payers(connection, [held])
            asking = {
                (worker, payer): gevent.spawn(ask, exchange, worker, payer)
                for worker, exchange, order in ((0, one, found), (1, other, found[::-1]))
                for payer in order
                if (worker, payer) != (1, bad)
            }
            others = [greenlet for (_, payer), greenlet in asking.items() if payer != held]
            gevent.joinall(others, timeout=LIMIT_S, raise_error=True)
            answered = [len(answers.keys() - {held}) for answers in came]
        gevent.joinall(list(asking.values()), timeout=LIMIT_S, raise_error=True)
    pairs = [sorted(answers[payer] for answers in came) for payer in found if payer not in (bad, held)]
    return {
        "answered while it was held": answered,
        "bad": came[0][bad],
        "held": sorted({answers[held] for answers in came} - {"busy"}),
        "each other": [list(pair) for pair in sorted(set(map(tuple, pairs)))],
        "deadlocks": deadlocks(database),
        "left": left(database, found),
    }


def too_many(database: Database) -> Any:
    """More than may wait."""
    lane.MAX_WAITING = 3
    found = payers(database, 6)
    with exchange_of(database) as exchange:
        with closed_gate(database) as gate:
            asking = [gevent.spawn(_busy_or, exchange, sale(found[0], 1, 100))]
            gate.until_waiting()
            asking += [gevent.spawn(_busy_or, exchange, sale(payer, 1, 100)) for payer in found[1:]]
            gevent.sleep(0)
        gevent.joinall(asking, timeout=LIMIT_S, raise_error=True)
    return {"came": told([greenlet.value for greenlet in asking]), "left": left(database, found)}


def a_node_that_hangs(database: Database) -> Any:
    """Two nodes, played by one server: a call to one of them takes longer than it may."""
    flown: list[str] = []
    order: list[str] = []

    def lane_to(node: str) -> Lane[int, str]:
        def fly(connection: Any, items: Sequence[int]) -> Sequence[str]:
            flown.append(node)
            if node == "hangs:1":
                connection.execute("SELECT pg_sleep(600)")
            return [node] * len(items)

        return guide.lane("asking", node, fly)

    def ask(*items: int) -> None:
        order.append(
            " ".join(one if isinstance(one, str) else type(one).__name__ for one in lanes.ask(items))
        )

    guide = Guide(getattr(module, "_connector")(database), 1.0)  # noqa: B009 - for mypy
    lanes = NodeLanes(lambda items: ["hangs:1" if item % 2 else "lives:2" for item in items], lane_to)
    hanging = gevent.spawn(ask, 1)
    for _ in range(3):
        ask(2)
    hanging.get(timeout=LIMIT_S)
    ask(3, 4)
    lanes.close()
    guide.close()
    with database.posting_engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND query LIKE '%pg_sleep(600)' AND state = 'active'"
            )
        )
    return {"flown": flown, "order": order}


def given_up(database: Database) -> Any:
    """Requests that read a ledger of which a node hangs, played by one server: what each came to."""
    patience_module.GIVEN_UP = 2
    guide = Guide(getattr(module, "_connector")(database), 0.1)  # noqa: B009 - for mypy
    setattr(guide, "look", lambda: guide.hanging)  # noqa: B010 - for mypy; there is no cluster to ask
    patience = Patience(guide)
    tried: list[str] = []

    def ask(kind: str, seconds: float) -> str:
        try:
            with patience.within(kind, 2), database.reading() as connection:
                tried.append(kind)
                connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
        except NodeHangs as error:
            return f"{kind}: {error.code} {' '.join(error.nodes)}"
        return f"{kind}: read"

    slow = ask("slow", 1)
    guide.hanging.add("hangs:1")
    several = [gevent.spawn(ask, kind, 600) for kind in ("page", "list")]
    gevent.joinall(several, timeout=LIMIT_S, raise_error=True)
    came = [slow, *(greenlet.value for greenlet in several), ask("page", 0), ask("other", 0)]
    guide.hanging.clear()
    came.append(ask("page", 0))
    guide.close()
    with database.posting_engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                " AND query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()"
            )
        )
    return {"tried": tried, "came": came}


def a_deadlock(database: Database) -> Any:
    """A turn holds what another session waits for, and then waits for what that one holds."""
    flown: list[int] = []
    holds, kept = Event(), Event()

    def fly(connection: psycopg.Connection[Any], items: Sequence[int]) -> Sequence[int]:
        flown.append(len(items))
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(1)")
            if len(flown) == 1:
                holds.set()
                kept.wait()
                gate.until_waiting()
            connection.execute("SELECT pg_advisory_xact_lock(2)")
        return items

    def other() -> None:
        with superuser.begin() as connection:
            # It never looks: the turn is what the database ends.
            connection.execute(text("SET LOCAL deadlock_timeout = '10min'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(2)"))
            holds.wait()
            kept.set()
            connection.execute(text("SELECT pg_advisory_xact_lock(1)"))

    superuser = connect(database.engine.url.set(username="postgres"))
    gate = Gate(superuser)
    asked = Lane("asking", getattr(module, "_connector")(database), fly)  # noqa: B009 - for mypy
    standing_against = gevent.spawn(other)
    came = asked.ask([7, 8, 9])
    standing_against.get(timeout=LIMIT_S)
    asked.close()
    superuser.dispose()
    return {"flown": flown, "came": came}


def _busy_or(exchange: BatchedExchange, posting: Posting) -> list[Any]:
    try:
        return exchange.post([posting])
    except Busy as error:
        return [error]


def payers(database: Database, count: int) -> list[PayerId]:
    """Payers with money, at version 1."""
    with database.begin() as connection:
        made = [create_payer(connection, "person", CURRENCY, MOMENT) for _ in range(count)]
    post(database, [topup(payer, 0, MONEY) for payer in made])
    return made


@contextmanager
def exchange_of(database: Database) -> Iterator[BatchedExchange]:
    """An exchange, ended afterwards."""
    exchange = BatchedExchange(database)
    yield exchange
    exchange.close()


def at_once(exchange: BatchedExchange, asked: Sequence[Sequence[Posting]]) -> list[Any]:
    """What came of each, all asked for before any is answered."""
    asking = [gevent.spawn(exchange.post, postings) for postings in asked]
    gevent.joinall(asking, timeout=LIMIT_S, raise_error=True)
    return [greenlet.value for greenlet in asking]


def turns() -> list[int]:
    """How many postings each call had, from now on."""
    flown: list[int] = []
    real = posting_postgresql.post

    def counted(connection: Any, postings: Sequence[Posting], *more: Any, **named: Any) -> Any:
        flown.append(len(postings))
        return real(connection, postings, *more, **named)

    posting_postgresql.post = counted
    return flown


@dataclass(frozen=True, slots=True)
class Gate:
    """Closed: whatever posts waits in the database, after it has locked its payers."""

    database: Database

    def until_waiting(self) -> None:
        """Return once a turn is in the air and waits."""
        deadline = time.monotonic() + LIMIT_S
        while not self._waiting("count(*) > 0"):
            assert time.monotonic() < deadline
            gevent.sleep(0.01)

    def end_sessions(self) -> None:
        """End the sessions that wait, as an administrator would."""
        assert self._waiting("bool_and(pg_terminate_backend(pid))")

    def _waiting(self, what: str) -> bool:
        query = text(
            f"SELECT {what} FROM pg_stat_activity"  # noqa: S608 - from above
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with self.database.posting_engine.connect() as connection:
            return bool(connection.execute(query).scalar_one())


@contextmanager
def closed_gate(database: Database) -> Iterator[Gate]:
    """Nothing can be posted until the end."""
    with database.begin() as connection:
        connection.execute(text("LOCK TABLE transaction_details IN SHARE MODE"))
        yield Gate(database)


def told(came: Sequence[Sequence[Any]]) -> list[str]:
    """Outcomes and errors by name."""
    return [
        str(one.outcome) if isinstance(one, PostingResult) else type(one).__name__
        for answers in came
        for one in answers
    ]


def left(database: Database, found: Sequence[PayerId]) -> list[int]:
    """What each payer has left."""
    return [balances_of(database, payer)[PAYER_PREPAID] for payer in found]


SCENARIOS = (
    *(one_payer_twice, one_payer_twice_without_keys, a_bad_row, a_held_payer, killed_in_flight, pilot_killed),
    *(two_workers, batches_of_64, too_many, a_node_that_hangs, given_up, a_deadlock),
)

if __name__ == "__main__":
    [scenario] = (found for found in SCENARIOS if found.__name__ == sys.argv[1])
    opened = connect(sys.argv[2])
    print(json.dumps(scenario(opened)))
    opened.dispose()
