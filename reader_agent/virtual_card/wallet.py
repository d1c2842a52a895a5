"""A folder of software cards by name: which there are, which are on a reader, and taking them out again.

A card's file is `<name>.json`. The process that has it on a reader keeps a note of where, `.<name>.inserted`,
locked for as long as it does: a note without its lock is what a process left behind that was killed.
"""

import fcntl
import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.errors import CardNameUnusable, CardNotInserted, CardStuck

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_MODE: Final = 0o600
_MAX_NOTE_LENGTH: Final = 4096

# A card comes out as soon as its process takes the signal.
REMOVE_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Insertion:
    """Where a card is."""

    pid: int
    # As the person named it, or the port
    reader: str
    face: Face


class Wallet:
    """The cards in one folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def path(self, name: str) -> Path:
        """The file of a card, which need not be there. Raises CardNameUnusable."""
        if not _NAME.fullmatch(name):
            raise CardNameUnusable(name)
        return self._directory / f"{name}.json"

    def names(self) -> tuple[str, ...]:
        """The cards, by name."""
        found = (path.stem for path in self._directory.glob("*.json"))
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def insertion(self, name: str) -> Insertion | None:
        """Where a card is now; None if it is on no reader. Raises CardNameUnusable."""
        try:
            descriptor = os.open(self._note(name), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            with suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None  # its process is gone
            return _read_note(os.read(descriptor, _MAX_NOTE_LENGTH))
        finally:
            os.close(descriptor)

    @contextmanager
    def inserted(self, name: str, reader: str, face: Face) -> Iterator[None]:
        """Say that this process has the card on a reader, for the length of the block.

        For who has the card's own lock, so that nobody else says so of it.
        """
        note = self._note(name)
        descriptor = os.open(note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # waits for those that are just looking
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps(asdict(Insertion(os.getpid(), reader, face))).encode())
            yield
        finally:
            note.unlink(missing_ok=True)
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """Take a card out of its reader; returns when it is. Raises CardNotInserted, CardStuck."""
        found = self.insertion(name)
        if found is None:
            raise CardNotInserted(name)
        # The lock was held a moment ago by this process, so that the number is not another one's yet.
        with suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGTERM)
        deadline = time.monotonic() + REMOVE_TIMEOUT_S
        while self.insertion(name) is not None:
            if time.monotonic() >= deadline:
                raise CardStuck(name, found.pid)
            time.sleep(_POLL_S)

    def _note(self, name: str) -> Path:
        return self.path(name).with_name(f".{name}.inserted")


def _read_note(raw: bytes) -> Insertion | None:
    """None for a note that is just being written."""
    try:
        document = json.loads(raw)
        return Insertion(int(document["pid"]), str(document["reader"]), Face(document["face"]))
    except (ValueError, KeyError, TypeError):
        return None
