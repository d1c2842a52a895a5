"""The card of a tap: identified once, verified, and then asked to sign what is already stored."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from pki.errors import PkiError
from pki.statements import enclose, signature_input
from pki.verification import Purpose
from reader_agent.errors import CardIdentityMismatch, CardProofInvalid
from reader_agent.known_cards import KnownCards
from reader_agent.piv.session import CardIdentity, PivSession, read_identity
from reader_agent.trust import SchemeTrust

_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


@dataclass(frozen=True, slots=True)
class PresentCard:
    """A card on the reader whose certificate holds. Its presence is proven by each signature, not before."""

    session: PivSession
    card: UUID
    public_key: ec.EllipticCurvePublicKey
    certificate_sha256: bytes
    # Where the certificate was remembered, not read: what the card itself says. None where it was read.
    read_again: "Callable[[], PresentCard] | None" = None

    def sign(self, scheme: str, payload: bytes) -> bytes:
        """The payload of a statement of ours with the card's signature, a COSE_Sign1.

        Raises CardError; CardProofInvalid where another key has signed than the one that was identified.
        """
        digest = hashlib.sha256(signature_input(scheme, payload)).digest()
        signature, certificate_sha256 = _sign(self, digest)
        return enclose(payload, signature, certificate_sha256)

    def prove_presence(self) -> None:
        """Have the card sign something random, which is no statement. Raises CardError."""
        _sign(self, hashlib.sha256(b"citizen-card presence " + os.urandom(32)).digest())

    def check_present(self) -> None:
        """Raises CardError where the card was taken away."""
        with self.session.exclusive():
            pass


def identify(session: PivSession, trust: SchemeTrust, moment: datetime, known: KnownCards) -> PresentCard:
    """The card on the reader, if it is of this scheme and not revoked as far as is known here.

    A known card says its number alone. Whatever does not fit what is known of it is forgotten, and the card
    read as if it were new. Raises CardError, and the VerificationError of `pki.verification`.
    """
    identity = read_identity(session, known.find)
    if not identity.is_remembered:
        return _read(session, identity, trust, moment, known)

    def read_again() -> PresentCard:
        known.forget(identity.card)
        return _read(session, read_identity(session), trust, moment, known)

    try:
        return _verified(session, identity, trust, moment, read_again)
    except (PkiError, CardIdentityMismatch):
        return read_again()


def _sign(card: PresentCard, digest: bytes) -> tuple[bytes, bytes]:
    """A signature that holds, and the SHA-256 of the certificate that it holds under."""
    with card.session.exclusive():
        signature = card.session.sign(digest)
    try:
        card.public_key.verify(signature, digest, _PREHASHED)
    except InvalidSignature as error:
        if card.read_again is None:
            raise CardProofInvalid from error
        return _sign(_by_its_own_word(card.card, card.read_again), digest)
    return signature, card.certificate_sha256


def _by_its_own_word(card: UUID, read_again: Callable[[], PresentCard]) -> PresentCard:
    """A card that was remembered, read. Raises CardError; CardProofInvalid where it is another, or none."""
    try:
        anew = read_again()
    except PkiError as error:
        raise CardProofInvalid from error
    if anew.card != card:
        raise CardProofInvalid
    return anew


def _read(
    session: PivSession, identity: CardIdentity, trust: SchemeTrust, moment: datetime, known: KnownCards
) -> PresentCard:
    """The card by what it has just said, which is remembered if it holds."""
    card = _verified(session, identity, trust, moment)
    known.keep(identity.card, identity.certificate)
    return card


def _verified(
    session: PivSession,
    identity: CardIdentity,
    trust: SchemeTrust,
    moment: datetime,
    read_again: Callable[[], PresentCard] | None = None,
) -> PresentCard:
    """Chain, dates, purpose and status of the certificate, the same whether it was read or remembered."""
    verified = trust.verify(identity.certificate, Purpose.CARD_AUTHENTICATION, moment)
    if verified.identity != str(identity.card):
        raise CardIdentityMismatch(identity.card)
    fingerprint = identity.certificate.fingerprint(hashes.SHA256())
    return PresentCard(session, identity.card, verified.public_key, fingerprint, read_again)
