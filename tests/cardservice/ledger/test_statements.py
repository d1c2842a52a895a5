"""Account statements: they add up, say what is known and no more, and are read by pages while money moves."""

from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest

from cardservice.database import Database
from cardservice.ids import PayerId, TransactionId, new_id
from cardservice.ledger.closing.sequencing import begin_epoch, sequence
from cardservice.ledger.errors import StatementInvalid
from cardservice.ledger.posting import post
from cardservice.ledger.privacy import erase_details
from cardservice.ledger.statements import (
    Cursor,
    Money,
    Period,
    StatementPage,
    statement_page,
    statement_pages,
)
from cardservice.ledger.values import (
    PAYER_PREPAID,
    AccountName,
    NewDetails,
    NewTransfer,
    Outcome,
    Posting,
)
from tests.cardservice.ledger.conftest import MakePayer
from tests.cardservice.ledger.postings import (
    MOMENT,
    PAYABLE,
    advice,
    balances_of,
    sale,
    topup,
    transaction,
    transfer,
    view_of,
)
from tests.cardservice.ledger.test_sequencing import calendar

TODAY = date(2026, 11, 24)
ALL_DAYS = Period(date(2026, 1, 1), date(2027, 12, 31))
PROGRAMME = AccountName("scheme:programme:free_meals")


def posted(database: Database, posting: Posting) -> TransactionId:
    """Its id, once it is posted."""
    [result] = post(database, [posting])
    assert result.outcome is Outcome.POSTED
    return posting.transaction.id


def page(
    database: Database,
    payer: PayerId,
    period: Period = ALL_DAYS,
    after: Cursor | None = None,
    size: int = 200,
) -> StatementPage:
    """One page, as of now."""
    with database.reading() as connection:
        return statement_page(connection, payer, period, after, size)


def balance(database: Database, payer: PayerId) -> Money:
    """What the payer's accounts hold."""
    found = balances_of(database, payer)
    return Money(found[PAYER_PREPAID], found[AccountName("payer:arrears")])


def test_a_statement_adds_up_to_the_accounts_and_says_what_happened(
    database: Database, make_payer: MakePayer, payer: PayerId
) -> None:
    first = sale(payer, 1, 200, occurred_at=MOMENT - timedelta(days=3))
    posted(database, first)
    owed = posted(database, advice(payer, 2, 300, 50))
    back = transfer(PAYABLE, PAYER_PREPAID, 80, reverses_transaction=first.transaction.id, reverses_line=1)
    refund = posted(
        database, Posting(payer, 3, transaction(origin="staff", kind="refund", terminal_id=None), (back,))
    )
    posted(database, sale(make_payer(900), 1, 70))
    sequence(database, calendar())
    waiting = posted(database, topup(payer, 4, 40))

    found = page(database, payer)

    assert (found.opening, found.unit, found.next) == (Money(), "GBP", None)
    assert [line.kind for line in found.lines] == ["topup", "request", "advice", "refund"]
    assert [line.moved for line in found.lines] == [Money(500), Money(-200), Money(-300, -50), Money(80)]
    assert [line.balance for line in found.lines] == [Money(500), Money(300), Money(0, -50), Money(80, -50)]
    assert [line.late for line in found.lines] == [False, True, False, False]
    assert [line.transaction for line in found.lines[1:]] == [first.transaction.id, owed, refund]
    [undone] = found.lines[-1].reverses
    assert (undone.transaction, undone.action) == (first.transaction.id, "single-fare")
    assert found.closing == Money(80, -50)
    [line] = found.unsettled
    assert (line.transaction, line.moved, line.place, line.balance) == (waiting, Money(40), None, None)
    assert found.closing + line.moved == balance(database, payer)


def test_days_divide_a_statement(database: Database, payer: PayerId) -> None:
    """By the day of settlement, both ends included; a new epoch comes after the one before."""
    sequence(database, calendar())
    tomorrow = MOMENT + timedelta(days=1)
    posted(database, sale(payer, 1, 10, posted_at=tomorrow))
    sequence(database, calendar(tomorrow))
    posted(database, sale(payer, 2, 20, posted_at=tomorrow))
    with database.begin() as connection:
        begin_epoch(connection, calendar(tomorrow), reason="restored", actor="test")

    one, two = (page(database, payer, Period(day, day)) for day in (TODAY, tomorrow.date()))

    assert (one.opening, one.closing) == (Money(), Money(500))
    assert (two.opening, two.closing) == (Money(500), Money(470))
    assert [line.moved.total_minor for line in two.lines] == [-10, -20]
    empty = page(database, payer, Period(date(2027, 1, 1), date(2027, 1, 2)))
    assert (empty.lines, empty.opening, empty.closing) == ((), Money(470), Money(470))


def test_an_opening_is_the_same_from_the_beginning_and_back_from_the_account(
    database: Database, make_payer: MakePayer
) -> None:
    """For a day near the beginning it is added up, for one near the end taken off what there is."""
    payer, other = make_payer(100), make_payer(1_000)
    days = [MOMENT + timedelta(days=number) for number in range(8)]
    sequence(database, calendar())
    for version, day in enumerate(days, start=1):
        posted(database, advice(payer, version, *((30, 0) if version <= 3 else (0, 20)), posted_at=day))
        posted(database, sale(other, version, 1, posted_at=day))
        sequence(database, calendar(day))
    # In no page, and in the account.
    posted(database, advice(payer, len(days) + 1, 10, 5, posted_at=days[-1]))

    openings = [page(database, payer, Period(day.date(), day.date())).opening for day in days]

    prepaid, owed = [100, 70, 40, 10, 10, 10, 10, 10], [0, 0, 0, 0, -20, -40, -60, -80]
    assert openings == [Money(0), *(Money(*held) for held in zip(prepaid[1:], owed[1:], strict=True))]
    later = page(database, payer, Period(date(2027, 1, 1), date(2027, 1, 2)))
    assert (later.opening, later.closing) == (Money(10, -100), Money(10, -100))
    assert later.closing + later.unsettled[0].moved == balance(database, payer)


def test_what_a_programme_pays_is_nowhere(database: Database, payer: PayerId) -> None:
    """Of a sale that is paid for in part the payer's part is told; of one that is free, nothing."""
    funded = (NewTransfer(PROGRAMME, PAYABLE, 250, "GBP"),)
    part = sale(payer, 1, 30)
    posted(
        database, Posting(payer, 1, transaction(origin="staff", amount_minor=280), (*part.transfers, *funded))
    )
    posted(database, Posting(payer, 2, transaction(origin="staff", amount_minor=250), funded))
    posted(database, sale(payer, 3, 0))
    sequence(database, calendar())

    found = page(database, payer)

    assert [line.moved for line in found.lines] == [Money(500), Money(-30)]
    assert "programme" not in repr(found)
    assert "250" not in repr(found)


def test_what_was_erased_is_told_as_far_as_the_row_goes(database: Database, payer: PayerId) -> None:
    answer = {"given": {"receipt": [{"label": "Adult single", "amount_minor": 10}]}}
    sold = sale(payer, 1, 10)
    details = NewDetails("travel", {"from": "A"}, b"salt", answer)
    posted(database, Posting(payer, 1, sold.transaction, sold.transfers, proof=sold.proof, details=details))
    sequence(database, calendar())
    assert page(database, payer).lines[-1].items == ("Adult single",)
    with database.begin() as connection:
        erase_details(connection, payer, [sold.transaction.id])

    line = page(database, payer).lines[-1]

    assert (line.items, line.service, line.action, line.moved) == ((), "transport", "single-fare", Money(-10))


@pytest.mark.parametrize("seed", range(2))
def test_pages_join_while_money_moves(database: Database, make_payer: MakePayer, seed: int) -> None:
    """Whatever is posted and numbered between two pages, in whatever order: each entry once, in its place."""
    random, payer = Random(seed), make_payer(10_000)  # noqa: S311 - no secret
    other, clock = make_payer(10_000), MOMENT
    days = (calendar().day_of(MOMENT - timedelta(days=1)), calendar().day_of(MOMENT + timedelta(days=9)))
    period = Period(*days)

    def move() -> None:
        nonlocal clock
        for _ in range(random.randrange(4)):
            whose = random.choice((payer, payer, other))
            version = view_of(database, whose).version
            said = {"occurred_at": clock - timedelta(days=random.randrange(3)), "posted_at": clock}
            posted(database, sale(whose, version, random.randrange(1, 50), **said))
        if random.random() < 0.3:
            clock += timedelta(days=1)
        if random.random() < 0.6:
            sequence(database, calendar(clock), at_once=random.choice((1, 10_000)))

    for _ in range(6):
        move()
    sequence(database, calendar(clock))
    pages = [page(database, payer, period, size=2)]
    while pages[-1].next is not None:
        if len(pages) < 8:
            move()
        pages.append(page(database, payer, period, pages[-1].next, random.randrange(1, 4)))

    for before, after in pairwise(pages):
        assert before.closing == after.opening
    for each in pages:
        assert each.opening + sum((line.moved for line in each.lines), Money()) == each.closing
    read = [line for each in pages for line in each.lines]
    assert read == list(page(database, payer, period, size=5_000).lines)
    assert len(read) == len({line.transaction for line in read}) > 5
    waiting = pages[-1].unsettled
    assert not {line.transaction for line in waiting} & {line.transaction for line in read}
    assert pages[-1].closing + sum((line.moved for line in waiting), Money()) == balance(database, payer)
    with database.reading() as connection:
        again = list(statement_pages(connection, payer, period, size=3))
    assert [line for each in again for line in each.lines] == read


def test_a_statement_of_nothing_is_refused(database: Database, payer: PayerId) -> None:
    with pytest.raises(StatementInvalid, match="before"):
        Period(date(2026, 2, 1), date(2026, 1, 1))
    with pytest.raises(StatementInvalid, match="no payer"):
        page(database, PayerId(new_id()))
    with pytest.raises(StatementInvalid, match="lines"):
        page(database, payer, size=0)
    place = Cursor(TODAY, 0, 17)
    assert Cursor.parse(str(place)) == place
    for wrong in (
        "",
        "2026-11-24",
        "2026-11-24.0.x",
        "2026-13-01.0.1",
        f"2026-11-24.0.{2**63}",
        "2026-11-24.-1.1",
    ):
        with pytest.raises(StatementInvalid, match="no cursor"):
            Cursor.parse(wrong)
