"""Arguments in PostgreSQL's binary format: arrays, of the types that postings and what they are read by have.

Ours, because a driver that looks at each element of fifty arrays takes longer than the database does.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import repeat
from operator import is_
from struct import Struct
from types import MappingProxyType
from typing import Any
from uuid import UUID

from cardservice.database import truncated

# PostgreSQL 15, src/backend/utils/adt/arrayfuncs.c, array_recv: dimensions, whether there are NULLs, the
# elements' type, and for one dimension its length and lower bound; then each element after its length.
_EMPTY, _ONE_DIMENSION, _LENGTH = Struct("!iiI"), Struct("!iiIii"), Struct("!i")
_NULL = _LENGTH.pack(-1)
_INT4, _INT8 = Struct("!ii"), Struct("!iq")
_UUID, _TRUE, _FALSE = _LENGTH.pack(16), _LENGTH.pack(1) + b"\x01", _LENGTH.pack(1) + b"\x00"
# timestamptz counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY_US, _SECOND_US, _MILLISECOND_US = 86_400_000_000, 1_000_000, 1_000
# jsonb_recv: the version of its format comes first.
_JSONB_VERSION = b"\x01"
_NO_FLAGS = _LENGTH.pack(3) + _JSONB_VERSION + b"[]"
# Terminals, services, reasons: the same few again and again.
TEXTS_IN_MEMORY = 4_096
# Of each type, up to a turn's.
LENGTHS_IN_MEMORY = 1_024
# Made once, where `json.dumps` would make one for each value; and without spaces, which PostgreSQL drops.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Type:
    """A type as its arrays are sent: its OID (pg_type.dat), and how a value is written, its length first."""

    oid: int
    field: Callable[[Any], bytes]

    def array(self, values: Iterable[Any]) -> bytes:
        """A one-dimensional array of the values; None is NULL."""
        all_values = values if isinstance(values, list) else list(values)
        count = len(all_values)
        # By identity: a UUID is compared with None by its own, slow function.
        nulls = sum(map(is_, all_values, repeat(None)))
        if nulls == count:
            return _all_null(self.oid, count)
        if nulls:
            field = self.field
            fields = [_NULL if value is None else field(value) for value in all_values]
            return _before(self.oid, count) + b"".join(fields)
        return _before(self.oid, count) + b"".join(map(self.field, all_values))

    def write(self, value: Any) -> bytes:
        """The value alone, without its length."""
        return self.field(value)[_LENGTH.size :]


@lru_cache(maxsize=LENGTHS_IN_MEMORY)
def _before(oid: int, count: int) -> bytes:
    """What an array that is not empty begins with."""
    return _ONE_DIMENSION.pack(1, 1, oid, count, 1)


@lru_cache(maxsize=LENGTHS_IN_MEMORY)
def _all_null(oid: int, count: int) -> bytes:
    """An array of nothing but NULL, or of nothing: half of the columns nearly always are."""
    return _before(oid, count) + _NULL * count if count else _EMPTY.pack(0, 0, oid)


def _uuid(value: UUID) -> bytes:
    return _UUID + value.bytes


def _timestamptz(value: datetime) -> bytes:
    """To the millisecond, as `database.truncated` cuts. Raises NaiveTime."""
    since = (value if value.tzinfo is UTC else truncated(value)) - _EPOCH
    within = since.microseconds // _MILLISECOND_US * _MILLISECOND_US
    return _INT8.pack(8, since.days * _DAY_US + since.seconds * _SECOND_US + within)


def _jsonb(value: object) -> bytes:
    # Nearly every transaction's flags.
    return _NO_FLAGS if value in ([], ()) else _bytea(_JSONB_VERSION + _json(value).encode())


def _bytea(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value


@lru_cache(maxsize=TEXTS_IN_MEMORY)
def _text(value: str) -> bytes:
    return _bytea(value.encode())


TYPES: Mapping[str, Type] = MappingProxyType(
    {
        "boolean": Type(16, lambda value: _TRUE if value else _FALSE),
        "bytea": Type(17, _bytea),
        "bigint": Type(20, partial(_INT8.pack, 8)),
        "integer": Type(23, partial(_INT4.pack, 4)),
        "text": Type(25, _text),
        "timestamptz": Type(1184, _timestamptz),
        "uuid": Type(2950, _uuid),
        "jsonb": Type(3802, _jsonb),
    }
)


def scalar(kind: str, value: object) -> bytes | None:
    """One value of this type; None is NULL."""
    return None if value is None else TYPES[kind].write(value)
