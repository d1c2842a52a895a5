"""Who works through a chunk: this process, or others beside it, each for a share of the cards.

A share keeps its cards' order, reads, decides and posts for itself. Processes start with the first chunk and
end with the service; one that dies has posted its share or nothing of it, and its entries are sent again.
"""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import Protocol

from cardservice.advices import frames
from cardservice.advices.answering import Entry, entry_of
from cardservice.advices.service import ingest
from cardservice.advices.wire import card_of
from cardservice.context import Context
from cardservice.errors import Busy
from cardservice.terminals.service import Terminal

log = logging.getLogger(__name__)

# Fewer than this are not worth another process.
SMALLEST_SHARE = 50
# Each process of the service has its own: more would be idle most of the time, in memory all the time.
MOST_PROCESSES = 4
END_TIMEOUT_S = 20.0


class Ingest(Protocol):
    """Whoever works through a chunk."""

    def __call__(self, terminal: Terminal, entries: Sequence[bytes]) -> list[Entry]:
        """What each entry is answered, in their order."""

    def close(self) -> None:
        """End what runs beside this."""


class Here:
    """This process, in the caller's thread: on SQLite, whose one writer the others would wait for."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __call__(self, terminal: Terminal, entries: Sequence[bytes]) -> list[Entry]:
        """See Ingest."""
        return [entry_of(self._context.scheme.id, one) for one in ingest(self._context, terminal, entries)]

    def close(self) -> None:
        """See Ingest."""


class Workers:
    """Processes of their own, so that a chunk takes every processor and holds up nobody else's request."""

    def __init__(self, scheme_id: str, count: int | None = None) -> None:
        self._scheme_id = scheme_id
        self._workers = [_Worker() for _ in range(count or min(MOST_PROCESSES, os.cpu_count() or 1))]

    def __call__(self, terminal: Terminal, entries: Sequence[bytes]) -> list[Entry]:
        """See Ingest. What a process did not answer is Busy: sent again, it finds out."""
        shares = divided(entries, len(self._workers))
        used = [(worker, rows) for worker, rows in zip(self._workers, shares, strict=False) if rows]
        answered: list[Entry] = [_busy(self._scheme_id)] * len(entries)
        with ExitStack() as held:
            # In one order: two chunks never wait for each other crosswise.
            for worker, _ in used:
                held.enter_context(worker.asked())
            sent = [
                (worker, rows, worker.ask(terminal.id, [entries[row] for row in rows]))
                for worker, rows in used
            ]
            for worker, rows, is_asked in sent:
                for row, entry in zip(rows, worker.answer(len(rows)) if is_asked else (), strict=False):
                    answered[row] = entry
        return answered

    @property
    def running(self) -> "list[subprocess.Popen[bytes]]":
        """The processes that are there."""
        return [worker.process for worker in self._workers if worker.process is not None]

    def close(self) -> None:
        """See Ingest."""
        for worker in self._workers:
            with worker.lock:
                worker.end()


def divided(entries: Sequence[bytes], count: int) -> list[list[int]]:
    """Rows of the entries by who works on them: all of a card by one, in their order."""
    count = max(1, min(count, len(entries) // SMALLEST_SHARE))
    shares: list[list[int]] = [[] for _ in range(count)]
    for row, entry in enumerate(entries):
        # The end of an identifier is random (RFC 9562, 5.7).
        shares[int.from_bytes(card_of(entry)[-4:], "big") % count].append(row)
    return shares


class _Worker:
    """One process, started when it is first asked; whoever holds the lock may talk to it."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Ask it and wait for its answer. Whoever gives up ends it: else the next would be answered that."""
        with self.lock:
            try:
                yield
            except BaseException:
                if self.process is not None:
                    self.process.kill()
                self.end()
                raise

    def ask(self, terminal_id: str, entries: Sequence[bytes]) -> bool:
        """Give it a share; False where it cannot be given one."""
        for _ in range(2):  # one that has died since it was last asked is started again
            try:
                frames.send(self._started(), [terminal_id.encode(), *entries])
            except OSError:
                log.warning("a process for chunks is gone", exc_info=True)
                self.end()
            else:
                return True
        return False

    def answer(self, count: int) -> list[Entry]:
        """What it has made of its share; nothing where it has died over it."""
        try:
            if self._connection is None:
                return []
            parts = frames.receive(self._connection)
        except (EOFError, OSError):
            log.exception("a process for chunks has ended over a chunk")
            self.end()
            return []
        if len(parts) != 2 * count:
            self.end()
            return []
        return [Entry(parts[at], parts[at + 1]) for at in range(0, len(parts), 2)]

    def end(self) -> None:
        """End the process, if there is one."""
        if self._connection is not None:
            self._connection.close()
        if self.process is not None:
            try:
                self.process.wait(END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = self._connection = None

    def _started(self) -> socket.socket:
        if self._connection is None:
            ours, theirs = socket.socketpair()
            with theirs:
                command = [sys.executable, "-m", "cardservice.advices.worker", str(theirs.fileno())]
                try:
                    self.process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
                    )
                except BaseException:
                    ours.close()
                    raise
            self._connection = ours
        return self._connection


def _busy(scheme_id: str) -> Entry:
    return entry_of(scheme_id, Busy("it is not known yet whether this was posted; send it again"))
