"""The head of a day's Merkle tree, signed by the service: published, and what every proof leads to."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import StatementMalformed, StatementSignatureInvalid
from pki.statements import fields
from pki.statements.cbor import deterministic
from pki.statements.scheme_bound import SchemeBound

# Ours, as for the transaction statement
_BOUND = SchemeBound("tree-head", 1)
_REQUIRED, _OPTIONAL = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 10}), frozenset({9})


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeHead:
    """Made only if every field is in range; else StatementMalformed."""

    scheme: str
    shard: int
    # The place in the chain of heads, from 1
    number: int
    epoch: int
    day: date
    # The leaves are the entries of the ledger sequence after this one, so many
    after_sequence: int
    size: int
    # RFC 9162, 2.1.1
    root: bytes
    # SHA-256 of the payload of the head before; None for the first
    previous: bytes | None
    # In UTC, cut to the millisecond
    time: datetime

    def __post_init__(self) -> None:
        fields.identifier("scheme", self.scheme)
        for name in ("shard", "number", "epoch", "after_sequence", "size"):
            fields.integer(name, getattr(self, name))
        fields.octets("root", self.root, 32)
        if self.previous is not None:
            fields.octets("previous", self.previous, 32)
        if (self.previous is None) != (self.number == 1):
            raise StatementMalformed("the first head, and no other, has none before it")
        object.__setattr__(self, "time", fields.moment("time", self.time))

    def payload(self) -> bytes:
        """The head's bytes: a map with integer keys in deterministic CBOR."""
        values: dict[int, object] = {
            1: self.scheme,
            2: self.shard,
            3: self.number,
            4: self.epoch,
            5: self.day.isoformat(),
            6: self.after_sequence,
            7: self.size,
            8: self.root,
            10: fields.milliseconds(self.time),
        }
        if self.previous is not None:
            values[9] = self.previous
        return deterministic(values)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the payload: what the next head names as the one before it."""
        return hashlib.sha256(self.payload()).digest()


def sign_tree_head(head: TreeHead, key: ec.EllipticCurvePrivateKey, certificate_sha256: bytes) -> bytes:
    """The tagged COSE_Sign1, which names the certificate of the key by its SHA-256."""
    return _BOUND.sign(head.scheme, head.payload(), key, certificate_sha256)


def open_tree_head(raw: bytes, public_key: ec.EllipticCurvePublicKey, scheme: str) -> TreeHead:
    """Verify and read a head. Raises StatementMalformed and StatementSignatureInvalid."""
    head = _read(_BOUND.open(raw, public_key, scheme))
    if head.scheme != scheme:
        raise StatementSignatureInvalid("the tree head was made for another scheme")
    return head


def _read(payload: bytes) -> TreeHead:
    values = fields.read_map(payload, _REQUIRED, _OPTIONAL)
    return TreeHead(
        scheme=fields.identifier("scheme", values[1]),
        shard=fields.integer("shard", values[2]),
        number=fields.integer("number", values[3]),
        epoch=fields.integer("epoch", values[4]),
        day=fields.day("day", values[5]),
        after_sequence=fields.integer("after_sequence", values[6]),
        size=fields.integer("size", values[7]),
        root=fields.octets("root", values[8], 32),
        previous=None if 9 not in values else fields.octets("previous", values[9], 32),
        time=fields.moment("time", values[10]),
    )
