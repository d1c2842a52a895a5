"""A photo as PIV keeps it: INCITS 385's record in the header and signature of SP 800-76-2.

Layouts after SP 800-76-2, table 12 (the record) and tables 14 and 15 (what is around it). Nobody's program
but ours has read what is made here.
"""

import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from itertools import count
from typing import Final

from PIL import Image

# SP 800-73-5 part 1, table 7: the container holds 12,704 bytes; record, header and signature take up to 650
MAX_JPEG_BYTES: Final = 12_000
# Tried in turn until the photo is small enough
_WIDTHS: Final = (300, 240, 180, 120)
_QUALITIES: Final = (80, 65, 50, 35)

_VERSION: Final = 0x03
_SIGNED: Final = 0x0D  # and not encrypted: the card itself keeps it behind the PIN
_INCITS_M1: Final = 0x001B
_FACE_FORMAT: Final = 0x0501
_FACE: Final = 0x000002
_RAW: Final = 0x20
_UNKNOWN_QUALITY: Final = 0xFE  # minus 2: nobody has judged it
_CREATOR: Final = b"citizen-card"


def fitting(jpeg: bytes) -> bytes:
    """The photo, small enough for a card; it stays as it is where it fits already."""
    if len(jpeg) <= MAX_JPEG_BYTES:
        return jpeg
    with Image.open(BytesIO(jpeg), formats=("JPEG",)) as picture:
        for width in _WIDTHS:
            size = (width, round(picture.height * width / picture.width))
            smaller = picture.resize(size, Image.Resampling.LANCZOS)
            for quality in _QUALITIES:
                made = BytesIO()
                smaller.save(made, "JPEG", quality=quality, optimize=True)
                if made.tell() <= MAX_JPEG_BYTES:
                    return made.getvalue()
    # 120 by 160 pixels of the worst noise have half of that at this quality.
    raise AssertionError("a photo cannot be made small enough")


def facial_record(jpeg: bytes) -> bytes:
    """One facial image (INCITS 385-2004, 5), about which nothing is said but its size."""
    with Image.open(BytesIO(jpeg), formats=("JPEG",)) as picture:
        width, height = picture.size
    # Type: full frontal has demands that nobody has checked, so basic; JPEG; width and height; colour space
    # sRGB; source, device and quality unspecified.
    image = struct.pack(">BBHHBBHH", 0x00, 0x00, width, height, 0x01, 0x00, 0x0000, 0x0000)
    # No feature points; sex, colours of eyes and hair, properties, expression and pose: unspecified
    head = struct.pack(">IHBBB3sH3s3s", 20 + len(image) + len(jpeg), 0, 0, 0, 0, b"", 0, b"", b"")
    block = head + image + jpeg
    return struct.pack(">4s4sIH", b"FAC\x00", b"010\x00", 14 + len(block), 1) + block


def within_cbeff(
    record: bytes, created_on: date, valid_until: date, fasc_n: bytes, sign: Callable[[bytes], bytes]
) -> bytes:
    """Header, record and signature. Signed are the header and the record (SP 800-76-2, 9.2).

    The header, which is signed, tells the signature's length; but a DER signature of P-256 has 70 to 72
    bytes, as its numbers happen to be. So the moment of creation is put off by seconds until the length is
    right, which takes two or three signatures.
    """
    start, end = _midnight(created_on), _midnight(valid_until)
    length = len(sign(_header(record, 0, start, end, fasc_n) + record))
    for seconds in count():
        moment = start + timedelta(seconds=seconds)
        signed = _header(record, length, moment, end, fasc_n) + record
        if len(signature := sign(signed)) == length:
            return signed + signature
    raise AssertionError("count() has no end")


def _header(record: bytes, signature_length: int, start: datetime, end: datetime, fasc_n: bytes) -> bytes:
    return b"".join(
        (
            struct.pack(
                ">BBIHHH", _VERSION, _SIGNED, len(record), signature_length, _INCITS_M1, _FACE_FORMAT
            ),
            _moment(start),
            _moment(_midnight(start.date())),
            _moment(end),
            _FACE.to_bytes(3),
            bytes((_RAW, _UNKNOWN_QUALITY)),
            _CREATOR.ljust(18, b"\x00"),
            fasc_n,
            bytes(4),
        )
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _moment(moment: datetime) -> bytes:
    """Seven bytes of two digits each, and a Z (SP 800-76-2, 9.3)."""
    return bytes.fromhex(f"{moment:%Y%m%d%H%M%S}") + b"Z"
