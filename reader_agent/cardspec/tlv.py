"""BER-TLV data objects as cards use them (ISO/IEC 7816-4:2020, 6.3): one level at a time, bounded.

Tags are integers of their bytes (0x53, 0x5FC102, 0x7F49). Lengths are written in their shortest form and
read in any: cards in the field pad them.
"""

from dataclasses import dataclass

MAX_TAG_LENGTH = 3  # ISO/IEC 7816-4:2020, 6.3: tag fields of one to three bytes
MAX_LENGTH = 0xFFFFFF  # of a value; four length bytes are allowed, no object of ours needs them


class TlvError(ValueError):
    """Bytes that are no data object, or a tag or length that cannot be written."""

    code = "tlv_malformed"


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object."""

    tag: int
    value: bytes

    def encode(self) -> bytes:
        """Tag, length, value."""
        return encode(self.tag, self.value)


def encode(tag: int, value: bytes) -> bytes:
    """One data object's bytes. Raises TlvError for a number that is no tag."""
    return encode_tag(tag) + encode_length(len(value)) + value


def encode_tag(tag: int) -> bytes:
    """The one to three bytes of a tag."""
    raw = tag.to_bytes(max(1, (tag.bit_length() + 7) // 8)) if tag > 0 else b""
    if not raw or _tag_length(raw, 0) != len(raw):
        raise TlvError(f"{tag:X} is no tag")
    return raw


def encode_length(length: int) -> bytes:
    """A length field in its shortest form: one byte to 127, then 81 xx, 82 xxxx, 83 xxxxxx."""
    if not 0 <= length <= MAX_LENGTH:
        raise TlvError(f"{length} is no length that is written here")
    if length <= 0x7F:
        return bytes((length,))
    octets = (length.bit_length() + 7) // 8
    return bytes((0x80 | octets,)) + length.to_bytes(octets)


def decode(data: bytes) -> list[Tlv]:
    """All data objects of one level, in order. Raises TlvError unless they fill `data` exactly."""
    found: list[Tlv] = []
    offset = 0
    while offset < len(data):
        tag_end = offset + _tag_length(data, offset)
        start, length = _read_length(data, tag_end)
        if length > len(data) - start:
            raise TlvError("a data object is longer than what holds it")
        found.append(Tlv(int.from_bytes(data[offset:tag_end]), data[start : start + length]))
        offset = start + length
    return found


def decode_beginning(data: bytes, frame: int) -> list[Tlv]:
    """The data objects that are there in whole, of an object with the tag `frame` whose end was not read.

    Raises TlvError where it begins otherwise, or with something that is no data object.
    """
    if not data:
        raise TlvError("there is nothing")
    tag_end = _tag_length(data, 0)
    offset, _ = _read_length(data, tag_end)
    if int.from_bytes(data[:tag_end]) != frame:
        raise TlvError(f"it does not begin with {frame:X}")
    found: list[Tlv] = []
    while offset < len(data):
        try:
            tag_end = offset + _tag_length(data, offset)
            start, length = _read_length(data, tag_end)
        except TlvError:
            break
        if length > len(data) - start:
            break
        found.append(Tlv(int.from_bytes(data[offset:tag_end]), data[start : start + length]))
        offset = start + length
    return found


def find(data: bytes, tag: int) -> bytes | None:
    """The value of the first object with this tag on this level, or None. Raises TlvError as decode does."""
    return next((item.value for item in decode(data) if item.tag == tag), None)


def _tag_length(data: bytes, offset: int) -> int:
    if data[offset] == 0:
        raise TlvError("00 is no tag")
    if data[offset] & 0x1F != 0x1F:
        return 1
    # Bit 8 of a following byte says that another one follows.
    for length in range(2, MAX_TAG_LENGTH + 1):
        if offset + length > len(data):
            raise TlvError("a tag breaks off")
        if not data[offset + length - 1] & 0x80:
            return length
    raise TlvError("a tag has three bytes at most")


def _read_length(data: bytes, offset: int) -> tuple[int, int]:
    """Where the value begins, and its length."""
    if offset >= len(data):
        raise TlvError("a length is missing")
    first = data[offset]
    if first <= 0x7F:
        return offset + 1, first
    octets = first & 0x7F
    # 80 is the indefinite form, which cards do not use.
    if not 1 <= octets <= 4 or offset + 1 + octets > len(data):
        raise TlvError("a length field is wrong or breaks off")
    return offset + 1 + octets, int.from_bytes(data[offset + 1 : offset + 1 + octets])
