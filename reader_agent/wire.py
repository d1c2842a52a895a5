"""The wire formats of values in JSON, read strictly: what a service answers is input like any other."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn, TypeVar
from uuid import UUID

from reader_agent.errors import ServiceAnswerInvalid

T = TypeVar("T")

_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_CURRENCY = re.compile(r"[A-Z]{3}")
# Ours, as the service's: below 2**53, whatever reads the JSON
MAX_AMOUNT_MINOR = 10**15 - 1


def to_base64url(value: bytes) -> str:
    """`value` as base64url without padding (RFC 4648, 5)."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """The bytes of a base64url text. Raises ValueError for any text but the one of those bytes."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url without padding")
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url without padding") from error
    if to_base64url(value) != text:
        raise ValueError("not canonical base64url")
    return value


def to_rfc3339(value: datetime) -> str:
    """`value` in UTC with milliseconds, truncated, and `Z`. Raises ValueError if it is naive."""
    if value.utcoffset() is None:
        raise ValueError("a time without a zone")
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_rfc3339(text: str) -> datetime:
    """The moment of a text like 2026-03-29T08:15:30.250Z. Raises ValueError."""
    if not _MOMENT.fullmatch(text):
        raise ValueError("not a time in UTC with milliseconds")
    return datetime.fromisoformat(text)


class Document:
    """A JSON object whose members are taken out by type; any other shape is a ServiceAnswerInvalid.

    Members that nobody takes out are passed over, so that a newer service may say more.
    """

    def __init__(self, value: object, what: str) -> None:
        if not isinstance(value, Mapping):
            raise ServiceAnswerInvalid(f"{what} is not a JSON object")
        self._value, self._what = value, what

    @property
    def value(self) -> Mapping[str, object]:
        """The object as it came."""
        return self._value

    def text(self, name: str) -> str:
        """A text."""
        value = self._value.get(name)
        return value if isinstance(value, str) else self._refuse(name, "a text")

    def label(self, name: str, most: int) -> str:
        """A text that can be shown: printable, one line, of 1 to `most` characters."""
        value = self.text(name)
        if not (1 <= len(value) <= most and value.isprintable()):
            self._refuse(name, f"a printable text of 1 to {most} characters")
        return value

    def key(self, name: str) -> str:
        """A name that programs use."""
        value = self.text(name)
        return value if _KEY.fullmatch(value) else self._refuse(name, "a key")

    def keys(self, name: str, most: int) -> tuple[str, ...]:
        """A list of names that programs use."""
        values = self.texts(name, most)
        return values if all(map(_KEY.fullmatch, values)) else self._refuse(name, "a list of keys")

    def currency(self, name: str) -> str:
        """A currency's code (ISO 4217)."""
        value = self.text(name)
        return value if _CURRENCY.fullmatch(value) else self._refuse(name, "a currency")

    def amount(self, name: str) -> int:
        """An amount in minor units that is not negative."""
        value = self.integer(name)
        return value if 0 <= value <= MAX_AMOUNT_MINOR else self._refuse(name, "an amount")

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self._value.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            self._refuse(name, "a whole number")
        return value

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or null."""
        return None if self.is_null(name) else self.integer(name)

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._value.get(name)
        return value if isinstance(value, bool) else self._refuse(name, "true or false")

    def octets(self, name: str) -> bytes:
        """Bytes, base64url."""
        return self._parsed(name, from_base64url, "base64url without padding")

    def tag(self, name: str) -> int:
        """A tag of a data object, in hex."""
        return self._parsed(name, lambda text: int.from_bytes(bytes.fromhex(text)), "a tag in hex")

    def identifier(self, name: str) -> UUID:
        """A UUID."""
        return self._parsed(name, UUID, "a UUID")

    def moment(self, name: str) -> datetime:
        """A time."""
        return self._parsed(name, from_rfc3339, "a time")

    def document(self, name: str) -> "Document":
        """An object."""
        return Document(self._value.get(name), f"{self._what}.{name}")

    def items(self, name: str, most: int | None = None) -> Sequence[object]:
        """A list, of at most so many items."""
        value = self._value.get(name)
        if not isinstance(value, list):
            self._refuse(name, "a list")
        return value if most is None or len(value) <= most else self._refuse(name, f"a list of up to {most}")

    def documents(self, name: str, most: int | None = None) -> "list[Document]":
        """A list of objects."""
        return [Document(item, f"{self._what}.{name}") for item in self.items(name, most)]

    def texts(self, name: str, most: int | None = None) -> tuple[str, ...]:
        """A list of texts."""
        items = tuple(item for item in self.items(name, most) if isinstance(item, str))
        return items if len(items) == len(self.items(name)) else self._refuse(name, "a list of texts")

    def octet_list(self, name: str) -> tuple[bytes, ...]:
        """A list of bytes."""
        try:
            return tuple(from_base64url(item) for item in self.texts(name))
        except ValueError:
            self._refuse(name, "a list of base64url texts")

    def is_null(self, name: str) -> bool:
        """Whether the member is null, or left out."""
        return self._value.get(name) is None

    def _parsed(self, name: str, parse: Callable[[str], T], expected: str) -> T:
        try:
            return parse(self.text(name))
        except ValueError:
            self._refuse(name, expected)

    def _refuse(self, name: str, expected: str) -> NoReturn:
        raise ServiceAnswerInvalid(f"{self._what}.{name} is not {expected}")
