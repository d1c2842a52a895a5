"""Deterministic CBOR, and nothing else: RFC 8949, 4.2.1, of the types that signed statements use.

Whatever is decoded here has exactly one encoding, so a signature over it has one meaning. Integers of 64
bits, byte strings, text, arrays, maps, true, false and null; no floats, no tags, no indefinite lengths. The
keys of a map are all integers or all text.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from types import MappingProxyType
from typing import Any

from pki.errors import StatementMalformed

MAX_BYTES = 65_536
MAX_DEPTH = 8

# RFC 8949, 3.1: the major types
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
# RFC 8949, 3.3: simple values, with their head byte
_SIMPLE_VALUES: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}
# RFC 8949, 3: a smaller argument than 24 is in the head byte itself; additional information 24 to 27 is
# followed by an argument of so many bytes, and each form may only be used for what does not fit the one
# before (4.2.1).
_LONG = 24
_ARGUMENT_BYTES = {24: 1, 25: 2, 26: 4, 27: 8}
_SMALLEST_ARGUMENT = {24: 24, 25: 1 << 8, 26: 1 << 16, 27: 1 << 32}
# The same for writing: additional information, bytes, and the first number that is too long for them.
_LONG_FORMS = tuple((information, size, 1 << (8 * size)) for information, size in _ARGUMENT_BYTES.items())
# Each head byte once: major type and additional information.
_SHORT_HEADS = tuple(bytes([head]) for head in range(256))
_KEY_TYPES = frozenset({int, str})


def deterministic(value: object, max_bytes: int = MAX_BYTES) -> bytes:
    """The one encoding of a value. Raises StatementMalformed for what has none here."""
    data = _encode(value, MAX_DEPTH)
    if len(data) > max_bytes:
        raise StatementMalformed(f"more than {max_bytes} bytes of CBOR")
    return data


def decode_deterministic(data: bytes, max_bytes: int = MAX_BYTES) -> object:
    """The value of the bytes; arrays as lists. Raises StatementMalformed unless it has this one encoding."""
    if len(data) > max_bytes:
        raise StatementMalformed(f"more than {max_bytes} bytes of CBOR")
    value, end = _decode(data, 0, MAX_DEPTH)
    if end != len(data):
        raise StatementMalformed("bytes follow the end of the CBOR item")
    return value


def byte_strings(data: bytes, most: int, max_bytes: int = MAX_BYTES) -> list[bytes]:
    """The contents of a CBOR sequence (RFC 8742) of byte strings alone, at most `most` of `max_bytes` each.

    Raises StatementMalformed.
    """
    found: list[bytes] = []
    at = 0
    while at < len(data):
        if data[at] >> 5 != _BYTES:
            raise StatementMalformed("the sequence holds something else than byte strings")
        short = data[at] & 0x1F
        length, at = (short, at + 1) if short < _SMALLEST_ARGUMENT[24] else _decode_argument(data, at)
        if length > max_bytes or len(found) == most:
            raise StatementMalformed(f"more than {most} items, or one of more than {max_bytes} bytes")
        found.append(_slice(data, at, length))
        at += length
    return found


def _encode(value: object, depth: int) -> bytes:
    # By its very type: an `isinstance` of each in turn took three times as long.
    write = _WRITERS.get(type(value))
    return _encode_rarer(value, depth) if write is None else write(value, depth)


def _encode_rarer(value: object, depth: int) -> bytes:
    """What is of a type that is made from one of those with an encoding."""
    match value:
        case int():
            return _encode_integer(value, depth)
        case bytes():
            return _encode_bytes(value, depth)
        case str():
            return _encode_text(value, depth)
        case list() | tuple():
            return _encode_array(value, depth)
        case Mapping():
            return _encode_map(value, depth)
        case _:
            raise StatementMalformed(f"{type(value).__name__} cannot be part of a signed statement")


def _encode_integer(value: int, _: int) -> bytes:
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def _encode_bytes(value: bytes, _: int) -> bytes:
    return _head(_BYTES, len(value)) + value


def _encode_text(value: str, _: int) -> bytes:
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise StatementMalformed("text with a surrogate has no UTF-8") from error
    return _head(_TEXT, len(data)) + data


def _encode_array(value: Sequence[object], depth: int) -> bytes:
    inner = _inner(value, depth)
    return _head(_ARRAY, len(value)) + b"".join([_encode(item, inner) for item in value])


def _encode_map(value: Mapping[object, object], depth: int) -> bytes:
    kinds = set(map(type, value))
    if not kinds <= _KEY_TYPES:
        raise StatementMalformed("the keys of a map are integers or text")
    if len(kinds) > 1:
        raise StatementMalformed("the keys of a map are all integers or all text")
    inner, head = _inner(value, depth), _head(_MAP, len(value))
    if int in kinds:
        keys: list[int] = sorted(value)  # type: ignore[arg-type] # all of them are integers
        if keys[0] >= 0 and keys[-1] < _LONG:
            # Each is one byte: their order is that of their encodings.
            return head + b"".join([_SHORT_HEADS[key] + _encode(value[key], inner) for key in keys])
    # RFC 8949, 4.2.1: in the bytewise order of the encoded keys
    pairs = [(_encode(key, inner), _encode(item, inner)) for key, item in value.items()]
    pairs.sort()
    return head + b"".join([part for pair in pairs for part in pair])


def _inner(value: Sized, depth: int) -> int:
    """How much deeper what is in this array or map may go."""
    if not depth and value:
        raise StatementMalformed(f"nested deeper than {MAX_DEPTH}")
    return depth - 1


_WRITERS: Mapping[type, Callable[[Any, int], bytes]] = MappingProxyType(
    {
        int: _encode_integer,
        str: _encode_text,
        bytes: _encode_bytes,
        dict: _encode_map,
        list: _encode_array,
        tuple: _encode_array,
        bool: lambda value, _: b"\xf5" if value else b"\xf4",
        type(None): lambda _, __: b"\xf6",
    }
)


def _head(major: int, argument: int) -> bytes:
    """RFC 8949, 3: the shortest form (4.2.1)."""
    if argument < _LONG:
        return _SHORT_HEADS[major << 5 | argument]
    if argument < 1 << 8:
        return _SHORT_HEADS[major << 5 | 24] + _SHORT_HEADS[argument]
    for information, size, beyond in _LONG_FORMS:
        if argument < beyond:
            return _SHORT_HEADS[major << 5 | information] + argument.to_bytes(size, "big")
    raise StatementMalformed("an integer of more than 64 bits")


def _decode(data: bytes, at: int, depth: int) -> tuple[object, int]:  # noqa: C901 - a case for each type
    """The item that starts at `at`, and where it ends."""
    if depth < 0:
        raise StatementMalformed(f"nested deeper than {MAX_DEPTH}")
    if at >= len(data):
        raise StatementMalformed("the CBOR item is cut short")
    head = data[at]
    if head < _LONG:
        return head, at + 1
    major, argument, start = head >> 5, head & 0x1F, at + 1
    if major == _SIMPLE:
        if head not in _SIMPLE_VALUES:
            raise StatementMalformed("floats and unassigned simple values are not allowed")
        return _SIMPLE_VALUES[head], start
    if argument >= _LONG:
        argument, start = _decode_argument(data, at)
    if major in (_BYTES, _TEXT):
        end = start + argument
        if end > len(data):
            raise StatementMalformed("the CBOR item is cut short")
        return (data[start:end] if major == _BYTES else _decode_text(data[start:end])), end
    if major == _MAP:
        return _decode_map(data, start, argument, depth)
    if major == _ARRAY:
        return _decode_array(data, start, argument, depth)
    if major in (_UNSIGNED, _NEGATIVE):
        return (argument if major == _UNSIGNED else -1 - argument), start
    raise StatementMalformed("tags are not allowed")


def _decode_argument(data: bytes, at: int) -> tuple[int, int]:
    """The number in the bytes after the head byte at `at`, which is not in it, and where it ends."""
    information = data[at] & 0x1F
    if information not in _ARGUMENT_BYTES:
        raise StatementMalformed("indefinite lengths are not allowed")
    end = at + 1 + _ARGUMENT_BYTES[information]
    argument = int.from_bytes(_slice(data, at + 1, end - at - 1), "big")
    if argument < _SMALLEST_ARGUMENT[information]:
        raise StatementMalformed("a number is not in its shortest form")
    return argument, end


def _slice(data: bytes, at: int, length: int) -> bytes:
    if length > len(data) - at:
        raise StatementMalformed("the CBOR item is cut short")
    return data[at : at + length]


def _decode_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise StatementMalformed("text that is not UTF-8") from error


def _decode_array(data: bytes, at: int, count: int, depth: int) -> tuple[list[object], int]:
    items = []
    for _ in range(count):  # ends at the latest with the data: each item takes a byte or raises
        item, at = _decode(data, at, depth - 1)
        items.append(item)
    return items, at


def _decode_map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[object, object], int]:
    items: dict[object, object] = {}
    previous = b""
    key_type: type = type(None)
    key: object
    size = len(data)
    for _ in range(count):
        start = at
        if at < size and data[at] < _LONG:
            # A small number, as nearly every key here is.
            key, at = data[at], at + 1
        else:
            key, at = _decode(data, at, depth - 1)
        encoded = data[start:at]
        if encoded <= previous:
            raise StatementMalformed("the keys of a map are not in order, or one occurs twice")
        if type(key) is not key_type:
            if type(key) not in _KEY_TYPES:
                raise StatementMalformed("the keys of a map are integers or text")
            if items:
                raise StatementMalformed("the keys of a map are all integers or all text")
            key_type = type(key)
        previous = encoded
        items[key], at = _decode(data, at, depth - 1)
    return items, at
