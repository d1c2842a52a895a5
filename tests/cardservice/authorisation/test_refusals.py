"""What takes no id: each refusal has a reason of its own, is noted, and leaves the ledger as it was."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.audit.service import security_events
from cardservice.ids import TransactionId
from cardservice.ledger.reading import read
from cardservice.ledger.values import ReadQuery
from tests.support.council import (
    START,
    TRIP,
    Card,
    Council,
    Terminal,
    advice_of,
    message,
    new_id,
    request_for,
)

URL = "/v1/authorisations"


@dataclass(slots=True)
class Scene:
    """A council with a validator, a card with 20.00 and a second card."""

    council: Council
    bus: Terminal
    card: Card
    other: Card


@pytest.fixture
def scene(council: Council) -> Scene:
    """The usual."""
    return Scene(council, council.terminal("bus-12"), council.card(top_up_minor=2000), council.card())


def forged_signature(scene: Scene) -> dict[str, Any]:
    """The card's own certificate is named, but somebody else's key has signed."""
    forger = Card(scene.card.id, scene.card.holder, scene.card.payer, new_key(), scene.card.certificate)
    return message(request_for(scene.bus, scene.card), forger)


def signature_of_another_card(scene: Scene) -> dict[str, Any]:
    """The second card signs a statement that names the first."""
    return message(request_for(scene.bus, scene.card), scene.other)


def certificate_unknown(scene: Scene) -> dict[str, Any]:
    """The statement names a certificate that this scheme has not issued."""
    stranger = Card(scene.card.id, scene.card.holder, scene.card.payer, new_key(), foreign_certificate())
    return message(request_for(scene.bus, scene.card), stranger)


def unknown_card(scene: Scene) -> dict[str, Any]:
    """A card that the scheme does not have."""
    return message(request_for(scene.bus, scene.card, card=new_id()), scene.card)


def other_scheme(scene: Scene) -> dict[str, Any]:
    """The card signed for another scheme."""
    return message(request_for(scene.bus, scene.card, scheme="saltmere"), scene.card)


def other_terminal(scene: Scene) -> dict[str, Any]:
    """The statement was made at another terminal than the one that sends it."""
    return message(request_for(scene.bus, scene.card, terminal="bus-13"), scene.card)


def details_changed(scene: Scene) -> dict[str, Any]:
    """The details are not those whose HMAC was signed."""
    return message(request_for(scene.bus, scene.card), scene.card, details={**TRIP, "to_stop": "library"})


def details_with_float(scene: Scene) -> dict[str, Any]:
    """Details that no statement can commit to."""
    return message(request_for(scene.bus, scene.card), scene.card, details={"km": 1.5})


def salt_changed(scene: Scene) -> dict[str, Any]:
    """The salt is another one."""
    return message(request_for(scene.bus, scene.card), scene.card, details_salt="A" * 22)


def not_cose(scene: Scene) -> dict[str, Any]:
    """Bytes that are no statement."""
    return message(request_for(scene.bus, scene.card), scene.card, statement="oWEA")


def service_of_other_role(scene: Scene) -> dict[str, Any]:
    """An action that a validator may not ask for."""
    return message(request_for(scene.bus, scene.card, action="refund"), scene.card)


def service_unknown(scene: Scene) -> dict[str, Any]:
    """A service that nobody offers."""
    return message(request_for(scene.bus, scene.card, service="ferry"), scene.card)


REFUSED: dict[Callable[[Scene], dict[str, Any]], tuple[int, str]] = {
    forged_signature: (422, "proof_invalid"),
    signature_of_another_card: (422, "proof_of_another_card"),
    certificate_unknown: (422, "proof_invalid"),
    unknown_card: (422, "card_unknown"),
    other_scheme: (422, "scheme_mismatch"),
    other_terminal: (422, "terminal_mismatch"),
    details_changed: (422, "details_mismatch"),
    details_with_float: (422, "details_mismatch"),
    salt_changed: (422, "details_mismatch"),
    not_cose: (422, "statement_malformed"),
    service_of_other_role: (403, "role_not_allowed"),
    service_unknown: (403, "role_not_allowed"),
}


@pytest.mark.parametrize("make", REFUSED, ids=lambda make: make.__name__)
def test_refused(scene: Scene, make: Callable[[Scene], dict[str, Any]]) -> None:
    """Each has its own reason, nothing is charged, and it is on the security log."""
    reply = scene.bus.post(URL, make(scene))
    assert reply.outcome == REFUSED[make]
    assert scene.council.balances(scene.card.payer) == (2000, 0)
    assert noted(scene.council) == [REFUSED[make][1]]


def test_a_refused_id_is_free(scene: Scene) -> None:
    """A forged statement cannot take the id of the true one."""
    statement = request_for(scene.bus, scene.card)
    forged = message(statement, scene.card)
    forged["statement"] = forged["statement"][:-4] + "AAAA"
    assert scene.bus.post(URL, forged).outcome == (422, "proof_invalid")
    assert scene.bus.post(URL, message(statement, scene.card)).outcome == (200, "approved")


def test_terminal_of_another_role(scene: Scene) -> None:
    """An issuing desk sells no fares."""
    desk = scene.council.terminal("desk-1", "issuer")
    reply = desk.post(URL, message(request_for(desk, scene.card), scene.card))
    assert reply.outcome == (403, "role_not_allowed")


def test_unknown_terminal(scene: Scene) -> None:
    """Nobody is known by the key identifier."""
    stranger = Terminal("bus-99", new_key(), scene.bus.client, scene.bus.clock)
    body = message(request_for(scene.bus, scene.card, terminal="bus-99"), scene.card)
    assert stranger.post(URL, body).outcome == (401, "terminal_unknown")
    assert noted(scene.council) == ["terminal_unknown"]


def test_request_signed_by_another_terminal(scene: Scene) -> None:
    """A terminal's name alone is not enough."""
    impostor = Terminal("bus-12", new_key(), scene.bus.client, scene.bus.clock)
    body = message(request_for(scene.bus, scene.card), scene.card)
    assert impostor.post(URL, body).outcome == (401, "request_signature_invalid")


def test_request_signature_too_old(scene: Scene) -> None:
    """A recorded request is worth nothing after five minutes, even with its terminal's signature."""
    body = message(request_for(scene.bus, scene.card), scene.card)
    slow = Terminal("bus-12", scene.bus.key, scene.bus.client, type(scene.bus.clock)(scene.bus.clock()))
    scene.council.clock.advance(seconds=301)
    assert slow.post(URL, body).outcome == (401, "request_signature_stale")


def test_unsigned(scene: Scene) -> None:
    """Without a signature there is no terminal."""
    body = message(request_for(scene.bus, scene.card), scene.card)
    response = scene.council.client.post(URL, json=body)
    assert (response.status_code, response.get_json()["code"]) == (401, "request_signature_missing")


def test_revoked_terminal(scene: Scene) -> None:
    """Its requests are refused from the moment of revocation on."""
    scene.council.revoke_terminal("bus-12")
    body = message(request_for(scene.bus, scene.card, nonce=bytes(24)), scene.card)
    assert scene.bus.post(URL, body).outcome == (403, "terminal_revoked")
    assert scene.bus.get("/v1/nonce").outcome == (403, "terminal_revoked")


def test_advice_from_before_the_terminals_revocation(scene: Scene) -> None:
    """A dead terminal's outbox can still be delivered; what lies after its revocation is quarantined."""
    before = advice_of(scene.bus, scene.card)
    scene.council.clock.advance(minutes=1)
    scene.council.revoke_terminal("bus-12")
    after = advice_of(scene.bus, scene.card)
    assert scene.bus.post(URL, message(before, scene.card)).outcome == (200, "approved")
    assert scene.bus.post(URL, message(after, scene.card)).outcome == (403, "terminal_revoked")
    [event] = events(scene.council)
    assert (event.quarantined, event.transaction_id, event.terminal_id) == (True, after.id, "bus-12")
    assert event.body is not None


def test_advice_without_a_valid_proof_is_quarantined(scene: Scene) -> None:
    """Posted to nobody, but not forgotten."""
    statement = advice_of(scene.bus, scene.card)
    body = message(
        statement, Card(scene.card.id, scene.card.holder, scene.card.payer, new_key(), scene.card.certificate)
    )
    assert scene.bus.post(URL, body).outcome == (422, "proof_invalid")
    [event] = events(scene.council)
    assert event.quarantined
    [found] = read(
        scene.council.context.database, [ReadQuery((scene.card.payer,), (TransactionId(statement.id),))]
    )
    assert not found.known


MALFORMED: dict[str, Any] = {
    "nothing": {},
    "half a statement": {"statement": "oWEA"},
    "statement and annulment": {"statement": "oWEA", "details": {}, "details_salt": "A" * 22, "annul": {}},
    "unknown member": {"annul": {}, "hurry": True},
    "padding": {"statement": "oQ==", "details": {}, "details_salt": "A" * 22},
    "bits that no byte has": {"statement": "oR", "details": {}, "details_salt": "A" * 22},
    "short salt": {"statement": "oQ", "details": {}, "details_salt": "AAAA"},
    "not an object": [1, 2],
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(scene: Scene, body: Any) -> None:
    """Bodies without the documented shape."""
    assert scene.bus.post(URL, body).outcome == (400, "malformed")


@pytest.mark.parametrize("data", [b"{", b'{"annul": 1, "annul": 2}', b'{"a": NaN}', b"\xff", b"[" * 40_000])
def test_not_json(scene: Scene, data: bytes) -> None:
    """Bodies that are not JSON, or mean two things."""
    response = scene.council.client.post(URL, data=data, content_type="application/json")
    assert (response.status_code, response.get_json()["code"]) == (400, "malformed")


def test_too_large(scene: Scene) -> None:
    """No message of ours has this size."""
    response = scene.council.client.post(URL, data=b" " * 70_000, content_type="application/json")
    assert (response.status_code, response.get_json()["code"]) == (413, "too_large")


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key that nobody certified."""
    return ec.generate_private_key(ec.SECP256R1())


def foreign_certificate() -> bytes:
    """A self-signed certificate."""
    key, name = new_key(), x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(START).not_valid_after(START + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def events(council: Council) -> list[Any]:
    """What is on the security log, the newest first."""
    with council.context.database.reading() as connection:
        return list(security_events(connection))


def noted(council: Council) -> list[str]:
    """The codes on the security log."""
    return [event.code for event in events(council)]
