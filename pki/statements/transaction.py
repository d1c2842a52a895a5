"""The transaction statement: what a card signs when something is paid, lent or done with it.

The numbers of the keys are ours; `docs/pki.md` has them for other implementers. The bytes are
deterministic CBOR, so that the same statement always has the same bytes.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID

from pki.errors import StatementMalformed
from pki.statements import fields
from pki.statements.cbor import deterministic
from pki.statements.usual import Parts, read_usual

DETAILS_SALT_BYTES = 16
DETAILS_HMAC_BYTES = 32
NONCE_BYTES = (8, 64)

_REQUIRED = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 13, 14})
_OPTIONAL = frozenset({9, 11, 15, 16})


class StatementKind(IntEnum):
    """ISO 8583's pair: a request asks before the goods are given, an advice tells afterwards."""

    REQUEST = 1
    ADVICE = 2


_KINDS = {int(kind): kind for kind in StatementKind}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionStatement:
    """One transaction in a card's words. Made only if every field is in range; else StatementMalformed."""

    scheme: str
    # Drawn and stored by the terminal before anything is sent: a UUID of version 7 (RFC 9562, 5.7)
    id: UUID
    terminal: str
    # The terminal's own count, without gaps
    sequence: int
    card: UUID
    kind: StatementKind
    service: str
    action: str
    # Absent where the tap is rated later
    amount_minor: int | None
    currency: str
    tariff_version: str | None
    offline: bool
    details_hmac: bytes
    # In UTC, cut to the millisecond
    time: datetime
    # The service's; a request has one, an advice none
    nonce: bytes | None = None
    # The unanswered request that this statement stands for
    replaces: UUID | None = None

    def __post_init__(self) -> None:
        for name in ("scheme", "terminal", "service", "action"):
            fields.identifier(name, getattr(self, name))
        for name in ("id", "card"):
            _require_uuid(name, getattr(self, name))
        fields.integer("sequence", self.sequence)
        if self.amount_minor is not None:
            fields.amount("amount_minor", self.amount_minor)
        fields.currency("currency", self.currency)
        if self.tariff_version is not None:
            fields.label("tariff_version", self.tariff_version)
        fields.octets("details_hmac", self.details_hmac, DETAILS_HMAC_BYTES)
        object.__setattr__(self, "time", fields.moment("time", self.time))
        self._check_kind()
        self._check_replaces()

    def _check_kind(self) -> None:
        if not isinstance(self.kind, StatementKind):
            raise StatementMalformed("kind is neither request nor advice")
        fields.boolean("offline", self.offline)
        if self.kind is StatementKind.ADVICE:
            if self.nonce is not None:
                raise StatementMalformed("an advice has no nonce")
            return
        fields.octets("nonce", self.nonce, *NONCE_BYTES)
        if self.offline:
            raise StatementMalformed("a request is never offline")

    def _check_replaces(self) -> None:
        if self.replaces is None:
            return
        _require_uuid("replaces", self.replaces)
        if self.replaces == self.id:
            raise StatementMalformed("a statement cannot replace itself")

    def payload(self) -> bytes:
        """The statement's bytes: a map with integer keys in deterministic CBOR."""
        values: dict[int, object] = {
            1: self.scheme,
            2: self.id.bytes,
            3: self.terminal,
            4: self.sequence,
            5: self.card.bytes,
            6: int(self.kind),
            7: self.service,
            8: self.action,
            9: self.amount_minor,
            10: self.currency,
            11: self.tariff_version,
            12: self.offline,
            13: self.details_hmac,
            14: fields.milliseconds(self.time),
            15: self.nonce,
            16: None if self.replaces is None else self.replaces.bytes,
        }
        return deterministic({key: value for key, value in values.items() if value is not None})


_FIELDS = TransactionStatement.__slots__


def parse_payload(payload: bytes) -> TransactionStatement:
    """Read a statement's bytes. Raises StatementMalformed unless they are exactly what `payload` writes."""
    usual = read_usual(payload)
    if usual is not None and (kind := _kind_of(usual)) is not None:
        return _made(usual, kind)
    values = fields.read_map(payload, _REQUIRED, _OPTIONAL)
    if None in values.values():
        raise StatementMalformed("what a statement does not say has no key, and no null")
    # The other fields are checked as every statement's are, and once.
    return TransactionStatement(
        scheme=values[1],
        id=fields.uuid("id", values[2]),
        terminal=values[3],
        sequence=values[4],
        card=fields.uuid("card", values[5]),
        kind=_kind(values[6]),
        service=values[7],
        action=values[8],
        amount_minor=values.get(9),
        currency=values[10],
        tariff_version=values.get(11),
        offline=values[12],
        details_hmac=values[13],
        time=fields.moment("time", values[14]),
        nonce=values.get(15),
        replaces=fields.uuid("replaces", values[16]) if 16 in values else None,
    )


def _kind_of(parts: Parts) -> StatementKind | None:
    """The kind of a statement that has what its kind asks for."""
    kind = _KINDS.get(parts.sale.kind)
    if kind is StatementKind.ADVICE:
        return kind if parts.nonce is None else None
    return kind if parts.nonce is not None and not parts.sale.offline else None


def _made(parts: Parts, kind: StatementKind) -> TransactionStatement:
    """The same statement, of fields that have been looked at already."""
    made = object.__new__(TransactionStatement)
    values = (*parts[:5], kind, *parts.sale[1:], parts.details_hmac, parts.time, parts.nonce, None)
    for name, value in zip(_FIELDS, values, strict=True):
        # Frozen, and made without `__init__`, which would look at each of them again.
        object.__setattr__(made, name, value)
    return made


def details_hmac(salt: bytes, details: Mapping[str, object]) -> bytes:
    """HMAC-SHA-256 of the details' deterministic CBOR under a salt of 16 random bytes.

    A plain hash of a basket is guessed at once, and would outlive the details' erasure. Raises
    StatementMalformed for details that hold anything else than text, whole numbers, booleans, null, byte
    strings, lists and maps of these.
    """
    return encoded_details_hmac(salt, deterministic(details))


def encoded_details_hmac(salt: bytes, details_cbor: bytes) -> bytes:
    """The same of details that are there as deterministic CBOR. Raises StatementMalformed for the salt."""
    fields.octets("details salt", salt, DETAILS_SALT_BYTES)
    return hmac.digest(salt, details_cbor, "sha256")


def _kind(value: object) -> StatementKind:
    kind = _KINDS.get(fields.integer("kind", value))
    if kind is None:
        raise StatementMalformed("kind is neither request nor advice")
    return kind


def _require_uuid(name: str, value: object) -> None:
    if not isinstance(value, UUID):
        raise StatementMalformed(f"{name} is not a UUID")
