"""The wire formats of values in JSON: one field type each, strict both ways."""

import base64
import binascii
import re
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from marshmallow import Schema, ValidationError, fields
from marshmallow.constants import RAISE
from marshmallow.validate import Length, Range

T = TypeVar("T")

# A signed 64-bit integer, as the database keeps money and sequences.
MAX_INTEGER = 2**63 - 1
MAX_TEXT = 64
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Message(Schema):
    """Base of every schema: what it does not know, it refuses."""

    class Meta:
        """Options of marshmallow."""

        unknown = RAISE


class WireField(fields.Field[T]):
    """Base of a field whose JSON form is a text: two functions, one each way."""

    def to_wire(self, value: T) -> str:
        """The text of `value`."""
        raise NotImplementedError

    def from_wire(self, wire: str) -> T:
        """The value of a text. Raises ValidationError unless `wire` is the one text of that value."""
        raise NotImplementedError

    def _serialize(self, value: T | None, *_: object, **__: object) -> str | None:
        return None if value is None else self.to_wire(value)

    def _deserialize(self, value: object, *_: object, **__: object) -> T:
        if not isinstance(value, str):
            raise ValidationError("must be a text")
        return self.from_wire(value)


class Bytes(WireField[bytes]):
    """`bytes` as base64url without padding (RFC 4648, 5)."""

    def __init__(self, *, max_length: int = 4096, exactly: int | None = None, **kwargs: Any) -> None:
        kwargs.setdefault("metadata", {"description": "base64url without padding"})
        super().__init__(**kwargs)
        self.max_length, self.exactly = max_length, exactly

    def to_wire(self, value: bytes) -> str:
        """See WireField."""
        return to_base64url(value)

    def from_wire(self, wire: str) -> bytes:
        """See WireField; two texts for the same bytes would be two messages for one, so one is refused."""
        if len(wire) > self.max_length * 2 or not _BASE64URL.fullmatch(wire):
            raise ValidationError("must be base64url without padding")
        try:
            value = base64.urlsafe_b64decode(wire + "=" * (-len(wire) % 4))
        except binascii.Error:
            raise ValidationError("must be base64url without padding") from None
        if to_base64url(value) != wire:
            raise ValidationError("must be canonical base64url")
        if len(value) > self.max_length or (self.exactly is not None and len(value) != self.exactly):
            raise ValidationError("has the wrong length")
        return value


class Identifier(WireField[UUID]):
    """A UUID in its canonical text (RFC 9562, 4)."""

    def to_wire(self, value: UUID) -> str:
        """See WireField."""
        return str(value)

    def from_wire(self, wire: str) -> UUID:
        """See WireField."""
        try:
            value = UUID(wire)
        except ValueError:
            value = None
        if value is None or str(value) != wire:
            raise ValidationError("must be a UUID in its canonical text")
        return value


class Moment(WireField[datetime]):
    """A time in UTC with milliseconds and `Z` (RFC 3339)."""

    def to_wire(self, value: datetime) -> str:
        """See WireField."""
        return to_rfc3339(value)

    def from_wire(self, wire: str) -> datetime:
        """See WireField."""
        try:
            value = datetime.fromisoformat(wire) if _MOMENT.fullmatch(wire) else None
        except ValueError:
            value = None
        if value is None:
            raise ValidationError("must be a time like 2026-03-29T08:15:30.250Z")
        return value


def text(max_length: int = MAX_TEXT, **kwargs: Any) -> fields.String:
    """A text that is neither empty nor unbounded."""
    return fields.String(validate=Length(1, max_length), **kwargs)


def integer(minimum: int = -MAX_INTEGER, **kwargs: Any) -> fields.Integer:
    """A whole number that is written as one and fits into 64 bits."""
    return fields.Integer(strict=True, validate=Range(minimum, MAX_INTEGER), **kwargs)


def to_base64url(value: bytes) -> str:
    """`value` as base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def to_rfc3339(value: datetime) -> str:
    """`value` in UTC with milliseconds, truncated, and `Z`. Raises ValueError if it is naive."""
    if value.tzinfo is None:
        raise ValueError("a time without a zone")
    in_utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")
