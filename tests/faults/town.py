"""A town whose service runs as in production, and riders on its buses: everything of it can be killed."""

import gc
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import text

from cardservice.api.app import create_app
from cardservice.config import load_settings
from cardservice.context import open_context
from cardservice.database import connect
from tests.faults.riders import Rider, Told
from tests.support import warm
from tests.support.council import Card, Council, StandingClock, Terminal
from tests.support.databases import OWNER, SERVICE_ROLE, Kind, PostgresServer
from tests.support.stack import Stack

TIMEOUT_S = 90.0
RIDERS, CARDS_EACH = 10, 1
# Enough for every fare that a run can ask for
TOP_UP_MINOR = 100_000_000
# What a process logs that starts without a database
_WAITING = "cardservice.starting"


@dataclass(slots=True)
class FaultTown:
    """The running service, its worker and its database."""

    stack: Stack
    # None: SQLite
    server: PostgresServer | None
    people: tuple[tuple[Terminal, tuple[Card, ...]], ...]
    _worker: warm.Begun | None = None

    @property
    def kind(self) -> Kind:
        """Which database it has."""
        return "sqlite" if self.server is None else "postgresql"

    @contextmanager
    def ridden(self, seed: int = 1) -> Iterator["Ride"]:
        """Everybody rides until the end of the block, and what they were told."""
        told = Told()
        riders = [
            Rider(self.stack.origin, terminal, cards, told, seed * 100 + number)
            for number, (terminal, cards) in enumerate(self.people)
        ]
        for rider in riders:
            rider.start()
        try:
            yield Ride(self, told, random.Random(seed))  # noqa: S311 - what is killed when, no secret
        finally:
            for rider in riders:
                rider.stop()
            for rider in riders:
                rider.join(TIMEOUT_S)
            # urllib3 closes a pool's connections when nothing refers to it, and tracebacks do for a while:
            # the service would wait for them when it stops.
            gc.collect()
        assert not any(rider.is_alive() for rider in riders)

    def start_worker(self) -> None:
        """`cardservice worker`, at work all the time."""
        with (self.stack.root / "worker.log").open("ab") as log:
            self._worker = warm.begin(
                ["cardservice", "worker", "--every", "0.1"], self.stack.programs(), stdout=log, stderr=log
            )

    def kill_worker(self) -> None:
        """kill -9, and it is started again, as whoever watches it does."""
        if self._worker is not None:
            self._worker.send_signal(signal.SIGKILL)
            self._worker.wait(TIMEOUT_S)
        self.start_worker()

    def stop_worker(self) -> None:
        """It ends its round first."""
        if self._worker is not None:
            self._worker.send_signal(signal.SIGTERM)
            self._worker.wait(TIMEOUT_S)
            self._worker = None

    def serving(self) -> list[int]:
        """gunicorn's processes that serve requests."""
        pid = self.stack.service_pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def posted(self) -> dict[UUID, tuple[str, int]]:
        """Each message in the ledger: its decision, and how many transfers it has. No id is there twice."""
        database = connect(self.stack.owner_url)
        try:
            with database.reading() as connection:
                rows = connection.execute(
                    text(
                        "SELECT t.id, t.decision, (SELECT count(*) FROM transfer AS f"
                        " WHERE f.payer_id = t.payer_id AND f.transaction_id = t.id)"
                        " FROM ledger_transaction AS t WHERE t.kind IN ('request', 'advice')"
                    )
                ).all()
        finally:
            database.dispose()
        found = {UUID(str(row[0])): (row[1], row[2]) for row in rows}
        assert len(found) == len(rows), "an id was posted twice"
        return found

    def spent_minor(self) -> int:
        """What all the riders' cards have paid, by the accounts' balances."""
        database = connect(self.stack.owner_url)
        try:
            with database.reading() as connection:
                left = connection.execute(text("SELECT sum(balance) FROM account")).scalar_one()
        finally:
            database.dispose()
        return sum(len(cards) for _, cards in self.people) * TOP_UP_MINOR - int(left)

    def reload(self) -> None:
        """SIGHUP: gunicorn starts new processes and ends the old ones, each when it has answered."""
        before = set(self.serving())
        os.kill(self.stack.service_pid, signal.SIGHUP)
        self.until(lambda: before.isdisjoint(now := self.serving()) and len(now) >= len(before))

    def until(self, found: Callable[[], bool]) -> None:
        """Wait until something is so, while the service runs."""
        deadline = time.monotonic() + TIMEOUT_S
        log = self.stack.root / "service.log"
        while not found():
            os.kill(self.stack.service_pid, 0)
            assert time.monotonic() < deadline, log.read_text()[-5000:]
            time.sleep(0.01)


@dataclass(slots=True)
class Ride:
    """What goes on while everybody rides."""

    town: FaultTown
    told: Told
    chance: random.Random
    kills: dict[str, int] = field(default_factory=dict)

    def go_on(self, fares: int) -> None:
        """Until so many more were answered: it works again."""
        wanted = len(self.told.answered) + fares
        self.town.until(lambda: len(self.told.answered) >= wanted or bool(self.told.wrong))
        assert not self.told.wrong, self.told.wrong

    def kill(self, what: str) -> None:
        """kill -9 at some moment; whoever watches over it starts it again."""
        time.sleep(self.chance.uniform(0, 0.05))  # the moment of the kill, not a wait for anything
        getattr(self, f"_kill_{what}")()
        for each in ("process", "database") if what == "both" else (what,):
            self.kills[each] = self.kills.get(each, 0) + 1

    def _kill_process(self) -> None:
        """One of gunicorn's: gunicorn starts another."""
        os.kill(self.chance.choice(self.town.serving()), signal.SIGKILL)

    def _kill_worker(self) -> None:
        self.town.kill_worker()

    def _kill_service(self) -> None:
        self.town.stack.stop_service(signal.SIGKILL)
        self.town.stack.start_service()

    def _kill_session(self) -> None:
        """A process of the database that serves the service: PostgreSQL ends all of them, and recovers."""
        assert self.town.server is not None
        sessions = [pid for pid, what in self.town.server.processes().items() if f" {SERVICE_ROLE} " in what]
        os.kill(self.chance.choice(sessions), signal.SIGKILL)

    def _kill_database(self) -> None:
        """All of it."""
        assert self.town.server is not None
        self.town.server.kill()
        self.town.server.start_again()

    def _kill_both(self) -> None:
        """A process that gunicorn starts finds no database: it waits for it, and the others live on."""
        assert self.town.server is not None
        log = self.town.stack.root / "service.log"
        told = log.read_text().count(_WAITING)
        self.town.server.kill()
        self._kill_process()
        self.town.until(lambda: log.read_text().count(_WAITING) > told)
        self.town.server.start_again()


@contextmanager
def running_town(kind: Kind, root: Path) -> Iterator[FaultTown]:
    """A town on a database of its own, until the end of the block."""
    server = PostgresServer() if kind == "postgresql" else None
    if server is None:
        urls = (f"sqlite:///{root / 'ledger.sqlite'}",) * 2
    else:
        name = server.create()
        urls = (server.url(name, SERVICE_ROLE), server.url(name, OWNER))
    try:
        with town_on(Stack(root, *urls, "GBP", "Europe/London"), server) as town:
            yield town
    finally:
        if server is not None:
            server.stop()


@contextmanager
def town_on(
    stack: Stack, server: PostgresServer | None, set_up: Callable[[Stack], object] = lambda _: None
) -> Iterator[FaultTown]:
    """A town with an empty database, set up further by `set_up` before there are people."""
    town = FaultTown(stack, server, ())
    try:
        stack.install("ashcombe")
        set_up(stack)
        town.people = _people(stack)
        stack.start_service()
        yield town
    finally:
        town.stop_worker()
        stack.close()


def _people(stack: Stack) -> tuple[tuple[Terminal, tuple[Card, ...]], ...]:
    clock = StandingClock(datetime.now(UTC))
    context = open_context(load_settings(stack.programs()), clock)
    try:
        council = Council(context, create_app(context).test_client(), clock)
        council.provider()
        council.load_fares()
        return tuple(
            (
                _with_own_clock(council.terminal(f"bus-{number}")),
                tuple(council.card(top_up_minor=TOP_UP_MINOR) for _ in range(CARDS_EACH)),
            )
            for number in range(RIDERS)
        )
    finally:
        context.close()


def _with_own_clock(terminal: Terminal) -> Terminal:
    terminal.clock = StandingClock(terminal.clock())
    return terminal


def verified(stack: Stack) -> None:
    """The worker has done its round, and the whole ledger is right."""
    stack.run("cardservice", "worker", "--once")
    try:
        stack.run("cardservice", "ledger", "verify", "--whole")
    except subprocess.TimeoutExpired as late:
        raise AssertionError("the ledger is too large to be verified in time") from late
