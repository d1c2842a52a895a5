"""A Citus cluster of the tests own: a coordinator and two workers, by the tools beside the project."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from tests.support.folders import own_folder
from tests.support.stack import free_port

TOOLS = Path(__file__).parents[3] / "shared" / "tools" / "citus"
ARCHIVE = "citus-13.2.2.tar.xz"
WORKERS, ATTEMPTS = 2, 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster; its nodes by their ports, the coordinator first."""

    folder: Path
    ports: tuple[int, ...]
    environment: dict[str, str]

    @property
    def url(self) -> str:
        """The coordinator, as its superuser connects to it."""
        return self.node_url(0)

    def node_url(self, node: int) -> str:
        """A node."""
        return f"postgresql://postgres@127.0.0.1:{self.ports[node]}/ledger"

    def processes(self, node: int) -> list[int]:
        """The first process of a node, and all that it has started."""
        first = int((self.folder / "nodes" / f"node{node}" / "postmaster.pid").read_text().split()[0])
        return [first, *map(int, Path(f"/proc/{first}/task/{first}/children").read_text().split())]

    def kill(self, node: int) -> None:
        """kill -9, of all of a node."""
        for pid in self.processes(node):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def hang(self, node: int) -> list[int]:
        """Stop all of a node's processes where they are: it takes connections, and answers nothing."""
        found = self.processes(node)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        return found

    def shards(self, node: int, table: str) -> list[str]:
        """The tables of a node that are this table's parts."""
        query = (
            "SELECT shard_name FROM citus_shards WHERE table_name = %s::regclass AND nodeport = %s ORDER BY 1"
        )
        with psycopg.connect(self.url, autocommit=True) as session:
            return [str(name) for (name,) in session.execute(query, (table, self.ports[node]))]

    @staticmethod
    def go_on(hanging: list[int]) -> None:
        """Let them go on."""
        for pid in hanging:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def start(self) -> None:
        """Start every node that does not run."""
        for _ in range(ATTEMPTS):
            with suppress(subprocess.CalledProcessError):
                run(self, "start", str(len(self.ports) - 1), str(self.ports[0]))
                return
            # What is left of a node that was killed keeps the next one out for a moment.
            time.sleep(1)
        raise AssertionError((self.folder / "start.log").read_text())


def run(cluster: Cluster, verb: str, *more: str) -> None:
    """The tools' own script."""
    # Not captured: the servers keep what they inherit open.
    with (cluster.folder / f"{verb}.log").open("ab") as log:
        subprocess.run(
            [str(TOOLS / "cluster.sh"), verb, str(cluster.folder / "nodes"), *more],
            env=cluster.environment,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


@contextmanager
def running_cluster(workers: int = WORKERS) -> Iterator[Cluster]:
    """A cluster until the end of the block; skips where there is none to be had, and says why."""
    binaries = _binaries()
    ports = _ports(workers)
    folder = own_folder("citizen-card-citus")
    folder.chmod(0o755)
    environment = {**os.environ, "PATH": f"{binaries}:{os.environ['PATH']}"}
    cluster = Cluster(folder, ports, environment)
    try:
        cluster.start()
        yield cluster
    finally:
        with suppress(subprocess.CalledProcessError):
            run(cluster, "destroy")
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    """The folder of a PostgreSQL with Citus; built from the archive where that is possible."""
    if not (TOOLS / ARCHIVE).exists():
        pytest.skip(f"the Citus archive is not there: {TOOLS / ARCHIVE}")
    configured = os.environ.get("PG_CONFIG")
    found = [Path(configured)] if configured else sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_config"))
    if not found:
        pytest.skip(
            "there is no pg_config: install postgresql-server-dev-15, as the README of the tools says"
        )
    config = found[-1]
    library = subprocess.run([config, "--pkglibdir"], capture_output=True, text=True, check=True).stdout
    if not (Path(library.strip()) / "citus.so").exists():
        built = subprocess.run(
            [str(TOOLS / "build-citus.sh"), str(TOOLS / ARCHIVE)],
            env={**os.environ, "PG_CONFIG": str(config)},
            capture_output=True,
            text=True,
            check=False,
        )
        if built.returncode != 0:
            pytest.skip(
                f"Citus cannot be built here, see {TOOLS / 'README.md'} for what it needs: "
                + built.stderr.strip().rpartition("\n")[2]
            )
    return config.parent


def _ports(workers: int) -> tuple[int, ...]:
    """Ports one after the other, as the tools want them."""
    first = free_port()
    return tuple(range(first, first + workers + 1))
