"""Files that are whole or not there: written beside, flushed to disk, and only then given their name."""

import os
import secrets
from pathlib import Path


def make_private_directory(path: Path) -> None:
    """A folder that only its owner can enter; it may be there already."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that must not exist. Raises FileExistsError."""
    temporary = _write_beside(path, data, mode)
    try:
        os.link(temporary, path)  # unlike a rename, refuses where the name is taken
    finally:
        temporary.unlink()
    sync_directory(path.parent)


def replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file, or put it in the place of the one of that name."""
    temporary = _write_beside(path, data, mode)
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_beside(path: Path, data: bytes, mode: int) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        temporary.unlink()
        raise
    return temporary
