"""Asks a pcscd which readers it has and what is in them, in pcsc-lite's own client protocol.

libpcsclite keeps one socket name for the life of a process, so that it cannot speak to several daemons, nor
to one before the environment names it. Two requests of the protocol are all that is wanted here; its version
is checked by the daemon, which refuses what it does not speak.
"""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TIMEOUT_S: Final = 5.0

# src/winscard_msg.h of pcsc-lite 1.9.9: a request is a header (length, command) and its structure; an answer
# is its structure alone, in the machine's own byte order and alignment.
_HEADER: Final = struct.Struct("=II")
_CMD_VERSION: Final = 0x11
_CMD_GET_READERS_STATE: Final = 0x12
_VERSION: Final = struct.Struct("=iiI")  # major, minor, result
_PROTOCOL: Final = (4, 4)
# src/eventhandler.h: name, event counter, state, sharing, ATR, padding, ATR's length, protocol; always 16.
_READER: Final = struct.Struct("=128sIIi33s3xII")
_READERS: Final = 16

_STATE_PRESENT: Final = 0x0004  # SCARD_PRESENT of pcsclite.h


class PcscdUnreachable(Exception):
    """Nothing answers at the socket, or not in this protocol; usual while a pcscd starts or stops."""


@dataclass(frozen=True, slots=True)
class ReaderState:
    """One reader slot. The event counter rises with each insertion and each removal."""

    name: str
    event_count: int
    has_card: bool
    atr: bytes


def read_states(socket_path: Path) -> list[ReaderState]:
    """What is in each reader slot now. Raises PcscdUnreachable."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_S)
            connection.connect(str(socket_path))
            answer = _ask(connection, _CMD_VERSION, _VERSION.pack(*_PROTOCOL, 0), _VERSION.size)
            if _VERSION.unpack(answer)[2] != 0:
                raise PcscdUnreachable("this pcscd speaks another version of its protocol")
            raw = _ask(connection, _CMD_GET_READERS_STATE, b"", _READERS * _READER.size)
    except OSError as error:
        raise PcscdUnreachable(f"no pcscd answers at {socket_path}") from error
    return [_state(*fields) for fields in _READER.iter_unpack(raw) if fields[0][0]]


def _state(
    name: bytes, event_count: int, state: int, _sharing: int, atr: bytes, atr_length: int, _protocol: int
) -> ReaderState:
    text = name.split(b"\0")[0].decode(errors="replace")
    has_card = bool(state & _STATE_PRESENT)
    return ReaderState(text, event_count, has_card, atr[:atr_length] if has_card else b"")


def _ask(connection: socket.socket, command: int, body: bytes, answer_length: int) -> bytes:
    connection.sendall(_HEADER.pack(len(body), command) + body)
    answer = b""
    while len(answer) < answer_length:
        part = connection.recv(answer_length - len(answer))
        if not part:
            raise PcscdUnreachable("the pcscd ended the conversation")
        answer += part
    return answer
