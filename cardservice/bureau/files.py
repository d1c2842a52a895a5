"""The form of a bureau's files: JSON lines, of which the first says what it is and the last signs the others.

All of it is ours, and documented in `docs/bureau.md`. A line is a JSON object in UTF-8, and ends with LF. The
signature is ECDSA with SHA-256 over every byte before its own line, so that `openssl dgst -verify` checks it.
What only the bureau may read is sealed with HPKE (RFC 9180) for its key, bound to scheme, batch and order.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from cardservice.bureau.errors import BadLine, BureauFileRefused, NotOfForm
from pki.statements import deterministic

ORDER, CERTIFICATES, RESULT = (
    "citizen-card bureau order 1",
    "citizen-card bureau certificates 1",
    "citizen-card bureau result 1",
)
# Ours: cards of one batch, and bytes of a file of results: three requests of a card are some 2 kB.
MOST_CARDS, MOST_BYTES = 1000, 16 * 1024 * 1024
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_USE, _VERSION = "bureau-order", 1


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a file with its number, from 1 on."""

    number: int
    values: Mapping[str, Any]


def write(
    head: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], key: ec.EllipticCurvePrivateKey
) -> bytes:
    """A file of these lines, signed."""
    body = b"".join(_line(each) for each in ({**head, "lines": len(lines)}, *lines))
    return body + _line({"signature": to_base64(key.sign(body, ec.ECDSA(hashes.SHA256())))})


def read(data: bytes, form: str, key: ec.EllipticCurvePublicKey) -> tuple[Mapping[str, Any], list[Line]]:
    """The head of a file of this form, and its lines. Raises BureauFileRefused, also where another signed."""
    if len(data) > MOST_BYTES:
        raise refused(1, f"a file has up to {MOST_BYTES} bytes; send the batch in parts")
    body, _, last = data.removesuffix(b"\n").rpartition(b"\n")
    rows = (body + b"\n").splitlines(keepends=False) if body else []
    try:
        signature = from_base64(_parsed(len(rows) + 1, last).get("signature"))
        key.verify(signature, body + b"\n", ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        raise refused(len(rows) + 1, "this is no signature of the bureau over the lines before it") from None
    parsed = [Line(number, _parsed(number, row)) for number, row in enumerate(rows, start=1)]
    if not parsed or parsed[0].values.get("format") != form:
        raise refused(1, f"the file does not say that it is {form!r}")
    head, *lines = parsed
    if head.values.get("lines") != len(lines) or not 1 <= len(lines) <= MOST_CARDS:
        raise refused(1, f"it says {head.values.get('lines')!r} lines and has {len(lines)}, of {MOST_CARDS}")
    return head.values, lines


def seal(
    content: Mapping[str, Any], key: ec.EllipticCurvePublicKey, scheme: str, batch: UUID, order: UUID
) -> str:
    """What the bureau alone may read of an order, in base64."""
    return to_base64(_SUITE.encrypt(json.dumps(content).encode(), key, sealing_info(scheme, batch, order)))


def unseal(sealed: str, key: ec.EllipticCurvePrivateKey, scheme: str, batch: UUID, order: UUID) -> Any:
    """The same, as the bureau does it. Raises ValueError and InvalidTag."""
    return json.loads(_SUITE.decrypt(from_base64(sealed), key, sealing_info(scheme, batch, order)))


def sealing_info(scheme: str, batch: UUID, order: UUID) -> bytes:
    """What is sealed is bound to (RFC 9180, 5.1: `info`): deterministic CBOR."""
    return deterministic([scheme, _USE, _VERSION, batch.bytes, order.bytes])


def to_base64(content: bytes) -> str:
    """As RFC 4648, 4 has it."""
    return base64.b64encode(content).decode()


def from_base64(text: object) -> bytes:
    """Raises ValueError for what is none."""
    if not isinstance(text, str):
        raise NotOfForm("is no text in base64")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise NotOfForm("is no text in base64") from error


def refused(line: int, reason: str) -> BureauFileRefused:
    """Of a file that is wrong at one place."""
    return BureauFileRefused([BadLine(line, reason)])


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parsed(number: int, row: bytes) -> Mapping[str, Any]:
    try:
        values = json.loads(row)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise refused(number, "is no JSON object")
    return values
