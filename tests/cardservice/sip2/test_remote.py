"""Another system behind the seam: our own port plays it, and stops; others answer what they should not."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from secrets import randbelow
from threading import Thread
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from cardservice.circulation import models
from cardservice.circulation.errors import LibraryAway
from cardservice.circulation.system import Pin
from cardservice.sip2.client import Client, Where
from cardservice.sip2.codec import Code, encode
from cardservice.sip2.profiles import Profile
from cardservice.sip2.remote import RemoteLibrary
from cardservice.sip2.serving import SessionMaker
from tests.cardservice.circulation.conftest import PIN
from tests.cardservice.sip2.acs import WAIT_S, Machine, serving
from tests.cardservice.sip2.conftest import Desk
from tests.cardservice.sip2.test_acs import BLANK, status
from tests.cardservice.sip2.test_codec import exchange

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
LONDON = ZoneInfo("Europe/London")
BY = "test"


class Ticks:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


@contextmanager
def remote(
    desk: Desk, port: int | None = None, ticks: Ticks | None = None, host: str = "127.0.0.1"
) -> Iterator[RemoteLibrary]:
    """The library of the tests as somebody else's."""
    if "gateway" not in desk.passwords:
        desk.account("gateway", Profile(kind="desk", pin="none"))
    where = Where(
        host=host, port=port or desk.acs.port, user="gateway", password=desk.passwords["gateway"],
        timeout_s=WAIT_S,
    )  # fmt: skip
    client = Client(where, ticks or Ticks())
    try:
        yield RemoteLibrary(client, "GBP", desk.town.clock, LONDON)
    finally:
        client.close()


def test_it_lends_as_ours_does(desk: Desk) -> None:
    with remote(desk) as there:
        assert there.is_there()
        reader = there.patron("1001", PIN, by=BY)
        assert reader is not None
        assert (reader.name, reader.pin, reader.owed_minor, reader.block) == (
            "Reader 1001",
            Pin.RIGHT,
            0,
            None,
        )
        assert [there.patron("1001", pin, by=BY).pin for pin in ("0000", "", None)] == [  # type: ignore[union-attr]
            Pin.WRONG, Pin.WRONG, Pin.NOT_GIVEN,
        ]  # fmt: skip
        assert there.patron("9999", PIN, by=BY) is None
        lent = there.check_out("1001", "F1", by=BY, place="central")
        assert (lent.ok, lent.title, lent.due_on) == (True, "Metropolis", date(2026, 6, 22))
        assert there.check_out("1002", "F1", by=BY, place="central").reason == "refused_elsewhere"
        assert there.item("nothing") is None
        item = there.item("F1")
        assert item is not None
        assert (item.state, item.due_on, item.home) == ("lent", date(2026, 6, 22), "central")
        assert not there.reserve("1002", "F1", by=BY, place="north").kept
        assert there.reserve("1002", "B4", by=BY, place="north").kept
        assert there.cancel("1002", "F1", by=BY).ok
        desk.town.clock.advance(days=9)
        late = there.patron("1001", None, by=BY)
        assert late is not None
        assert [each.copy for each in late.overdue] == ["F1"]
        waiting = there.patron("1002", None, by=BY)
        assert waiting is not None
        assert [each.copy for each in waiting.waiting] == ["B4"]
        back = there.check_in("F1", by=BY, place="central")
        assert (back.ok, back.title, back.kept) == (True, "Metropolis", False)
        owing = there.patron("1001", None, by=BY)
        assert owing is not None
        assert owing.owed_minor == 200
        assert there.pay("1001", 150, method="cash", by=BY, reference="r1").ok
        assert not there.pay("1001", 51, method="cash", by=BY, reference="r2").ok
        assert there.check_out("1001", "B1", by=BY, place="central").ok
        desk.town.clock.advance(days=1)
        assert [(each.copy, each.ok) for each in there.renew_all("1001", by=BY)] == [("B1", True)]
        assert not there.renew("1001", "B1", by=BY).ok
        assert there.bar("1001", by=BY, barred=True).ok
        barred = there.patron("1001", None, by=BY)
        assert barred is not None
        assert barred.block == "refused_elsewhere"
        assert there.bar("1001", by=BY, barred=False).ok


def test_it_is_away_and_comes_back(desk: Desk) -> None:
    """What was asked meanwhile is not done later; nobody waits; then it goes on over another connection."""
    ticks = Ticks()
    maker = SessionMaker(desk.town.context)
    # An address of this test's own, where nobody takes the port while it is not open.
    own = f"127.{1 + randbelow(254)}.{randbelow(256)}.{1 + randbelow(254)}"
    with serving(maker, host=own) as first:
        port = first.port
        with remote(desk, port, ticks, own) as there:
            assert there.check_out("1001", "B1", by=BY, place="central").ok
            first.stop()
            for _ in range(2):
                with pytest.raises(LibraryAway):
                    there.check_in("B1", by=BY, place="central")
            assert not there.is_there()
            with desk.town.context.database.reading() as connection:
                assert connection.execute(select(models.loan.c.copy)).scalars().all() == ["B1"]
            with serving(maker, port=port, host=own):
                with pytest.raises(LibraryAway, match="a moment ago"):
                    there.check_in("B1", by=BY, place="central")
                ticks.s += 11
                assert there.check_in("B1", by=BY, place="central").ok
                # A connection that was ended while nobody used it is no failure.
            with serving(maker, port=port, host=own):
                assert there.is_there()
                ticks.s += 60
            with serving(maker, port=port, host=own):
                ticks.s += 60
                assert there.check_out("1001", "B1", by=BY, place="central").ok


def test_a_machine_is_told_when_it_is_away(desk: Desk) -> None:
    """A gateway: our port, and behind it another system; a PC booking asks who may use a computer."""
    desk.account("libki", Profile(kind="pc-booking"))
    with (
        serving(SessionMaker(desk.town.context)) as upstream,
        remote(desk, upstream.port) as there,
        serving(SessionMaker(desk.town.context, there)) as gateway,
        Machine(gateway.port) as libki,
    ):
        assert libki.log_in("libki", desk.passwords["libki"]).fixed == ("1",)
        told = status(libki, "1001", ("AD", PIN))
        assert (told["CQ"], told["AE"], told["BV"]) == ("Y", "Reader 1001", "0.00")
        assert status(libki, "1001", ("AD", "0000"))["AE"] == ""
        assert libki.ask(Code.SC_STATUS, ("0", "080", "2.00")).fixed[0] == "Y"
        upstream.stop()
        away = status(libki, "1001", ("AD", PIN))
        assert (away.fixed[0][:4], away["BL"]) == ("YYYY", "N")
        assert away["AF"] == "This is not available now. Please ask a librarian."
        assert libki.ask(Code.SC_STATUS, ("0", "080", "2.00")).fixed[0] == "N"


LOGGED_IN = b"941AY1AZFDFC\r"


@contextmanager
def answering(*answers: bytes | None) -> Iterator[int]:
    """A port that answers so, whatever it is asked; None: it says nothing more."""
    listening = socket.create_server(("127.0.0.1", 0))
    accepted: list[socket.socket] = []

    def serve() -> None:
        try:
            made, _ = listening.accept()
            accepted.append(made)
            for answer in answers:
                if not made.recv(4096):
                    return
                if answer is not None:
                    made.sendall(answer)
            made.recv(4096)
        except OSError:
            pass  # the test is over

    thread = Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for made in accepted:
            # It may have hung up already.
            with suppress(OSError):
                made.shutdown(socket.SHUT_RDWR)
            made.close()
        thread.join(WAIT_S)


def asked_of(port: int, timeout_s: float = WAIT_S) -> RemoteLibrary:
    """Somebody else's library."""
    where = Where(host="127.0.0.1", port=port, user="u", password="p", timeout_s=timeout_s)
    return RemoteLibrary(
        Client(where),
        "HUF",
        lambda: datetime(2025, 5, 22, 13, 48, 5, tzinfo=UTC),
        ZoneInfo("Europe/Budapest"),
    )


def closing(there: RemoteLibrary, check: Callable[[], None]) -> None:
    """Do it and hang up."""
    try:
        check()
    finally:
        there._client.close()


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((b"940AY1AZFDFD\r",), "does not take our name"),
        ((LOGGED_IN, b"98nonsense\r"), "cut off"),
        ((LOGGED_IN, b"941\r"), "answers 94 to 17"),
        ((LOGGED_IN, b"\xff\xfe\r"), "none of the protocol's"),
        ((LOGGED_IN, b"x" * 70_000), "no end"),
        ((LOGGED_IN, *([b"941AY1AZ0000\r"] * 9)), "nothing comes through"),
        ((LOGGED_IN, *([b"96AZFEF6\r"] * 9)), "nothing comes through"),
    ],
)
def test_what_is_no_answer_is_away(database_kind: str, answers: tuple[bytes, ...], says: str) -> None:
    del database_kind  # it needs none
    with answering(*answers) as port:
        there = asked_of(port)

        def check() -> None:
            with pytest.raises(LibraryAway, match=says):
                there.item("B1")

        closing(there, check)


def test_who_does_not_answer_in_time_is_away(database_kind: str) -> None:
    del database_kind  # it needs none
    with answering(LOGGED_IN, None) as port:
        there = asked_of(port, 0.3)

        def check() -> None:
            with pytest.raises(LibraryAway):
                there.item("B1")

        closing(there, check)


def test_the_published_answer_is_understood(database_kind: str) -> None:
    """A real system's patron status, from the exchange that Libki published, as we read it."""
    del database_kind  # it needs none
    _, answered = exchange()
    with answering(LOGGED_IN, answered.replace(b"AY0AZE5DB", b"AY2AZE5D9") + b"\r\n") as port:
        there = asked_of(port)

        def check() -> None:
            client = there._client
            found = client.ask(Code.PATRON_STATUS, ("001", BLANK), [("AO", ""), ("AA", "0310000000253")])
            assert (found["AE"], found["CQ"], found["BH"]) == ("Libki Teszt", "Y", "HUF")
            assert there._minor(found["BV"], found["BH"]) == 0

        closing(there, check)


def test_a_log_in_as_it_is_answered(database_kind: str) -> None:
    """The bytes above are our own encoder's."""
    del database_kind  # it needs none
    assert encode(Code.LOGIN_RESPONSE, ("1",), (), sequence=1, with_checksum=True) == LOGGED_IN
