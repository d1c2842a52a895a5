"""A staff card, as the software card plays it: its key 9A, behind a PIN, signs in to the service."""

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.fields import to_base64url
from cardservice.staff import service
from cardservice.staff.roles import Role
from pki.staff_sign_in import signing_input
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY, WELL_KNOWN_TRANSPORT_PUK
from reader_agent.errors import ConfigInvalid, KeyUnsuitable, ManagementKeyRefused, PinNeeded
from reader_agent.piv.card_key import CardPrivateKey
from reader_agent.piv.session import PivSession
from reader_agent.staff_cards import SLOT, CardSecrets, finish, request_certificate
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.cardservice.staff.browsing import Browsing
from tests.cardservice.staff.people import add
from tests.reader_agent.world import DirectConnection
from tests.support.council import ORIGIN, Council, from_base64url

MAKERS = (WELL_KNOWN_TRANSPORT_KEY, WELL_KNOWN_TRANSPORT_PUK)


def blank(path: Path) -> Path:
    memory = factory_memory(os.urandom, pin=b"123456\xff\xff", puk=WELL_KNOWN_TRANSPORT_PUK.encode())
    CardState.create(path, memory).close()
    return path


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_staff_card_is_made_and_signs_in(council: Council, tmp_path: Path) -> None:
    """The key is made on the card, certified, and its certificate written there; the PIN opens it."""
    context = council.context
    add(context, "ann", Role.ADMINISTRATOR)
    own = CardSecrets.kept_in(tmp_path / "ann.secrets")
    with DirectConnection.to(blank(tmp_path / "card.json")) as connection:
        session = PivSession(connection)
        session.select()
        made = request_certificate(session, own, *MAKERS)
        # Called again, as after a torn card, with what the first time has left.
        made = request_certificate(session, CardSecrets.kept_in(tmp_path / "ann.secrets"), *MAKERS)
        assert made.pin is not None
        with context.database.begin() as database:
            authority = context.authority(service.AUTHORITY, database)
            issued = service.enrol(
                database, authority, "ann", made.request, actor="test", moment=council.clock()
            )
        finish(session, own, issued, made.pin)
        connection.card.reset()

        browsing = Browsing(council)
        challenge = browsing.challenge()
        session = PivSession(connection)
        session.select()
        certificate = session.certificate(SLOT)
        public = certificate.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        payload = signing_input(ORIGIN, from_base64url(challenge))
        key = CardPrivateKey(session, public, SLOT)
        with pytest.raises(PinNeeded):
            key.sign(payload, ec.ECDSA(hashes.SHA256()))
        session.verify_pin(made.pin)
        body = {
            "challenge": challenge,
            "certificate": to_base64url(certificate.public_bytes(Encoding.DER)),
            "signature": to_base64url(key.sign(payload, ec.ECDSA(hashes.SHA256()))),
        }
    ann = browsing.came_in(browsing.post("/v1/staff/sessions/certificate", body))
    assert ann.get("/v1/staff/me").json["person"]["roles"] == ["administrator"]


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_what_is_not_this_cards_is_not_written(council: Council, tmp_path: Path) -> None:
    """The certificate of another card, and the secrets of another: nothing changes."""
    context = council.context
    add(context, "ann", Role.ADMINISTRATOR)
    own, others = (CardSecrets.kept_in(tmp_path / name) for name in ("ann.secrets", "ben.secrets"))
    with (
        DirectConnection.to(blank(tmp_path / "ann.json")) as anns,
        DirectConnection.to(blank(tmp_path / "ben.json")) as bens,
    ):
        session, another = PivSession(anns), PivSession(bens)
        session.select()
        another.select()
        made = request_certificate(session, own, *MAKERS)
        other = request_certificate(another, others, *MAKERS)
        assert made.pin is not None
        with context.database.begin() as database:
            authority = context.authority(service.AUTHORITY, database)
            issued = service.enrol(
                database, authority, "ann", other.request, actor="test", moment=council.clock()
            )
        with pytest.raises(KeyUnsuitable):
            finish(session, own, issued, made.pin)
        with pytest.raises(ManagementKeyRefused):
            finish(session, others, issued, made.pin)
        with pytest.raises(ManagementKeyRefused):
            request_certificate(session, others, *MAKERS)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"management_key": "00", "puk": "12345678"}', "\x00"])
def test_a_file_that_holds_no_secrets_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ann.secrets"
    file.write_text(text)
    with pytest.raises(ConfigInvalid):
        CardSecrets.kept_in(file)
    assert file.read_text() == text


def test_secrets_are_drawn_once_and_shown_to_nobody(tmp_path: Path) -> None:
    file = tmp_path / "ann.secrets"
    made = CardSecrets.kept_in(file)
    assert CardSecrets.kept_in(file) == made
    assert CardSecrets.kept_in(tmp_path / "ben.secrets") != made
    assert json.loads(file.read_text())["puk"] not in repr(made)
