"""Batches: many cards, bad ones among them, broken off and taken up by the same command."""

import csv
import json
import os
import pty
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner

from pki.scheme import Scheme
from reader_agent.agent import Agent
from reader_agent.cardspec.piv import ObjectId
from reader_agent.cli import main
from reader_agent.errors import CardRemoved, ConfigInvalid
from reader_agent.personalise.batch import Summary, run_batch
from reader_agent.personalise.batch_files import ResultFile, StockCard, StockOrder, read_stock
from reader_agent.transport.connection import CardConnection
from reader_agent.transport.feeding import CardFeeder
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.card_service import CardService, Order
from tests.reader_agent.world import DirectConnection, MovableClock, blank_card, make_agent, new_order
from tests.support import warm
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers


@pytest.fixture
def desk(scheme: Scheme, card_service: CardService, clock: MovableClock, tmp_path: Path) -> Iterator[Agent]:
    """An issuing desk."""
    with Agent(make_agent(tmp_path / "desk", card_service, scheme, "desk-1"), clock) as agent:
        yield agent


@dataclass
class Hand:
    """Puts cards on a reader, one after the other; each is a file, or an error that its reader brings."""

    cards: deque[Path | Exception]
    # From this command on in its turn, a card is pulled: by its place
    pulled_at: dict[str, int]
    reader: str = "desk"

    def __init__(self, *cards: Path | Exception, pulled_at: dict[str, int] | None = None) -> None:
        self.cards, self.pulled_at = deque(cards), pulled_at or {}
        self._open: list[DirectConnection] = []
        self._now: Path | Exception = RuntimeError()

    def next(self) -> "Hand | None":
        """See Cards."""
        self.close()
        if not self.cards:
            return None
        self._now = self.cards.popleft()
        return self

    def connect(self) -> CardConnection:
        """See FedReader."""
        self.close()
        if isinstance(self._now, Exception):
            raise self._now
        connection = DirectConnection.to(self._now)
        self._open.append(connection)
        limit = self.pulled_at.get(self._now.name)

        def pull(connection: DirectConnection, _: bytes) -> None:
            connection.is_pulled = limit is not None and len(connection.sent) >= limit

        connection.before = pull
        return connection

    def close(self) -> None:
        """Take the card away."""
        while self._open:
            self._open.pop().state.close()


def make(
    desk: Agent,
    orders: list[Order],
    hand: Hand,
    out: Path,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Run a batch."""
    stock = [StockOrder(order.id, StockCard()) for order in orders]
    with ResultFile(out) as results:
        try:
            return run_batch(desk, stock, hand, results, progress)
        finally:
            hand.close()


def outcomes(out: Path) -> list[tuple[str, str]]:
    """Orders and outcomes of a result file, but for the lines of cards that were only begun."""
    with out.open(encoding="utf-8", newline="") as file:
        rows = [(row["order"], row["outcome"]) for row in csv.DictReader(file)]
    return [row for row in rows if row[1] not in {"begun", "identity_written"}]


def test_a_card_for_each_order(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """In their order, each with its own identity, and no PIN in the result."""
    orders = [new_order(card_service) for _ in range(3)]
    cards = [blank_card(tmp_path / f"{number}.json") for number in range(3)]
    out = tmp_path / "result.csv"
    assert make(desk, orders, Hand(*cards), out) == Summary(made=3, failed=0, left=0)
    assert outcomes(out) == [(str(order.id), "made") for order in orders]
    assert {order.state for order in orders} == {"done"}
    pins = {read_memory(card).pin.value.rstrip(b"\xff").decode() for card in cards}
    assert len(pins) == 3
    assert not any(pin in out.read_text() for pin in pins)
    assert out.stat().st_mode & 0o077 == 0


def test_one_bad_card_stops_nothing(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """One with another transport key, one that cannot be read at all, one that is pulled; then good ones."""
    orders = [new_order(card_service) for _ in range(4)]
    strange = tmp_path / "strange.json"
    CardState.create(strange, factory_memory(os.urandom, transport_key=os.urandom(16))).close()
    pulled, good = blank_card(tmp_path / "pulled.json"), blank_card(tmp_path / "good.json")
    hand = Hand(strange, CardRemoved("dead"), pulled, good, pulled_at={"pulled.json": 20})
    out, told = tmp_path / "result.csv", list[int]()
    assert make(desk, orders, hand, out, told.append) == Summary(made=1, failed=2, left=1)
    # Before the first card, and after each that came: one that could not be read has had no order.
    assert told == [0, 1, 1, 2, 3]
    assert [outcome for _, outcome in outcomes(out)] == ["management_key_refused", "card_removed", "made"]
    assert [order.state for order in orders] == ["open", "open", "done", "open"]


def test_the_same_again_goes_on(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """A card that was begun goes on with its own order, whichever is next; what is made is left alone."""
    orders = [new_order(card_service) for _ in range(3)]
    begun, good = blank_card(tmp_path / "begun.json"), blank_card(tmp_path / "good.json")
    out = tmp_path / "result.csv"
    make(desk, orders[:1], Hand(begun, pulled_at={"begun.json": 40}), out)
    assert ObjectId.CHUID in read_memory(begun).objects
    last = blank_card(tmp_path / "last.json")
    assert make(desk, orders, Hand(good, begun, last), out).is_complete
    made = [order for order, outcome in outcomes(out) if outcome == "made"]
    assert sorted(made) == sorted(str(order.id) for order in orders)


def test_a_report_whose_line_was_lost_counts(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """The power failed between the service's answer and the file: the card is made, and not made again."""
    order = new_order(card_service)
    out = tmp_path / "result.csv"
    make(desk, [order], Hand(blank_card(tmp_path / "card.json")), out)
    whole = out.read_bytes()
    head = whole.index(b"\n") + 1
    begun = whole.index(b"\n", head) + 1
    written = whole.index(b"\n", begun) + 1
    for length in (head, head + 1, begun, begun + 1, written, len(whole) - 3):
        out.write_bytes(whole[:length])
        assert make(desk, [order], Hand(), out) == Summary(made=1, failed=0, left=0)
        assert outcomes(out) == [(str(order.id), "made")]
        with out.open(encoding="utf-8", newline="") as file:
            assert {row["card"] for row in csv.DictReader(file)} == {str(order.card)}


def test_a_blank_is_not_made_a_second_one_of_a_begun_order(
    desk: Agent, card_service: CardService, tmp_path: Path
) -> None:
    """The process was killed while it wrote to a card: the next blank has another order; both are made."""
    orders = [new_order(card_service) for _ in range(2)]
    begun, blank = blank_card(tmp_path / "begun.json"), blank_card(tmp_path / "blank.json")
    out = tmp_path / "result.csv"
    make(desk, orders[:1], Hand(begun, pulled_at={"begun.json": 40}), out)
    # As a process that is killed leaves the file: without the line that says how it ended.
    lines = out.read_bytes().splitlines(keepends=True)
    assert b",begun," in lines[1]
    assert b",identity_written," in lines[2]
    out.write_bytes(b"".join(lines[:3]))
    assert make(desk, orders, Hand(blank, begun), out).is_complete
    assert {read_memory(card).objects[ObjectId.CHUID] for card in (begun, blank)} == {
        order.contents[ObjectId.CHUID] for order in orders
    }


def test_orders_that_failed_before_a_card_was_begun(
    desk: Agent, card_service: CardService, tmp_path: Path
) -> None:
    """A card that could not be written to leaves its order to the next blank; a begun card keeps its own."""
    orders = [new_order(card_service) for _ in range(2)]
    strange, begun = tmp_path / "strange.json", blank_card(tmp_path / "begun.json")
    CardState.create(strange, factory_memory(os.urandom, transport_key=os.urandom(16))).close()
    out = tmp_path / "result.csv"
    make(desk, orders, Hand(begun, strange, pulled_at={"begun.json": 40}), out)
    assert [outcome for _, outcome in outcomes(out)] == ["card_removed", "management_key_refused"]
    assert make(desk, orders, Hand(blank_card(tmp_path / "blank.json"), begun), out).is_complete


def test_a_blank_waits_where_only_begun_orders_are_left(
    desk: Agent, card_service: CardService, tmp_path: Path
) -> None:
    """What failed before its card was begun is for the next run: its blank is not for the begun order."""
    orders = [new_order(card_service) for _ in range(2)]
    begun, blank = blank_card(tmp_path / "begun.json"), blank_card(tmp_path / "blank.json")
    out = tmp_path / "result.csv"
    make(desk, orders[:1], Hand(begun, pulled_at={"begun.json": 40}), out)
    early = blank_card(tmp_path / "early.json")
    hand = Hand(early, blank, pulled_at={"early.json": 5})
    assert make(desk, orders, hand, out) == Summary(made=0, failed=1, left=1)
    assert ObjectId.CHUID not in read_memory(early).objects
    assert ObjectId.CHUID not in read_memory(blank).objects
    assert make(desk, orders, Hand(blank, begun), out).is_complete
    assert {read_memory(card).objects[ObjectId.CHUID] for card in (begun, blank)} == {
        order.contents[ObjectId.CHUID] for order in orders
    }


def test_what_the_service_refuses_is_written_down(
    desk: Agent, card_service: CardService, tmp_path: Path
) -> None:
    """An order that is not there, and one that was given up; the rest is made."""
    given_up, good = new_order(card_service), new_order(card_service)
    given_up.state = "failed"
    missing = Order(uuid4(), uuid4(), bytes(16))
    out = tmp_path / "result.csv"
    card = blank_card(tmp_path / "card.json")
    assert make(desk, [missing, given_up, good], Hand(card), out) == Summary(made=1, failed=2, left=0)
    assert [outcome for _, outcome in outcomes(out)] == ["order_unknown", "order_closed", "made"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("card\n", "lacks the column order"),
        ("order\nx\n", "line 2"),
        (f"order,transport_key\n{UUID(int=1)},00\n", "16, 24 or 32 bytes"),
        (f"order,transport_puk\n{UUID(int=1)},123\n", "a PUK has eight"),
        (b"order\n\xff\n", "cannot be read"),
        (b"", "lacks the column order"),
    ],
    ids=str,
)
def test_a_stock_file_that_is_none(content: str | bytes, says: str, tmp_path: Path) -> None:
    """Refused before any card is touched, with the line."""
    path = tmp_path / "stock.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigInvalid, match=says):
        read_stock(path, StockCard())


def test_a_stock_file_with_its_cards_secrets(tmp_path: Path) -> None:
    """Where they differ; an order that stands there twice is one."""
    first, second = uuid4(), uuid4()
    path = tmp_path / "stock.csv"
    lines = [
        "order,transport_key,transport_puk",
        f"{first},{'0a' * 16},87654321",
        f"{second},,",
        f"{first},,",
    ]
    path.write_text("\r\n".join(lines) + "\r\n")
    assert read_stock(path, StockCard()) == [
        StockOrder(first, StockCard(b"\n" * 16, "87654321")),
        StockOrder(second, StockCard()),
    ]
    assert "87654321" not in repr(read_stock(path, StockCard()))


def test_on_real_readers_by_the_command(
    desk: Agent, card_service: CardService, readers: Readers, tmp_path: Path
) -> None:
    """Two readers with a blank card each, and a third order that no card comes for."""
    orders = [new_order(card_service) for _ in range(3)]
    stock, out = tmp_path / "stock.csv", tmp_path / "result.csv"
    stock.write_text("order\n" + "".join(f"{order.id}\n" for order in orders))
    for reader in (CONTACT_READER, CONTACTLESS_READER):
        # Both with their contacts: a desk of two
        readers.insert(reader, blank_card(tmp_path / f"{reader}.json"))
    arguments = ["personalise", "--batch", str(stock), "--out", str(out), "--agent", str(desk.directory.path)]
    arguments += ["--reader", CONTACT_READER, "--reader", CONTACTLESS_READER, "--wait", "1", "--json"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {"made": 2, "failed": 0, "left": 1}
    assert "cards" in done.stderr  # the bar, which is drawn on a terminal alone, by its name
    readers.pull(CONTACT_READER)
    readers.insert(CONTACT_READER, blank_card(tmp_path / "third.json"))
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"made": 3, "failed": 0, "left": 0}


def everything_on(screen: int) -> str:
    """What was written to a terminal that nobody has open any more; closed here."""
    shown = b""
    with os.fdopen(screen, "rb", buffering=0) as file, suppress(OSError):  # EIO, pty(7), at its end
        while part := file.read(4096):
            shown += part
    return shown.decode()


def test_on_a_terminal_a_bar_is_drawn(
    desk: Agent, card_service: CardService, readers: Readers, tmp_path: Path
) -> None:
    """From none to all, in place, on standard error; scripts read the other."""
    order = new_order(card_service)
    (tmp_path / "stock.csv").write_text(f"order\n{order.id}\n")
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    command = ["reader-agent", "personalise", "--reader", CONTACT_READER, "--wait", "30", "--json"]
    command += ["--batch", str(tmp_path / "stock.csv"), "--out", str(tmp_path / "result.csv")]
    command += ["--agent", str(desk.directory.path)]
    screen, terminal = pty.openpty()
    with (tmp_path / "out").open("w") as out, os.fdopen(terminal, "w") as err:
        begun = warm.begin(command, {**os.environ, **readers.environment, "TERM": "xterm"}, out, err)
        status = begun.wait(60)
    shown = everything_on(screen)
    assert status == 0, shown
    assert json.loads((tmp_path / "out").read_text()) == {"made": 1, "failed": 0, "left": 0}
    drawn = re.findall(r"cards +\[(#*)(-*)\] +(\d+)%", shown)
    assert [percent for *_, percent in drawn][:: len(drawn) - 1] == ["0", "100"]
    assert (drawn[0][0], drawn[-1][1]) == ("", "")


def test_a_card_is_fed_once_until_it_is_changed(readers: Readers, tmp_path: Path) -> None:
    """And again when it was taken away and came back, or pcscd had died meanwhile."""
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    feeder = CardFeeder([CONTACT_READER, "Not connected"], 0.5)
    try:
        fed = feeder.next()
        assert fed is not None
        assert fed.reader == CONTACT_READER
        assert feeder.next() is None
        readers.pull(CONTACT_READER)
        assert feeder.next() is None
        readers.insert(CONTACT_READER, tmp_path / "card.json")
        assert feeder.next() is not None
        assert feeder.next() is None
    finally:
        feeder.close()
