"""A card's memory in one file: every change is on the disk before the card answers, or has not happened.

The file is replaced, never written in place, so that a loss of power leaves the old card or the new one. An
advisory lock on the file itself keeps the card out of a second reader; it moves along with each replacement,
so that nothing but the card's own file is ever left on the disk.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from reader_agent.virtual_card.errors import CardFileExists, CardFileUnusable, CardInUse
from reader_agent.virtual_card.memory import CardMemory

MAX_FILE_LENGTH = 1 << 20
MODE = 0o600

# Gets each write as a function that does it: may count it, or lose the power before or after it.
WriteHook = Callable[[Callable[[], None]], None]


class CardState:
    """The memory of one card and the file it lies in, held by one process at a time.

    Made by `create` or `load`; `close` gives the card free again.
    """

    def __init__(self, path: Path, memory: CardMemory, lock: int) -> None:
        self._path, self._memory, self._lock = path, memory, lock
        self.write_hook: WriteHook = _just_write

    @classmethod
    def create(cls, path: Path, memory: CardMemory) -> Self:
        """Write a new card. Raises CardFileExists, CardFileUnusable."""
        try:
            lock = _write_beside(path, memory)
            try:
                # Unlike a rename, a link never replaces: of two that make the same card, one is told.
                path.hardlink_to(_beside(path))
                _beside(path).unlink()
                _sync_folder(path)
            except BaseException:
                os.close(lock)
                _beside(path).unlink(missing_ok=True)
                raise
        except FileExistsError as error:
            raise CardFileExists(path) from error
        except OSError as error:
            raise CardFileUnusable(path, error.strerror or str(error)) from error
        return cls(path, memory, lock)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Take a card out of its file. Raises CardFileUnusable; CardInUse while another process has it."""
        try:
            lock = _lock(path)
        except BlockingIOError as error:
            raise CardInUse(path) from error
        except OSError as error:
            raise CardFileUnusable(path, error.strerror or str(error)) from error
        try:
            return cls(path, read_memory(path), lock)
        except CardFileUnusable:
            os.close(lock)
            raise

    @property
    def memory(self) -> CardMemory:
        """What the card remembers now."""
        return self._memory

    def commit(self, memory: CardMemory) -> None:
        """Make `memory` the card's. It is on the disk when this returns.

        On OSError nothing has changed, or, where only the folder could not be synced, it may not last.
        """
        self.write_hook(lambda: self._write(memory))

    def _write(self, memory: CardMemory) -> None:
        lock = _write_beside(self._path, memory)
        try:
            _beside(self._path).replace(self._path)
        except BaseException:
            os.close(lock)
            raise
        os.close(self._lock)
        self._lock, self._memory = lock, memory
        _sync_folder(self._path)

    def close(self) -> None:
        """Let another process take the card."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _just_write(write: Callable[[], None]) -> None:
    write()


def read_memory(path: Path) -> CardMemory:
    """Look into a card's file, whoever holds the card. Raises CardFileUnusable."""
    try:
        with path.open("rb") as file:
            return CardMemory.from_json(file.read(MAX_FILE_LENGTH))  # what is cut off there is no JSON
    except OSError as error:
        raise CardFileUnusable(path, error.strerror or str(error)) from error
    except ValueError as error:
        raise CardFileUnusable(path, str(error)) from error


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _write_beside(path: Path, memory: CardMemory) -> int:
    """Write what will take the file's place; its descriptor, locked, so that it is never there unlocked."""
    # Not truncated but made anew: what a loss of power left here may be the card itself under a second name.
    _beside(path).unlink(missing_ok=True)
    descriptor = os.open(_beside(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        raw = memory.to_json()
        while raw:
            raw = raw[os.write(descriptor, raw) :]
        os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(path: Path) -> int:
    """Lock the file that has this name at this moment; BlockingIOError while somebody else does."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # it was replaced between opening and locking


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
