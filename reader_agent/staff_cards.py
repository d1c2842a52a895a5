"""Staff cards: key 9A of a blank card for somebody's certificate, and their sign-in to the service with it.

The service certifies the key when an administrator asks for it (`cardservice staff enrol`). A staff card pays
nothing, so it has no key 9E, and no terminal takes it for a citizen's.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki import files
from pki.staff_sign_in import signing_input
from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import KeyReference
from reader_agent.config import check_service_url
from reader_agent.errors import (
    CardDataMissing,
    CardProofInvalid,
    ConfigInvalid,
    KeyUnsuitable,
    ServiceAnswerInvalid,
)
from reader_agent.personalise.card_keys import challenge, request_for
from reader_agent.personalise.management import authenticate, replace_management_key
from reader_agent.personalise.references import new_pin, set_references
from reader_agent.piv.card_key import CardPrivateKey
from reader_agent.piv.pin_entry import PinEntry
from reader_agent.piv.session import PivSession
from reader_agent.service_client import TimeLimits, encode
from reader_agent.service_connection import ServiceConnection
from reader_agent.wire import Document, to_base64url

SLOT = KeyReference.PIV_AUTHENTICATION
_ECDSA = ec.ECDSA(hashes.SHA256())
_KEY_BYTES, _MAX_ANSWER_BYTES = 32, 65_536


@dataclass(frozen=True, slots=True, repr=False)
class CardSecrets:
    """What is needed to write to a card again, and to set another PIN; an administrator keeps it."""

    management_key: str
    puk: str

    @property
    def key(self) -> bytes:
        """The management key."""
        return bytes.fromhex(self.management_key)

    @classmethod
    def kept_in(cls, path: Path) -> "CardSecrets":
        """Those of the file, or new ones, which are written there first. Raises ConfigInvalid."""
        try:
            if not path.exists():
                new = cls(
                    os.urandom(_KEY_BYTES).hex(), f"{secrets.randbelow(10**piv.PUK_LENGTH):0{piv.PUK_LENGTH}}"
                )
                files.write_new(path, json.dumps(asdict(new)).encode() + b"\n", mode=0o600)
                return new
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
            piv.encode_puk(found.puk)
            if len(found.key) == _KEY_BYTES:
                return found
        except OSError as error:
            raise ConfigInvalid(f"{path} cannot be used: {error.strerror}") from error
        except (ValueError, TypeError, AttributeError):
            pass
        raise ConfigInvalid(f"{path} does not hold the secrets of a staff card; name another file")


@dataclass(frozen=True, slots=True)
class Requested:
    """A key that was made on a card."""

    # PKCS #10
    request: x509.CertificateSigningRequest
    # To be told to the card's holder, once: it is kept nowhere. None where they have theirs already.
    pin: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session with the service."""

    token: str = field(repr=False)
    staff: str
    ends_at: datetime


def request_certificate(
    session: PivSession, own: CardSecrets, transport_key: bytes, transport_puk: str, pin: str | None = None
) -> Requested:
    """Have the card make a new key 9A; called again, it makes another.

    `pin`: the holder's own, for a card whose certificate runs out; without it a new one is set. Raises
    ManagementKeyRefused, PukRefused and what the card refuses.
    """
    has_own_key = authenticate(session, own.key, transport_key)
    if not has_own_key:
        replace_management_key(session, own.key)
    shown = pin
    if shown is None:
        shown = new_pin()
        set_references(session, own.puk, transport_puk, shown, is_begun=has_own_key)
    request = request_for(session, SLOT, session.generate_key(SLOT), shown)
    return Requested(x509.load_der_x509_csr(request), shown if pin is None else None)


def finish(session: PivSession, own: CardSecrets, certificate: x509.Certificate, pin: str) -> None:
    """Write the certificate to the card, which must have its key.

    Raises KeyUnsuitable for the certificate of another key, ManagementKeyRefused, and what the card refuses.
    """
    authenticate(session, own.key, own.key)
    public_key = certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise KeyUnsuitable("the certificate is for no key of P-256")
    try:
        challenge(session, SLOT, public_key, pin)
    except CardProofInvalid as error:
        raise KeyUnsuitable(
            "the certificate is not for the key on this card; have this card's request certified"
        ) from error
    session.write(piv.CERTIFICATE_OF[SLOT], piv.encode_certificate(certificate.public_bytes(Encoding.DER)))


def sign_in(
    session: PivSession, entry: PinEntry, service_url: str, ca_file: str | None, limits: TimeLimits
) -> SignedIn:
    """Sign the service's challenge for the origin of this address, and begin a session there.

    Raises ConfigInvalid, KeyUnsuitable, ServiceAnswerInvalid for a service that says it is elsewhere, and
    what the card or the service refuses.
    """
    check_service_url(service_url)
    url = urlsplit(service_url)
    origin = f"{url.scheme}://{url.netloc}"
    with session.exclusive():
        certificate, public_key = _certified_key(session)
    # Asked for between two transactions, so that nobody else waits for a person.
    entry.prepare()
    connection = ServiceConnection(service_url, ca_file)
    try:
        offered = Document(_post(connection, "/v1/staff/challenges", {}, limits), "challenge")
        if offered.text("origin") != origin:
            named = offered.text("origin")
            raise ServiceAnswerInvalid(f"it calls itself {named}; sign in there, if you know it to be right")
        offer = offered.octets("challenge")
        with session.exclusive_showing(entry.verify):
            key = CardPrivateKey(session, public_key, SLOT)
            signature = key.sign(signing_input(origin, offer), _ECDSA)
        body = {
            "challenge": to_base64url(offer),
            "certificate": to_base64url(certificate.public_bytes(Encoding.DER)),
            "signature": to_base64url(signature),
        }
        return _signed_in(
            Document(_post(connection, "/v1/staff/sessions/certificate", body, limits), "session")
        )
    finally:
        connection.close()


def _certified_key(session: PivSession) -> tuple[x509.Certificate, ec.EllipticCurvePublicKey]:
    try:
        certificate = session.certificate(SLOT)
    except CardDataMissing as error:
        raise KeyUnsuitable("the card has no certificate to sign in with (9A); have one issued") from error
    public_key = certificate.public_key()
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise KeyUnsuitable("the card's key to sign in with is none of P-256")
    return certificate, public_key


def _post(
    connection: ServiceConnection, path: str, body: Mapping[str, Any], limits: TimeLimits
) -> Mapping[str, Any]:
    answer = connection.ask(
        "POST",
        path,
        {"Content-Type": "application/json"},
        encode(body),
        connect_s=limits.connect_s,
        answer_s=limits.answer_s,
        most=_MAX_ANSWER_BYTES,
    )
    return answer.json_object()


def _signed_in(answer: Document) -> SignedIn:
    session = answer.document("session")
    return SignedIn(answer.text("token"), session.text("staff"), session.moment("ends_at"))
