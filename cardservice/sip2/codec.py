"""SIP2 messages as bytes: strict in what is written, tolerant in what is read.

A message is two digits, fixed fields by their place, and variable fields: two letters, a value and a bar. It
may end in a sequence number (AY) and a checksum (AZ), and ends in a carriage return. Layouts are those of the
Standard Interchange Protocol 2.00 of 3M, by the names of the messages. Nothing here knows what a field means.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cardservice.errors import CardServiceError

# Ours: longer than any request that a real machine sends, and no longer.
MAX_MESSAGE = 4096
MAX_FIELD = 255  # the protocol's longest value
_TRAILER = re.compile(rb"(?:AY(?P<sequence>[0-9]))?AZ(?P<checksum>[0-9A-Fa-f]{4})\Z")
_SEQUENCE_ALONE = re.compile(rb"AY(?P<sequence>[0-9])\|?\Z")
_FIELD_ID = re.compile(r"[A-Z][A-Z0-9]\Z")


class Sip2Error(CardServiceError):
    """Bytes that are no message, or values that make none."""

    code = "sip2_malformed"


class ChecksumWrong(Sip2Error):
    """The message was not received as it was sent."""

    code = "sip2_checksum"


class Code(StrEnum):
    """The messages of the protocol, by their two digits."""

    PATRON_STATUS = "23"
    CHECKOUT = "11"
    CHECKIN = "09"
    BLOCK_PATRON = "01"
    SC_STATUS = "99"
    REQUEST_ACS_RESEND = "97"
    LOGIN = "93"
    PATRON_INFORMATION = "63"
    END_SESSION = "35"
    FEE_PAID = "37"
    ITEM_INFORMATION = "17"
    ITEM_STATUS_UPDATE = "19"
    PATRON_ENABLE = "25"
    HOLD = "15"
    RENEW = "29"
    RENEW_ALL = "65"
    PATRON_STATUS_RESPONSE = "24"
    CHECKOUT_RESPONSE = "12"
    CHECKIN_RESPONSE = "10"
    ACS_STATUS = "98"
    REQUEST_SC_RESEND = "96"
    LOGIN_RESPONSE = "94"
    PATRON_INFORMATION_RESPONSE = "64"
    END_SESSION_RESPONSE = "36"
    FEE_PAID_RESPONSE = "38"
    ITEM_INFORMATION_RESPONSE = "18"
    ITEM_STATUS_UPDATE_RESPONSE = "20"
    PATRON_ENABLE_RESPONSE = "26"
    HOLD_RESPONSE = "16"
    RENEW_RESPONSE = "30"
    RENEW_ALL_RESPONSE = "66"


# The lengths of the fixed fields of each, in their order.
FIXED: dict[Code, tuple[int, ...]] = {
    Code.PATRON_STATUS: (3, 18),
    Code.CHECKOUT: (1, 1, 18, 18),
    Code.CHECKIN: (1, 18, 18),
    Code.BLOCK_PATRON: (1, 18),
    Code.SC_STATUS: (1, 3, 4),
    Code.REQUEST_ACS_RESEND: (),
    Code.LOGIN: (1, 1),
    Code.PATRON_INFORMATION: (3, 18, 10),
    Code.END_SESSION: (18,),
    Code.FEE_PAID: (18, 2, 2, 3),
    Code.ITEM_INFORMATION: (18,),
    Code.ITEM_STATUS_UPDATE: (18,),
    Code.PATRON_ENABLE: (18,),
    Code.HOLD: (1, 18),
    Code.RENEW: (1, 1, 18, 18),
    Code.RENEW_ALL: (18,),
    Code.PATRON_STATUS_RESPONSE: (14, 3, 18),
    Code.CHECKOUT_RESPONSE: (1, 1, 1, 1, 18),
    Code.CHECKIN_RESPONSE: (1, 1, 1, 1, 18),
    Code.ACS_STATUS: (1, 1, 1, 1, 1, 1, 3, 3, 18, 4),
    Code.REQUEST_SC_RESEND: (),
    Code.LOGIN_RESPONSE: (1,),
    Code.PATRON_INFORMATION_RESPONSE: (14, 3, 18, 4, 4, 4, 4, 4, 4),
    Code.END_SESSION_RESPONSE: (1, 18),
    Code.FEE_PAID_RESPONSE: (1, 18),
    Code.ITEM_INFORMATION_RESPONSE: (2, 2, 2, 18),
    Code.ITEM_STATUS_UPDATE_RESPONSE: (1, 18),
    Code.PATRON_ENABLE_RESPONSE: (14, 3, 18),
    Code.HOLD_RESPONSE: (1, 1, 18),
    Code.RENEW_RESPONSE: (1, 1, 1, 1, 18),
    Code.RENEW_ALL_RESPONSE: (1, 4, 4, 18),
}
# Asking for a resend has no sequence number.
_UNNUMBERED = frozenset({Code.REQUEST_ACS_RESEND, Code.REQUEST_SC_RESEND})


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """A message: its fixed fields in their order, and its variable ones in theirs.

    It has no representation that shows values: a PIN may be among them.
    """

    code: Code
    fixed: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]
    # Of what was received alone.
    sequence: int | None = None
    has_checksum: bool = False

    def __getitem__(self, name: str) -> str:
        """The first field of this name; empty where there is none."""
        return self.get(name) or ""

    def get(self, name: str) -> str | None:
        """The first field of this name, or None: being empty and not being there are two things."""
        return next((value for key, value in self.fields if key == name), None)

    def all(self, name: str) -> tuple[str, ...]:
        """Every field of this name."""
        return tuple(value for key, value in self.fields if key == name)


def checksum(before: bytes) -> bytes:
    """Four digits that make the sum of all bytes up to and with `AZ` zero, modulo 65,536."""
    return b"%04X" % (-sum(before) & 0xFFFF)


def encode(
    code: Code,
    fixed: Sequence[str],
    fields: Iterable[tuple[str, str]],
    *,
    encoding: str = "utf-8",
    sequence: int | None = None,
    with_checksum: bool = False,
) -> bytes:
    """A message's bytes, with its carriage return. Raises Sip2Error for what would not be read again so.

    A character that the encoding does not have becomes a question mark.
    """
    lengths = FIXED[code]
    if tuple(map(len, fixed)) != lengths:
        raise Sip2Error(f"the fixed fields of {code.value} have {lengths} characters")
    if not all(part.isascii() and part.isprintable() for part in fixed):
        raise Sip2Error(f"a fixed field of {code.value} is no printable ASCII")
    parts = [code.value.encode("ascii"), "".join(fixed).encode("ascii")]
    for name, value in fields:
        if _FIELD_ID.match(name) is None or name in ("AY", "AZ"):
            raise Sip2Error(f"{name!r} is no name of a field")
        if "|" in value or not value.isprintable() or len(value) > MAX_FIELD:
            raise Sip2Error(f"the value of {name} is too long, or has bars or control characters")
        parts.append(name.encode("ascii") + value.encode(encoding, "replace") + b"|")
    body = b"".join(parts)
    if sequence is not None and code not in _UNNUMBERED:
        body += b"AY%d" % sequence
    if with_checksum:
        body += b"AZ"
        body += checksum(body)
    return body + b"\r"


def clean(text: str, most: int = MAX_FIELD) -> str:
    """A text that a field can carry: bars and control characters are spaces, what is too long is cut."""
    return "".join(each if each.isprintable() and each != "|" else " " for each in text)[:most]


def decode(frame: bytes, *, encoding: str = "utf-8") -> Message:
    """The message in a frame without its carriage return. Raises Sip2Error and ChecksumWrong.

    Fields that are unknown, empty, repeated or without a last bar are taken as they are. Bytes that the
    encoding does not have become replacement characters, and control characters spaces.
    """
    raw = frame.strip(b"\r\n\x00 ") if frame[:1] in b"\r\n\x00 " else frame.rstrip(b"\r\n\x00")
    if len(raw) > MAX_MESSAGE:
        raise Sip2Error("the message is too long")
    body, sequence, has_checksum = _without_trailer(raw)
    try:
        code = Code(body[:2].decode("ascii"))
    except ValueError:
        raise Sip2Error("the message is none of the protocol's") from None
    at, fixed = 2, []
    for length in FIXED[code]:
        part = body[at : at + length]
        if len(part) < length or not part.isascii():
            raise Sip2Error(f"the fixed fields of {code.value} are cut off, or no ASCII")
        fixed.append(_plain(part.decode("ascii")))
        at += length
    fields = [
        (name, _plain(value))
        for name, value in _split(body[at:].decode(encoding, "replace"))
        if _FIELD_ID.match(name)
    ]
    return Message(code, tuple(fixed), tuple(fields), sequence, has_checksum)


def _split(text: str) -> list[tuple[str, str]]:
    return [(part[:2], part[2:]) for part in text.split("|") if len(part) >= 2]


def _plain(text: str) -> str:
    return text if text.isprintable() else clean(text, len(text))


def _without_trailer(raw: bytes) -> tuple[bytes, int | None, bool]:
    match = _TRAILER.search(raw[-9:])
    if match is None:
        alone = _SEQUENCE_ALONE.search(raw[-4:])
        if alone is None:
            return raw, None, False
        cut = len(raw) - (len(alone.group(0)))
        return raw[:cut], int(alone["sequence"]), False
    digits = len(match["checksum"])
    if checksum(raw[:-digits]) != match["checksum"].upper():
        raise ChecksumWrong("the checksum does not hold; send it again")
    number = match["sequence"]
    cut = len(raw) - len(match.group(0))
    return raw[:cut], None if number is None else int(number), True
