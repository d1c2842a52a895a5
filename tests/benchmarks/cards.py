"""`apdu_round_trip`, `personalisation`, `tap_modelled_silicon`: what cards take, over a private pcscd."""

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import ParamSpec, TypeVar
from uuid import UUID

from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY
from reader_agent.commands.common import open_agent
from reader_agent.personalise import personalise
from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.benchmarks import tap
from tests.benchmarks.report import Measurement
from tests.benchmarks.server import BenchmarkFailed, require_right
from tests.benchmarks.tap import DESK, TimedCard
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer
from tests.support.stack import Stack

P = ParamSpec("P")
T = TypeVar("T")

ROUND_TRIP, PERSONALISATION, SILICON = "apdu_round_trip", "personalisation", "tap_modelled_silicon"
# An answer of two bytes and the work of a comparison: as little as a card does
QUERY = bytes.fromhex("00200080")
SELECT = bytes.fromhex("00A4040009A0000003080000100000")
WARM_UP, FEWEST, FEWEST_CARDS = 50, 500, 5


def round_trip(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """An APDU and its answer, through pcscd, its driver and a socket to the software card."""
    with _stack(server, ROUND_TRIP, say) as (stack, pcscd):
        card = stack.root / "card.json"
        stack.run("reader-agent", "virtual-card", "new", str(card))
        stack.insert(card, pcscd.port(DESK), "contact")
        took_ms = _in_own_process(_query, dict(stack.environment), seconds)
        stack.pull(card)
    return _measured(
        ROUND_TRIP,
        "a VERIFY without data to a software card on a private pcscd and its answer, through PC/SC and the "
        "watchdog of each call",
        took_ms,
        {"commands": len(took_ms)},
    )


def personalisation(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """A citizen's card, from the connected blank card to the service's last answer."""
    found: list[tuple[float, float, int]] = []
    with _stack(server, PERSONALISATION, say) as (stack, pcscd):
        deadline = time.monotonic() + seconds
        while len(found) < FEWEST_CARDS or time.monotonic() < deadline:
            holder = stack.add_holder("Morgan Reed")
            order = stack.run("cardservice", "card", "order", holder, "--json").json["order"]
            card = stack.root / f"card-{len(found)}.json"
            stack.run("reader-agent", "virtual-card", "new", str(card))
            stack.insert(card, pcscd.port(DESK), "contact")
            found += _in_own_process(_personalise, stack.agent("desk-1"), order, dict(stack.environment))
            stack.pull(card)
        require_right(stack.service_url, PERSONALISATION)
    return _measured(
        PERSONALISATION,
        "a citizen's card with keys 9A, 9C and 9E, from the connected blank card to the service's last "
        "answer; the software card takes the computer's time, not a chip's",
        [total for total, _, _ in found],
        {
            "cards": len(found),
            "of it the software card through pcscd, ms": round(median(card for _, card, _ in found), 1),
            "APDUs a card": median(apdus for _, _, apdus in found),
        },
    )


def silicon(server: PostgresServer, seconds: float, say: Callable[[str], None]) -> Measurement:
    """A whole tap with a card that takes the time of the model of a chip."""
    every = tap.taps(server, seconds, say, SILICON, "--silicon")
    taps, known = ([found for found in every if found.is_known == is_known] for is_known in (False, True))
    return _measured(
        SILICON,
        "a single fare from the connected card to the verified answer, with a software card that takes as "
        "long as the model of a chip says (modelled: see docs/card-spec.md), which the terminal has not seen "
        "before",
        [found.total_ms for found in taps],
        {
            "taps, all approved": len(every),
            "of it the card, modelled, ms": round(median(found.card_ms for found in taps), 1),
            "of it the service, ms": round(median(found.service_ms for found in taps), 1),
            "APDUs a tap": median(found.apdus for found in taps),
            **tap.of_known_cards(known),
        },
    )


@contextmanager
def _stack(
    server: PostgresServer, key: str, say: Callable[[str], None]
) -> Iterator[tuple[Stack, PrivatePcscd]]:
    with tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder:
        name = server.create()
        urls = server.url(name, SERVICE_ROLE), server.url(name, OWNER)
        stack = Stack(Path(folder), *urls, "GBP", "Europe/London")
        say(f"{key}: setting up a scheme, a desk and a private pcscd")
        with PrivatePcscd(Path(folder) / "pcscd", [DESK]) as pcscd:
            stack.environment |= pcscd.environment
            try:
                tap.install(stack)
                yield stack, pcscd
            finally:
                stack.close()


def _in_own_process(function: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> T:
    """PC/SC's library finds the private pcscd by its environment, and only once in a process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **more).result()


def _query(environment: Mapping[str, str], seconds: float) -> list[float]:
    os.environ.update(environment)
    from reader_agent.transport.pcsc import PcscReaders  # noqa: PLC0415 - after the environment is set

    readers = PcscReaders()
    connection = readers.connect(DESK, wait_s=10)
    took_ms: list[float] = []
    deadline = time.monotonic() + seconds
    with connection.transaction():
        connection.transmit(SELECT)
        while len(took_ms) < WARM_UP + FEWEST or time.monotonic() < deadline:
            begun = time.perf_counter()
            _, status = connection.transmit(QUERY)
            took_ms.append((time.perf_counter() - begun) * 1000)
            if status >> 8 not in (0x63, 0x69):
                raise BenchmarkFailed(f"{ROUND_TRIP}: the card answered {status:04X}")
    connection.close()
    readers.close()
    return took_ms[WARM_UP:]


def _personalise(
    directory: Path, order: str, environment: Mapping[str, str]
) -> list[tuple[float, float, int]]:
    os.environ.update(environment)
    from reader_agent.transport.pcsc import PcscReaders  # noqa: PLC0415 - after the environment is set

    readers = PcscReaders()
    with open_agent(directory) as agent:
        card = TimedCard(readers.connect(DESK, wait_s=10))
        begun = time.perf_counter()
        done = personalise(agent, card, UUID(order), WELL_KNOWN_TRANSPORT_KEY)
        total_ms = (time.perf_counter() - begun) * 1000
    readers.close()
    if done.state != "active":
        raise BenchmarkFailed(f"{PERSONALISATION}: the card is {done.state}")
    return [(total_ms, card.spent.elapsed_ms, card.spent.count)]


def _measured(key: str, what: str, took_ms: Sequence[float], detail: Mapping[str, object]) -> Measurement:
    p50_ms = median(took_ms)
    p99_ms = quantiles(took_ms, n=100, method="inclusive")[98]
    return Measurement(
        key=key, what=what, value=p50_ms, unit="ms", p50_ms=p50_ms, p99_ms=p99_ms, detail=detail
    )
