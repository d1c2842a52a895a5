"""What a page of an account statement asks the database, and that what others do is not read for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from cardservice.database import Database
from cardservice.ids import PayerId
from cardservice.ledger.closing.sequencing import sequence
from cardservice.ledger.statements import Money, Period, StatementPage, statement_page
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import MOMENT, sale
from tests.cardservice.ledger.test_sequencing import calendar
from tests.cardservice.ledger.test_statements import ALL_DAYS, TODAY, posted

# Of somebody who pays all day
_OTHERS = 2_000
_SOLD = text("""
    INSERT INTO ledger_transaction (payer_id, id, origin, kind, decision, reason, amount_minor, unit, offline,
        flags, body, occurred_at, posted_at)
    SELECT :payer, gen_random_uuid(), 'staff', 'request', 'approved', 'approved', 0, 'GBP', false, '[]',
        '\\x00', :moment, :moment
    FROM generate_series(1, :count)
""")


@contextmanager
def asked(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent to the database within the block."""
    found: list[tuple[str, Any]] = []

    def notice(*said: Any) -> None:
        found.append((said[2], said[3]))

    event.listen(database.engine, "before_cursor_execute", notice)
    try:
        yield found
    finally:
        event.remove(database.engine, "before_cursor_execute", notice)


def page_of(database: Database, payer: PayerId, period: Period) -> StatementPage:
    """The first page."""
    with database.reading() as connection:
        return statement_page(connection, payer, period)


def test_a_page_is_two_queries_and_what_waits_one_more(database: Database, payer: PayerId) -> None:
    posted(database, sale(payer, 1, 20))
    sequence(database, calendar())
    page_of(database, payer, ALL_DAYS)

    with asked(database) as numbered:
        page = page_of(database, payer, Period(TODAY, TODAY))
    assert (len(page.lines), len(_selects(numbered))) == (2, 2)

    posted(database, sale(payer, 2, 30))
    with asked(database) as waiting:
        page = page_of(database, payer, Period(TODAY, TODAY))
    assert ([line.moved for line in page.unsettled], len(_selects(waiting))) == ([Money(-30)], 3)


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_what_others_do_all_day_is_not_gone_through(
    database: Database, owner_database: Database, make_payer: MakePayer
) -> None:
    """Numbered today or waiting for their numbers, by a planner who knows the days before alone."""
    payer, other = make_payer(500), make_payer(500)

    def sold_to_others(moment: datetime) -> None:
        with owner_database.begin() as connection:
            connection.execute(_SOLD, {"payer": other, "moment": moment, "count": _OTHERS})

    yesterday = MOMENT - timedelta(days=1)
    sold_to_others(yesterday)
    sequence(database, calendar(yesterday))
    with owner_database.begin() as connection:
        connection.execute(text("ANALYZE"))
    posted(database, sale(payer, 1, 20))
    sold_to_others(MOMENT)
    sequence(database, calendar())
    sold_to_others(MOMENT)
    posted(database, sale(payer, 2, 30))

    with asked(database) as seen:
        page = page_of(database, payer, Period(TODAY, TODAY))

    assert (len(page.lines), len(page.unsettled)) == (1, 1)
    with database.reading() as connection:
        passed_over = [_passed_over(connection, *each) for each in _selects(seen)]
    assert max(passed_over) < _OTHERS / 10


def _selects(seen: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [each for each in seen if each[0].startswith("SELECT")]


def _passed_over(connection: Connection, statement: str, values: Any) -> float:
    """How many rows are read for a statement and thrown away again."""
    analysed = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
    [[plan]] = connection.exec_driver_sql(analysed, values).scalars()
    return _removed(plan["Plan"])


def _removed(node: dict[str, Any]) -> float:
    own = sum(node.get(f"Rows Removed by {by}", 0) for by in ("Filter", "Join Filter", "Index Recheck"))
    removed: float = own * node["Actual Loops"]
    return removed + sum(map(_removed, node.get("Plans", ())))
