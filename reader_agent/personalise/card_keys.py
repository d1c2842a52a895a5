"""Keys on a card that is made: whether one is there, what asks for its certificate, and its proof."""

import hashlib
import os

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding

from reader_agent.cardspec.piv import KeyReference
from reader_agent.errors import CardDataMalformed, CardDataMissing, CardProofInvalid, CardRefused
from reader_agent.piv.card_key import CardPrivateKey
from reader_agent.piv.session import PivSession

_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))


def present_key(session: PivSession, key: KeyReference, pin: str) -> ec.EllipticCurvePublicKey | None:
    """The card's key, if a certificate on it names it and the key proves to be there."""
    try:
        public_key = session.certificate(key).public_key()
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            challenge(session, key, public_key, pin)
            return public_key
    except (CardDataMissing, CardDataMalformed, CardRefused, CardProofInvalid, ValueError):
        pass
    return None


def request_for(
    session: PivSession, key: KeyReference, public_key: ec.EllipticCurvePublicKey, pin: str
) -> bytes:
    """The request for a certificate (PKCS #10, DER), signed by the card; it bears no name.

    The service knows whose card this is, and takes no name from a request.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    _show_pin(session, key, pin)
    request = builder.sign(CardPrivateKey(session, public_key, key), hashes.SHA256())
    return request.public_bytes(Encoding.DER)


def challenge(
    session: PivSession, key: KeyReference, public_key: ec.EllipticCurvePublicKey, pin: str
) -> None:
    """Raises CardProofInvalid unless the card has the private half."""
    digest = hashlib.sha256(b"citizen-card personalisation " + os.urandom(32)).digest()
    _show_pin(session, key, pin)
    try:
        public_key.verify(session.sign(digest, key), digest, _PREHASHED)
    except InvalidSignature as error:
        raise CardProofInvalid from error


def _show_pin(session: PivSession, key: KeyReference, pin: str) -> None:
    """9C wants it immediately before each signature, and 9A is not worth the difference."""
    if key is not KeyReference.CARD_AUTHENTICATION:
        session.verify_pin(pin)
