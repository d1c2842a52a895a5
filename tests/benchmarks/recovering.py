"""`fault_recovery`: how soon the daemon of a terminal is ready for a card again after faults of readers.

A real, private pcscd is killed, hangs, or has a card that says nothing; the daemon is a process of its own.
"""

import signal
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.behaviour import Behaviour
from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed
from tests.benchmarks.tap import BUS, DESK, install, personalised_card
from tests.reader_agent.daemon.client import Daemon, Stream
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer
from tests.support.pcsc import Readers
from tests.support.stack import Stack

KEY = "fault_recovery"
FEWEST_ROUNDS = 3

Fault = Callable[["Terminal"], float]


class Terminal:
    """A daemon, its one reader, and a card."""

    def __init__(self, readers: Readers, daemon: Daemon, card: Path) -> None:
        self.readers, self.daemon, self.card = readers, daemon, card
        self.stream: Stream = daemon.listen()
        if not self.stream.wait("status").data["readers"][0]["connected"]:
            self.stream.wait("reader.found")

    def insert(self, since: int, behaviour: Behaviour | None = None) -> None:
        """Put the card on the reader; until the daemon says so."""
        self.readers.insert(BUS, self.card, Face.CONTACTLESS, behaviour)
        self.stream.wait("card.inserted", since)

    def pull(self, since: int) -> None:
        """Take it away; until the daemon says so."""
        self.readers.pull_all()
        self.stream.wait("card.removed", since)

    def ready_after(self, begun: float, since: int) -> float:
        """Seconds until the card was read and may pay; then it is taken away."""
        self.stream.wait("card.ready", since)
        took_s = time.perf_counter() - begun
        self.pull(since)
        return took_s


def measure(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """The slowest fault's median."""
    with _terminal(server, say) as terminal:
        took: Mapping[str, list[float]] = defaultdict(list)
        deadline = time.monotonic() + seconds
        while len(took["a card taken away and put back"]) < FEWEST_ROUNDS or time.monotonic() < deadline:
            for what, fault in FAULTS.items():
                took[what].append(fault(terminal))
    return Measurement(
        key=KEY,
        what="from the end of a fault to a card that was read and may pay, at a daemon that ran all along; "
        "with the reader's own polling (every 400 ms); the slowest fault's median",
        value=max(median(each) for each in took.values()),
        unit="s",
        detail={
            "rounds": len(took["a card taken away and put back"]),
            **{f"{what}: median and longest, s": _both(each) for what, each in took.items()},
        },
    )


def _put_back(terminal: Terminal) -> float:
    since = len(terminal.stream.events)
    terminal.insert(since)
    terminal.pull(since)
    begun, since = time.perf_counter(), len(terminal.stream.events)
    terminal.insert(since)
    return terminal.ready_after(begun, since)


def _killed(terminal: Terminal) -> float:
    since = len(terminal.stream.events)
    terminal.insert(since)
    terminal.readers.pcscd.kill()
    terminal.stream.wait("reader.lost", since)
    terminal.readers.pull_all()
    terminal.readers.pcscd.start()
    begun, since = time.perf_counter(), len(terminal.stream.events)
    terminal.insert(since)
    return terminal.ready_after(begun, since)


def _hanging(terminal: Terminal) -> float:
    since = len(terminal.stream.events)
    terminal.insert(since)
    terminal.stream.wait("card.ready", since)
    process = terminal.readers.pcscd._process
    if process is None:
        raise BenchmarkFailed(f"{KEY}: pcscd has ended")
    process.send_signal(signal.SIGSTOP)
    try:
        terminal.stream.wait("reader.lost", since)
    finally:
        process.send_signal(signal.SIGCONT)
    return terminal.ready_after(time.perf_counter(), len(terminal.stream.events))


def _silent(terminal: Terminal) -> float:
    since = len(terminal.stream.events)
    terminal.insert(since, Behaviour(silent_after=0))
    terminal.pull(since)
    begun, since = time.perf_counter(), len(terminal.stream.events)
    terminal.insert(since)
    return terminal.ready_after(begun, since)


FAULTS: Mapping[str, Fault] = {
    "a card taken away and put back": _put_back,
    "a card that said nothing, and another try with it": _silent,
    "pcscd killed and started again": _killed,
    "pcscd that hung and goes on, with the card still there": _hanging,
}


@contextmanager
def _terminal(server: PostgresServer, say: Callable[[str], None]) -> Iterator[Terminal]:
    with tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        name = server.create()
        urls = server.url(name, SERVICE_ROLE), server.url(name, OWNER)
        stack = Stack(Path(folder), *urls, "GBP", "Europe/London")
        say(f"{KEY}: setting up a scheme, a terminal and a card on a private pcscd")
        with PrivatePcscd(Path(folder) / "pcscd", [DESK, BUS]) as pcscd:
            stack.environment |= pcscd.environment
            readers = Readers(pcscd)
            daemon = Daemon(Path(folder), (BUS,), stack.environment, Path(folder) / "daemon.log")
            try:
                install(stack)
                card = personalised_card(stack, pcscd.port(DESK))
                daemon.agent = stack.agent("bus-1")
                daemon.start()
                yield Terminal(readers, daemon, card)
            finally:
                readers.pull_all()
                daemon.close()
                stack.close()


def _both(took_s: list[float]) -> list[float]:
    return [round(median(took_s), 2), round(max(took_s), 2)]
