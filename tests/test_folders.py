"""Folders of servers that tests start: kept for as long as somebody has a lock on them, whoever that is."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from tests.support.folders import own_folder


def test_a_folder_is_somebodys_while_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no process has the number of its name: it may be one of another container."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    theirs = tmp_path / "server-999999999-x"
    theirs.mkdir()
    descriptor = os.open(theirs, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    mine = own_folder("server")
    assert theirs.exists()
    os.close(descriptor)
    again = own_folder("server")
    assert not theirs.exists()
    assert mine.exists()
    assert again.exists()
