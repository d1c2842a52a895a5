"""The types of a statement's fields: each function returns the value, or raises StatementMalformed."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from pki.errors import StatementMalformed
from pki.statements.cbor import decode_deterministic
from pki.statements.errors import AmountNegative, AmountTooLarge

# A statement's payload has some 170 bytes.
MAX_PAYLOAD_BYTES = 1_024
# Ours: what a JSON number carries exactly (RFC 8259, 6), so that no peer rounds it.
MAX_INTEGER = 2**53 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MAX_MS = (datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC) - _EPOCH) // _MILLISECOND
# Ours: fits a certificate's common name (RFC 5280, A.1: 64) and a structured field (RFC 9651, 3.3.3).
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
# ISO 4217
_CURRENCY = re.compile(r"[A-Z]{3}")


def identifier(name: str, value: object) -> str:
    """The id of a scheme, terminal, service or action."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise StatementMalformed(f"{name} is not an identifier of 1 to 64 letters, digits and . _ : -")
    return value


def label(name: str, value: object) -> str:
    """Some short text without control characters."""
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or not value.isprintable():
        raise StatementMalformed(f"{name} is not a printable text of 1 to 128 characters")
    return value


def currency(name: str, value: object) -> str:
    """An ISO 4217 code."""
    if not isinstance(value, str) or not _CURRENCY.fullmatch(value):
        raise StatementMalformed(f"{name} is not three capital letters")
    return value


def integer(name: str, value: object) -> int:
    """A whole number, not negative."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
        raise StatementMalformed(f"{name} is not a whole number between 0 and {MAX_INTEGER}")
    return value


def amount(name: str, value: object) -> int:
    """A whole number of minor units, not negative. Raises AmountNegative and AmountTooLarge, too."""
    if isinstance(value, int) and value < 0:
        raise AmountNegative(f"{name} is below zero; give money back by a refund")
    if isinstance(value, int) and value > MAX_INTEGER:
        raise AmountTooLarge(f"{name} is more than {MAX_INTEGER}")
    return integer(name, value)


def boolean(name: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise StatementMalformed(f"{name} is neither true nor false")
    return value


def octets(name: str, value: object, shortest: int, longest: int | None = None) -> bytes:
    """A byte string of this many bytes."""
    longest = longest or shortest
    if not isinstance(value, bytes) or not shortest <= len(value) <= longest:
        raise StatementMalformed(f"{name} is not a byte string of {shortest} to {longest} bytes")
    return value


def uuid(name: str, value: object) -> UUID:
    """A UUID, from its 16 bytes or as it is."""
    if isinstance(value, UUID):
        return value
    return UUID(bytes=octets(name, value, 16))


def moment(name: str, value: object) -> datetime:
    """A moment in UTC to the millisecond, from milliseconds since 1970 or from an aware datetime."""
    if not isinstance(value, datetime):
        since_ms = integer(name, value)
        if since_ms > _MAX_MS:
            raise StatementMalformed(f"{name} lies beyond the year 9999")
        return _EPOCH + since_ms * _MILLISECOND
    if value.utcoffset() is None:
        raise StatementMalformed(f"{name} has no time zone")
    if value < _EPOCH:
        raise StatementMalformed(f"{name} lies before 1970")
    return _EPOCH + (value - _EPOCH) // _MILLISECOND * _MILLISECOND


def day(name: str, value: object) -> date:
    """A date, written YYYY-MM-DD (RFC 3339, full-date)."""
    text = label(name, value)
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise StatementMalformed(f"{name} is no date") from error
    if found.isoformat() != text:
        raise StatementMalformed(f"{name} is not written YYYY-MM-DD")
    return found


def milliseconds(value: datetime) -> int:
    """Milliseconds since 1970."""
    return (value - _EPOCH) // _MILLISECOND


def read_map(payload: bytes, required: frozenset[int], optional: frozenset[int]) -> dict[int, Any]:
    """The map of a payload with these keys and no others; what it holds has not been looked at."""
    value = decode_deterministic(payload, MAX_PAYLOAD_BYTES)
    if not isinstance(value, dict):
        raise StatementMalformed("the payload is not a map")
    if unknown := value.keys() - required - optional:
        raise StatementMalformed(f"the payload has unknown keys: {sorted(map(str, unknown))}")
    if not value.keys() >= required:
        raise StatementMalformed(f"the payload lacks the keys {sorted(required - value.keys())}")
    return value
