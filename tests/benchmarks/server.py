"""A durable PostgreSQL of the benchmark's own, and TPC-B on it: what every ratio is a ratio to."""

import re
import subprocess
from pathlib import Path
from statistics import mean, median

import psycopg

from cardservice.database import connect
from cardservice.ledger.verify import verify
from tests.support.databases import ADMINISTRATOR, OWNER, PostgresServer

# Like a server that was set up for its machine, and durable: what was answered survives a power cut.
SETTINGS = (
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "shared_buffers=1GB",
    "max_wal_size=4GB",
    "max_connections=200",
)
SCALE = 32
CLIENTS, JOBS = 8, 2
SLICES = 3
_TPS = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)


class BenchmarkFailed(Exception):
    """What was measured is not what was meant: no number is given for it."""


class TpcB:
    """`pgbench`'s TPC-B on the benchmark's server, in slices before and after everything else."""

    def __init__(self, server: PostgresServer) -> None:
        self._url = server.url(server.create(), ADMINISTRATOR)
        self.before: list[float] = []
        self.after: list[float] = []

    def prepare(self) -> None:
        """Fill the tables: 3.2 million accounts, some 500 MB."""
        self._pgbench("-i", "-q", "-s", str(SCALE))

    def measure(self, seconds: float) -> list[float]:
        """Transactions a second in each of three slices."""
        return [self._slice(seconds) for _ in range(SLICES)]

    @property
    def median(self) -> float:
        """Of all slices so far, before and after: the denominator of every ratio."""
        return median([*self.before, *self.after])

    @property
    def mean(self) -> float:
        """Of all slices so far."""
        return mean([*self.before, *self.after])

    def _slice(self, seconds: float) -> float:
        checkpoint(self._url)
        load = ("-M", "prepared", "-c", str(CLIENTS), "-j", str(JOBS), "-T", str(max(1, round(seconds))))
        out = self._pgbench(*load)
        tps, failed = _TPS.search(out), _FAILED.search(out)
        if tps is None or failed is None or failed[1] != "0":
            raise BenchmarkFailed(f"pgbench did not end as expected:\n{out}")
        return float(tps[1])

    def _pgbench(self, *arguments: str) -> str:
        # Debian's wrapper in /usr/bin asks for a cluster of the system's, which there is not.
        program = max(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
        done = subprocess.run(
            [str(program), *arguments, self._url], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise BenchmarkFailed(f"pgbench {' '.join(arguments)}: {done.stderr}")
        return done.stdout


def checkpoint(url: str) -> None:
    """Write out what earlier slices have left, so that each slice begins alike."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")


def administrator_url(url: str) -> str:
    """The same database as the server's administrator connects to it."""
    return url.replace(f"://{OWNER}@", f"://{ADMINISTRATOR}@")


def version(server: PostgresServer) -> str:
    """The server's version."""
    with psycopg.connect(server.url("postgres", ADMINISTRATOR)) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return "unknown" if row is None else str(row[0])


def require_right(service_url: str, key: str) -> None:
    """Raises BenchmarkFailed unless the whole ledger adds up."""
    database = connect(service_url)
    try:
        report = verify(database)
    finally:
        database.dispose()
    if not report.is_clean:
        raise BenchmarkFailed(f"{key}: the ledger does not add up: {report.findings[:3]}")
