"""A proof that an entry is in a sealed day: what its file holds, and its check, which needs no database."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.ids import TransactionId
from cardservice.ledger.closing.leaves import SALT_BYTES
from cardservice.ledger.closing.merkle import leaf_hash, root_by_path
from cardservice.ledger.errors import InclusionInvalid
from pki.errors import PkiError
from pki.reading import UNREADABLE, require_readable
from pki.statements import TreeHead, decode_deterministic, open_tree_head, signer_sha256
from pki.verification import Purpose, TrustStore, verify

FORMAT = "citizen-card-inclusion-1"
# Content has at most 64 KiB, which are twice as many in hexadecimal.
MAX_FILE_BYTES = 262_144
_HASH_BYTES = 32
# Longer than the path in any tree whose size a head can state
_MAX_PATH = 64
_NAMES = frozenset(
    {"format", "scheme", "transaction", "sequence", "salt", "content", "path", "head", "signer", "issuer"}
)


@dataclass(frozen=True, slots=True)
class Inclusion:
    """All that a proof of inclusion is checked by, but for the root; nothing in it has been verified."""

    scheme: str
    transaction_id: TransactionId
    # The entry's number in its epoch
    sequence: int
    salt: bytes
    # What the leaf commits to, in deterministic CBOR
    content: bytes
    # RFC 9162, 2.1.3.1: from the leaf to the head
    path: tuple[bytes, ...]
    # The COSE_Sign1 of the day's head
    head: bytes
    # Who signed the head, and who issued that certificate
    signer: x509.Certificate
    issuer: x509.Certificate


def verified_head(raw: bytes, signer: x509.Certificate, trust: TrustStore, scheme: str) -> TreeHead:
    """The head, if the service signed it under this trust. Raises PkiError, and LookupError outside its time.

    Whether the certificate was revoked since is no fault of the head: it was linked to the next one the day
    after.
    """
    held = verify(signer, Purpose.SERVICE, signer.not_valid_before_utc, trust, require_status=False)
    head = open_tree_head(raw, held.public_key, scheme)
    if not signer.not_valid_before_utc <= head.time <= signer.not_valid_after_utc:
        raise LookupError("it was signed outside the time of its certificate")
    return head


def check_inclusion(proof: Inclusion, root: x509.Certificate) -> TreeHead:
    """The head of the day that the entry is in. Raises InclusionInvalid, which says what does not hold."""
    trust = TrustStore(roots=(root,), intermediates=(proof.issuer,))
    try:
        named = signer_sha256(proof.head)
        head = verified_head(proof.head, proof.signer, trust, proof.scheme)
        content = decode_deterministic(proof.content)
    except (PkiError, LookupError, ValueError) as error:
        raise InclusionInvalid(f"the head or the content does not hold: {error}") from error
    if named != proof.signer.fingerprint(hashes.SHA256()):
        raise InclusionInvalid("the head names another certificate than the proof brings")
    _require_same_entry(proof, head, content)
    leaf = leaf_hash(proof.salt + proof.content)
    if root_by_path(proof.sequence - head.after_sequence - 1, head.size, leaf, proof.path) != head.root:
        raise InclusionInvalid(f"the entry does not lead to the head of {head.day}; ask for a new proof")
    return head


def _require_same_entry(proof: Inclusion, head: TreeHead, content: object) -> None:
    """That the content says of itself what the proof and the head say of it."""
    match content:
        case {
            "shard": head.shard,
            "epoch": head.epoch,
            "entry": proof.sequence,
            "settled_on": str(day),
            "transaction": {"id": proof.transaction_id.bytes},
        } if day == head.day.isoformat():
            return
        case _:
            raise InclusionInvalid("the content is of another entry or another day than the proof")


def write_inclusion(proof: Inclusion) -> str:
    """The file: JSON, bytes in hexadecimal, certificates in PEM."""
    values = {
        "format": FORMAT,
        "scheme": proof.scheme,
        "transaction": str(proof.transaction_id),
        "sequence": proof.sequence,
        "salt": proof.salt.hex(),
        "content": proof.content.hex(),
        "path": [sibling.hex() for sibling in proof.path],
        "head": proof.head.hex(),
        "signer": proof.signer.public_bytes(Encoding.PEM).decode(),
        "issuer": proof.issuer.public_bytes(Encoding.PEM).decode(),
    }
    return json.dumps(values, indent=2) + "\n"


def read_inclusion(data: bytes) -> Inclusion:
    """Read what `write_inclusion` wrote. Raises InclusionInvalid; verifies nothing."""
    if len(data) > MAX_FILE_BYTES:
        raise InclusionInvalid(f"a proof of inclusion has no more than {MAX_FILE_BYTES} bytes")
    try:
        return _read(json.loads(data))
    except InclusionInvalid:
        raise
    except (PkiError, AttributeError, RecursionError, *UNREADABLE) as error:
        raise InclusionInvalid(f"this is not what `cardservice ledger prove` writes: {error}") from error


def _read(values: Mapping[str, Any]) -> Inclusion:
    if not isinstance(values, dict) or values.keys() != _NAMES or values["format"] != FORMAT:
        raise InclusionInvalid(f"this is no {FORMAT}; ask for a proof with `cardservice ledger prove`")
    scheme, sequence, path = values["scheme"], values["sequence"], values["path"]
    if not isinstance(scheme, str) or type(sequence) is not int:
        raise InclusionInvalid("the scheme is no text, or the sequence no whole number")
    if not isinstance(path, list) or len(path) > _MAX_PATH:
        raise InclusionInvalid("the path is no list of hashes")
    transaction = UUID(values["transaction"])
    if str(transaction) != values["transaction"]:
        raise InclusionInvalid("the transaction is not written as identifiers are")
    return Inclusion(
        scheme=scheme,
        transaction_id=TransactionId(transaction),
        sequence=sequence,
        salt=_octets(values["salt"], SALT_BYTES),
        content=_octets(values["content"]),
        path=tuple(_octets(sibling, _HASH_BYTES) for sibling in path),
        head=_octets(values["head"]),
        signer=_certificate(values["signer"]),
        issuer=_certificate(values["issuer"]),
    )


def _certificate(text: str) -> x509.Certificate:
    return require_readable(x509.load_pem_x509_certificate(text.encode()))


def _octets(text: str, exactly: int | None = None) -> bytes:
    """Bytes from the one text of them, in small hexadecimal digits."""
    value = bytes.fromhex(text)
    if value.hex() != text or (exactly is not None and len(value) != exactly):
        raise InclusionInvalid("bytes are not in small hexadecimal digits, or too many or too few")
    return value
