"""The issuing desk: orders, certificates, outcomes; what broke off is taken up, what failed is revoked."""

import re
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.fields import to_base64url
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards import personalisation
from cardservice.cards.service import AUTHORITY, card_certificate, find_card, require_card
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.card_keys import diversify_aes128
from pki.cmac import SoftwareCmacKey
from pki.errors import CertificateRevoked, PurposeRefused
from pki.verification import Purpose, TrustStore, verify
from tests.support.council import ACTOR, Council, Reply, Terminal, csr, from_base64url, new_id


@pytest.fixture
def desk(council: Council) -> Terminal:
    """The council's issuing desk."""
    return council.terminal("desk-1", "issuer")


@pytest.fixture
def order(council: Council) -> personalisation.Order:
    """An open order."""
    with council.context.database.begin() as connection:
        holder, _ = add_cardholder(
            connection,
            NewCardholder("Morgan Reed", "adult"),
            "GBP",
            council.context.keys.cardholder_kek,
            actor=ACTOR,
            moment=council.clock(),
        )
        return personalisation.order_card(connection, holder, "citizen", actor=ACTOR, moment=council.clock())


def certify(desk: Terminal, order: UUID, key: ec.EllipticCurvePrivateKey, slot: str | None = None) -> Reply:
    """Ask for the certificate of a key that the card has made, in 9E if it is not said."""
    der = csr(key, "whatever the card says").public_bytes(Encoding.DER)
    told = {} if slot is None else {"slot": slot}
    return desk.post(f"/v1/personalisation-orders/{order}/certificate", {"csr": to_base64url(der), **told})


def certify_all(desk: Terminal, order: UUID) -> list[Reply]:
    """The certificates that a citizen's card has."""
    return [certify(desk, order, new_key(), slot) for slot in ("9A", "9C", "9E")]


def report(desk: Terminal, order: UUID, outcome: str) -> Reply:
    """Tell how it went."""
    return desk.post(f"/v1/personalisation-orders/{order}/result", {"outcome": outcome})


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key as a card makes one."""
    return ec.generate_private_key(ec.SECP256R1())


def trust(council: Council) -> TrustStore:
    """What a terminal would verify with."""
    answer = council.client.get("/pki/trust").get_json()
    root, *others = (x509.load_der_x509_certificate(from_base64url(der)) for der in answer["certificates"])
    crls = tuple(x509.load_der_x509_crl(from_base64url(der)) for der in answer["crls"])
    return TrustStore((root,), tuple(others), crls)


def test_a_card_is_issued(council: Council, desk: Terminal, order: personalisation.Order) -> None:
    """From the order to an active card with a certificate for its own key and identifier."""
    told = desk.get(f"/v1/personalisation-orders/{order.id}").json
    key_bytes, puk = from_base64url(told.pop("management_key")), told.pop("puk")
    assert told == {
        "slots": ["9A", "9C", "9E"],
        "order": str(order.id),
        "card": str(order.card_id),
        "kind": "citizen",
        "expires_on": "2031-06-15",
    }
    assert len(key_bytes) == 16
    assert re.fullmatch("[0-9]{8}", puk)
    certify(desk, order.id, new_key(), "9A")
    certify(desk, order.id, new_key(), "9C")
    key = new_key()
    issued = certify(desk, order.id, key)
    leaf = x509.load_der_x509_certificate(from_base64url(issued.json["certificate"]))
    assert leaf.public_key() == key.public_key()
    assert leaf.not_valid_after_utc.date().isoformat() == "2031-06-15"
    held = verify(leaf, Purpose.CARD_AUTHENTICATION, council.clock(), trust(council))
    assert held.identity == str(order.card_id)
    assert [from_base64url(der) for der in issued.json["chain"]] == [
        certificate.public_bytes(Encoding.DER) for certificate in held.chain
    ]
    assert report(desk, order.id, "done").json == {"card": str(order.card_id), "state": "active"}


def test_management_keys_differ(council: Council) -> None:
    """Diversified by the card; the master is on no card and no terminal."""
    keys = council.context.keys
    first, second = (keys.management_key(new_id()) for _ in range(2))  # type: ignore[arg-type]  # any UUID does
    assert first != second
    card = new_id()
    master = keys._management_master
    assert isinstance(master, SoftwareCmacKey)
    made = diversify_aes128(bytes(master._algorithm.key), card.bytes + b"\x9b")
    assert keys.management_key(card) == made  # type: ignore[arg-type]


def test_the_same_key_again_gets_the_same_certificate(desk: Terminal, order: personalisation.Order) -> None:
    """A lost answer is asked for again."""
    key = new_key()
    assert certify(desk, order.id, key).json == certify(desk, order.id, key).json


def test_another_key_supersedes_the_first(
    council: Council, desk: Terminal, order: personalisation.Order
) -> None:
    """A desk that broke off has the card make a new key; the old certificate is revoked."""
    certify(desk, order.id, new_key())
    council.clock.advance(seconds=5)
    certify(desk, order.id, new_key())
    with council.context.database.reading() as connection:
        store = DatabaseCertificateStore(connection)
        newest, oldest = store.find_by_identity(AUTHORITY, str(order.card_id))
    assert newest.revoked_at is None
    assert (oldest.revoked_at, oldest.reason) == (council.clock(), "superseded")


PURPOSES = {
    "9A": Purpose.HOLDER_AUTHENTICATION,
    "9C": Purpose.SIGNATURE,
    "9E": Purpose.CARD_AUTHENTICATION,
}


@pytest.mark.parametrize("slot", PURPOSES)
def test_a_certificate_is_for_its_slot_alone(
    council: Council, desk: Terminal, order: personalisation.Order, slot: str
) -> None:
    """Each holds for its purpose, names the card and nobody, and holds for no other slot's purpose."""
    issued = certify(desk, order.id, new_key(), slot)
    leaf = x509.load_der_x509_certificate(from_base64url(issued.json["certificate"]))
    assert [each.value for each in leaf.subject] == [str(order.card_id)]
    for other, purpose in PURPOSES.items():
        if other == slot:
            assert verify(leaf, purpose, council.clock(), trust(council)).identity == str(order.card_id)
        else:
            with pytest.raises(PurposeRefused):
                verify(leaf, purpose, council.clock(), trust(council))


def test_a_new_key_supersedes_in_its_slot_alone(
    council: Council, desk: Terminal, order: personalisation.Order
) -> None:
    """The signature key is made anew, and the others stand."""
    certify_all(desk, order.id)
    council.clock.advance(seconds=5)
    certify(desk, order.id, new_key(), "9C")
    with council.context.database.reading() as connection:
        found = DatabaseCertificateStore(connection).find_by_identity(AUTHORITY, str(order.card_id))
    assert [each.profile for each in found if each.revoked_at is not None] == ["signature"]
    assert len(found) == 4


def test_one_key_is_not_certified_for_two_slots(desk: Terminal, order: personalisation.Order) -> None:
    """A key that signs every tap must never be the one that signs declarations."""
    key = new_key()
    certify(desk, order.id, key, "9E")
    assert certify(desk, order.id, key, "9C").outcome == (422, "certificate_request_refused")


def test_a_visitor_signs_nothing(council: Council, desk: Terminal, order: personalisation.Order) -> None:
    """A visitor's card has the key for taps alone."""
    with council.context.database.begin() as connection:
        holder = require_card(connection, order.card_id).cardholder_id
        visitor = personalisation.order_card(
            connection, holder, "visitor", actor=ACTOR, moment=council.clock()
        )
    assert desk.get(f"/v1/personalisation-orders/{visitor.id}").json["slots"] == ["9E"]
    assert certify(desk, visitor.id, new_key(), "9C").outcome == (422, "certificate_request_refused")
    certify(desk, visitor.id, new_key())
    assert report(desk, visitor.id, "done").json["state"] == "active"


def test_the_tap_knows_the_card_by_9e_whatever_was_certified_since(
    council: Council, desk: Terminal, order: personalisation.Order
) -> None:
    """A card's newest certificate may be one that no tap is signed with."""
    certify(desk, order.id, new_key(), "9E")
    council.clock.advance(seconds=5)
    certify(desk, order.id, new_key(), "9C")
    with council.context.database.reading() as connection:
        found = card_certificate(DatabaseCertificateStore(connection), order.card_id)
    assert found is not None
    assert found.profile == "card-authentication"


def test_a_failed_card_is_revoked(council: Council, desk: Terminal, order: personalisation.Order) -> None:
    """It can never look whole: its certificate is on the list."""
    issued = certify(desk, order.id, new_key())
    council.clock.advance(seconds=5)
    assert report(desk, order.id, "failed").json["state"] == "revoked"
    leaf = x509.load_der_x509_certificate(from_base64url(issued.json["certificate"]))
    with pytest.raises(CertificateRevoked):
        verify(leaf, Purpose.CARD_AUTHENTICATION, council.clock(), trust(council))


@pytest.mark.parametrize("outcome", ["done", "failed"])
def test_a_closed_order_stays_closed(
    council: Council, desk: Terminal, order: personalisation.Order, outcome: str
) -> None:
    """The same report again changes nothing; nothing else is taken."""
    certify_all(desk, order.id)
    first = report(desk, order.id, outcome)
    assert report(desk, order.id, outcome).json == first.json
    other = {"done": "failed", "failed": "done"}[outcome]
    assert report(desk, order.id, other).outcome == (409, "order_closed")
    assert certify(desk, order.id, new_key()).outcome == (409, "order_closed")
    assert desk.get(f"/v1/personalisation-orders/{order.id}").outcome == (409, "order_closed")


def test_done_without_a_certificate(council: Council, desk: Terminal, order: personalisation.Order) -> None:
    """A card without one of its keys is not made, also where it could pay already."""
    assert report(desk, order.id, "done").outcome == (409, "certificate_missing")
    certify(desk, order.id, new_key(), "9E")
    certify(desk, order.id, new_key(), "9A")
    assert report(desk, order.id, "done").outcome == (409, "certificate_missing")
    with council.context.database.reading() as connection:
        card = find_card(connection, order.card_id)
    assert card is not None
    assert card.state == "ordered"


def test_unknown_order(desk: Terminal) -> None:
    """No such order."""
    assert desk.get(f"/v1/personalisation-orders/{new_id()}").outcome == (404, "order_unknown")


def test_only_an_issuer_may(council: Council, order: personalisation.Order) -> None:
    """A bus gets no management key and no certificate."""
    bus = council.terminal("bus-12")
    assert bus.get(f"/v1/personalisation-orders/{order.id}").outcome == (403, "role_not_allowed")
    assert certify(bus, order.id, new_key()).outcome == (403, "role_not_allowed")
    assert report(bus, order.id, "done").outcome == (403, "role_not_allowed")


def tampered(der: bytes) -> bytes:
    """A request whose signature is of other content."""
    return der.replace(b"card", b"bard")


REFUSED: dict[str, Any] = {
    "no request": lambda: b"\x30\x00",
    "another curve": lambda: csr(ec.generate_private_key(ec.SECP384R1()), "card").public_bytes(Encoding.DER),
    "not signed by its own key": lambda: tampered(csr(new_key(), "card").public_bytes(Encoding.DER)),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_request_refused(desk: Terminal, order: personalisation.Order, make: Any) -> None:
    """The card's key must be P-256, and must have signed the request."""
    url = f"/v1/personalisation-orders/{order.id}/certificate"
    assert desk.post(url, {"csr": to_base64url(make())}).outcome == (422, "certificate_request_refused")
