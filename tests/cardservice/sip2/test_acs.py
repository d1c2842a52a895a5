"""The sixteen requests over a real socket, on both databases."""

import socket

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from cardservice.audit.models import audit
from cardservice.circulation import models
from cardservice.sip2.accounts import close_account
from cardservice.sip2.codec import Code, Message, decode, encode
from cardservice.sip2.profiles import Profile
from tests.cardservice.circulation.conftest import PIN
from tests.cardservice.sip2.acs import Machine
from tests.cardservice.sip2.conftest import Desk
from tests.cardservice.sip2.test_codec import again, exchange

BLANK = " " * 18
# What is the same on both databases is tried on one.
SQLITE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
NOW = "20260615    110000"
NOBODY = ("AO", "x")


def status(machine: Machine, barcode: str, *pin: tuple[str, str]) -> Message:
    """24."""
    return machine.ask(Code.PATRON_STATUS, ("001", BLANK), NOBODY, ("AA", barcode), ("AC", ""), *pin)


def check_out(
    machine: Machine, barcode: str, copy: str, *more: tuple[str, str], letters: str = "NN"
) -> Message:
    """12."""
    fixed = (letters[0], letters[1], BLANK, BLANK)
    return machine.ask(Code.CHECKOUT, fixed, NOBODY, ("AA", barcode), ("AB", copy), ("AC", ""), *more)


def check_in(machine: Machine, copy: str) -> Message:
    """10."""
    return machine.ask(Code.CHECKIN, ("N", BLANK, BLANK), ("AP", ""), NOBODY, ("AB", copy), ("AC", ""))


@SQLITE
def test_the_published_exchange(desk: Desk) -> None:
    """The request's bytes as they were sent; the answer's where the protocol fixes them, ours elsewhere."""
    sent, answered = exchange()
    barcode = "0310000000253"
    desk.town.member(barcode, pin="0213")
    desk.account("libki", Profile(kind="pc-booking"))
    with desk.machine("libki") as libki:
        got = libki.exchange(sent + b"\r")
    theirs, ours = decode(answered), decode(got[:-1])
    assert again(ours) == got
    # Ours are the time, the reader's name and the currency; all others are the same bytes in the same order.
    assert (ours.fixed[:2], ours.fixed[2]) == (theirs.fixed[:2], NOW)
    changed = {"AE": f"Reader {barcode}", "BH": "GBP", "BV": "0.00"}
    assert ours.fields == tuple((name, changed.get(name, value)) for name, value in theirs.fields)
    assert (ours.sequence, ours.has_checksum) == (theirs.sequence, True)
    head = len(b"24") + 14 + 3
    assert got[:head] == answered[:head]


def test_a_reader_at_a_self_check_machine(desk: Desk) -> None:
    with desk.machine() as machine:
        polled = machine.ask(Code.SC_STATUS, ("0", "080", "2.00"))
        assert polled.fixed == ("Y", "Y", "Y", "Y", "N", "Y", "100", "003", NOW, "2.00")
        assert (polled["AO"], polled["AN"], polled["BX"]) == ("tmkodb", "central", "YYYYYYYYYYYYNYYY")
        # Nothing is lent before the PIN has been shown.
        refused = check_out(machine, "1001", "B1")
        assert (refused.fixed[0], refused["AF"], refused["AH"]) == ("0", "The PIN is not right.", "")
        shown = status(machine, "1001", ("AD", PIN))
        assert (shown.fixed[0], shown["BL"], shown["CQ"]) == ("  Y           ", "Y", "Y")
        lent = check_out(machine, "1001", "B1", ("AD", ""))
        assert (lent.fixed[:4], lent["AJ"], lent["AH"]) == (
            ("1", "N", "U", "Y"),
            "Emma",
            "20260706    235959",
        )
        desk.town.clock.advance(days=1)
        again_lent = check_out(machine, "1001", "B1", letters="YN")
        assert (again_lent.fixed[:2], again_lent["AH"]) == (("1", "Y"), "20260707    235959")
        told = machine.ask(Code.PATRON_INFORMATION, ("001", BLANK, "  Y       "), NOBODY, ("AA", "1001"))
        assert told.fixed[3:] == ("0000", "0000", "0001", "0000", "0000", "0000")
        assert (told.all("AU"), told["AE"], told["BV"]) == (("B1",), "Reader 1001", "0.00")
        assert machine.ask(Code.END_SESSION, (BLANK,), NOBODY, ("AA", "1001")).fixed[0] == "Y"
        assert status(machine, "1001")["AE"] == ""
        back = check_in(machine, "B1")
        assert (back.fixed[:4], back["AQ"], back.get("CV")) == (("1", "Y", "U", "N"), "central", None)
        assert "1001" not in str(back.fields)


def test_a_fine_is_paid_at_the_machine_once(desk: Desk) -> None:
    with desk.machine() as machine:
        status(machine, "1001", ("AD", PIN))
        check_out(machine, "1001", "F1")
        desk.town.clock.advance(days=9)
        assert check_in(machine, "F1").fixed[0] == "1"
        told = machine.ask(
            Code.PATRON_INFORMATION, ("001", BLANK, "   Y      "), NOBODY, ("AA", "1001"), ("AD", PIN)
        )
        assert (told["BV"], told.fixed[6], told.all("AV")) == ("2.00", "0001", ("2.00 late return",))

        def pay(amount: str, reference: str, currency: str = "GBP", sequence: int = 1) -> Message:
            return machine.ask(
                Code.FEE_PAID, (BLANK, "04", "00", currency), ("BV", amount), NOBODY, ("AA", "1001"),
                ("BK", reference), sequence=sequence,
            )  # fmt: skip

        assert pay("2.01", "t1").fixed[0] == "N"
        assert pay("1.50", "t2", "EUR").fixed[0] == "N"
        assert [pay(amount, "t3").fixed[0] for amount in ("", "1,50", "-1.50", "0.00", "1.505")] == ["N"] * 5
        paid = pay("1.50", "t4")
        assert (paid.fixed[0], paid["BK"]) == ("Y", "t4")
        # Told again, on this connection or another: one payment.
        assert [pay("1.50", "t4", sequence=number).fixed[0] for number in (1, 2)] == ["Y", "Y"]
        assert status(machine, "1001", ("AD", PIN))["BV"] == "0.50"
    with desk.town.context.database.reading() as connection:
        [row] = connection.execute(select(models.payment)).all()
    assert (row.amount_minor, row.method, row.taken_by) == (150, "cash", "sip2:kiosk")


@SQLITE
def test_a_message_that_comes_twice_is_done_once(desk: Desk) -> None:
    """The same bytes with a sequence number: the same answer, and nothing done; and 97 asks for it again."""
    with desk.machine() as machine:
        status(machine, "1001", ("AD", PIN))
        fixed = ("Y", "N", BLANK, BLANK)
        sent = encode(
            Code.CHECKOUT, fixed, [NOBODY, ("AA", "1001"), ("AB", "B1")], sequence=4, with_checksum=True
        )
        first = machine.exchange(sent)
        assert first[:3] == b"121"
        # Lent on, it would be another answer.
        assert machine.exchange(sent) == first
        assert machine.exchange(b"97AZFEF5\r") == first
        harmed = sent.replace(b"1001", b"1002")
        assert machine.exchange(harmed) == b"96AZFEF6\r"
        assert machine.exchange(sent) == first
    with desk.town.context.database.reading() as connection:
        assert connection.execute(select(models.loan.c.renewals)).scalars().all() == [0]


def test_holds_renewals_items_and_staff(desk: Desk) -> None:
    desk.account("staff", Profile(kind="desk", pin="none"), "north")
    with desk.machine("staff") as machine:

        def hold(letter: str, barcode: str, *more: tuple[str, str], number: int = 1) -> Message:
            fixed = (letter, BLANK)
            return machine.ask(Code.HOLD, fixed, ("AO", ""), ("AA", barcode), *more, sequence=number)

        def item(copy: str) -> Message:
            return machine.ask(Code.ITEM_INFORMATION, (BLANK,), NOBODY, ("AB", copy))

        assert [item(copy).fixed[0] for copy in ("B4", "nothing")] == ["03", "01"]
        assert check_out(machine, "1001", "B4").fixed[0] == "1"
        found = item("B4")
        assert (found.fixed[0], found["AH"], found["AP"]) == ("04", "20260706    235959", "north")
        placed = hold("+", "1002", ("AB", "B4"), ("BS", "north"))
        assert (placed.fixed[:2], item("B4")["CF"]) == (("1", "N"), "1")
        assert hold("+", "1003", ("AJ", "emma")).fixed[:2] == ("1", "Y")
        assert hold("*", "1002", ("AB", "B4")).fixed[0] == "0"
        wanted = machine.ask(Code.RENEW, ("N", "N", BLANK, BLANK), NOBODY, ("AA", "1001"), ("AB", "B4"))
        assert (wanted.fixed[0], wanted["AF"]) == ("0", "Somebody else is waiting for this.")
        back = check_in(machine, "B4")
        assert (back.fixed[3], back["CV"]) == ("Y", "01")
        assert item("B4").fixed[0] == "08"
        waiting = machine.ask(Code.PATRON_INFORMATION, ("000", BLANK, "Y         "), NOBODY, ("AA", "1002"))
        assert (waiting.fixed[3], waiting.all("AS")) == ("0001", ("B4",))
        assert [hold("-", "1002", ("AB", "B4"), number=n).fixed[0] for n in (1, 2)] == ["1", "0"]
        check_out(machine, "1001", "B3")
        desk.town.clock.advance(days=1)
        every = machine.ask(Code.RENEW_ALL, (BLANK,), NOBODY, ("AA", "1001"))
        assert (every.fixed[:3], every.all("BM")) == (("1", "0001", "0000"), ("B3",))
        one = machine.ask(Code.RENEW, ("N", "N", BLANK, BLANK), NOBODY, ("AA", "1001"), ("AB", "B3"))
        assert one.fixed[:2] == ("0", "N")
        assert (
            machine.ask(Code.ITEM_STATUS_UPDATE, (BLANK,), NOBODY, ("AB", "B3"), ("CH", "x")).fixed[0] == "0"
        )
        barred = machine.ask(Code.BLOCK_PATRON, ("Y", BLANK), NOBODY, ("AL", "left behind"), ("AA", "1001"))
        assert (barred.fixed[0][:4], barred["BL"]) == ("YYYY", "Y")
        assert check_out(machine, "1001", "B2")["AF"] == "Please speak to a librarian."
        enabled = machine.ask(Code.PATRON_ENABLE, (BLANK,), NOBODY, ("AA", "1001"), ("AC", ""))
        assert enabled.fixed[0] == "  Y           "
        assert check_out(machine, "1001", "B2", ("BI", "Y")).fixed[0] == "0"
        # What was done without a connection is taken, and flagged.
        assert check_out(machine, "1003", "F1", letters="NY").fixed[0] == "1"


@SQLITE
def test_a_pin_is_needed_and_an_empty_one_is_none(desk: Desk) -> None:
    with desk.machine() as machine:
        for fields, known in (
            ((("AD", ""),), "N"), ((("AD", "0000"),), "N"), ((), None),
        ):  # fmt: skip
            told = status(machine, "1001", *fields)
            assert (told.fixed[0][:4], told["BL"], told.get("CQ")) == ("YYYY", "Y", known)
            assert (told["AE"], told.get("BV")) == ("", None)
        # Who has no PIN has none that could be guessed.
        assert status(machine, "1002", ("AD", ""))["CQ"] == "N"
        assert status(machine, "9999", ("AD", PIN))["BL"] == "N"
        for _ in range(4):
            status(machine, "1001", ("AD", "0000"))
        locked = status(machine, "1001", ("AD", PIN))
        assert (locked["CQ"], locked["AF"][:19]) == ("N", "Too many wrong PINs")
    with desk.town.context.database.reading() as connection:
        noted = connection.execute(select(audit.c.actor).where(audit.c.action == "lending.patron")).scalars()
        assert set(noted) == {"sip2:kiosk"}


@SQLITE
def test_each_machine_has_its_dialect(desk: Desk) -> None:
    desk.town.member("2001")
    desk.account(
        "old",
        Profile(
            kind="desk", pin="none", encoding="cp850", checksums="require",
            hidden=frozenset({"AE", "BV", "AF"}),
            universal_time=True, line_feed=True,
        ),
    )  # fmt: skip
    with desk.machine("old") as machine:
        told = status(machine, "2001")
        assert told.fixed[2] == "20260615   Z100000"
        assert [name for name, _ in told.fields] == ["AO", "AA", "AE", "BL", "BH"]
        assert told["AE"] == ""
        assert machine.exchange(b"9900802.00\r").strip(b"\n") == b"96AZFEF6\r"
    desk.account("returns", Profile(kind="returns"))
    with desk.machine("returns") as machine:
        assert status(machine, "1001", ("AD", PIN))["AF"] == "This machine may not do that."
        assert check_out(machine, "1001", "B1").fixed[0] == "0"
        assert check_in(machine, "B1").fixed[0] == "1"
        # Plain, as it was asked.
        assert machine.exchange(b"9900802.00\r")[:2] == b"98"


@SQLITE
def test_nobody_is_told_anything_without_a_log_in(desk: Desk) -> None:
    with Machine(desk.acs.port) as machine:
        assert machine.exchange(b"2300120260615    110000AO|AA1001|AC|AD2580|\r") == b""
    with Machine(desk.acs.port) as machine:
        for name, password in (("kiosk", ""), ("kiosk", "wrong"), ("nobody", desk.passwords["kiosk"])):
            assert machine.log_in(name, password).fixed == ("0",)
        assert machine.exchange(b"9300CNkiosk|COwrong|\r") == b""
    with Machine(desk.acs.port) as machine:
        assert machine.ask(
            Code.LOGIN, ("1", "0"), ("CN", "kiosk"), ("CO", desk.passwords["kiosk"])
        ).fixed == ("0",)
    with desk.machine() as machine:
        with desk.town.context.database.begin() as connection:
            close_account(connection, desk.town.context, "kiosk", actor="test")
        assert machine.exchange(b"9900802.00\r") == b""


@SQLITE
def test_a_machine_that_hangs_up_at_once_is_answered(desk: Desk) -> None:
    with desk.machine() as machine:
        machine.send(b"9900802.00\r")
        machine.socket.shutdown(socket.SHUT_WR)
        assert machine.receive()[:2] == b"98"
        assert machine.receive() == b""


@SQLITE
def test_what_is_away_is_a_refusal(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is gone for a moment: machines are told so, in the form of each answer, and live on."""
    with desk.machine() as machine:
        database = type(desk.town.context.database)

        def gone(_: object) -> object:
            raise OperationalError("away", {}, Exception())

        with monkeypatch.context() as away:
            away.setattr(database, "turn", gone)
            assert check_in(machine, "B1").fixed[0] == "0"
            assert status(machine, "1001", ("AD", PIN))["AF"].startswith("This is not available now")
            assert machine.ask(Code.SC_STATUS, ("0", "080", "2.00")).fixed[0] == "Y"
        assert check_in(machine, "B1").fixed[0] == "1"
