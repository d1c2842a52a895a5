"""Arguments in PostgreSQL's binary format: arrays, of the types that postings and what they are read by have.

Ours, because a driver that looks at each element of fifty arrays takes longer than the database does.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct
from types import MappingProxyType
from typing import Any
from uuid import UUID

from cardservice.database import truncated

# PostgreSQL 15, src/backend/utils/adt/arrayfuncs.c, array_recv: dimensions, whether there are NULLs, the
# elements' type, and for one dimension its length and lower bound; then each element after its length.
_EMPTY, _ONE_DIMENSION, _LENGTH = Struct("!iiI"), Struct("!iiIii"), Struct("!i")
_NULL = _LENGTH.pack(-1)
_INT4, _INT8 = Struct("!i"), Struct("!q")
# timestamptz counts microseconds from here.
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# jsonb_recv: the version of its format comes first.
_JSONB_VERSION = b"\x01"
# Made once, where `json.dumps` would make one for each value; and without spaces, which PostgreSQL drops.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Type:
    """A type as its arrays are sent: its OID (pg_type.dat), and how a value is written."""

    oid: int
    write: Callable[[Any], bytes]

    def array(self, values: Iterable[Any]) -> bytes:
        """A one-dimensional array of the values; None is NULL."""
        write, length = self.write, _LENGTH.pack
        parts = [
            _NULL if value is None else length(len(written := write(value))) + written for value in values
        ]
        if not parts:
            return _EMPTY.pack(0, 0, self.oid)
        return _ONE_DIMENSION.pack(1, 1, self.oid, len(parts), 1) + b"".join(parts)


def _uuid(value: UUID) -> bytes:
    return value.bytes


def _timestamptz(value: datetime) -> bytes:
    return _INT8.pack((truncated(value) - _EPOCH) // _MICROSECOND)


def _jsonb(value: object) -> bytes:
    return _JSONB_VERSION + _json(value).encode()


TYPES: Mapping[str, Type] = MappingProxyType(
    {
        "boolean": Type(16, lambda value: b"\x01" if value else b"\x00"),
        "bytea": Type(17, bytes),
        "bigint": Type(20, _INT8.pack),
        "integer": Type(23, _INT4.pack),
        "text": Type(25, str.encode),
        "timestamptz": Type(1184, _timestamptz),
        "uuid": Type(2950, _uuid),
        "jsonb": Type(3802, _jsonb),
    }
)


def scalar(kind: str, value: object) -> bytes | None:
    """One value of this type; None is NULL."""
    return None if value is None else TYPES[kind].write(value)
