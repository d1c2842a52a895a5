"""A stored proof written out, for whoever wants to check it with `openssl` alone."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Connection, select

from cardservice.api.fields import to_base64url, to_rfc3339
from cardservice.authorisation.agreeing import fault_of_row
from cardservice.authorisation.evidence import Evidence, unseal
from cardservice.cards.service import AUTHORITY
from cardservice.context import Context
from cardservice.errors import OrderInvalid, TransactionUnknown
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.by_id import payers_with
from cardservice.ledger.errors import LedgerError, ProofErased
from cardservice.ledger.models import ledger_transaction
from cardservice.pki_store.models import certificate, crl
from pki.errors import PkiError
from pki.statements import SignedStatement, open_statement, signature_input, verify_statement
from pki.verification import Purpose, TrustStore, verify

# The commands of docs/proofs.md.
_SCRIPT = r"""#!/bin/sh
# Checks the proof in this folder with openssl alone; exit status 0 if all of it holds. It trusts root.crt:
# compare that file with the scheme's root that you have from somewhere else.
set -eu
cd "$(dirname "$0")"

# The card's signature over the statement.
openssl x509 -in card.crt -pubkey -noout > card.pub
openssl dgst -sha256 -verify card.pub -signature signature.der sig_structure.bin

# The card's certificate: up to the root, and not revoked, as of the moment the transaction was judged at.
moment=$(sed -n 's/.*"judged_at_unix": *\([0-9]*\).*/\1/p' transaction.json)
openssl verify -attime "$moment" -crl_check -CAfile root.crt -untrusted cards.crt -CRLfile cards.crl card.crt
"""


@dataclass(frozen=True, slots=True)
class Proof:
    """A stored proof with what it is verified by."""

    evidence: Evidence
    signed: SignedStatement
    card_certificate: x509.Certificate
    crl: x509.CertificateRevocationList


def load_proof(context: Context, connection: Connection, payer: PayerId, transaction: TransactionId) -> Proof:
    """A transaction's proof. Raises the ledger's errors, and LookupError where something is gone."""
    evidence = unseal(context, connection, payer, transaction)
    leaf = connection.scalar(
        select(certificate.c.der).where(
            certificate.c.authority == AUTHORITY, certificate.c.sha256 == evidence.certificate_sha256
        )
    )
    listed = connection.scalar(
        select(crl.c.der).where(crl.c.authority == AUTHORITY, crl.c.sha256 == evidence.crl_sha256)
    )
    if leaf is None or listed is None:
        raise LookupError("the certificate or the revocation list of the proof is gone")
    return Proof(
        evidence=evidence,
        signed=open_statement(evidence.statement),
        card_certificate=x509.load_der_x509_certificate(leaf),
        crl=x509.load_der_x509_crl(listed),
    )


def fault_of_proof(
    context: Context, connection: Connection, payer: PayerId, transaction: TransactionId
) -> str | None:
    """What is wrong with a stored proof as of the moment it was judged; None: nothing. Raises ProofErased.

    Also what of the ledger is not as it was proven. That the card had been revoked by then is no fault of the
    proof: the transaction says so itself.
    """
    try:
        proof = load_proof(context, connection, payer, transaction)
        statement = proof.signed.statement
        trust = TrustStore(
            roots=(context.certificates["root"],),
            intermediates=(context.issuer_of(proof.card_certificate),),
            crls=(proof.crl,),
        )
        moment = proof.card_certificate.not_valid_before_utc
        held = verify(
            proof.card_certificate, Purpose.CARD_AUTHENTICATION, moment, trust, require_status=False
        )
        verify_statement(proof.signed, context.scheme.id, held.public_key)
    except ProofErased:
        raise
    except (PkiError, LedgerError, LookupError, ValueError) as error:
        return str(error)
    if statement.id != transaction or str(statement.card) != held.identity:
        return "the proof is another transaction's or another card's"
    return fault_of_row(connection, payer, transaction, proof.signed)


def export_proof(context: Context, transaction: UUID, directory: Path) -> tuple[Path, ...]:
    """Write a transaction's proof into a new folder; the files. Raises TransactionUnknown and OrderInvalid.

    `verify.sh` in it checks the card's signature, the chain, and the status that was known then.
    """
    if directory.exists() and any(directory.iterdir()):
        raise OrderInvalid(f"{directory} is not empty; name a new folder")
    with context.database.reading() as connection:
        row = connection.execute(
            select(ledger_transaction).where(
                ledger_transaction.c.payer_id.in_(payers_with(connection, TransactionId(transaction))),
                ledger_transaction.c.id == transaction,
            )
        ).one_or_none()
        if row is None:
            raise TransactionUnknown(transaction)
        proof = load_proof(context, connection, PayerId(row.payer_id), TransactionId(row.id))
    signed = proof.signed
    files = {
        "statement.cose": signed.raw,
        "sig_structure.bin": signature_input(context.scheme.id, signed.payload),
        "signature.der": signed.signature_der,
        "card.crt": proof.card_certificate.public_bytes(Encoding.PEM),
        "cards.crt": context.issuer_of(proof.card_certificate).public_bytes(Encoding.PEM),
        "root.crt": context.certificates["root"].public_bytes(Encoding.PEM),
        "cards.crl": proof.crl.public_bytes(Encoding.PEM),
        "transaction.json": _described(signed, row.decision, row.reason, proof.evidence.judged_at),
        "verify.sh": _SCRIPT.encode(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content)
    (directory / "verify.sh").chmod(0o755)
    return tuple(directory / name for name in files)


def _described(signed: SignedStatement, decision: str, reason: str, judged_at: datetime) -> bytes:
    """The statement for people, with what the service decided."""
    statement = signed.statement
    values = {
        "scheme": statement.scheme,
        "id": str(statement.id),
        "terminal": statement.terminal,
        "sequence": statement.sequence,
        "card": str(statement.card),
        "kind": statement.kind.name.lower(),
        "service": statement.service,
        "action": statement.action,
        "amount_minor": statement.amount_minor,
        "currency": statement.currency,
        "tariff_version": statement.tariff_version,
        "offline": statement.offline,
        "details_hmac": to_base64url(statement.details_hmac),
        "time": to_rfc3339(statement.time),
        "replaces": None if statement.replaces is None else str(statement.replaces),
        "decision": decision,
        "reason": reason,
        "judged_at": to_rfc3339(judged_at),
        "judged_at_unix": int(judged_at.timestamp()),
    }
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
