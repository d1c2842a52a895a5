"""A staff card, as the software card plays it: its key 9A, behind a PIN, signs in to the service."""

import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cardservice.api.fields import to_base64url
from cardservice.staff import service
from cardservice.staff.certificate_sign_in import signing_input
from cardservice.staff.roles import Role
from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY, KeyReference
from reader_agent.errors import PinNeeded
from reader_agent.piv.card_key import CardPrivateKey
from reader_agent.piv.session import PivSession
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.cardservice.staff.browsing import Browsing
from tests.cardservice.staff.people import add
from tests.reader_agent.world import DirectConnection
from tests.support.council import ORIGIN, Council, from_base64url

PIN = "123456"
SLOT = KeyReference.PIV_AUTHENTICATION


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_staff_card_is_made_and_signs_in(council: Council, tmp_path: Path) -> None:
    """The key is made on the card, certified, and its certificate written there; the PIN opens it."""
    context = council.context
    add(context, "ann", Role.ADMINISTRATOR)
    memory = factory_memory(os.urandom, pin=PIN.encode() + b"\xff\xff", puk=b"87654321")
    CardState.create(tmp_path / "card.json", memory).close()
    with DirectConnection.to(tmp_path / "card.json") as connection:
        session = PivSession(connection)
        session.select()
        session.authenticate_management(WELL_KNOWN_TRANSPORT_KEY)
        public = session.generate_key(SLOT)
        session.verify_pin(PIN)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
        key = CardPrivateKey(session, public, SLOT)
        request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
        with context.database.begin() as database:
            authority = context.authority(service.AUTHORITY, database)
            issued = service.enrol(database, authority, "ann", request, actor="test", moment=council.clock())
        der = issued.public_bytes(Encoding.DER)
        session.write(piv.CERTIFICATE_OF[SLOT], piv.encode_certificate(der))
        connection.card.reset()

        browsing = Browsing(council)
        challenge = browsing.challenge()
        session = PivSession(connection)
        session.select()
        certificate = session.certificate(SLOT)
        payload = signing_input(ORIGIN, from_base64url(challenge))
        key = CardPrivateKey(session, public, SLOT)
        with pytest.raises(PinNeeded):
            key.sign(payload, ec.ECDSA(hashes.SHA256()))
        session.verify_pin(PIN)
        body = {
            "challenge": challenge,
            "certificate": to_base64url(certificate.public_bytes(Encoding.DER)),
            "signature": to_base64url(key.sign(payload, ec.ECDSA(hashes.SHA256()))),
        }
    ann = browsing.came_in(browsing.post("/v1/staff/sessions/certificate", body))
    assert ann.get("/v1/staff/me").json["person"]["roles"] == ["administrator"]
