"""Lending as a desk sees it, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier

import pytest
from sqlalchemy import Table, select
from sqlalchemy.exc import IntegrityError

from cardservice.audit.models import audit
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.circulation import models
from cardservice.circulation.errors import LendingRefused, StockRefused
from cardservice.circulation.holds import expire_all
from cardservice.circulation.members import check_pin, find_member, history_of, set_history
from cardservice.circulation.pins import LOCKED_FOR, MAX_WRONG
from cardservice.circulation.stock import import_stock, withdraw
from cardservice.circulation.system import Outcome, Patron, Pin
from cardservice.circulation.terms import lending_service
from cardservice.errors import ErasureRefused
from cardservice.ids import TransactionId, new_id
from cardservice.ledger.errors import ResourceTaken
from cardservice.ledger.limits import switch_service
from cardservice.ledger.payers import payer_at
from cardservice.ledger.resources import Claim, claim, confirm, release
from tests.cardservice.circulation.conftest import PIN, STOCK, Town

DESK = "desk"
# What is the same on both databases is tried on one.
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


def lend(town: Town, who: str, number: str) -> Outcome:
    """Lent at the central branch."""
    return town.system.check_out(who, number, by=DESK, place="central")


def back(town: Town, number: str) -> Outcome:
    """Brought back there."""
    return town.system.check_in(number, by=DESK, place="central")


def patron(town: Town, who: str, pin: str | None = None) -> Patron:
    """A member's standing."""
    found = town.system.patron(who, pin, by=DESK)
    assert found is not None
    return found


def rows(town: Town, table: Table) -> int:
    """How many a table has."""
    with town.context.database.reading() as connection:
        return len(connection.execute(select(table)).all())


def test_lent_late_fined_and_paid(town: Town) -> None:
    given = lend(town, "1001", "B1")
    assert (given.ok, given.title, given.due_on) == (True, "Emma", date(2026, 7, 6))
    assert [each.copy for each in patron(town, "1001").on_loan] == ["B1"]
    town.clock.advance(days=24)  # Thursday 9 July: three days late, one of them in grace
    assert patron(town, "1001").overdue[0].title == "Emma"
    returned = back(town, "B1")
    assert (returned.ok, returned.fine_minor, returned.home) == (True, 50, "central")
    assert (patron(town, "1001").owed_minor, patron(town, "1001").fines) == (50, (50,))
    pay = town.system.pay
    assert pay("1001", 51, method="cash", by=DESK).reason == "more_than_owed"
    assert pay("1001", 20, method="cash", by=DESK, reference="r1").ok
    assert pay("1001", 20, method="cash", by=DESK, reference="r1").ok  # told twice: paid once
    assert pay("1001", 30, method="cash", by=DESK, reference="r1").reason == "reference_taken"
    assert patron(town, "1001").owed_minor == 30
    assert pay("1001", 30, method="waived", by=DESK).ok
    assert patron(town, "1001").owed_minor == 0
    assert pay("1001", 1, method="cash", by=DESK).reason == "more_than_owed"
    assert pay("9999", 1, method="cash", by=DESK).reason == "member_unknown"


@SQLITE
def test_a_child_is_never_fined(town: Town) -> None:
    assert lend(town, "1003", "B1").ok
    town.clock.advance(days=150)
    assert (back(town, "B1").fine_minor, patron(town, "1003").owed_minor) == (0, 0)


def test_a_loan_is_forgotten_unless_the_reader_wants_it_kept(town: Town) -> None:
    """What stays is a count; no table names the title beside the reader."""
    lend(town, "1001", "B1")
    back(town, "B1")
    assert (rows(town, models.loan), rows(town, models.history), rows(town, models.lending_count)) == (
        0,
        0,
        1,
    )
    with town.context.database.begin() as connection:
        set_history(connection, "1001", keep=True, by=DESK, moment=town.clock())
    lend(town, "1001", "B3")
    town.clock.advance(days=2)
    back(town, "B3")
    with town.context.database.reading() as connection:
        [kept] = history_of(connection, town.people["1001"])
    assert tuple(kept) == ("Ulysses", date(2026, 6, 15), date(2026, 6, 17))
    with town.context.database.begin() as connection:
        set_history(connection, "1001", keep=False, by=DESK, moment=town.clock())
    assert rows(town, models.history) == 0
    with town.context.database.reading() as connection:
        counted = connection.execute(select(models.lending_count)).one()
        noted = connection.execute(select(audit.c.detail)).scalars().all()
    assert tuple(counted) == ("2026-06", "central", "book", "adult", "lent", 2)
    assert not any("Emma" in str(detail) or "B1" in str(detail) for detail in noted)


def test_holds_queue_in_order(town: Town) -> None:
    reserve = town.system.reserve
    lend(town, "1001", "B4")
    for who in ("1003", "1002"):
        waits = reserve(who, "dune", by=DESK, place="north")
        assert (waits.ok, waits.kept) == (True, False)
    assert reserve("1003", "B4", by=DESK, place="north").reason == "held_already"
    assert reserve("1001", "B4", by=DESK, place="north").reason == "lent_already"
    assert town.system.renew("1001", "B4", by=DESK).reason == "wanted_by_another"
    assert back(town, "B4").kept
    assert patron(town, "1003").waiting[0].copy == "B4"
    assert lend(town, "1002", "B4").reason == "kept_for_another"
    assert lend(town, "1003", "B4").ok
    assert patron(town, "1003").waiting == ()
    assert back(town, "B4").kept
    assert patron(town, "1002").waiting[0].kept_until == date(2026, 6, 22)
    town.member("1004")
    assert reserve("1004", "dune", by=DESK, place="north").ok
    town.clock.advance(days=7)
    assert expire_all(town.context) == 0
    town.clock.advance(days=1)
    assert expire_all(town.context) == 1
    assert patron(town, "1004").waiting[0].copy == "B4"
    assert town.system.cancel("1004", "dune", by=DESK).ok
    assert town.system.cancel("1004", "dune", by=DESK).reason == "not_waiting"
    assert back(town, "B4").reason == "not_on_loan"
    assert reserve("1002", "nothing", by=DESK, place="north").reason == "copy_unknown"


@SQLITE
def test_a_free_copy_is_kept_for_who_asks_for_it(town: Town) -> None:
    got = town.system.reserve("1001", "emma", by=DESK, place="north")
    assert (got.kept, got.copy) == (True, "B1")
    item = town.system.item("B1")
    assert item is not None
    assert item.state == "kept"
    # Another copy is there for everybody; and who takes that one waits no more.
    assert lend(town, "1002", "B2").ok
    town.system.reserve("1003", "emma", by=DESK, place="north")
    assert town.system.check_out("1003", "B1", by=DESK, place="central", done=True).flags == (
        "kept_for_another",
    )
    assert patron(town, "1001").waiting[0].copy is None
    assert back(town, "B2").kept
    assert patron(town, "1001").waiting[0].copy == "B2"


def test_two_want_one_copy_at_once(town: Town) -> None:
    """One gets it, whoever is first."""
    start = Barrier(2, timeout=60)

    def borrow(who: str) -> Outcome:
        start.wait()
        return lend(town, who, "B1")

    with ThreadPoolExecutor(2) as threads:
        came = [future.result(60) for future in [threads.submit(borrow, who) for who in ("1001", "1002")]]
    assert sorted(each.reason for each in came) == ["done", "lent_to_another"]
    assert rows(town, models.loan) == 1


def test_the_table_itself_has_a_copy_lent_once(town: Town) -> None:
    lend(town, "1001", "B1")
    values = {
        "copy": "B1", "cardholder_id": town.people["1002"], "item_class": "book", "terms": "x",
        "lent_at": town.clock(), "due_on": date(2026, 7, 1), "renewals": 0,
    }  # fmt: skip
    with pytest.raises(IntegrityError), town.context.database.begin() as connection:
        connection.execute(models.loan.insert().values(values))


@SQLITE
def test_limits_and_blocks_hold(town: Town) -> None:
    assert lend(town, "1003", "F1").reason == "not_lent"
    for number in ("B1", "B3", "B4"):
        assert lend(town, "1002", number).ok
    assert lend(town, "1002", "F1").reason == "loans_full"
    assert lend(town, "1002", "nothing").reason == "copy_unknown"
    assert lend(town, "9999", "B2").reason == "member_unknown"
    assert town.system.bar("1001", by=DESK, barred=True).ok
    assert lend(town, "1001", "B2").reason == "barred"
    assert patron(town, "1001").block == "barred"
    town.system.bar("1001", by=DESK, barred=False)
    with town.context.database.begin() as connection:
        switch_service(connection, town.people["1001"], "library", on=False, moment=town.clock())
    assert lend(town, "1001", "B2").reason == "service_off"
    withdraw(town.context, "F1", by=DESK)
    assert lend(town, "1003", "F1").reason == "copy_withdrawn"
    with pytest.raises(LendingRefused, match="on loan"):
        withdraw(town.context, "B1", by=DESK)


def test_renewing_charges_what_is_late(town: Town) -> None:
    lend(town, "1001", "B1")
    lend(town, "1001", "F1")
    town.clock.advance(days=23)  # Wednesday 8 July: the book is two days late, the film thirteen
    renewed = {each.copy: each for each in town.system.renew_all("1001", by=DESK)}
    assert {number: each.reason for number, each in renewed.items()} == {
        "F1": "overdue_items", "B1": "overdue_items",
    }  # fmt: skip
    back(town, "F1")
    assert patron(town, "1001").owed_minor == 500
    again = town.system.renew("1001", "B1", by=DESK)
    assert (again.ok, again.due_on, again.fine_minor) == (True, date(2026, 7, 29), 25)
    assert patron(town, "1001").owed_minor == 525
    assert back(town, "B1").fine_minor == 0
    assert town.system.renew("1001", "B1", by=DESK).reason == "not_on_loan"


@SQLITE
def test_a_return_may_be_told_later(town: Town) -> None:
    lend(town, "1001", "F1")
    town.clock.advance(days=9)
    earlier = town.clock() - timedelta(days=2)
    assert town.system.check_in("F1", by=DESK, place="central", returned_at=earlier).fine_minor == 0
    lend(town, "1001", "F1")
    town.clock.advance(days=20)
    before = town.clock() - timedelta(days=19)
    assert town.system.check_in("F1", by=DESK, place="central", returned_at=before).fine_minor == 500


def test_a_card_and_a_till_cannot_pay_the_same_penny(town: Town) -> None:
    """What is held for a payment by card is not there for anybody else; an annulment gives it back."""
    lend(town, "1001", "F1")
    town.clock.advance(days=8)
    assert back(town, "F1").fine_minor == 100
    service = lending_service(town.context.services)
    key, own_id = service.fines_key(town.people["1001"]), TransactionId(new_id())
    with town.context.database.reading() as connection:
        payer = payer_at(connection, town.people["1001"], town.clock())
    assert payer is not None
    wanted = [Claim(service.name, key, 80, 0)]
    claim(town.context.database, payer, own_id, wanted, town.clock())
    assert town.system.pay("1001", 21, method="cash", by=DESK).reason == "more_than_owed"
    assert town.system.pay("1001", 20, method="cash", by=DESK).ok
    with pytest.raises(ResourceTaken):
        claim(town.context.database, payer, TransactionId(new_id()), wanted, town.clock())
    with town.context.database.begin() as connection:
        confirm(connection, own_id)
    assert patron(town, "1001").owed_minor == 0
    with town.context.database.begin() as connection:
        release(connection, own_id)
    assert patron(town, "1001").owed_minor == 80


@SQLITE
def test_pins_are_tried_so_many_times(town: Town) -> None:
    def tried(who: str, pin: str | None) -> Pin:
        with town.context.database.turn() as connection:
            found = find_member(connection, who)
            return check_pin(connection, town.pins, found, pin, town.clock())

    assert [tried("1001", pin) for pin in (PIN, "0000", "", None)] == ["right", "wrong", "wrong", "not_given"]
    assert [tried("1002", pin) for pin in ("", PIN)] == ["wrong", "wrong"]
    assert tried("9999", PIN) == "wrong"
    assert tried("1001", PIN) == "right"
    for _ in range(MAX_WRONG):
        assert tried("1001", "1111") == "wrong"
    assert tried("1001", PIN) == "locked"
    town.clock.advance(seconds=LOCKED_FOR.total_seconds())
    assert tried("1001", PIN) == "right"
    with town.context.database.reading() as connection:
        stored = connection.scalar(select(models.member.c.pin).where(models.member.c.barcode == "1001"))
    assert str(stored).startswith("$argon2id$")
    for unfit in ("", "123", "1" * 33, "12é4"):
        with pytest.raises(LendingRefused, match="a PIN has"):
            town.pins.stored(unfit)


@SQLITE
def test_reading_a_record_is_noted(town: Town) -> None:
    patron(town, "1001")
    assert town.system.patron("9999", None, by=DESK) is None
    with town.context.database.reading() as connection:
        noted = connection.execute(select(audit).where(audit.c.action == "lending.patron")).all()
    assert [(each.actor, each.subject) for each in noted] == [(DESK, str(town.people["1001"]))]


REFUSED = {
    "no head": ("B9,x,X,Y,book,central\n", 1, "the first line names the columns"),
    "too few columns": (STOCK + "B9,x,X\n", 7, "has 3 columns, not 6"),
    "twice": (STOCK + "B1,emma,Emma,Jane Austen,book,central\n", 7, "is on line 2, too"),
    "an unknown class": (STOCK + "B9,x,X,Y,map,central\n", 7, "the terms have no 'map': book, film"),
    "another title": (STOCK + "B9,emma,Emma!,Jane Austen,book,central\n", 7, "the title emma is Emma by"),
    "no title": (STOCK + "B9,x,,Y,book,central\n", 7, "title is empty"),
    "a bar": (STOCK + "B9,x,X|Y,Y,book,central\n", 7, "title: 'X|Y' is no text"),
    "a control character": (STOCK + "B9,x,X\x07,Y,book,central\n", 7, "is no text of"),
    "no number": (STOCK + "B 9,x,X,Y,book,central\n", 7, "'B 9' is nothing that a scanner"),
    "an open quote": (STOCK + 'B9,x,"X,Y,book,central\n', 7, "is not CSV"),
    "a copy of another title": (
        STOCK.replace("B3,ulysses", "B4,ulysses").replace("B4,dune", "B3,dune"), 4, "is one of dune",
    ),
}  # fmt: skip


@SQLITE
def test_stock_is_taken_whole_or_not_at_all(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "more.csv"
    for name, (text, line, says) in REFUSED.items():
        # A copy that is new comes before what is wrong.
        changed = text.replace("B1,emma", "B0,emma", 1) if name != "twice" else text
        path.write_text(changed, encoding="utf-8")
        with pytest.raises(StockRefused, match=f"more.csv:{line}: ") as refused:
            import_stock(town.context, path, by=DESK)
        assert says in str(refused.value), name
        assert (rows(town, models.copy), rows(town, models.title)) == (5, 4), name


@SQLITE
def test_new_copies_are_for_who_waits(town: Town, tmp_path: Path) -> None:
    lend(town, "1001", "B4")
    town.system.reserve("1002", "dune", by=DESK, place="north")
    path = tmp_path / "more.csv"
    path.write_text(STOCK + "B5,dune,Dune,Frank Herbert,book,north\n", encoding="utf-8")
    done = import_stock(town.context, path, by=DESK)
    assert (done.copies, done.titles, done.known) == (1, 0, 5)
    assert patron(town, "1002").waiting[0].copy == "B5"
    path.write_bytes(b"barcode\xff\n")
    with pytest.raises(StockRefused, match="is not UTF-8"):
        import_stock(town.context, path, by=DESK)


def test_who_is_erased_was_never_a_member(town: Town) -> None:
    holder = town.people["1001"]
    lend(town, "1001", "B4")
    with pytest.raises(ErasureRefused, match="on loan"):
        erase_cardholder(town.context, holder, actor="test")
    town.clock.advance(days=60)
    back(town, "B4")
    town.system.reserve("1001", "ulysses", by=DESK, place="north")
    town.system.pay("1001", 10, method="cash", by=DESK)
    erase_cardholder(town.context, holder, actor="test")
    assert town.system.patron("1001", None, by=DESK) is None
    for table in (models.hold, models.fine, models.payment):
        assert rows(town, table) == 0
    assert rows(town, models.member) == 2
