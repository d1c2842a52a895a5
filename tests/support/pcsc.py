"""A real, private pcscd with virtual readers for tests, and cards that go in and out of them.

`readers` is the fixture to use: one pcscd for each pytest process, since libpcsclite keeps the first socket
that it was told of, and every reader empty at the start of each test.
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.behaviour import Behaviour, ToldCard
from reader_agent.virtual_card.bridge import Bridge
from reader_agent.virtual_card.pcscd import PrivatePcscd
from reader_agent.virtual_card.pcscd_client import ReaderState
from reader_agent.virtual_card.state import CardState

CONTACT_READER = "Test contact"
CONTACTLESS_READER = "Test contactless"

WAIT_TIMEOUT_S = 10.0
POLL_S = 0.01


@dataclass(slots=True)
class _Inserted:
    state: CardState
    bridge: Bridge
    thread: threading.Thread
    # pcscd's, once it has seen the card
    event_count: int = 0


@dataclass(slots=True)
class Readers:
    """The virtual readers of one private pcscd, and what is in them."""

    pcscd: PrivatePcscd
    _inserted: dict[str, _Inserted] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find these readers."""
        return dict(self.pcscd.environment)

    def port(self, reader: str) -> int:
        """Where `reader-agent virtual-card insert --port` puts a card into this reader."""
        return self.pcscd.port(reader)

    def full_name(self, reader: str) -> str:
        """The name under which PC/SC lists a reader."""
        return self.state(reader).name

    def state(self, reader: str) -> ReaderState:
        """What pcscd says of a reader now."""
        return self.pcscd.states()[reader]

    def insert(
        self, reader: str, card: Path, face: Face = Face.CONTACT, behaviour: Behaviour | None = None
    ) -> None:
        """Put a card in, from this process; returns once pcscd has seen it."""
        state = CardState.load(card)
        before = self.state(reader).event_count
        try:
            inserted = ToldCard(state, face, behaviour or Behaviour())
            bridge = Bridge.connect(inserted, "127.0.0.1", self.port(reader))
        except BaseException:
            state.close()
            raise
        thread = threading.Thread(target=bridge.run, name=f"card in {reader}", daemon=True)
        thread.start()
        self._inserted[reader] = _Inserted(state, bridge, thread)
        wait_until(lambda: self._has_seen_insertion(reader, before), f"a card in {reader}")
        self._inserted[reader].event_count = self.state(reader).event_count

    def pull(self, reader: str) -> None:
        """Take a card out; returns once pcscd has seen it, so that the next one may come at once."""
        inserted = self._inserted.pop(reader)
        inserted.bridge.pull()
        inserted.thread.join(WAIT_TIMEOUT_S)
        inserted.state.close()
        if self.pcscd.is_running:
            wait_until(lambda: self._has_seen_removal(reader, inserted), f"no card in {reader}")

    def _has_seen_insertion(self, reader: str, before: int) -> bool:
        """Not as soon as it has a card: pcscd counts that a moment later.

        By an earlier count any removal would seem to be over.
        """
        state = self.state(reader)
        return state.has_card and state.event_count != before

    def _has_seen_removal(self, reader: str, inserted: _Inserted) -> bool:
        """Not as soon as it finds no card: one that went away within a command is missed a moment earlier.

        Who inserts in that moment has wedged the reader.
        """
        state = self.state(reader)
        return not state.has_card and state.event_count != inserted.event_count

    def pull_all(self) -> None:
        """Empty every reader that was filled by `insert`."""
        for reader in tuple(self._inserted):
            self.pull(reader)

    def close(self) -> None:
        """Pull all cards and end pcscd."""
        self.pull_all()
        self.pcscd.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_readers(directory: Path, names: Sequence[str]) -> Readers:
    """Start a private pcscd with these readers; close it, or use it as a context manager."""
    pcscd = PrivatePcscd(directory, names)
    pcscd.start()
    return Readers(pcscd)


@pytest.fixture(scope="session")
def session_readers() -> Iterator[Readers]:
    """One pcscd for this process, which pyscard in this process finds, too."""
    with (
        tempfile.TemporaryDirectory(prefix="citizen-card-pcscd-") as directory,
        start_readers(Path(directory), (CONTACT_READER, CONTACTLESS_READER)) as readers,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in readers.environment.items():
            patch.setenv(name, value)
        yield readers


@pytest.fixture
def readers(session_readers: Readers) -> Iterator[Readers]:
    """The session's readers, running and empty before and after the test."""
    if not session_readers.pcscd.is_running:
        session_readers.pcscd.start()
    yield session_readers
    session_readers.pull_all()


def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_TIMEOUT_S) -> None:
    """Return when the condition holds; an AssertionError that names it when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(POLL_S)
