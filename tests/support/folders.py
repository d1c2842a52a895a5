"""Folders of servers that tests start, which outlive no run for long: not even one that was killed."""

import os
import shutil
import tempfile
from pathlib import Path


def own_folder(prefix: str) -> Path:
    """A new folder that carries this process's number; those of processes that were killed are removed.

    Memory that nobody gives back would be missing until the machine starts anew.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}-*-*"):
        owner = left.name.removeprefix(f"{prefix}-").partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)  # another run may do the same
    return Path(tempfile.mkdtemp(prefix=f"{prefix}-{os.getpid()}-"))
