"""A batch on the real stack while readers, service and process fail: one whole card for each order.

Faults come at random places, of a seed that is printed where the test fails: a card loses its reader, the
service is killed before an order is passed on or after it was carried out and before the answer is, the
batch's own process is killed. Whoever runs the desk does what people do: they put the card back, start what
has stopped, and type the same command again.
"""

import csv
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from reader_agent.cardspec.piv import ObjectId
from reader_agent.virtual_card.pcscd import PrivatePcscd
from reader_agent.virtual_card.state import read_memory
from tests.support import warm
from tests.support.databases import Databases, Kind
from tests.support.proxy import Wire
from tests.support.stack import Stack

# Before somebody takes a card off of which nothing is heard, and before all must be done.
PATIENCE_S, LIMIT_S = 30.0, 600.0
# A card with what fails beside it, on a machine that has more to do.
CARD_LIMIT_S = 20.0
ABOUT = ("/certificate", "/result")


@dataclass(slots=True)
class Desk:
    """A desk with its readers, a pile of blanks, and what goes wrong with them."""

    stack: Stack
    wire: Wire
    ports: dict[str, int]
    folder: Path
    draw: random.Random
    # How many orders to the service pass before the next fault
    every: int
    # What fails first, once each; then whatever is drawn, again and again
    first: list[str] = field(default_factory=lambda: ["process", "reader", "service"])
    # The cards that are to be made, with their orders
    cards: dict[str, str] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    _passed: int = 0
    _on: dict[str, tuple[Path, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _batch: warm.Begun | None = None
    _service_is_down: bool = False

    @property
    def command(self) -> tuple[str, ...]:
        """What is typed, each time the same."""
        readers = [part for name in self.ports for part in ("--reader", name)]
        files = ("--batch", str(self.folder / "stock.csv"), "--out", str(self.folder / "result.csv"))
        agent = ("--agent", str(self.stack.agent("desk-1")), "--wait", "600", "--json")
        return ("reader-agent", "personalise", *files, *readers, *agent)

    def lines(self) -> list[dict[str, str]]:
        """The result file; a line that is being written is no line yet."""
        file = self.folder / "result.csv"
        if not file.exists():
            return []
        with file.open(encoding="utf-8", newline="") as opened:
            return [row for row in csv.DictReader(opened) if row.get("finished_at")]

    def made(self) -> set[str]:
        """The cards of which the result file says that their orders are done."""
        done = {line["order"] for line in self.lines() if line["outcome"] == "made"}
        return {card for card, order in self.cards.items() if order in done}

    def before(self, path: str) -> None:
        """Told of each order before it is passed on."""
        self._pass(path, "before")

    def after(self, path: str) -> bool:
        """Told of each order that was carried out, before the answer is passed on; whether that is lost."""
        return self._pass(path, "after") == "service"

    def _pass(self, path: str, when: str) -> str | None:
        """Now and then something fails at this moment; what it is."""
        if not path.endswith(ABOUT):
            return None
        with self._lock:
            self._passed += 1
            if self._passed % self.every:
                return None
            fault = self.first.pop(0) if self.first else self.draw.choice(["reader", "service", "process"])
            if fault == "service" and self._service_is_down:
                fault = "process"
            self.faults[f"{fault} {when}"] += 1
            if fault == "service":
                self._service_is_down = True
                self.stack.stop_service(signal.SIGKILL)
            elif fault == "process" and self._batch is not None:
                self._batch.kill()
            elif self._on:
                self._take(self.draw.choice(sorted(self._on)))
            return fault

    def run(self, blanks: list[Path]) -> None:
        """Work through the pile until all of it is made."""
        pile = list(blanks)
        deadline = time.monotonic() + max(LIMIT_S, CARD_LIMIT_S * len(blanks))
        said = (self.folder / "said.log").open("w+")
        with said:
            while len(self.made()) < len(blanks):
                assert time.monotonic() < deadline, (self.faults, self.lines()[-5:], pile)
                self._keep_going(said)
                with self._lock:
                    self._serve_readers(pile, blanks)
                time.sleep(0.02)
            if self._batch is not None:
                self._batch.wait(60)
        for reader in list(self._on):
            self._take(reader)

    def _keep_going(self, said: IO[str]) -> None:
        """Start again what has stopped."""
        with self._lock:
            is_down = self._service_is_down
        if is_down:
            self.stack.start_service()
            with self._lock:
                self._service_is_down = False
        if self._batch is None or self._batch.poll() is not None:
            with self._lock:
                # A new run takes what lies there for new cards.
                self._batch = warm.begin(self.command, self.stack.programs(), stdout=said, stderr=said)

    def _serve_readers(self, pile: list[Path], blanks: list[Path]) -> None:
        made = self.made()
        lying = {file for file, _ in self._on.values()}
        waiting = [file for file in blanks if file not in lying and card_of(file) not in made]
        for reader, (file, since) in list(self._on.items()):
            failed = any(
                line["reader"] == reader and line["outcome"] not in {"begun", "identity_written", "made"}
                for line in self.lines()[-len(self.ports) :]
            )
            # A card that has failed is taken off, as one is of which nothing is heard.
            if card_of(file) in made or time.monotonic() - since > (1.0 if failed else PATIENCE_S):
                self._take(reader)
        pile[:] = waiting
        for reader, port in self.ports.items():
            if reader not in self._on and pile:
                file = pile.pop(self.draw.randrange(len(pile)))
                self.stack.insert(file, port, "contact")
                self._on[reader] = (file, time.monotonic())

    def _take(self, reader: str) -> None:
        file, _ = self._on.pop(reader)
        self.stack.pull(file)


def card_of(file: Path) -> str | None:
    """Which card a blank was begun as."""
    with suppress(ValueError, OSError, KeyError):
        chuid = read_memory(file).objects.get(ObjectId.CHUID)
        # SP 800-73-5 part 1, table 9: the GUID is element 34.
        if chuid is not None and (place := chuid.find(b"\x34\x10")) >= 0:
            return str(UUID(bytes=chuid[place + 2 : place + 18]))
    return None


@contextmanager
def desk(
    databases: Databases,
    kind: Kind,
    root: Path,
    readers: int,
    seed: int,
    every: int,
) -> Iterator[Desk]:
    """An installation of one desk."""
    urls = databases.create(kind, migrated=False)
    stack = Stack(root, urls.service, urls.owner, currency="GBP", timezone="Europe/London")
    wire = Wire(stack.port)
    stack.public_port = wire.port
    names = [f"Desk {letter}" for letter in "ABCDEFGH"[:readers]]
    with PrivatePcscd(root / "pcscd", names) as pcscd:
        stack.environment |= pcscd.environment
        try:
            stack.install("ashcombe")
            stack.run("cardservice", "provider", "add", "council", "--name", "Ashcombe Council")
            stack.start_service()
            stack.add_terminal("desk-1", "council", "issuer")
            draw = random.Random(seed)  # noqa: S311 - where faults come, to be repeated
            ports = {name: pcscd.port(name) for name in names}
            yield Desk(stack, wire, ports, root, draw, every)
        finally:
            wire.on_request = wire.on_done = None
            stack.close()
            wire.close()
    databases.drop(urls)


def make_all(desk: Desk, count: int) -> None:
    """Order so many cards, have them made, and look at every one of them."""
    stack, folder = desk.stack, desk.folder
    cards = desk.cards
    for number in range(count):
        holder = stack.add_holder(f"Person {number}")
        order = stack.run("cardservice", "card", "order", holder, "--json").json
        cards[order["card"]] = order["order"]
        stack.run("reader-agent", "virtual-card", "new", str(folder / f"blank-{number}.json"))
    (folder / "stock.csv").write_text("\n".join(["order", *cards.values()]) + "\n")
    blanks = [folder / f"blank-{number}.json" for number in range(count)]
    desk.wire.on_request, desk.wire.on_done = desk.before, desk.after
    desk.run(blanks)
    desk.wire.on_request = desk.wire.on_done = None
    assert desk.first == [], "not everything has failed: not all was tested"

    # The same command once more: nothing is left to do.
    again = stack.run(*desk.command)
    assert again.json == {"made": count, "failed": 0, "left": 0}
    made = [line for line in desk.lines() if line["outcome"] == "made"]
    assert Counter(line["order"] for line in made) == Counter(cards.values())
    assert {line["card"]: line["order"] for line in made} == cards
    # Each blank became one of them, and no two the same.
    assert Counter(card_of(file) for file in blanks) == Counter(cards.keys())
    active = stack.run("cardservice", "card", "list", "--state", "active", "--json").json["cards"]
    assert {each["card"] for each in active} == set(cards)
    for file in blanks:
        check_whole(stack, file)


def check_whole(stack: Stack, file: Path) -> None:
    """It has every object, and the certificate for its tap key is the one that the service knows."""
    memory = read_memory(file)
    wanted = {ObjectId.CHUID, ObjectId.CARD_AUTHENTICATION_CERTIFICATE, ObjectId.SECURITY_OBJECT}
    assert wanted <= memory.objects.keys()
    shown = stack.run("cardservice", "card", "show", str(card_of(file)), "--json").json
    assert shown["state"] == "active"
    der = x509.load_pem_x509_certificate(shown["certificate"].encode()).public_bytes(Encoding.DER)
    assert der in memory.objects[ObjectId.CARD_AUTHENTICATION_CERTIFICATE]


def test_a_batch_of_twelve_while_everything_fails(databases: Databases, tmp_path: Path) -> None:
    with desk(databases, "sqlite", tmp_path, readers=2, seed=4, every=9) as made:
        make_all(made, 12)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_hundred_over_eight_readers(databases: Databases, tmp_path: Path, kind: Kind) -> None:
    with desk(databases, kind, tmp_path, readers=8, seed=15, every=23) as made:
        make_all(made, 200)
