"""`tap_overhead`: what the agent adds to a tap, beside the card's time and the service's.

A software card on a real, private pcscd, the agent's own `tap`, the service on gunicorn. The time of every
APDU and of every HTTP exchange is measured and taken off: what is left is the agent's own checks, signatures
and writes to the disk.
"""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from urllib3 import BaseHTTPResponse

from reader_agent.agent import Agent
from reader_agent.commands.common import open_agent
from reader_agent.known_cards import KnownCards
from reader_agent.tapping import Outcome, TapOrder, tap
from reader_agent.transport.connection import CardConnection
from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, require_right
from tests.support.council import DEMO_DATA, TRIP
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer
from tests.support.stack import Stack

KEY = "tap_overhead"
DESK, BUS = "Desk", "Bus"
WARM_UP_TAPS, FEWEST_TAPS = 6, 20


@dataclass(frozen=True, slots=True)
class TimedTap:
    """A tap from the connected card to the answer, in milliseconds."""

    # Whether the card was here before, so that its certificate is not read
    is_known: bool
    total_ms: float
    card_ms: float
    service_ms: float
    apdus: int
    exchanges: int
    # Of this process in all its threads, but for what its client's sides of PC/SC and HTTP use
    processor_ms: float

    @property
    def overhead_ms(self) -> float:
        """What is neither the card's nor the service's."""
        return self.total_ms - self.card_ms - self.service_ms


def measure(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """The median overhead of a tap that is approved online, by a card that was not here before."""
    return _measured(taps(server, seconds, say, KEY))


def taps(
    server: PostgresServer, seconds: float, say: Callable[[str], None], key: str, *told: str
) -> list[TimedTap]:
    """Taps that are approved online, with a card that is told this (options of `virtual-card insert`).

    Every other one is of a card that the terminal knows.
    """
    with tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        name = server.create()
        urls = server.url(name, SERVICE_ROLE), server.url(name, OWNER)
        stack = Stack(Path(folder), *urls, "GBP", "Europe/London")
        say(f"{key}: setting up a scheme, a terminal and a card on a private pcscd")
        with PrivatePcscd(Path(folder) / "pcscd", [DESK, BUS]) as pcscd:
            stack.environment |= pcscd.environment
            try:
                install(stack)
                card = personalised_card(stack, pcscd.port(DESK))
                stack.insert(card, pcscd.port(BUS), "contactless", *told)
                found = _in_own_process(stack, seconds)
            finally:
                stack.close()
        require_right(stack.service_url, key)
    return found


def install(stack: Stack) -> None:
    """A scheme with a fare table, an issuing desk and a bus."""
    stack.install("ashcombe")
    for provider in ("council", "vale-buses"):
        stack.run("cardservice", "provider", "add", provider, "--name", provider)
    stack.run(
        *("cardservice", "load", "transport", str(DEMO_DATA / "feed")),
        *("--map", str(DEMO_DATA / "map.json"), "--approve"),
    )
    stack.start_service()
    stack.add_terminal("desk-1", "council", "issuer")
    stack.add_terminal("bus-1", "vale-buses", "validator")


def personalised_card(stack: Stack, port: int) -> Path:
    """A card that was made at the desk, with money to spend."""
    holder = stack.add_holder("Morgan Reed")
    order = stack.run("cardservice", "card", "order", holder, "--kind", "citizen", "--json").json["order"]
    card = stack.root / "card.json"
    stack.run("reader-agent", "virtual-card", "new", str(card))
    stack.insert(card, port, "contact")
    try:
        desk = str(stack.agent("desk-1"))
        stack.run("reader-agent", "personalise", order, "--reader", DESK, "--agent", desk)
    finally:
        stack.pull(card)
    stack.run("cardservice", "topup", holder, "100000.00")
    return card


def _in_own_process(stack: Stack, seconds: float) -> list[TimedTap]:
    """PC/SC's library finds the private pcscd by its environment, and only once in a process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_taps, stack.agent("bus-1"), dict(stack.environment), seconds).result()


def _taps(directory: Path, environment: Mapping[str, str], seconds: float) -> list[TimedTap]:
    os.environ.update(environment)
    from reader_agent.transport.pcsc import PcscReaders  # noqa: PLC0415 - after the environment is set

    readers, service = PcscReaders(), TimedService()
    done: list[TimedTap] = []
    with open_agent(directory) as agent:
        service.take_over(agent)
        deadline = float("inf")
        while len(done) < WARM_UP_TAPS + FEWEST_TAPS or time.monotonic() < deadline:
            if not (is_known := len(done) % 2 == 1):
                agent.known_cards = KnownCards()
            done.append(_timed(agent, readers.connect(BUS, wait_s=10), service, is_known=is_known))
            if len(done) == WARM_UP_TAPS:
                deadline = time.monotonic() + seconds
    readers.close()
    return done[WARM_UP_TAPS:]


def _timed(agent: Agent, connection: CardConnection, service: "TimedService", *, is_known: bool) -> TimedTap:
    card, whole = TimedCard(connection), Spent()
    service.spent = Spent()
    with whole.counted():
        result = tap(agent, card, TapOrder("transport", "single-fare", TRIP, allow_offline=False))
    if result.outcome is not Outcome.APPROVED:
        raise BenchmarkFailed(f"{KEY}: a tap came to {result.outcome}: {result.message}")
    return TimedTap(
        is_known,
        total_ms=whole.elapsed_ms,
        card_ms=card.spent.elapsed_ms,
        service_ms=service.spent.elapsed_ms,
        apdus=card.spent.count,
        exchanges=service.spent.count,
        processor_ms=whole.processor_ms - card.spent.processor_ms - service.spent.processor_ms,
    )


@dataclass(slots=True)
class Spent:
    """What something has taken, in all."""

    elapsed_ms: float = 0.0
    # Of all threads of this process
    processor_ms: float = 0.0
    count: int = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Once more."""
        begun, used = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.elapsed_ms += (time.perf_counter() - begun) * 1000
            self.processor_ms += (time.process_time() - used) * 1000
            self.count += 1


class TimedCard:
    """The card's connection, with the time that its APDUs take."""

    def __init__(self, connection: CardConnection) -> None:
        self._connection, self.spent = connection, Spent()

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        with self.spent.counted():
            return self._connection.transmit(command)

    def transaction(self) -> AbstractContextManager[None]:
        return self._connection.transaction()

    def close(self, *, reset: bool = False) -> None:
        self._connection.close(reset=reset)


class TimedService:
    """The connection to the service, with the time from a request to its answer's headers."""

    def __init__(self) -> None:
        self.spent = Spent()

    def take_over(self, agent: Agent) -> None:
        """Take the time of what this agent asks."""
        pool = agent.client._connection._pool
        send = pool.urlopen

        def timed(*arguments: Any, **more: Any) -> BaseHTTPResponse:
            with self.spent.counted():
                return send(*arguments, **more)

        pool.urlopen = timed  # type: ignore[method-assign]  # the one place where all of them pass


def _measured(taps: list[TimedTap]) -> Measurement:
    new, known = ([tap for tap in taps if tap.is_known == is_known] for is_known in (False, True))
    overheads = [found.overhead_ms for found in new]
    p50_ms = median(overheads)
    return Measurement(
        key=KEY,
        what="a single fare with a software card on a private pcscd, from the connected card to the verified "
        "answer that is stored, and the card let go, without the time of APDUs and of HTTP: certificates, "
        "signatures, transactions of PC/SC, and the outbox with its two writes through to the disk; the "
        "terminal has not seen the card before",
        value=p50_ms,
        unit="ms",
        p50_ms=p50_ms,
        p99_ms=quantiles(overheads, n=100, method="inclusive")[98],
        detail={
            "taps, all approved": len(taps),
            "median of the whole tap, ms": round(median(found.total_ms for found in new), 1),
            "of it the software card through pcscd, ms": round(median(found.card_ms for found in new), 1),
            "of it the service, ms": round(median(found.service_ms for found in new), 1),
            "APDUs and HTTP exchanges a tap": [
                median(found.apdus for found in new),
                median(found.exchanges for found in new),
            ],
            "the overhead at its fastest, ms": round(min(overheads), 2),
            "the overhead and the service's answers, ms": round(
                median(found.total_ms - found.card_ms for found in new), 2
            ),
            "processor time of the overhead, ms": round(median(found.processor_ms for found in new), 2),
            **of_known_cards(known),
            "its overhead, ms": round(median(found.overhead_ms for found in known), 2),
        },
    )


def of_known_cards(taps: list[TimedTap]) -> dict[str, object]:
    """What taps of cards took that the terminal knew."""
    return {
        "a card that was here before: whole tap, ms": round(median(found.total_ms for found in taps), 1),
        "its APDUs": median(found.apdus for found in taps),
    }
