"""Deterministic CBOR, and nothing else: RFC 8949, 4.2.1, of the types that signed statements use.

Whatever is decoded here has exactly one encoding, so a signature over it has one meaning. Integers of 64
bits, byte strings, text, arrays, maps, true, false and null; no floats, no tags, no indefinite lengths. The
keys of a map are all integers or all text.
"""

from collections.abc import Mapping

from pki.errors import StatementMalformed

MAX_BYTES = 65_536
MAX_DEPTH = 8

# RFC 8949, 3.1: the major types
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
# RFC 8949, 3.3: simple values, with their head byte
_SIMPLE_VALUES: dict[int, bool | None] = {0xF4: False, 0xF5: True, 0xF6: None}
# RFC 8949, 3: additional information 24 to 27 is followed by an argument of so many bytes, and each form may
# only be used for what does not fit the one before (4.2.1).
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
    # The most frequent first, each by its very type: an `isinstance` of each in turn took twice as long.
    if depth < 0:
        raise StatementMalformed(f"nested deeper than {MAX_DEPTH}")
    kind = type(value)
    if kind is int:
        return _encode_integer(value)  # type: ignore[arg-type]  # it is one: that is what `kind` says
    if kind is str:
        return _encode_text(value)  # type: ignore[arg-type]
    if kind is bytes:
        return _head(_BYTES, len(value)) + value  # type: ignore[arg-type, operator]
    if kind is dict:
        return _encode_map(value, depth)  # type: ignore[arg-type]
    return _encode_rarer(value, depth)


def _encode_rarer(value: object, depth: int) -> bytes:
    match value:
        case None:
            return b"\xf6"
        case bool():  # before int, which it is a subclass of
            return b"\xf5" if value else b"\xf4"
        case int():
            return _encode_integer(value)
        case bytes():
            return _head(_BYTES, len(value)) + value
        case str():
            return _encode_text(value)
        case list() | tuple():
            return _head(_ARRAY, len(value)) + b"".join([_encode(item, depth - 1) for item in value])
        case Mapping():
            return _encode_map(value, depth)
        case _:
            raise StatementMalformed(f"{type(value).__name__} cannot be part of a signed statement")


def _encode_integer(value: int) -> bytes:
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def _encode_text(value: str) -> bytes:
    try:
        data = value.encode()
    except UnicodeEncodeError as error:
        raise StatementMalformed("text with a surrogate has no UTF-8") from error
    return _head(_TEXT, len(data)) + data


def _encode_map(value: Mapping[object, object], depth: int) -> bytes:
    if not {type(key) for key in value} <= _KEY_TYPES:
        raise StatementMalformed("the keys of a map are integers or text")
    if len({type(key) for key in value}) > 1:
        raise StatementMalformed("the keys of a map are all integers or all text")
    small = sorted(key for key in value if isinstance(key, int) and 0 <= key < _SMALLEST_ARGUMENT[24])
    if len(small) == len(value):
        # Each is one byte: their order is that of their encodings.
        items = (_SHORT_HEADS[key] + _encode(value[key], depth - 1) for key in small)
        return _head(_MAP, len(small)) + b"".join(items)
    # RFC 8949, 4.2.1: in the bytewise order of the encoded keys
    pairs = [(_encode(key, depth - 1), _encode(item, depth - 1)) for key, item in value.items()]
    pairs.sort()
    return _head(_MAP, len(pairs)) + b"".join([part for pair in pairs for part in pair])


def _head(major: int, argument: int) -> bytes:
    """RFC 8949, 3: the shortest form (4.2.1)."""
    if argument < 24:
        return _SHORT_HEADS[major << 5 | argument]
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
    major, argument, start = head >> 5, head & 0x1F, at + 1
    if major == _SIMPLE:
        if head not in _SIMPLE_VALUES:
            raise StatementMalformed("floats and unassigned simple values are not allowed")
        return _SIMPLE_VALUES[head], start
    if argument >= 24:
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
    for _ in range(count):
        start = at
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
