"""Making a blank card the one of an order: key made on the card, certified by the service, read back.

Each step may be the last before somebody trips over the cable. The identity is written first, and marks whose
card it is; the certificate last, without which no terminal takes the card. Called again for the same order
and card, it goes on from what the card holds.
"""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import PkiError
from pki.verification import Purpose, verify
from reader_agent.agent import Agent
from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import KeyReference, ObjectId
from reader_agent.errors import (
    CardDataMissing,
    CardOfAnotherOrder,
    CardProofInvalid,
    CardRefused,
    ManagementKeyRefused,
    PersonalisationFailed,
)
from reader_agent.piv.card_key import CardPrivateKey
from reader_agent.piv.session import PivSession
from reader_agent.service_client import PersonalisationOrder
from reader_agent.transport.connection import CardConnection

DONE, FAILED = "done", "failed"
_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
_CCC_IDENTIFIER_BYTES = 14


class Stage(StrEnum):
    """How far a personalisation has come."""

    AUTHENTICATED = "authenticated"
    IDENTITY_WRITTEN = "identity_written"
    KEY_MADE = "key_made"
    CERTIFIED = "certified"
    VERIFIED = "verified"
    REPORTED = "reported"


StageProgress = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Personalised:
    """A card that is ready."""

    order: UUID
    card: UUID
    # The service's word for where the card stands now
    state: str


def personalise(
    agent: Agent,
    connection: CardConnection,
    order_id: UUID,
    transport_key: bytes,
    progress: StageProgress = lambda _: None,
) -> Personalised:
    """Make the card of this connection, which is closed in the end, the one of this order.

    Raises AgentError; after it the order stays open, and the same call goes on from where it broke off.
    """
    session = PivSession(connection)
    try:
        order = agent.client.personalisation_order(order_id)
        # For checking the certificate: with the lists of today.
        agent.fetch_trust()
        with session.exclusive():
            _Desk(agent, session, order, progress).make(transport_key)
    finally:
        session.close()
    state = agent.client.report(order_id, DONE)
    progress(Stage.REPORTED)
    return Personalised(order.order, order.card, state)


def give_up(agent: Agent, order_id: UUID) -> str:
    """Tell the service that the card of this order is spoilt: what was certified for it is revoked."""
    return agent.client.report(order_id, FAILED)


class _Desk:
    """One card at the issuing desk; its methods are the stages."""

    def __init__(
        self, agent: Agent, session: PivSession, order: PersonalisationOrder, progress: StageProgress
    ) -> None:
        self.agent, self.session, self.order, self.progress = agent, session, order, progress

    def make(self, transport_key: bytes) -> None:
        self._require_own_or_blank()
        has_own_key = self._authenticate(transport_key)
        self.progress(Stage.AUTHENTICATED)
        self._write_identity()
        self.progress(Stage.IDENTITY_WRITTEN)
        if not has_own_key:
            self._replace_management_key()
        certificate = self._certify()
        self._write(ObjectId.CARD_AUTHENTICATION_CERTIFICATE, piv.encode_certificate(certificate))
        self._verify(certificate)
        self.progress(Stage.VERIFIED)

    def _require_own_or_blank(self) -> None:
        try:
            found = self.session.chuid().guid
        except CardDataMissing:
            return
        if found != self.order.card:
            raise CardOfAnotherOrder(found)

    def _authenticate(self, transport_key: bytes) -> bool:
        """Whether the card has its own management key already, or still the one that it came with."""
        if self._accepts(self.order.management_key):
            return True
        if not self._accepts(transport_key):
            raise ManagementKeyRefused
        return False

    def _replace_management_key(self) -> None:
        self.session.set_management_key(self.order.management_key)
        # Proves that the card has it now: with a lost key nobody could ever write to the card again.
        self.session.authenticate_management(self.order.management_key)

    def _accepts(self, key: bytes) -> bool:
        try:
            self.session.authenticate_management(key)
        except (CardRefused, CardProofInvalid):
            return False
        return True

    def _write_identity(self) -> None:
        expires_on = date.fromisoformat(self.order.expires_on)
        self._write(ObjectId.CHUID, piv.Chuid(guid=self.order.card, expires_on=expires_on).encode())
        try:
            self.session.read(ObjectId.CCC)
        except CardDataMissing:
            # Some middleware takes a card without it for broken; its maker may have put one there.
            self._write(ObjectId.CCC, piv.encode_ccc(self.order.card.bytes[:_CCC_IDENTIFIER_BYTES]))

    def _certify(self) -> bytes:
        """The certificate of the key that is on the card, which is made if there is none with a certificate.

        The service answers the same key with the same certificate, and another one supersedes it.
        """
        key = self._present_key() or self.session.generate_key(KeyReference.CARD_AUTHENTICATION)
        self.progress(Stage.KEY_MADE)
        # Empty: the service knows whose card this is, and takes no name from a request.
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        request = builder.sign(CardPrivateKey(self.session, key), hashes.SHA256())
        certificate = self.agent.client.certify(self.order.order, request.public_bytes(Encoding.DER))
        self.progress(Stage.CERTIFIED)
        return certificate

    def _present_key(self) -> ec.EllipticCurvePublicKey | None:
        """The card's key, if a certificate on it names it and the key proves to be there."""
        try:
            key = self.session.card_certificate().public_key()
            if isinstance(key, ec.EllipticCurvePublicKey):
                self._challenge(key)
                return key
        except (CardDataMissing, CardRefused, CardProofInvalid):
            pass
        return None

    def _write(self, object_id: ObjectId, content: bytes) -> None:
        self.session.write(object_id, content)
        if self.session.read(object_id) != content:
            raise PersonalisationFailed(
                "the card gives back something else than was written; use another card"
            )

    def _verify(self, certificate: bytes) -> None:
        """As a terminal will look at it, with what is read back from the card."""
        found = self.session.card_certificate()
        trust = self.agent.stored_trust()
        try:
            # Status is left out: the certificate is younger than the newest list.
            verified = verify(
                found, Purpose.CARD_AUTHENTICATION, self.agent.now(), trust.store, require_status=False
            )
        except PkiError as error:
            raise PersonalisationFailed(f"the card's new certificate does not verify: {error}") from error
        if found.public_bytes(Encoding.DER) != certificate or verified.identity != str(self.order.card):
            raise PersonalisationFailed("the card's certificate is not the one of this order")
        self._challenge(verified.public_key)

    def _challenge(self, key: ec.EllipticCurvePublicKey) -> None:
        """Raises CardProofInvalid unless the card has the private half."""
        digest = hashlib.sha256(b"citizen-card personalisation " + os.urandom(32)).digest()
        try:
            key.verify(self.session.sign(digest), digest, _PREHASHED)
        except InvalidSignature as error:
            raise CardProofInvalid from error
