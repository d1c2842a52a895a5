"""The ledger sequence and the roll-ups: each transaction once, in the order of commits, on the right day."""

from datetime import UTC, date, datetime, timedelta
from threading import Event, Thread, current_thread
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.exc import IntegrityError

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing import sequencing
from cardservice.ledger.closing.models import account_rollup, ledger_sequence
from cardservice.ledger.closing.rollups import turnover
from cardservice.ledger.closing.sequencing import Calendar, begin_epoch, lock_position, sequence
from cardservice.ledger.errors import SequenceHeld
from cardservice.ledger.posting import post, post_on
from cardservice.ledger.values import Outcome
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import MOMENT, PAYABLE, sale

TODAY = date(2026, 11, 24)
LIMIT_S = 30.0


def calendar(moment: datetime = MOMENT) -> Calendar:
    """Ashcombe's, as of this moment."""
    return Calendar(ZoneInfo("Europe/London"), moment)


def entries(database: Database) -> list[tuple[int, int, TransactionId, date, bool]]:
    """Epoch, number, transaction, day, and whether it is late; in order."""
    entry = ledger_sequence.c
    query = select(entry.epoch, entry.sequence, entry.transaction_id, entry.settled_on, entry.late)
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(entry.epoch, entry.sequence))]


def owed(database: Database) -> int:
    """What the provider has to get, by roll-up and what is not in it yet."""
    with database.reading() as connection:
        return turnover(connection, PAYABLE)["GBP"].balance_minor


def rolled_up(database: Database) -> int:
    """The roll-up alone."""
    total = select(func.coalesce(func.sum(account_rollup.c.credit_minor), 0)).where(
        account_rollup.c.account == PAYABLE
    )
    with database.reading() as connection:
        return int(connection.execute(total).scalar_one())


def test_every_transaction_has_its_number_once(database: Database, make_payer: MakePayer) -> None:
    payers = [make_payer(1000) for _ in range(3)]
    for version in (1, 2):
        post(database, [sale(payer, version, 100) for payer in payers])
    assert (owed(database), rolled_up(database)) == (600, 0)

    # In steps smaller than what is waiting, and than what one database transaction posted.
    assert sequence(database, calendar(), at_once=2) == 9

    assert [number for _, number, *_ in entries(database)] == list(range(1, 10))
    assert {day for *_, day, _ in entries(database)} == {TODAY}
    assert (owed(database), rolled_up(database)) == (600, 600)
    assert sequence(database, calendar()) == 0
    post(database, [sale(payers[0], 3, 50)])
    assert (owed(database), rolled_up(database)) == (650, 600)
    assert sequence(database, calendar()) == 1
    assert (owed(database), rolled_up(database)) == (650, 650)


def test_more_rows_of_one_commit_than_a_step_numbers_are_numbered(
    database: Database, make_payer: MakePayer
) -> None:
    """Also where other database transactions lie between them and what was numbered last."""
    payers = [make_payer(1000) for _ in range(3)]
    assert sequence(database, calendar()) == 3
    make_payer(0)  # which posts nothing
    post(database, [sale(payer, 1, 100) for payer in payers])
    post(database, [sale(payers[0], 2, 100)])
    assert sequence(database, calendar(), at_once=2) == 4
    assert [entry[:2] for entry in entries(database)] == [(0, number) for number in range(1, 8)]


def test_an_entry_settles_on_the_day_it_was_posted_in_the_schemes_time_zone(
    database: Database, payer: PayerId
) -> None:
    """23:30 UTC in June is half past midnight in London."""
    evening = datetime(2026, 12, 1, 23, 30, tzinfo=UTC)
    summer = datetime(2027, 6, 1, 23, 30, tzinfo=UTC)
    for version, moment in ((1, evening), (2, summer)):
        post(database, [sale(payer, version, 10, occurred_at=moment, posted_at=moment)])
    sequence(database, calendar(summer))
    assert [(day, late) for *_, day, late in entries(database)] == [
        (TODAY, False),
        (date(2026, 12, 1), False),
        (date(2027, 6, 2), False),
    ]


def test_what_occurred_days_ago_settles_when_it_is_posted_and_is_marked(
    database: Database, payer: PayerId
) -> None:
    late = sale(payer, 1, 10, occurred_at=MOMENT - timedelta(days=3))
    post(database, [late])
    sequence(database, calendar())
    assert entries(database)[-1][2:] == (late.transaction.id, TODAY, True)


def test_no_day_is_opened_again_and_none_begins_early(database: Database, payer: PayerId) -> None:
    tomorrow, in_a_year = MOMENT + timedelta(days=1), MOMENT + timedelta(days=365)
    # A clock that is a year ahead closes nothing: it is the worker's that counts.
    post(database, [sale(payer, 1, 10, posted_at=in_a_year)])
    sequence(database, calendar())
    post(database, [sale(payer, 2, 10, posted_at=tomorrow)])
    sequence(database, calendar(tomorrow))
    post(database, [sale(payer, 3, 10)])
    sequence(database, calendar(tomorrow))
    days = [day for *_, day, _ in entries(database)]
    assert days == [TODAY, TODAY, tomorrow.date(), tomorrow.date()]
    assert [late for *_, late in entries(database)] == [False, False, True, True]


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("checked", [True, False])
def test_what_is_held_open_is_neither_skipped_nor_counted_twice(
    database: Database, make_payer: MakePayer, monkeypatch: pytest.MonkeyPatch, *, checked: bool
) -> None:
    """It has its number of the database, and has not committed: what commits before it waits for it."""
    if not checked:
        monkeypatch.setattr(sequencing, "horizon", _of_what_is_seen)
    held, other = make_payer(500), make_payer(500)
    sequence(database, calendar())
    with database.begin() as connection:
        [result] = post_on(connection, [sale(held, 1, 200)])
        assert result.outcome is Outcome.POSTED
        post(database, [sale(other, 1, 100)])
        sequence(database, calendar())
        assert owed(database) == 100
        assert rolled_up(database) == (0 if checked else 100)
    sequence(database, calendar())
    sequence(database, calendar())
    assert len(entries(database)) == (4 if checked else 3)
    assert (owed(database), rolled_up(database)) == ((300, 300) if checked else (100, 100))


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_on_sqlite_the_worker_waits_for_the_writer_before_it(database: Database, payer: PayerId) -> None:
    """It looks when it is the only writer: so that nothing can come below what it has seen."""
    worker, begun = Thread(target=lambda: sequence(database, calendar())), Event()

    def notice(_: object, __: object, statement: str, *___: object) -> None:
        if statement == "BEGIN IMMEDIATE" and current_thread() is worker:
            begun.set()

    event.listen(database.engine, "before_cursor_execute", notice)
    with database.begin() as connection:
        [result] = post_on(connection, [sale(payer, 1, 200)])
        assert result.outcome is Outcome.POSTED
        worker.start()
        assert begun.wait(LIMIT_S)
    worker.join(LIMIT_S)
    event.remove(database.engine, "before_cursor_execute", notice)
    assert (owed(database), rolled_up(database)) == (200, 200)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("payer")
def test_one_worker_at_a_time(database: Database) -> None:
    with database.begin() as connection:
        lock_position(connection)
        with pytest.raises(SequenceHeld):
            sequence(database, calendar())
    assert sequence(database, calendar()) == 1


def test_a_new_epoch_numbers_from_one_what_has_no_number(database: Database, payer: PayerId) -> None:
    """As after a restore: rows may bear numbers of another server, far above this one's."""
    sequence(database, calendar())
    post(database, [sale(payer, 1, 100)])
    with database.begin() as connection:
        assert begin_epoch(connection, calendar(), reason="restored", actor="test") == 1
    post(database, [sale(payer, 2, 50)])
    sequence(database, calendar())
    assert [entry[:2] for entry in entries(database)] == [(0, 1), (1, 1), (1, 2)]
    assert (owed(database), rolled_up(database)) == (150, 150)


@pytest.mark.usefixtures("payer")
def test_a_number_is_never_changed(owner_database: Database, database: Database) -> None:
    sequence(database, calendar())
    for change in ("UPDATE ledger_sequence SET late = late", "DELETE FROM ledger_sequence"):
        with pytest.raises(IntegrityError, match="never changed"), owner_database.begin() as connection:
            connection.execute(text(change))


def _of_what_is_seen(connection: Connection) -> int:
    """As a cursor would have it that goes by what is there: everything up to the newest."""
    return int(connection.execute(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")).scalar_one())
