"""What is kept to prove a transaction ever after: the statement, and hashes of certificate and status list.

Certificates and lists themselves are never deleted; the statement is encrypted under the cardholder's key.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from cardservice.authorisation.found import CrlInForce
from cardservice.cards.service import AUTHORITY
from cardservice.context import Context
from cardservice.errors import Erased
from cardservice.ids import CardholderId, PayerId, TransactionId
from cardservice.ledger.errors import ProofErased
from cardservice.ledger.privacy import StoredKey, key_of, open_proof, seal_proof, unwrap
from cardservice.ledger.values import NewProof
from cardservice.pki_store.publication import RENEWED_AFTER, crl_in_force
from pki.statements import decode_deterministic, deterministic

# Ours: the version of the map below.
_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A proof as it was judged. `crl_sha256`: the list of the authority `cards` that was in force then."""

    statement: bytes
    certificate_sha256: bytes
    crl_sha256: bytes
    judged_at: datetime

    def encode(self) -> bytes:
        """Deterministic CBOR."""
        return deterministic(
            {
                0: _VERSION,
                1: self.statement,
                2: self.certificate_sha256,
                3: self.crl_sha256,
                4: (self.judged_at - _EPOCH) // _MILLISECOND,
            }
        )


def seal(
    context: Context,
    stored: StoredKey | None,
    holder: CardholderId,
    transaction: TransactionId,
    evidence: Evidence,
) -> NewProof:
    """The evidence, encrypted for this transaction. Raises Erased where the holder's key was destroyed."""
    ring = context.keys.cardholder_kek
    try:
        if stored is not None:
            key = unwrap(ring, stored)
        else:
            with context.database.begin() as connection:
                key = key_of(connection, ring, holder, evidence.judged_at)
    except ProofErased as error:
        raise Erased(str(error)) from error
    return seal_proof(key, transaction, evidence.encode())


def crl_sha256(context: Context, issuer: str, newest: CrlInForce | None, moment: datetime) -> bytes:
    """SHA-256 of the issuer's revocation list that is in force; a list of a day ago is renewed first."""
    if newest is not None and moment - newest.this_update < RENEWED_AFTER:
        return newest.sha256
    return crl_in_force(context, AUTHORITY, issuer, moment)


def unseal(context: Context, connection: Connection, payer: PayerId, transaction: TransactionId) -> Evidence:
    """The evidence of a stored transaction. Raises ProofMissing, ProofErased, ProofUnreadable."""
    opened = open_proof(connection, context.keys.cardholder_kek, payer, transaction)
    match decode_deterministic(opened):
        case {0: 1, 1: bytes(statement), 2: bytes(certificate), 3: bytes(crl), 4: int(milliseconds)}:
            return Evidence(statement, certificate, crl, _EPOCH + milliseconds * _MILLISECOND)
        case _:
            raise ValueError("evidence of a version that is not known here")
