"""The service's own word that it erased the salt of a sealed leaf: without it somebody else has done it."""

from dataclasses import dataclass
from datetime import date

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import fields
from pki.statements.cbor import deterministic
from pki.statements.cose import (
    ECDSA_SHA256,
    Sign1,
    decode_sign1,
    encode_sign1,
    from_der,
    sig_structure,
    verify_ecdsa,
)

# Ours, as for the transaction statement
_USE, _VERSION = "leaf-tombstone", 1
_REQUIRED = frozenset({1, 2, 3, 4, 5, 6})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafTombstone:
    """Which leaf was erased, and on which day. It names no transaction and no person."""

    scheme: str
    shard: int
    epoch: int
    sequence: int
    # RFC 9162, 2.1.1: the leaf's hash
    leaf: bytes
    day: date

    def payload(self) -> bytes:
        """A map with integer keys in deterministic CBOR."""
        return deterministic(
            {
                1: self.scheme,
                2: self.shard,
                3: self.epoch,
                4: self.sequence,
                5: self.leaf,
                6: self.day.isoformat(),
            }
        )


def sign_tombstone(
    tombstone: LeafTombstone, key: ec.EllipticCurvePrivateKey, certificate_sha256: bytes
) -> bytes:
    """The tagged COSE_Sign1, which names the certificate of the key by its SHA-256."""
    payload = tombstone.payload()
    signature = key.sign(_signature_input(tombstone.scheme, payload), ECDSA_SHA256)
    return encode_sign1(Sign1(payload, from_der(signature), certificate_sha256))


def open_tombstone(raw: bytes, public_key: ec.EllipticCurvePublicKey, scheme: str) -> LeafTombstone:
    """Verify and read one. Raises StatementMalformed and StatementSignatureInvalid."""
    sign1 = decode_sign1(raw)
    verify_ecdsa(public_key, sign1.signature, _signature_input(scheme, sign1.payload))
    values = fields.read_map(sign1.payload, _REQUIRED, frozenset())
    try:
        day = date.fromisoformat(fields.label("day", values[6]))
    except ValueError as error:
        raise StatementMalformed("the day is no date") from error
    found = LeafTombstone(
        scheme=fields.identifier("scheme", values[1]),
        shard=fields.integer("shard", values[2]),
        epoch=fields.integer("epoch", values[3]),
        sequence=fields.integer("sequence", values[4]),
        leaf=fields.octets("leaf", values[5], 32),
        day=day,
    )
    if found.scheme != scheme:
        raise StatementSignatureInvalid("the tombstone was made for another scheme")
    return found


def tombstone_certificate_sha256(raw: bytes) -> bytes | None:
    """Which certificate to verify one with; itself unverified. Raises StatementMalformed."""
    return decode_sign1(raw).certificate_sha256


def _signature_input(scheme: str, payload: bytes) -> bytes:
    return sig_structure(deterministic([scheme, _USE, _VERSION]), payload)
