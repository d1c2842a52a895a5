"""A feed's files, from a zip or a folder, whatever somebody put there.

Nothing is unpacked to disk and only files that are asked for are read, up to a limit that counts the bytes
that come out, not what the archive says of itself.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from cardservice.services.seam import TariffError

# Ours: a country's feed fits, a bomb does not.
MAX_ARCHIVE_BYTES = 1 << 29
MAX_DIRECTORY_BYTES = 1 << 20
MAX_FILE_BYTES = 1 << 26
MAX_LINE_BYTES = 1 << 16

# What every zip program writes; the others have dictionaries whose size the archive chooses.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

# What zipfile and its decompressors raise on bytes that are not what they should be.
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError, MemoryError),
)

Opener = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Archive:
    """The files at the top of a feed, by name."""

    _openers: Mapping[str, Opener]

    @property
    def names(self) -> tuple[str, ...]:
        """Every name in the feed, in order, those of folders' contents included."""
        return tuple(sorted(self._openers))

    def __contains__(self, name: str) -> bool:
        return name in self._openers

    def lines(self, name: str) -> Iterator[bytes]:
        """The file's lines with their ends; raises TariffError if it cannot be read or is too big."""
        if name not in self._openers:
            raise TariffError(name, None, "is missing from the feed")
        return _bounded_lines(name, self._openers[name])


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """The feed at `path`, a zip file or a folder; raises TariffError."""
    if path.is_dir():
        yield _folder(path)
        return
    with _open_zip(path) as archive:
        yield Archive(_members(path, archive))


def _folder(path: Path) -> Archive:
    try:
        entries = sorted(path.iterdir())
    except OSError as problem:
        raise TariffError(path.name, None, f"cannot be read: {problem.strerror}") from problem
    return Archive(
        {entry.name if entry.is_file() else f"{entry.name}/": partial(_open_file, entry) for entry in entries}
    )


def _open_file(path: Path) -> BinaryIO:
    return path.open("rb")


@contextmanager
def _open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        _check_directory_size(path)
        archive = zipfile.ZipFile(path)
    except OSError as problem:
        raise TariffError(path.name, None, f"cannot be read: {problem.strerror or problem}") from problem
    except _UNREADABLE as problem:
        raise TariffError(path.name, None, f"is not a zip archive that can be read: {problem}") from problem
    with archive:
        yield archive


def _check_directory_size(path: Path) -> None:
    """Refuse an archive whose directory alone would fill the memory: zipfile reads all of it at once.

    PKWARE APPNOTE 6.3.9, 4.3.16 (end of central directory: its size at offset 12) and 4.3.15 (the zip64
    locator, 20 bytes before it). zipfile takes the last such record, and so does this.
    """
    size = path.stat().st_size
    if size > MAX_ARCHIVE_BYTES:
        raise TariffError(path.name, None, f"is larger than {MAX_ARCHIVE_BYTES >> 20} MiB")
    with path.open("rb") as file:
        file.seek(max(0, size - (1 << 16) - 22 - 20))
        tail = file.read()
    for end in {len(tail) - 22, tail.rfind(b"PK\x05\x06")}:
        if end < 0 or tail[end : end + 4] != b"PK\x05\x06":
            continue
        if int.from_bytes(tail[end + 12 : end + 16], "little") > MAX_DIRECTORY_BYTES:
            raise TariffError(path.name, None, "has too many files in it")
        if tail[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
            raise TariffError(path.name, None, "is a zip64 archive, which a feed of this size does not need")


def _members(path: Path, archive: zipfile.ZipFile) -> dict[str, Opener]:
    openers: dict[str, Opener] = {}
    for member in archive.infolist():
        name = member.filename
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            raise TariffError(path.name, None, f"holds a file with the path {printable(name)}")
        if name in openers:
            raise TariffError(path.name, None, f"holds {printable(name)} twice")
        openers[name] = partial(_open_member, archive, member)
    return openers


def _open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> BinaryIO:
    if member.compress_type not in _METHODS:
        raise NotImplementedError("it is compressed by another method than deflate")
    stream: BinaryIO = archive.open(member)  # type: ignore[assignment]  # ZipExtFile is IO[bytes] in all but name
    return stream


def _bounded_lines(name: str, opener: Opener) -> Iterator[bytes]:
    try:
        with opener() as stream:
            number = total = 0
            while line := stream.readline(MAX_LINE_BYTES + 1):
                number += 1
                total += len(line)
                if len(line) > MAX_LINE_BYTES:
                    raise TariffError(name, number, f"the line is longer than {MAX_LINE_BYTES} bytes")
                if total > MAX_FILE_BYTES:
                    raise TariffError(name, number, f"the file is larger than {MAX_FILE_BYTES >> 20} MiB")
                yield line
    except _UNREADABLE as problem:
        raise TariffError(name, None, f"cannot be read: {problem}") from problem


def printable(name: str) -> str:
    """A name as it can be shown: control characters would let a feed write on somebody's screen."""
    return name if name.isprintable() else ascii(name)
