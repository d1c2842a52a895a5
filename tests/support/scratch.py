"""Where tests write: in memory, where there is enough of it, since no test is about the disk.

Copying a database of PostgreSQL takes 20 ms there, and up to 400 on a busy disk; key files and outboxes wait
for the disk at each write. Whoever sets TMPDIR or --basetemp decides himself.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")
# Two workers use less than half of it.
ENOUGH_BYTES = 3 * 2**30


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before the first temporary folder is made; programs that tests start follow by the environment."""
    if "TMPDIR" in os.environ or config.option.basetemp is not None:
        return
    if os.access(MEMORY, os.W_OK | os.X_OK) and shutil.disk_usage(MEMORY).free >= ENOUGH_BYTES:
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # it is looked for anew
