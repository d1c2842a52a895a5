"""Puts software cards on the virtual readers and takes them away: a program for each card on a reader."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiosk.demo.town import Terminal
from kiosk.processes import ProgramFailed, Programs

# pcscd looks every 400 ms: a card that comes sooner after another was pulled can wedge the reader.
AFTER_REMOVAL_S = 0.9
INSERT_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class VirtualReader:
    """A reader and the port on loopback at which it takes a card."""

    name: str
    face: str
    port: int


class Readers:
    """The virtual readers of the town; for several threads."""

    def __init__(self, programs: Programs, terminals: tuple[Terminal, ...], ports: Mapping[str, int]) -> None:
        self._programs = programs
        self._readers = {
            terminal.reader: VirtualReader(terminal.reader, terminal.face, ports[terminal.reader])
            for terminal in terminals
        }
        self._emptied_at = dict.fromkeys(self._readers, float("-inf"))
        # One card at a time goes onto a reader, or off it.
        self._locks = {name: threading.Lock() for name in self._readers}

    def __getitem__(self, name: str) -> VirtualReader:
        """The reader of this name."""
        return self._readers[name]

    def program(self, reader: str) -> str:
        """The name of the program that is the card on this reader: it names nobody, and so do its logs."""
        return f"card on {reader.lower()}"

    def put(self, reader: str, card: Path) -> None:
        """Put a card on an empty reader; returns when it lies there. Raises ProgramFailed, Interrupted."""
        with self._locks[reader]:
            if (wait_s := self._emptied_at[reader] + AFTER_REMOVAL_S - time.monotonic()) > 0:
                time.sleep(wait_s)
            found, program = self._readers[reader], self.program(reader)
            begins_at = self._programs.start(
                program,
                *("reader-agent", "virtual-card", "insert", str(card)),
                *("--port", str(found.port), "--face", found.face),
            )

            def lies_there() -> bool | None:
                return "is inserted" in self._programs.output(program, begins_at) or None

            try:
                self._programs.wait_until(program, lies_there, INSERT_TIMEOUT_S)
            except ProgramFailed:
                self._take(reader)
                raise

    def take(self, reader: str) -> None:
        """Take away what lies on a reader, if something does."""
        with self._locks[reader]:
            self._take(reader)

    def _take(self, reader: str) -> None:
        if self._programs.stop(self.program(reader)):
            self._emptied_at[reader] = time.monotonic()

    @contextmanager
    def holding(self, reader: str, card: Path) -> Iterator[None]:
        """A card lies on a reader for as long as the block takes."""
        self.put(reader, card)
        try:
            yield
        finally:
            self.take(reader)
