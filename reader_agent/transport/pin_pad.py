"""A reader's own keys for the PIN, as bytes: PC/SC part 10, revision 2.02.09 (IFDs with secure PIN entry).

No PIN pad has been tried with this: the structures follow the text alone.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from reader_agent.cardspec.piv import PIN_LENGTH, PIN_MIN_DIGITS

# 2.2: on pcsc-lite a control code is this and its number (SCARD_CTL_CODE in reader.h).
_CONTROL_CODES: Final = 0x42000000
GET_FEATURE_REQUEST: Final = _CONTROL_CODES + 3400


class Feature(IntEnum):
    """Tags in the answer to GET_FEATURE_REQUEST, 2.3; those that are used here."""

    VERIFY_PIN_DIRECT = 0x06
    MODIFY_PIN_DIRECT = 0x07


_FEATURES: Final = {feature.value: feature for feature in Feature}

# 2.5.2 and 2.5.3
_TIMEOUT_S: Final = 30
_TIMEOUT_AFTER_FIRST_KEY_S: Final = 15
# Bit 7: positions in bytes; bit 2: from the left; bits 1 and 0: ASCII
_FORMAT: Final = 0x82
# The PIN fills eight bytes, and no length stands before it (SP 800-73-5 part 2, 2.4.3)
_BLOCK: Final = PIN_LENGTH
_NO_LENGTH: Final = 0x00
_DIGITS: Final = PIN_MIN_DIGITS << 8 | PIN_LENGTH
_BY_ENTER_KEY: Final = 0x02
# Ask for the old PIN, and for the new one twice
_OLD_AND_CONFIRMED: Final = 0x03
_DEFAULT_MESSAGES: Final = 0xFF
_ENGLISH: Final = 0x0409
_NO_PROLOGUE: Final = bytes(3)

# What a reader answers instead of the card, 2.5.2
TIMED_OUT, CANCELLED, NOT_THE_SAME, BAD_LENGTH = 0x6400, 0x6401, 0x6402, 0x6403


def parse_features(raw: bytes) -> Mapping[Feature, int]:
    """The control code of each feature that is known here (2.2): tag, length 4, code, high byte first.

    A reader is somebody else's program: what makes no sense ends the list, and is no error.
    """
    found = {}
    for at in range(0, len(raw) - 5, 6):
        tag, length, code = struct.unpack_from(">BBI", raw, at)
        if length != 4:
            break
        if (feature := _FEATURES.get(tag)) is not None:
            found[feature] = code
    return found


def verify_block(command: bytes) -> bytes:
    """PIN_VERIFY_STRUCTURE (2.5.2) for a VERIFY whose data are eight bytes of FF, which the pad fills."""
    head = struct.pack(
        "<BBBBBHBBHB3sI",
        _TIMEOUT_S,
        _TIMEOUT_AFTER_FIRST_KEY_S,
        _FORMAT,
        _BLOCK,
        _NO_LENGTH,
        _DIGITS,
        _BY_ENTER_KEY,
        _DEFAULT_MESSAGES,
        _ENGLISH,
        0,
        _NO_PROLOGUE,
        len(command),
    )
    return head + command


def modify_block(command: bytes) -> bytes:
    """PIN_MODIFY_STRUCTURE (2.5.3) for a CHANGE REFERENCE DATA: the old PIN at 0, the new one at 8."""
    head = struct.pack(
        "<BBBBBBBHBBBHBBB3sI",
        _TIMEOUT_S,
        _TIMEOUT_AFTER_FIRST_KEY_S,
        _FORMAT,
        _BLOCK,
        _NO_LENGTH,
        0,
        PIN_LENGTH,
        _DIGITS,
        _OLD_AND_CONFIRMED,
        _BY_ENTER_KEY,
        _DEFAULT_MESSAGES,
        _ENGLISH,
        *(0, 1, 2),
        _NO_PROLOGUE,
        len(command),
    )
    return head + command
