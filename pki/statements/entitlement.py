"""Entitlements: one thing that is true of a card's holder, signed by the issuer and carried by the card.

A CWT (RFC 8392) in a COSE_Sign1 (RFC 9052, 4.2), small enough that a card holds several. Bound to one card,
so that a copy on another says nothing.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from pki.clock import require_aware
from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import fields
from pki.statements.cbor import decode_deterministic, deterministic
from pki.statements.cose import (
    ECDSA_SHA256,
    SIGNATURE_BYTES,
    TAG_COSE_SIGN1,
    from_der,
    sig_structure,
    verify_ecdsa,
)
from pki.statements.errors import (
    EntitlementExpired,
    EntitlementIssuerUnknown,
    EntitlementNotYetValid,
    EntitlementOfAnotherCard,
)
from pki.statements.predicates import predicate
from pki.statements.thumbprint import KID_BYTES, key_id, key_thumbprint

# Ours: several of them fit an application's file of 1,000 bytes
MAX_BYTES = 200
# RFC 8392, 4: issuer, expiry, time of issue; RFC 8747, 3.1: confirmation
_ISS, _EXP, _IAT, _CNF = 1, 4, 6, 8
# RFC 9679, 5.6: a confirmation by the key's thumbprint
_CKT = 5
# Ours. RFC 8392, 9.1: integers below -65536 are for private use
_CARD, _PREDICATE, _STATUS_INDEX = -65537, -65538, -65539
_ALG, _KID, _ES256 = 1, 4, -7  # RFC 9052, 3.1; RFC 9053, 2.1

CARD_DIGEST_BYTES = 16
_THUMBPRINT_BYTES = 32
_UID_BYTES = 7
# Ours: the index of a status list for cards, 32 bits
_MAX_STATUS_INDEX = (1 << 32) - 1
# No external data: any reader of CWTs can check one. The issuer stands in its claims instead.
_EXTERNAL_AAD = b""


@dataclass(frozen=True, slots=True)
class CardBinding:
    """Bound to a card's two faces: 16 bytes of SHA-256(UID ‖ GUID). For the service applications.

    It counts only for what was read in a full-mode session under this card's own key, since anybody can give
    a card any UID.
    """

    digest: bytes

    @classmethod
    def of(cls, uid: bytes, guid: UUID) -> "CardBinding":
        """The binding to this card. Raises StatementMalformed."""
        fields.octets("UID", uid, _UID_BYTES)
        return cls(hashlib.sha256(uid + guid.bytes).digest()[:CARD_DIGEST_BYTES])


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """Bound to a key by its thumbprint (RFC 9679). For the identity application; the key must have signed."""

    thumbprint: bytes

    @classmethod
    def of(cls, key: ec.EllipticCurvePublicKey) -> "KeyBinding":
        """The binding to the card that holds this P-256 key."""
        return cls(key_thumbprint(key))


Binding: TypeAlias = CardBinding | KeyBinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """One predicate of one card's holder. Made only if every field is in range; else StatementMalformed."""

    scheme: str
    predicate: str
    binding: Binding
    # In UTC, cut to the second
    issued_at: datetime
    # From then on it does not count
    expires_at: datetime
    # Where the card stands in its status list
    status_index: int

    def __post_init__(self) -> None:
        fields.identifier("scheme", self.scheme)
        predicate(self.predicate)
        match self.binding:
            case CardBinding(digest):
                fields.octets("card", digest, CARD_DIGEST_BYTES)
            case KeyBinding(thumbprint):
                fields.octets("cnf", thumbprint, _THUMBPRINT_BYTES)
        if fields.integer("status index", self.status_index) > _MAX_STATUS_INDEX:
            raise StatementMalformed("the status index has more than 32 bits")
        for name in ("issued_at", "expires_at"):
            cut = fields.moment(name, getattr(self, name)).replace(microsecond=0)
            object.__setattr__(self, name, cut)
        if self.expires_at <= self.issued_at:
            raise StatementMalformed("an entitlement expires after it was issued")

    def payload(self) -> bytes:
        """The claims in deterministic CBOR."""
        claims: dict[int, object] = {
            _ISS: self.scheme,
            _EXP: _seconds(self.expires_at),
            _IAT: _seconds(self.issued_at),
            _PREDICATE: self.predicate,
            _STATUS_INDEX: self.status_index,
        }
        if isinstance(self.binding, CardBinding):
            claims[_CARD] = self.binding.digest
        else:
            claims[_CNF] = {_CKT: self.binding.thumbprint}
        return deterministic(claims)


@dataclass(frozen=True, slots=True)
class SignedEntitlement:
    """An entitlement as it was read; its signature has not been verified."""

    raw: bytes
    payload: bytes
    entitlement: Entitlement
    # r‖s, 64 bytes
    signature: bytes
    # Which key to look for
    key_id: bytes


def sign_entitlement(entitlement: Entitlement, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The tagged COSE_Sign1, at most 200 bytes. Raises StatementMalformed where it would be longer."""
    payload, protected = entitlement.payload(), _protected(key_id(key.public_key()))
    signature = from_der(key.sign(sig_structure(_EXTERNAL_AAD, payload, protected), ECDSA_SHA256))
    raw = TAG_COSE_SIGN1 + deterministic([protected, {}, payload, signature])
    if len(raw) > MAX_BYTES:
        raise StatementMalformed(f"{len(raw)} bytes are too many for a card; use a shorter scheme id")
    return raw


def open_entitlement(raw: bytes) -> SignedEntitlement:
    """Read what `sign_entitlement` wrote. Raises StatementMalformed; verifies no signature."""
    if raw[:1] != TAG_COSE_SIGN1:
        raise StatementMalformed("not a COSE_Sign1 with its tag 18")
    match decode_deterministic(raw[1:], MAX_BYTES - 1):
        case [bytes(protected), dict(unprotected), bytes(payload), bytes(signature)] if not unprotected:
            pass
        case _:
            raise StatementMalformed("an entitlement is protected header, empty map, claims, signature")
    fields.octets("signature", signature, SIGNATURE_BYTES)
    match decode_deterministic(protected):
        case dict(header) if header.keys() == {_ALG, _KID} and header[_ALG] == _ES256:
            found = fields.octets("kid", header[_KID], KID_BYTES)
        case _:
            raise StatementMalformed("the protected header is not {1: -7 (ES256), 4: kid}")
    return SignedEntitlement(raw, payload, _parse(payload), signature, found)


def verify_entitlement(
    raw: bytes,
    scheme: str,
    issuers: Mapping[bytes, ec.EllipticCurvePublicKey],
    moment: datetime,
    presented: Binding,
) -> Entitlement:
    """The entitlement, if one of these issuers' keys (by `key_id`) signed it for the card that is there.

    `presented` is made of what the reader has *proved*: the identifiers of a card that answers in a full-mode
    session under its own key, or a key that has signed a challenge. Whether the card is revoked says
    the status list, at `status_index`. Raises StatementMalformed, StatementSignatureInvalid and the
    EntitlementRefused; ValueError for a naive moment.
    """
    moment = require_aware(moment)
    signed = open_entitlement(raw)
    key = issuers.get(signed.key_id)
    if key is None:
        raise EntitlementIssuerUnknown(signed.key_id)
    message = sig_structure(_EXTERNAL_AAD, signed.payload, _protected(signed.key_id))
    verify_ecdsa(key, signed.signature, message)
    entitlement = signed.entitlement
    if entitlement.scheme != scheme:
        raise StatementSignatureInvalid("the entitlement was made for another scheme")
    if entitlement.binding != presented:
        raise EntitlementOfAnotherCard("the entitlement belongs to another card")
    if moment < entitlement.issued_at:
        raise EntitlementNotYetValid(entitlement.issued_at)
    if moment >= entitlement.expires_at:
        raise EntitlementExpired(entitlement.expires_at)
    return entitlement


def _parse(payload: bytes) -> Entitlement:
    required = frozenset({_ISS, _EXP, _IAT, _PREDICATE, _STATUS_INDEX})
    claims = fields.read_map(payload, required, frozenset({_CARD, _CNF}))
    return Entitlement(
        scheme=fields.identifier("scheme", claims[_ISS]),
        predicate=predicate(claims[_PREDICATE]),
        binding=_binding(claims),
        issued_at=_moment("iat", claims[_IAT]),
        expires_at=_moment("exp", claims[_EXP]),
        status_index=fields.integer("status index", claims[_STATUS_INDEX]),
    )


def _binding(claims: Mapping[int, object]) -> Binding:
    match claims.get(_CARD), claims.get(_CNF):
        case bytes(digest), None:
            return CardBinding(digest)
        case None, dict(confirmation) if confirmation.keys() == {_CKT}:
            return KeyBinding(fields.octets("cnf", confirmation[_CKT], _THUMBPRINT_BYTES))
        case _:
            raise StatementMalformed("an entitlement is bound to a card or to a key, and to one of them only")


def _moment(name: str, value: object) -> datetime:
    seconds = fields.integer(name, value)
    if seconds > _LATEST:
        raise StatementMalformed(f"{name} lies beyond the year 9999")
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _protected(kid: bytes) -> bytes:
    return deterministic({_ALG: _ES256, _KID: kid})


_LATEST = _seconds(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
