"""What the service and its processes for chunks say to each other: lists of byte strings on a socket."""

import socket
from collections.abc import Sequence
from struct import Struct

_NUMBER = Struct("!I")


def send(connection: socket.socket, parts: Sequence[bytes]) -> None:
    """Send the parts. Raises OSError."""
    lengths = b"".join(_NUMBER.pack(len(part)) for part in parts)
    connection.sendall(_NUMBER.pack(len(parts)) + lengths + b"".join(parts))


def receive(connection: socket.socket) -> list[bytes]:
    """The parts that were sent together. Raises EOFError where the other side is gone, and OSError."""
    (count,) = _NUMBER.unpack(_exactly(connection, _NUMBER.size))
    lengths = [length for (length,) in _NUMBER.iter_unpack(_exactly(connection, count * _NUMBER.size))]
    data = memoryview(_exactly(connection, sum(lengths)))
    parts, at = [], 0
    for length in lengths:
        parts.append(bytes(data[at : at + length]))
        at += length
    return parts


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        received = connection.recv_into(rest)
        if not received:
            raise EOFError("the other side has ended")
        rest = rest[received:]
    return bytes(data)
