"""Several byte strings in one, so that a fuzzer can change each of them and how many there are."""

from collections.abc import Iterable
from typing import Final

MAX_PIECES: Final = 32
_LENGTH_BYTES: Final = 2
# What is longer is cut: a short response with all its data has 258 bytes, and some more is worth trying.
_MAX_LENGTH: Final = 0x1FF


def split(data: bytes) -> list[bytes]:
    """The pieces that any bytes stand for; what is missing at the end is left out."""
    pieces: list[bytes] = []
    while len(data) >= _LENGTH_BYTES and len(pieces) < MAX_PIECES:
        length = int.from_bytes(data[:_LENGTH_BYTES]) & _MAX_LENGTH
        pieces.append(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
        data = data[_LENGTH_BYTES + length :]
    return pieces


def join(pieces: Iterable[bytes]) -> bytes:
    """Bytes that stand for these pieces."""
    return b"".join(len(piece).to_bytes(_LENGTH_BYTES) + piece for piece in pieces)
