"""What goes over the wire to a card, for who looks for a fault: off unless asked for, and without secrets.

What is shown is chosen, not what is hidden: headers, lengths, status words, times, which application is
selected and which object is meant. No byte of an answer is shown, and none of a command that could be a PIN,
a key, a signature or something about a person. A command that is not known here shows its header alone.
"""

import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Final, Self

from reader_agent.cardspec.apdu import CLA_CHAINING
from reader_agent.cardspec.piv import Instruction

_HEADER_LENGTH: Final = 4
_TAG_LIST: Final = 0x5C
_MOST_SHOWN: Final = 16


class TrafficLog:
    """A file of the owner's alone, added to; for several threads. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="ascii", buffering=1)
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """May be called twice."""
        with self._lock:
            self._file.close()

    def write(self, reader: str, text: str) -> None:
        """One line; the name of a reader is the driver's word, so it is made plain."""
        moment = datetime.now(UTC).isoformat(timespec="milliseconds")
        name = reader.encode("ascii", "backslashreplace").decode("ascii")
        with self._lock:
            if not self._file.closed:
                self._file.write(f"{moment} {name!r} {text}\n")


class CardTraffic:
    """The traffic with one card."""

    def __init__(self, log: TrafficLog, reader: str) -> None:
        self._log, self._reader = log, reader
        self._is_in_chain = False

    def note(self, text: str) -> None:
        """Something else than a command: connected, reset, broken off."""
        self._log.write(self._reader, text)

    def sent(self, command: bytes) -> float:
        """Note a command; when that was, for `answered`."""
        self._log.write(self._reader, f"> {describe(command, continues=self._is_in_chain)}")
        self._is_in_chain = bool(command) and bool(command[0] & CLA_CHAINING)
        return monotonic()

    def answered(self, since: float, response: bytes) -> None:
        """Note its answer, by length and status."""
        took_ms = (monotonic() - since) * 1000
        status = response[-2:].hex().upper() if len(response) >= 2 else "none"
        self._log.write(self._reader, f"< {status} {max(0, len(response) - 2)} bytes, {took_ms:.1f} ms")


def describe(command: bytes, *, continues: bool = False) -> str:
    """A command without what is secret in it. `continues`: it is a later piece of a chain."""
    header, data = command[:_HEADER_LENGTH], _data(command)
    text = header.hex(" ").upper()
    if data:
        text += f" {len(data)} bytes"
    shown = b"" if continues else _shown(header, data)
    return f"{text}: {shown.hex().upper()}" if shown else text


def _data(command: bytes) -> bytes:
    """Of a short command (ISO/IEC 7816-4:2020, 5.1)."""
    return command[5 : 5 + command[4]] if len(command) > 5 else b""


def _shown(header: bytes, data: bytes) -> bytes:
    """An application's name, or the tag of the object that is read or written."""
    if len(header) < _HEADER_LENGTH or header[0] & ~CLA_CHAINING:
        return b""
    if header[1] == Instruction.SELECT:
        return data[:_MOST_SHOWN]
    if header[1] in (Instruction.GET_DATA, Instruction.PUT_DATA) and data[:1] == bytes((_TAG_LIST,)):
        length = data[1] if len(data) > 1 else 0
        # A tag has three bytes at most; what follows it may be anything.
        return data[2 : 2 + length] if 1 <= length <= 3 else b""
    return b""
