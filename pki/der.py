"""The little of DER (ITU-T X.690) that lists, OCSP messages and many certificates at once are made of.

`cryptography` writes and reads everything else. It is not used for these: its builder of revocation lists
takes quadratic time, its OCSP knows one certificate a message, and it encodes every extension anew.
"""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from cryptography.x509 import ObjectIdentifier

from pki.clock import require_aware
from pki.errors import DerMalformed

# X.690, 8.1.2: identifier octets of the universal types
BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID, ENUMERATED = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0A
GENERALIZED_TIME, SEQUENCE = 0x18, 0x30

# RFC 5758, 3.2: the parameters are absent
ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")

_SHORT_LENGTHS = tuple(bytes((size,)) for size in range(0x80))
# RFC 5280, 4.1.2.5: dates from 2050 on are a GeneralizedTime
_LAST_UTC_TIME_YEAR = 2049


def context(number: int, *, constructed: bool = True) -> int:
    """The identifier octet of a context-specific tag. X.690, 8.1.2."""
    return (0xA0 if constructed else 0x80) | number


def length(size: int) -> bytes:
    """The length octets, in their shortest form. X.690, 8.1.3 and 10.1."""
    if size < 0x80:
        return _SHORT_LENGTHS[size]
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def tlv(tag: int, *parts: bytes) -> bytes:
    """One element; the content is the parts put together."""
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    size = len(content)
    return b"%c%b%b" % (tag, _SHORT_LENGTHS[size] if size < 0x80 else length(size), content)


def integer(value: int, tag: int = INTEGER) -> bytes:
    """An INTEGER or ENUMERATED that is not negative. X.690, 8.3."""
    if value < 0:
        raise ValueError("no negative number stands in what is written here")
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def time(moment: datetime) -> bytes:
    """A Time, to the second. RFC 5280, 4.1.2.5."""
    m = require_aware(moment)
    if m.year > _LAST_UTC_TIME_YEAR:
        return generalized_time(m)
    # A UTCTime (tag 0x17) of 13 octets. Flat, as it is called for each entry of a long list.
    fields = (m.year % 100, m.month, m.day, m.hour, m.minute, m.second)
    return b"\x17\x0d%02d%02d%02d%02d%02d%02dZ" % fields


def generalized_time(moment: datetime, tag: int = GENERALIZED_TIME) -> bytes:
    """A GeneralizedTime, to the second. RFC 5280, 4.1.2.5.2."""
    m = require_aware(moment)
    fields = (m.year, m.month, m.day, m.hour, m.minute, m.second)
    return tlv(tag, b"%04d%02d%02d%02d%02d%02dZ" % fields)


def extension(oid: ObjectIdentifier, value: bytes, *, critical: bool = False) -> bytes:
    """An Extension (RFC 5280, 4.1); `value` is the DER of what it holds."""
    return tlv(
        SEQUENCE, object_identifier(oid), tlv(BOOLEAN, b"\xff") if critical else b"", tlv(OCTET_STRING, value)
    )


@lru_cache(maxsize=64)
def object_identifier(oid: ObjectIdentifier) -> bytes:
    """X.690, 8.19."""
    first, second, *rest = (int(arc) for arc in oid.dotted_string.split("."))
    return tlv(OID, *(_base128(arc) for arc in (40 * first + second, *rest)))


def _base128(arc: int) -> bytes:
    octets = [arc & 0x7F]
    while arc := arc >> 7:
        octets.append(0x80 | (arc & 0x7F))
    return bytes(reversed(octets))


class Element(NamedTuple):
    """One element that was read. `whole` is it with its identifier and length."""

    tag: int
    content: bytes
    whole: bytes

    def expect(self, tag: int) -> "Element":
        """Itself, if it has this tag. Raises DerMalformed."""
        if self.tag != tag:
            raise DerMalformed(f"tag {self.tag:#04x} stands where {tag:#04x} belongs")
        return self

    def children(self, most: int) -> list["Element"]:
        """The elements of its content, `most` of them at most. Raises DerMalformed."""
        found: list[Element] = []
        at = 0
        while at < len(self.content):
            if len(found) == most:
                raise DerMalformed(f"more than {most} elements")
            element, at = _element(self.content, at)
            found.append(element)
        return found

    def integer(self) -> int:
        """The value of an INTEGER, which may be negative. Raises DerMalformed."""
        content = self.expect(INTEGER).content
        if not content:
            raise DerMalformed("an INTEGER without octets")
        # X.690, 8.3.2: the first nine bits are neither all ones nor all zeros
        if len(content) > 1 and content[0] in (0x00, 0xFF) and (content[0] ^ content[1]) < 0x80:
            raise DerMalformed("an INTEGER that is not in its shortest form")
        return int.from_bytes(content, "big", signed=True)


def read(data: bytes) -> Element:
    """The one element that these bytes are. Raises DerMalformed."""
    element, end = _element(data, 0)
    if end != len(data):
        raise DerMalformed("bytes follow the end of the element")
    return element


def _element(data: bytes, at: int) -> tuple[Element, int]:
    """The element that starts at `at`, and where it ends. X.690, 8.1, with the definite lengths of DER."""
    if at + 2 > len(data):
        raise DerMalformed("an element is cut short")
    tag, size, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise DerMalformed("a tag of several octets, which nothing here has")
    if size >= 0x80:
        octets = data[start : start + (size & 0x7F)]
        size, start = int.from_bytes(octets, "big"), start + len(octets)
        # Too few octets, an indefinite length, or one that is not in its shortest form (X.690, 10.1)
        if not 1 <= len(octets) <= 4 or data[at + 1 : start] != length(size):
            raise DerMalformed("a length that is not DER's")
    if size > len(data) - start:
        raise DerMalformed("an element is cut short")
    end = start + size
    return Element(tag, data[start:end], data[at:end]), end
