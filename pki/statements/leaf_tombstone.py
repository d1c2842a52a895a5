"""The service's own word that it erased the salt of a sealed leaf: without it somebody else has done it."""

from dataclasses import dataclass
from datetime import date

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import StatementSignatureInvalid
from pki.statements import fields
from pki.statements.cbor import deterministic
from pki.statements.scheme_bound import SchemeBound

# Ours, as for the transaction statement
_BOUND = SchemeBound("leaf-tombstone", 1)
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
    return _BOUND.sign(tombstone.scheme, tombstone.payload(), key, certificate_sha256)


def open_tombstone(raw: bytes, public_key: ec.EllipticCurvePublicKey, scheme: str) -> LeafTombstone:
    """Verify and read one. Raises StatementMalformed and StatementSignatureInvalid."""
    values = fields.read_map(_BOUND.open(raw, public_key, scheme), _REQUIRED, frozenset())
    found = LeafTombstone(
        scheme=fields.identifier("scheme", values[1]),
        shard=fields.integer("shard", values[2]),
        epoch=fields.integer("epoch", values[3]),
        sequence=fields.integer("sequence", values[4]),
        leaf=fields.octets("leaf", values[5], 32),
        day=fields.day("day", values[6]),
    )
    if found.scheme != scheme:
        raise StatementSignatureInvalid("the tombstone was made for another scheme")
    return found
