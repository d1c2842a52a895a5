"""Folders of servers that tests start, which outlive no run for long: not even one that was killed."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

# Descriptors of this process's own folders: each is locked for as long as the process lives.
_own: list[int] = []


def own_folder(prefix: str) -> Path:
    """A new folder of this process; those of processes that are gone are removed.

    Memory that nobody gives back would be missing until the machine starts anew. Who is there still is told
    by locks: the number of a process means something else to those in another container.
    """
    everywhere = Path(tempfile.gettempdir())
    with (everywhere / f"{prefix}-{os.getuid()}.lock").open("w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        for left in everywhere.glob(f"{prefix}-*-*"):
            if _is_left(left):
                shutil.rmtree(left, ignore_errors=True)
        made = Path(tempfile.mkdtemp(prefix=f"{prefix}-{os.getpid()}-"))
        descriptor = os.open(made, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _own.append(descriptor)
    return made


def _is_left(folder: Path) -> bool:
    """Whether nobody's lock is on it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False  # somebody else's, or gone by now
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
