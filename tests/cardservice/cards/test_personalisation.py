"""The issuing desk: orders, certificates, outcomes; what broke off is taken up, what failed is revoked."""

from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.fields import to_base64url
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards import personalisation
from cardservice.cards.service import AUTHORITY, find_card
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.card_keys import diversify_aes128
from pki.errors import CertificateRevoked
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


def certify(desk: Terminal, order: UUID, key: ec.EllipticCurvePrivateKey) -> Reply:
    """Ask for the certificate of a key that the card has made."""
    der = csr(key, "whatever the card says").public_bytes(Encoding.DER)
    return desk.post(f"/v1/personalisation-orders/{order}/certificate", {"csr": to_base64url(der)})


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
    key_bytes = from_base64url(told.pop("management_key"))
    assert told == {
        "order": str(order.id),
        "card": str(order.card_id),
        "kind": "citizen",
        "expires_on": "2031-06-15",
    }
    assert len(key_bytes) == 16
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
    assert keys.management_key(card) == diversify_aes128(master, card.bytes + b"\x9b")  # type: ignore[arg-type]


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
    certify(desk, order.id, new_key())
    first = report(desk, order.id, outcome)
    assert report(desk, order.id, outcome).json == first.json
    other = {"done": "failed", "failed": "done"}[outcome]
    assert report(desk, order.id, other).outcome == (409, "order_closed")
    assert certify(desk, order.id, new_key()).outcome == (409, "order_closed")
    assert desk.get(f"/v1/personalisation-orders/{order.id}").outcome == (409, "order_closed")


def test_done_without_a_certificate(council: Council, desk: Terminal, order: personalisation.Order) -> None:
    """A card without a key is not made."""
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
