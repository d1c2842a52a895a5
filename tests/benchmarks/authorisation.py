"""`online_authorisation`: the whole path of a tap over HTTP, on gunicorn as `cardservice serve` runs it.

`bulk_authorisation_50` and `_200`: the same with so many messages in each request.

`wrk` sends requests that were signed beforehand. Full load is a closed loop; at half load requests are paced,
and what the goal says of the 99th percentile is measured there.
"""

import json
import math
import multiprocessing
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psycopg

from tests.benchmarks.report import Measurement
from tests.benchmarks.server import SLICES, BenchmarkFailed, administrator_url, checkpoint, require_right
from tests.benchmarks.signing import prepare
from tests.benchmarks.town import Town, running_town
from tests.support.databases import PostgresServer

KEY = "online_authorisation"
THREADS, CONNECTIONS = 2, 32
# A card is never in two requests under way at once: there are a thousand.
BULK_CONNECTIONS = 4
SCRIPT = Path(__file__).with_name("authorise.lua")
# The first slice finds out how many requests the next ones need.
WARM_UP_S = 5.0
WARM_UP_REQUESTS = 4_000
# The script sends nothing in the last seconds: what was sent before has been answered by then.
DRAIN_S = 5
# Requests are signed for a slice that turns out faster than the one before it by this much.
RESERVE = 1.5
FEWEST_REQUESTS = 1_000


@dataclass(frozen=True, slots=True)
class Slice:
    """What `wrk` saw. `refused`: other answers than 200; `ran_out`: threads that had no request left."""

    answers: int
    refused: int
    lost: int
    seconds: float
    p50_ms: float
    p99_ms: float
    ran_out: int

    @property
    def accepted(self) -> int:
        """Answers with status 200."""
        return self.answers - self.refused

    @property
    def rate(self) -> float:
        """Answers with status 200 a second."""
        return self.accepted / self.seconds


@dataclass(slots=True)
class Load:
    """Load on a running town, of messages that were signed beforehand."""

    town: Town
    pool: Executor
    folder: Path
    # Messages in one request.
    size: int
    accepted: int = 0

    @property
    def key(self) -> str:
        """What this measures."""
        return KEY if self.size == 1 else f"bulk_authorisation_{self.size}"

    @property
    def connections(self) -> int:
        """How many send at a time."""
        return CONNECTIONS if self.size == 1 else BULK_CONNECTIONS

    def slice(self, seconds: float, count: int, rate: float = 0.0) -> Slice:
        """Sign, send, and find in the ledger exactly what was answered with 200. Raises BenchmarkFailed.

        `count` and `rate` are of messages.
        """
        prepare(self.town, self.pool, -(-count // self.size), self.folder, THREADS, self.size)
        checkpoint(administrator_url(self.town.owner_url))
        found = self._wrk(seconds, rate / self.size)
        self.accepted += found.accepted * self.size
        approved, stored = stored_requests(self.town.owner_url)
        if (approved, stored) != (self.accepted, self.accepted):
            raise BenchmarkFailed(
                f"{self.key}: {self.accepted} messages were answered with 200; the ledger holds {stored} "
                f"requests, of them {approved} approved ({found}); see {self.town.stack.root / 'service.log'}"
            )
        return found

    def _wrk(self, seconds: float, rate: float) -> Slice:
        each = self.connections // THREADS
        done = subprocess.run(
            [
                *(
                    "wrk",
                    "-t",
                    str(THREADS),
                    "-c",
                    str(self.connections),
                    "-d",
                    str(math.ceil(seconds) + DRAIN_S),
                ),
                *("--timeout", "10s", "-s", str(SCRIPT), self.town.stack.origin, "--"),
                *(str(self.folder), str(each), str(seconds), str(rate / THREADS)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
        if done.returncode != 0 or line is None:
            raise BenchmarkFailed(f"wrk did not end as expected:\n{done.stdout}\n{done.stderr}")
        return Slice(**json.loads(line))


def measure(server: PostgresServer, seconds: float, say: Callable[[str], None], size: int = 1) -> Measurement:
    """The median slice at full load, and the times of answers at half of it; `size` messages a request."""
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="citizen-card-bench-") as folder,
        ProcessPoolExecutor(THREADS, context) as pool,
    ):
        say("setting up a scheme, its people and their cards")
        requests = Path(folder, "requests")
        requests.mkdir()
        root = Path(folder, "town")
        root.mkdir()
        with running_town(server, root) as town:
            return _measured(Load(town, pool, requests, size), seconds, say)


def _measured(load: Load, seconds: float, say: Callable[[str], None]) -> Measurement:
    key, size = load.key, load.size
    rate = load.slice(WARM_UP_S, WARM_UP_REQUESTS).rate * size
    full = []
    for number in range(SLICES):
        found = load.slice(seconds, _enough(rate, seconds))
        rate = max(rate, found.rate * size)
        full.append(found)
        say(f"{key}: slice {number + 1}: {found.rate * size:,.0f} answers/s, p99 {found.p99_ms:,.0f} ms")
    rate = median(found.rate for found in full) * size
    if any(found.ran_out for found in full):
        say(f"{key}: too few requests were signed for a slice; it was shorter")
    half = load.slice(seconds, _enough(rate / 2, seconds), rate / 2)
    times = f"p50 {half.p50_ms:.1f} ms, p99 {half.p99_ms:.1f} ms"
    say(f"{key}: half load: {half.rate * size:,.0f} answers/s, {times}")
    require_right(load.town.stack.service_url, key)
    return Measurement(
        key=key,
        what="a single fare over HTTP on gunicorn: terminal's and card's signatures, payer's state, rules, "
        f"posting, signed answer; {f'{size} a request; ' if size > 1 else ''}{len(load.town.cards):,} cards, "
        f"{len(load.town.terminals)} terminals, {load.connections} connections of wrk in a closed loop; "
        "p50 and p99 at half load",
        rate=rate,
        p50_ms=half.p50_ms,
        p99_ms=half.p99_ms,
        detail={
            "slices, answers/s": [round(found.rate * size) for found in full],
            "p50 and p99 at full load (corrected by wrk for coordinated omission), ms": [
                round(median(found.p50_ms for found in full), 1),
                round(median(found.p99_ms for found in full), 1),
            ],
            "half load, wanted and reached, answers/s": [round(rate / 2), round(half.rate * size)],
            "status 200, and found once in the ledger": load.accepted,
            "other answers, and connections lost": [
                sum(found.refused for found in [*full, half]),
                sum(found.lost for found in [*full, half]),
            ],
        },
    )


def _enough(rate: float, seconds: float) -> int:
    return round(rate * seconds * RESERVE) + FEWEST_REQUESTS


def stored_requests(owner_url: str) -> tuple[int, int]:
    """How many requests the ledger has approved, and how many it holds."""
    with psycopg.connect(owner_url) as connection:
        row = connection.execute(
            "SELECT count(*) FILTER (WHERE decision = 'approved'), count(*) FROM ledger_transaction"
            " WHERE kind = 'request'"
        ).fetchone()
    return (0, 0) if row is None else (int(row[0]), int(row[1]))
