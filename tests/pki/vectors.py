"""Makes tests/vectors/transaction-statement.json: `python -m tests.pki.vectors`.

Fixed inputs, one signature each. The test reads the file and checks it with other programs; this module is
here so that it is plain where the values come from, and is not run by the tests.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.statements import (
    AnnulNotice,
    Answer,
    StatementKind,
    TransactionStatement,
    details_hmac,
    seal,
    sign_answer,
    signature_input,
)

FILE = Path(__file__).parents[1] / "vectors" / "transaction-statement.json"
# RFC 6979, A.2.5: a published key, so that nobody takes it for a secret
PRIVATE_KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
SALT = bytes(range(16))
DETAILS = {"from_stop": "zakroczym-rynek", "to_stop": "modlin-twierdza", "passengers": 1, "return": False}
CERTIFICATE_SHA256 = sha256(b"a certificate").digest()
# With a fixed nonce (RFC 6979) the signatures are the same each time.
DETERMINISTIC = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)

REQUEST = TransactionStatement(
    scheme="ashcombe",
    id=UUID("0192f0a1-7b3c-7d5e-8f90-a1b2c3d4e5f6"),
    terminal="bus-12",
    sequence=1042,
    card=UUID("6f1d2c3b-4a59-4e6f-8c7d-0123456789ab"),
    kind=StatementKind.REQUEST,
    service="transport",
    action="single-fare",
    amount_minor=235,
    currency="GBP",
    tariff_version="2026-11",
    offline=False,
    details_hmac=details_hmac(SALT, DETAILS),
    time=datetime(2026, 11, 24, 8, 15, 30, 125_000, tzinfo=UTC),
    nonce=bytes(range(0x40, 0x58)),
)
STATEMENTS = {
    "request": REQUEST,
    "advice that replaces an unanswered request": replace(
        REQUEST,
        id=UUID("0192f0a1-8c4d-7e6f-90a1-b2c3d4e5f607"),
        sequence=1044,
        kind=StatementKind.ADVICE,
        offline=True,
        nonce=None,
        replaces=REQUEST.id,
    ),
    "tap that is rated later": replace(
        REQUEST,
        id=UUID("0192f0a1-9d5e-7f70-a1b2-c3d4e5f60718"),
        action="tap-in",
        amount_minor=None,
        tariff_version=None,
    ),
    "every number at its longest": replace(
        REQUEST,
        scheme="s" * 32,
        sequence=2**53 - 1,
        amount_minor=2**53 - 1,
        tariff_version="v" * 128,
        time=datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        nonce=b"\xff" * 64,
    ),
}
ANNUL = AnnulNotice(
    scheme="ashcombe",
    id=UUID("0192f0a1-ae6f-7081-b2c3-d4e5f6071829"),
    terminal="bus-12",
    sequence=1043,
    card=REQUEST.card,
    annuls=REQUEST.id,
    time=datetime(2026, 11, 24, 8, 15, 42, 7_000, tzinfo=UTC),
)
ANSWER = Answer(
    scheme="ashcombe",
    id=REQUEST.id,
    body=sha256(REQUEST.payload()).digest(),
    decision="approved",
    reason="approved",
    time=datetime(2026, 11, 24, 8, 15, 30, 380_000, tzinfo=UTC),
)


def fields_of(statement: TransactionStatement) -> dict[str, Any]:
    """The statement as JSON, bytes in hexadecimal."""
    s = statement
    return {
        "scheme": s.scheme,
        "id": str(s.id),
        "terminal": s.terminal,
        "sequence": s.sequence,
        "card": str(s.card),
        "kind": int(s.kind),
        "service": s.service,
        "action": s.action,
        "amount_minor": s.amount_minor,
        "currency": s.currency,
        "tariff_version": s.tariff_version,
        "offline": s.offline,
        "details_hmac": s.details_hmac.hex(),
        "time": s.time.isoformat(),
        "nonce": s.nonce and s.nonce.hex(),
        "replaces": s.replaces and str(s.replaces),
    }


def vectors() -> dict[str, Any]:
    """The content of the file."""
    key = ec.derive_private_key(PRIVATE_KEY, ec.SECP256R1())
    statements = []
    for name, statement in STATEMENTS.items():
        payload = statement.payload()
        signed = signature_input(statement.scheme, payload)
        der = key.sign(signed, DETERMINISTIC)
        statements.append(
            {
                "name": name,
                "statement": fields_of(statement),
                "payload": payload.hex(),
                "body": sha256(payload).hexdigest(),
                "sig_structure": signed.hex(),
                "sig_structure_sha256": sha256(signed).hexdigest(),
                "signature_der": der.hex(),
                "cose_sign1": seal(payload, der, CERTIFICATE_SHA256).hex(),
            }
        )
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "source": "ours; see README.md in this folder for how it was checked",
        "public_key_pem": public.decode(),
        "certificate_sha256": CERTIFICATE_SHA256.hex(),
        "details": {"salt": SALT.hex(), "details": DETAILS, "hmac": REQUEST.details_hmac.hex()},
        "statements": statements,
        "annul": {"payload": ANNUL.payload().hex(), "body": ANNUL.body.hex()},
        "answer": {
            "payload": ANSWER.payload().hex(),
            "cose_sign1": sign_answer(ANSWER, key, CERTIFICATE_SHA256).hex(),
        },
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), indent=1) + "\n", encoding="utf-8")
