"""Two sessions at once, the first held between its lock and its commit while the second posts.

Each test runs with every check, where it ends right, and with checks taken out, where it is shown to end
wrong: so none of them passes for another reason than the check that it is about.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Event, Thread, current_thread

import pytest
from sqlalchemy import Connection, event, func, select, text

from cardservice.authorisation.exchange import DirectExchange
from cardservice.database import Database
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.closing.rollups import turnover
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.errors import LedgerError
from cardservice.ledger.models import transfer
from cardservice.ledger.payers import touch_payers
from cardservice.ledger.posting import post, post_on
from cardservice.ledger.values import CounterChange, Outcome, Posting, PostingResult
from cardservice.ledger.verify import verify
from tests.cardservice.ledger.conftest import MakePayer, Without
from tests.cardservice.ledger.postings import PAYABLE, sale, view_of
from tests.cardservice.ledger.test_reversals import back, reversal
from tests.cardservice.ledger.test_sequencing import calendar

LIMIT_S = 30.0
REFUSED = "refused"


@pytest.mark.parametrize(
    ("removed", "outcome"),
    [
        ((), Outcome.KNOWN),
        # The other checks still keep the money right, but the terminal gets no answer.
        (("known",), Outcome.VERSION_CHANGED),
        (("known", "version"), REFUSED),
        (("lock",), REFUSED),
        (("version",), Outcome.KNOWN),
        (("version", "one statement"), REFUSED),
    ],
)
def test_the_same_id_twice(opened: Without, payer: PayerId, removed: tuple[str, ...], outcome: str) -> None:
    database = opened(*removed)
    posting = sale(payer, 1, 200)
    second = race(database, lambda connection: _post_on(connection, posting), posting)
    assert _outcome(second) == outcome
    if isinstance(second, PostingResult) and outcome == Outcome.KNOWN:
        assert second.known is not None
        assert second.known.body == posting.transaction.body
    assert _paid(database) == 200


@pytest.mark.parametrize(
    ("removed", "outcome", "paid"),
    [
        ((), Outcome.KNOWN, 200),
        (("version",), Outcome.KNOWN, 200),
        (("known", "version"), Outcome.POSTED, 400),
        (("lock",), Outcome.POSTED, 400),
    ],
)
def test_the_same_id_twice_where_the_payer_has_changed(
    opened: Without,
    make_payer: MakePayer,
    payer: PayerId,
    removed: tuple[str, ...],
    outcome: str,
    paid: int,
) -> None:
    """The first send is posted under the payer of then; the retry was decided under the payer of now."""
    database = opened(*removed)
    now = make_payer(500)
    first = replace(sale(payer, 1, 200), also_under=((now, 1),))
    retry = replace(first, payer_id=now, also_under=((payer, 1),))
    second = race(database, lambda connection: _post_on(connection, first), retry)
    assert _outcome(second) == outcome
    assert _paid(database) == paid
    if isinstance(second, PostingResult) and outcome == Outcome.KNOWN:
        assert second.known is not None
        assert second.known.payer_id == payer


@pytest.mark.parametrize(
    ("removed", "outcome"),
    [
        ((), Outcome.VERSION_CHANGED),
        (("version",), Outcome.BELOW_FLOOR),
        # The last line of defence: a constraint, which answers nobody.
        (("version", "floor"), REFUSED),
        # On PostgreSQL the account is waited for where it is changed, and then has not enough.
        (("lock",), REFUSED),
    ],
)
def test_two_sales_over_the_balance(
    opened: Without, payer: PayerId, removed: tuple[str, ...], outcome: str
) -> None:
    database = opened(*removed)
    if database.dialect == "postgresql" and removed == ("lock",):
        outcome = Outcome.BELOW_FLOOR
    second = race(database, lambda connection: _post_on(connection, sale(payer, 1, 300)), sale(payer, 1, 300))
    assert _outcome(second) == outcome
    assert _paid(database) == 300
    if not removed:
        [again] = post(database, [sale(payer, 2, 300)])
        assert again.outcome is Outcome.BELOW_FLOOR


@pytest.mark.parametrize(
    ("removed", "outcome", "used"),
    [
        ((), Outcome.VERSION_CHANGED, 200),
        (("version",), Outcome.POSTED, 400),
        (("lock",), Outcome.POSTED, 400),
    ],
)
def test_two_sales_of_200_under_a_limit_of_300(
    opened: Without, payer: PayerId, removed: tuple[str, ...], outcome: str, used: int
) -> None:
    """A rule that saw 0 used approved each; only the first may be posted on what it saw."""
    database = opened(*removed)
    holder = CardholderId(new_id())
    counters = (CounterChange(holder, "day", "2026-11-24", 200),)
    one, other = (replace(sale(payer, 1, 200), counters=counters) for _ in range(2))
    second = race(database, lambda connection: _post_on(connection, one), other)
    assert _outcome(second) == outcome
    assert [counter.used for counter in view_of(database, payer).counters] == [used]


@pytest.mark.parametrize(
    ("removed", "outcome", "paid"),
    [((), Outcome.VERSION_CHANGED, 0), (("version",), Outcome.POSTED, 200), (("lock",), Outcome.POSTED, 200)],
)
def test_a_changed_version(
    opened: Without, payer: PayerId, removed: tuple[str, ...], outcome: str, paid: int
) -> None:
    """Between reading and posting the card is revoked, say, by a session that has not committed yet."""
    database = opened(*removed)
    second = race(database, lambda connection: _touch(connection, payer), sale(payer, 1, 200))
    assert _outcome(second) == outcome
    assert _paid(database) == paid


@pytest.mark.parametrize(
    ("removed", "outcome"),
    [
        ((), Outcome.VERSION_CHANGED),
        # The last line of defence: a trigger, which answers nobody.
        (("version",), REFUSED),
        # On PostgreSQL as the account is waited for: the trigger sees all that was stored meanwhile.
        (("lock",), REFUSED),
    ],
)
def test_two_refunds_of_one_line(
    opened: Without, payer: PayerId, removed: tuple[str, ...], outcome: str
) -> None:
    """Each was planned while all of the line was left; together they would give back more than was paid."""
    database = opened(*removed)
    sold = sale(payer, 1, 200)
    post(database, [sold])
    one, other = (reversal(sold, 2, back(sold, 150)) for _ in range(2))
    second = race(database, lambda connection: _post_on(connection, one), other)
    assert _outcome(second) == outcome
    assert view_of(database, payer).prepaid.balance == 500 - 200 + 150


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_batches_of_64_from_two_threads(database: Database, make_payer: MakePayer) -> None:
    """One writes at a time here: all wait for staff, and then each row has its own answer, a bad one, too.

    `test_lanes.py` has the same for PostgreSQL, where nobody waits but for the held.
    """
    payers = [make_payer(500) for _ in range(64)]
    bad, held = payers[17], payers[40]

    def batch(order: list[PayerId]) -> list[object]:
        postings = [sale(payer, 1, 100) for payer in order]
        at = order.index(bad)
        [line] = postings[at].transfers
        postings[at] = replace(postings[at], transfers=(replace(line, unit="EUR"),))
        came = DirectExchange(database).post(postings)
        return [came[order.index(payer)] for payer in payers]

    with ThreadPoolExecutor(2) as pool:
        with database.begin() as connection:
            touch_payers(connection, [held])
            waiting = [pool.submit(batch, order) for order in (payers, payers[::-1])]
        pairs = list(zip(*(future.result(LIMIT_S) for future in waiting), strict=True))
    told = {payer: sorted(map(_outcome, pair)) for payer, pair in zip(payers, pairs, strict=True)}
    assert told.pop(bad) == [REFUSED, REFUSED]
    assert told.pop(held) == [Outcome.VERSION_CHANGED, Outcome.VERSION_CHANGED]
    assert set(map(tuple, told.values())) == {(Outcome.POSTED, Outcome.VERSION_CHANGED)}
    assert [view_of(database, payer).prepaid.balance for payer in (bad, held)] == [500, 500]
    assert _paid(database) == 62 * 100


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("removed", "outcome"), [((), 1), (("lock",), 0)])
def test_numbering_waits_for_what_is_held(
    opened: Without, payer: PayerId, removed: tuple[str, ...], outcome: int
) -> None:
    """What is being posted gets its number in the run that waits for it; beginning late, it passes it by."""
    database = opened(*removed)
    sequence(database, calendar())
    posting = sale(payer, 1, 200)

    first = partial(_post_on, posting=posting)
    assert race(database, first, partial(sequence, database, calendar())) == outcome
    sequence(database, calendar())
    assert verify(database).findings == ()
    with database.reading() as connection:
        assert turnover(connection, PAYABLE)["GBP"].balance_minor == 200


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_a_held_payer_is_answered_busy(database: Database, payer: PayerId) -> None:
    with database.begin() as connection:
        touch_payers(connection, [payer])
        [result] = post(database, [sale(payer, 1, 200)], lock_timeout_s=0.05)
    assert result == PostingResult(Outcome.BUSY)
    [result] = post(database, [sale(payer, 2, 200)])
    assert result.outcome is Outcome.POSTED


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_one_held_payer_holds_nobody_else_of_the_batch(database: Database, make_payer: MakePayer) -> None:
    """The others are posted while it is held: they are done before it is waited for."""
    held, *others = (make_payer(500) for _ in range(4))
    batch = [sale(payer, 1, 200) for payer in (others[0], held, *others[1:])]
    with database.begin() as connection:
        touch_payers(connection, [held])
        results = post(database, batch, lock_timeout_s=0.05)
        assert [result.outcome for result in results] == ["posted", "busy", "posted", "posted"]


def race(
    database: Database, first: Callable[[Connection], None], second: Posting | Callable[[], object]
) -> object:
    """What comes of `second`, posted or called while `first` has done its work and not yet committed."""
    came: list[object] = []

    def post_second() -> None:
        try:
            if isinstance(second, Posting):
                came.extend(post(database, [second], lock_timeout_s=LIMIT_S))
            else:
                came.append(second())
        except LedgerError as error:
            came.append(error)

    thread = Thread(target=post_second)
    with waiting_for(database, thread) as is_waiting, database.begin() as connection:
        # A variant that begins late must hold the lock here all the same.
        first(connection)
        thread.start()
        deadline = time.monotonic() + LIMIT_S
        while not is_waiting() and thread.is_alive():
            assert time.monotonic() < deadline
            time.sleep(0.005)
    thread.join(LIMIT_S)
    [result] = came
    return result


@contextmanager
def waiting_for(database: Database, thread: Thread) -> Iterator[Callable[[], bool]]:
    """Tells whether the thread waits for a lock."""
    if database.dialect == "sqlite":
        reached = Event()

        def notice(_: object, __: object, statement: str, *___: object) -> None:
            # A variant that begins late waits where it first writes.
            if statement.startswith(("BEGIN IMMEDIATE", "INSERT", "UPDATE")) and current_thread() is thread:
                reached.set()

        event.listen(database.engine, "before_cursor_execute", notice)
        yield reached.is_set
        event.remove(database.engine, "before_cursor_execute", notice)
        return
    query = text(
        "SELECT count(*) > 0 FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def blocked() -> bool:
        with database.posting_engine.connect() as connection:
            return bool(connection.execute(query).scalar_one())

    yield blocked


def _post_on(connection: Connection, posting: Posting) -> None:
    [result] = post_on(connection, [posting])
    assert result.outcome is Outcome.POSTED


def _touch(connection: Connection, payer: PayerId) -> None:
    if connection.dialect.name == "sqlite" and not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr] # sqlite3's
        connection.execute(text("BEGIN IMMEDIATE"))
    touch_payers(connection, [payer])


def _outcome(result: object) -> str:
    return result.outcome if isinstance(result, PostingResult) else REFUSED


def _paid(database: Database) -> int:
    """What the provider has been credited, over all payers."""
    with database.reading() as connection:
        total = select(func.coalesce(func.sum(transfer.c.amount_minor), 0)).where(
            transfer.c.credit == PAYABLE
        )
        return int(connection.execute(total).scalar_one())
