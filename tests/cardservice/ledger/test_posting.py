"""Posting, one session at a time: what is stored, what is answered, what is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Text, cast, func, select
from sqlalchemy.exc import StatementError

from cardservice.database import Database, NaiveTime
from cardservice.ids import CardholderId, PayerId, ProviderId, new_id
from cardservice.ledger.errors import PostingInvalid, PostingRefused
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.payers import touch_payers
from cardservice.ledger.posting import locked, post, post_on
from cardservice.ledger.reading import read, read_on
from cardservice.ledger.values import (
    PAYER_ARREARS,
    PAYER_PREPAID,
    CounterChange,
    CounterView,
    Outcome,
    Posting,
    ReadQuery,
    provider_payable,
)
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import (
    CASH,
    PAYABLE,
    advice,
    balances_of,
    known_of,
    new_transaction_id,
    sale,
    transfer,
    view_of,
)


def test_a_sale_is_stored_whole_and_answered_with_the_balances(database: Database, payer: PayerId) -> None:
    posting = sale(payer, 1, 200)
    posting = replace(
        posting,
        transfers=(
            transfer(
                PAYER_PREPAID, PAYABLE, 120, tax_code="S", tax_rate_bp=2000, net_minor=100, tax_minor=20
            ),
            transfer(PAYER_PREPAID, PAYABLE, 80, supplier="buses"),
        ),
    )
    [result] = post(database, [posting])
    assert result.outcome is Outcome.POSTED
    assert result.version == 2
    assert balances_of(database, payer) == {"payer:prepaid": 300, "payer:arrears": 0}

    [answer] = read(database, [ReadQuery((payer,), (posting.transaction.id,))])
    known = answer.known[posting.transaction.id]
    new = posting.transaction
    for field in ("origin", "kind", "body", "terminal_id", "sequence", "service", "decision", "occurred_at"):
        assert getattr(known, field) == getattr(new, field)
    assert known.answer == {"decision": "approved"}
    assert known.stands
    assert [(line.line, line.amount_minor, line.tax_minor, line.supplier) for line in known.transfers] == [
        (1, 120, 20, None),
        (2, 80, None, "buses"),
    ]


def test_what_moves_no_money_is_a_transaction_too(database: Database, payer: PayerId) -> None:
    free = sale(payer, 1, 0)
    declined = sale(payer, 2, 0, decision="declined", reason="insufficient_funds")
    for posting in (free, declined):
        [result] = post(database, [posting])
        assert result.outcome is Outcome.POSTED
    view = view_of(database, payer)
    assert (view.prepaid.balance, view.version) == (500, 3)


def test_a_known_id_is_answered_whatever_has_changed_since(database: Database, payer: PayerId) -> None:
    first = sale(payer, 1, 200)
    post(database, [first])
    for other in (
        first,
        replace(first, expected_version=2),
        sale(payer, 2, 9, id=first.transaction.id, body=b"x"),
    ):
        [result] = post(database, [other])
        assert result.outcome is Outcome.KNOWN
        assert result.known is not None
        assert result.known.body == first.transaction.body
        assert result.known.answer == {"decision": "approved"}
    assert view_of(database, payer).prepaid.balance == 300


def test_a_decision_on_an_older_state_is_not_posted(database: Database, payer: PayerId) -> None:
    with database.begin() as connection:
        touch_payers(connection, [payer])
    before = _count(database)
    [result] = post(database, [sale(payer, 1, 200)])
    assert result == replace(result, outcome=Outcome.VERSION_CHANGED, known=None)
    assert _count(database) == before


@pytest.mark.parametrize(
    ("amount_minor", "outcome"),
    [(499, Outcome.POSTED), (500, Outcome.POSTED), (501, Outcome.BELOW_FLOOR)],
)
def test_the_floor_holds(database: Database, payer: PayerId, amount_minor: int, outcome: Outcome) -> None:
    [result] = post(database, [sale(payer, 1, amount_minor)])
    assert result.outcome is outcome
    assert view_of(database, payer).prepaid.balance == (500 - amount_minor if outcome == "posted" else 500)


def test_arrears_take_what_an_advice_needs_beyond_the_floor(database: Database, payer: PayerId) -> None:
    post(database, [advice(payer, 1, 500, 75)])
    assert balances_of(database, payer) == {"payer:prepaid": 0, "payer:arrears": -75}


def test_each_row_of_a_batch_gets_its_own_outcome(database: Database, make_payer: MakePayer) -> None:
    payers = [make_payer(100) for _ in range(4)]
    known = sale(payers[1], 1, 30)
    post(database, [known])
    batch = [
        sale(payers[0], 1, 30),
        known,
        sale(payers[2], 7, 30),
        sale(payers[3], 1, 101),
    ]
    assert [result.outcome for result in post(database, batch)] == [
        Outcome.POSTED,
        Outcome.KNOWN,
        Outcome.VERSION_CHANGED,
        Outcome.BELOW_FLOOR,
    ]
    assert [view_of(database, payer).prepaid.balance for payer in payers] == [70, 70, 100, 100]


def test_what_one_account_lacks_no_other_of_the_row_is_changed_by(
    database: Database, make_payer: MakePayer
) -> None:
    short, other = make_payer(100), make_payer(100)
    results = post(database, [advice(short, 1, 101, 75), advice(other, 1, 100, 75)])
    assert [result.outcome for result in results] == [Outcome.BELOW_FLOOR, Outcome.POSTED]
    assert balances_of(database, short) == {PAYER_PREPAID: 100, PAYER_ARREARS: 0}
    assert balances_of(database, other) == {PAYER_PREPAID: 0, PAYER_ARREARS: -75}
    assert view_of(database, short).version == 1


def test_several_lines_of_one_account_are_taken_together(database: Database, payer: PayerId) -> None:
    lines = [
        transfer(PAYER_PREPAID, PAYABLE, 400),
        transfer(CASH, PAYER_PREPAID, 100),
        transfer(PAYER_PREPAID, provider_payable(ProviderId("trams")), 200),
    ]
    [over, within] = [(*lines, transfer(PAYER_PREPAID, PAYABLE, 1)), lines]
    for transfers, outcome in ((over, Outcome.BELOW_FLOOR), (within, Outcome.POSTED)):
        [result] = post(database, [replace(sale(payer, 1, 700), transfers=tuple(transfers))])
        assert result.outcome is outcome
    assert balances_of(database, payer) == {PAYER_PREPAID: 0, PAYER_ARREARS: 0}


def test_counters_are_made_added_to_and_taken_back(database: Database, payer: PayerId) -> None:
    holder = CardholderId(new_id())
    for version, changes in ((1, (3, 4)), (2, (5,)), (3, (-2,))):
        posting = sale(payer, version, 1)
        counters = tuple(CounterChange(holder, "day", "2026-11-24", change) for change in changes)
        [result] = post(database, [replace(posting, counters=counters)])
        assert result.outcome is Outcome.POSTED
    assert view_of(database, payer).counters == (CounterView(holder, "day", "2026-11-24", 10),)
    with pytest.raises(PostingRefused):
        post(
            database,
            [replace(sale(payer, 4, 1), counters=(CounterChange(holder, "day", "2026-11-24", -11),))],
        )


def _with(posting: Posting, **changes: Any) -> Posting:
    return replace(posting, transaction=replace(posting.transaction, **changes))


def _line(posting: Posting, **changes: Any) -> Posting:
    return replace(posting, transfers=(replace(posting.transfers[0], **changes),))


REFUSED: dict[str, Callable[[Posting], Posting]] = {
    "a card's transaction without its proof": lambda good: replace(good, proof=None),
    "a proof that no card made": lambda good: _with(good, origin="staff"),
    "an amount of 0": lambda good: _line(good, amount_minor=0),
    "a negative amount": lambda good: _line(good, amount_minor=-5),
    "another unit than the account's": lambda good: _line(good, unit="EUR"),
    "an account that the payer has not": lambda good: _line(good, debit="payer:points"),
    "from an account to itself": lambda good: _line(good, credit=PAYER_PREPAID),
    "net and tax that do not add up": lambda good: _line(good, net_minor=100, tax_minor=99),
    "more than is owed into arrears": lambda good: _line(good, debit=CASH, credit=PAYER_ARREARS),
    "a duplicate of nothing": lambda good: _with(good, decision="duplicate"),
    "an annul of nothing": lambda good: _with(good, kind="annul"),
    "an unknown decision": lambda good: _with(good, decision="perhaps"),
    "a payer that does not exist": lambda good: replace(good, payer_id=PayerId(new_id())),
    "a reversal of nothing": lambda good: _line(
        good, reverses_transaction=new_transaction_id(), reverses_line=1
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_the_database_refuses(database: Database, payer: PayerId, case: str) -> None:
    before = _count(database)
    with pytest.raises(PostingRefused):
        post(database, [REFUSED[case](sale(payer, 1, 200))])
    assert _count(database) == before
    assert view_of(database, payer).version == 1


def test_one_that_is_refused_takes_the_batch_with_it(database: Database, make_payer: MakePayer) -> None:
    good, bad = sale(make_payer(100), 1, 30), replace(sale(make_payer(100), 1, 30), proof=None)
    with pytest.raises(PostingRefused):
        post(database, [good, bad])
    assert view_of(database, good.payer_id).prepaid.balance == 100


def test_a_payer_or_an_id_twice_is_refused(database: Database, make_payer: MakePayer) -> None:
    one, other = (sale(make_payer(100), 1, 10) for _ in range(2))
    third = make_payer(0)
    same, before = one.transaction.id, _count(database)
    batches = [
        [one, replace(other, payer_id=one.payer_id)],
        [one, replace(other, also_under=((one.payer_id, 1),))],
        [one, _with(other, id=same)],
        [one, replace(other, tombstone=same)],
        [replace(one, tombstone=same)],
        [replace(one, also_under=((third, 0),)), replace(other, also_under=((third, 0),))],
    ]
    for batch in batches:
        with pytest.raises(PostingInvalid):
            post(database, batch)
    assert _count(database) == before


def test_a_decision_under_the_lock_cannot_be_overtaken(database: Database, payer: PayerId) -> None:
    with locked(database, [payer]) as connection:
        version = read_on(connection, [ReadQuery((payer,))])[0].views[payer].version
        [result] = post_on(connection, [sale(payer, version, 200)])
    assert result.outcome is Outcome.POSTED
    assert view_of(database, payer).prepaid.balance == 300


def test_a_naive_time_is_refused(database: Database, payer: PayerId) -> None:
    naive = datetime(2026, 11, 24, 8, 30)  # noqa: DTZ001 - what must be refused
    with pytest.raises((NaiveTime, StatementError), match="has no time zone"):
        post(database, [sale(payer, 1, 200, occurred_at=naive)])
    assert view_of(database, payer).version == 1


def test_times_are_kept_in_utc_to_the_millisecond(database: Database, payer: PayerId) -> None:
    there = timezone(timedelta(hours=2))
    posting = sale(payer, 1, 200, occurred_at=datetime(2026, 11, 24, 10, 30, 0, 999_999, there))
    post(database, [posting])
    known = known_of(database, posting.transaction.id, payer)
    assert known is not None
    assert known.occurred_at.isoformat(timespec="microseconds") == "2026-11-24T08:30:00.999000+00:00"


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True)
def test_each_posting_carries_its_transaction_number(database: Database, payer: PayerId) -> None:
    post(database, [sale(payer, 1, 10)])
    post(database, [sale(payer, 2, 10)])
    with database.reading() as connection:
        rows = connection.execute(
            select(func.count(func.distinct(cast(ledger_transaction.c.posted_xid, Text))))
        )
        assert rows.scalar_one() == 3


def _count(database: Database) -> int:
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(ledger_transaction)).scalar_one()
