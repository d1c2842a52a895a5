"""Reading a statement of the usual form without looking at each of its items.

What the statements of a terminal have in common (whose, where, which service, what it costs) is read once, by
the same strict reader as everything, and remembered by its bytes; identifiers, sequence, HMAC and time are
cut out from between. It answers nothing for what it does not take, and the reader of all statements says what
that is or what is wrong with it: what is taken here has the one encoding, as each of its parts has.
"""

import re
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from pki.errors import PkiError
from pki.statements import fields
from pki.statements.cbor import decode_deterministic

# How many different cards, and kinds of sales, are remembered.
CARDS_IN_MEMORY, KINDS_IN_MEMORY = 16_384, 4_096

_TEXT = rb"((?:[\x61-\x77]|\x78[\x18-\x40])[0-9A-Za-z._:-]{1,64})"
_NUMBER = rb"([\x00-\x17]|\x18.|\x19.{2}|\x1a.{4}|\x1b.{8})"
# Keys 1 to 5: scheme, id, terminal, sequence, card; key 6 is next.
_BEGINNING = re.compile(
    rb"([\xa0-\xb0])\x01" + _TEXT + rb"\x02\x50(.{16})\x03" + _TEXT + rb"\x04" + _NUMBER
    + rb"\x05\x50(.{16})(?=\x06)",
    re.DOTALL,
)  # fmt: skip
# Keys 13 and 14: an HMAC of 32 bytes, and a time in 8.
_HMAC_HEAD, _TIME_HEAD, _END_BYTES = b"\x0d\x58\x20", b"\x0e\x1b", 45
# Key 15, of a request: a nonce of as many bytes as the service's have.
_NONCE_HEAD, _NONCE_BYTES = b"\x0f\x58\x18", 24
_NONCE_END_BYTES = len(_NONCE_HEAD) + _NONCE_BYTES
_MAP_HEAD = 0xA0
# Those of keys 1 to 5, 13 and 14
_COUNTED = 7
_REQUIRED, _OPTIONAL = frozenset({6, 7, 8, 10, 12}), frozenset({9, 11})
# RFC 8949, 4.2.1: the smallest number that each form may be used for, by the head byte.
_SMALLEST = {0x18: 24, 0x19: 1 << 8, 0x1A: 1 << 16, 0x1B: 1 << 32}


class Sale(NamedTuple):
    """What many statements have in common. `kind` is the number."""

    kind: int
    service: str
    action: str
    amount_minor: int | None
    currency: str
    tariff_version: str | None
    offline: bool


class Parts(NamedTuple):
    """A statement's fields, each of them in range but for what its kind asks for."""

    scheme: str
    id: UUID
    terminal: str
    sequence: int
    card: UUID
    sale: Sale
    details_hmac: bytes
    time: datetime
    nonce: bytes | None


def read_usual(payload: bytes) -> Parts | None:
    """The fields of a statement without `replaces`; None for any other, and for what is none."""
    stop, nonce = len(payload), None
    if payload.startswith(_NONCE_HEAD, stop - _NONCE_END_BYTES):
        stop, nonce = stop - _NONCE_END_BYTES, payload[-_NONCE_BYTES:]
    end = stop - _END_BYTES
    found = _BEGINNING.match(payload)
    if found is None or found.end() >= end or len(payload) > fields.MAX_PAYLOAD_BYTES:
        return None
    if not (payload.startswith(_HMAC_HEAD, end) and payload.startswith(_TIME_HEAD, end + 35)):
        return None
    head, scheme, own, terminal, sequence, card = found.groups()
    try:
        return Parts(
            _identifier(scheme),
            UUID(bytes=own),
            _identifier(terminal),
            _number(sequence),
            _card(card),
            _sale(head[0] - _MAP_HEAD - _COUNTED - (nonce is not None), payload[found.end() : end]),
            payload[end + 3 : end + 35],
            fields.moment("time", _number(payload[end + 36 : stop])),
            nonce,
        )
    except PkiError:
        return None


@lru_cache(maxsize=KINDS_IN_MEMORY)
def _identifier(item: bytes) -> str:
    return fields.identifier("identifier", decode_deterministic(item))


@lru_cache(maxsize=CARDS_IN_MEMORY)
def _card(value: bytes) -> UUID:
    return UUID(bytes=value)


@lru_cache(maxsize=KINDS_IN_MEMORY)
def _sale(count: int, items: bytes) -> Sale:
    """Keys 6 to 12, so many of them."""
    values = fields.read_map(bytes([_MAP_HEAD + max(count, 0)]) + items, _REQUIRED, _OPTIONAL)
    return Sale(
        fields.integer("kind", values[6]),
        fields.identifier("service", values[7]),
        fields.identifier("action", values[8]),
        fields.amount("amount_minor", values[9]) if 9 in values else None,
        fields.currency("currency", values[10]),
        fields.label("tariff_version", values[11]) if 11 in values else None,
        fields.boolean("offline", values[12]),
    )


def _number(item: bytes) -> int:
    """An unsigned integer of its shortest form."""
    if len(item) == 1:
        return item[0]
    value = int.from_bytes(item[1:], "big")
    return fields.integer("a number", value if value >= _SMALLEST[item[0]] else None)
