"""The card of a tap: identified once, verified, and then asked to sign what is already stored."""

import hashlib
import os
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from pki.statements import TransactionStatement, seal, signature_input
from pki.verification import Purpose
from reader_agent.errors import CardIdentityMismatch, CardProofInvalid
from reader_agent.piv.session import PivSession, read_identity
from reader_agent.trust import SchemeTrust

_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True, slots=True)
class PresentCard:
    """A card on the reader whose certificate holds. Its presence is proven by each signature, not before."""

    session: PivSession
    card: UUID
    public_key: ec.EllipticCurvePublicKey
    certificate_sha256: bytes

    def sign(self, statement: TransactionStatement) -> bytes:
        """The statement with the card's signature, a COSE_Sign1.

        Raises CardError; CardProofInvalid where another key has signed than the one that was identified.
        """
        payload = statement.payload()
        signature = self._sign(hashlib.sha256(signature_input(statement.scheme, payload)).digest())
        return seal(payload, signature, self.certificate_sha256)

    def prove_presence(self) -> None:
        """Have the card sign something random, which is no statement. Raises CardError."""
        self._sign(hashlib.sha256(b"citizen-card presence " + os.urandom(32)).digest())

    def _sign(self, digest: bytes) -> bytes:
        with self.session.exclusive():
            signature = self.session.sign(digest)
        try:
            self.public_key.verify(signature, digest, _PREHASHED)
        except InvalidSignature as error:
            raise CardProofInvalid from error
        return signature

    def check_present(self) -> None:
        """Raises CardError where the card was taken away."""
        with self.session.exclusive():
            pass


def identify(session: PivSession, trust: SchemeTrust, moment: datetime) -> PresentCard:
    """The card on the reader, if it is of this scheme and not revoked as far as is known here.

    Raises CardError, and the VerificationError of `pki.verification`.
    """
    identity = read_identity(session)
    verified = trust.verify(identity.certificate, Purpose.CARD_AUTHENTICATION, moment)
    if verified.identity != str(identity.card):
        raise CardIdentityMismatch(identity.card)
    fingerprint = identity.certificate.fingerprint(hashes.SHA256())
    return PresentCard(session, identity.card, verified.public_key, fingerprint)
