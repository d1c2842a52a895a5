"""A reload without a gap: the old processes serve until a new one can.

gunicorn starts the new processes and tells the old ones to end in the same moment, once, and a new one takes
seconds to open the service. So one that is told goes on until its place is taken, and looks for that itself:
until the old ones have ended gunicorn's first process does nothing else. It imports this, and shares two
numbers with its children.
"""

import mmap
import struct
import time
from typing import Any

# Ours: below `graceful_timeout`, so that whoever stops the service during a reload still has requests ended.
PATIENCE_S = 20.0
LOOK_EVERY_S = 0.05
# gunicorn numbers its processes. The last one before the newest reload, and the newest that serves.
_BEFORE, _SERVING = 0, 8
_shared = mmap.mmap(-1, 16)


def begun(server: Any) -> None:
    """In gunicorn's first process: whoever was started so far is of the past."""
    struct.pack_into("Q", _shared, _BEFORE, server.worker_age)


def serves(worker: Any) -> None:
    """In a process that has opened the service."""
    struct.pack_into("Q", _shared, _SERVING, max(_read(_SERVING), worker.age))


class Lasting:
    """Over a worker of gunicorn's: told to end by a reload, it does when another has taken its place."""

    age: int
    _told_at: float | None = None

    def is_needed(self) -> bool:
        """Whether a reload has to wait for who takes this one's place; since it was told to end first."""
        if self.age > _read(_BEFORE) or _read(_SERVING) > _read(_BEFORE):
            return False
        now = time.monotonic()
        self._told_at = now if self._told_at is None else self._told_at
        return now - self._told_at < PATIENCE_S


def _read(place: int) -> int:
    [number] = struct.unpack_from("Q", _shared, place)
    return int(number)
