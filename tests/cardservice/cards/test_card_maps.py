"""From a card's UID to its place in the status list: recorded by the desk, given to terminals that may."""

from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from cardservice.api.fields import to_base64url
from cardservice.audit.models import audit
from cardservice.cardholders.erasure import erase_cardholder
from cardservice.cardholders.service import NewCardholder, add_cardholder
from cardservice.cards import personalisation
from cardservice.cards.models import card_uid
from cardservice.cards.service import AUTHORITY, revoke_card
from cardservice.ids import CardholderId, CardId
from cardservice.pki_store.store import DatabaseCertificateStore
from pki.errors import CardUnmapped
from pki.request_signatures import sign_request
from pki.signers import STATUS_LIST_SIGNER
from pki.status_list.card_map import MEDIA_TYPE, CardMap, MapKey, map_signer_sha256, open_map
from tests.support.council import ACTOR, ORIGIN, Council, Reply, Terminal, csr, from_base64url

UID, OTHER = bytes.fromhex("04a1b2c3d4e5f6"), bytes.fromhex("04000000000001")
PATH = "/v1/card-maps/0"


@dataclass(frozen=True, slots=True)
class Made:
    """A card, and what the service said when the desk reported it."""

    id: CardId
    holder: CardholderId
    order: str
    reply: Reply


def make(council: Council, desk: Terminal, uid: bytes) -> Made:
    """A visitor's card with this UID, reported as done."""
    now = council.clock()
    with council.context.database.begin() as connection:
        kek = council.context.keys.cardholder_kek
        holder, _ = add_cardholder(
            connection, NewCardholder("Morgan Reed", "adult"), "GBP", kek, actor=ACTOR, moment=now
        )
        order = personalisation.order_card(connection, holder, "visitor", actor=ACTOR, moment=now)
        request = csr(ec.generate_private_key(ec.SECP256R1()), "card").public_bytes(Encoding.DER)
        authority = council.context.authority(AUTHORITY, connection)
        personalisation.certify(connection, authority, order.id, request, actor=ACTOR, moment=now)
    path = f"/v1/personalisation-orders/{order.id}/result"
    reply = desk.post(path, {"outcome": "done", "uid": to_base64url(uid)})
    return Made(order.card_id, holder, path, reply)


def place_of(council: Council, card: CardId) -> int:
    with council.context.database.begin() as connection:
        return DatabaseCertificateStore(connection).status_index(AUTHORITY, str(card))


def fetched(council: Council, terminal: Terminal, etag: str = "") -> tuple[int, str, bytes]:
    """Status, ETag and body of the map."""
    headers = sign_request("GET", ORIGIN + PATH, {}, None, terminal.key, terminal.id, council.clock())
    if etag:
        headers["If-None-Match"] = etag
    answer = council.client.get(PATH, headers=headers)
    if answer.status_code == 200:
        assert answer.content_type == MEDIA_TYPE
        assert answer.cache_control.private
        assert not answer.cache_control.public
    return answer.status_code, answer.headers["ETag"], answer.data


def opened(council: Council, raw: bytes) -> CardMap:
    with council.context.database.reading() as connection:
        found = DatabaseCertificateStore(connection).find_by_identity("service", STATUS_LIST_SIGNER)
    (signer,) = (x509.load_der_x509_certificate(each.der) for each in found)
    assert map_signer_sha256(raw) == signer.fingerprint(hashes.SHA256())
    key = signer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return open_map(raw, key, f"{ORIGIN}/pki/status/0")


def test_a_terminal_finds_a_card_by_its_uid(council: Council) -> None:
    """With the key that it was given; what has not changed is not sent again; what is new comes."""
    desk, bus = council.terminal("desk-1", "issuer"), council.terminal("bus-12")
    card = make(council, desk, UID)
    assert card.reply.status == 200
    council.clock.advance(minutes=6)
    told = bus.get("/v1/card-map-key").json
    key = MapKey(from_base64url(told["key"]))
    assert from_base64url(told["key_id"]) == key.key_id
    status, etag, raw = fetched(council, bus)
    assert status == 200
    assert opened(council, raw).index_of(UID, key, council.clock()) == place_of(council, card.id)
    assert fetched(council, bus, etag) == (304, etag, b"")

    other = make(council, desk, OTHER)
    council.clock.advance(minutes=6)
    status, newer, raw = fetched(council, bus, etag)
    assert (status, newer == etag) == (200, False)
    assert opened(council, raw).index_of(OTHER, key, council.clock()) == place_of(council, other.id)
    assert bus.get("/v1/card-maps/9").outcome == (404, "not_found")
    with council.context.database.reading() as connection:
        noted = connection.execute(select(audit.c.actor).where(audit.c.action == "card_map.key"))
        assert noted.scalars().all() == ["terminal:bus-12"]
    for path in (PATH, "/v1/card-map-key"):
        assert desk.get(path).outcome == (403, "role_not_allowed")


def test_a_uid_is_one_cards(council: Council) -> None:
    """Of one that may still be used; a revoked card's chip may become another, and is then that alone."""
    desk, bus = council.terminal("desk-1", "issuer"), council.terminal("bus-12")
    first = make(council, desk, UID)
    for uid in (UID, bytes.fromhex("08a1b2c3"), UID[:5], b""):
        assert make(council, desk, uid).reply.outcome == (409, "uid_refused"), uid
    # Reported once more, as after a lost answer
    assert desk.post(first.order, {"outcome": "done", "uid": to_base64url(UID)}).json == first.reply.json
    with council.context.database.begin() as connection:
        revoke_card(
            connection,
            council.context.authority(AUTHORITY, connection),
            first.id,
            reason="damaged",
            actor=ACTOR,
            moment=council.clock(),
        )
    second = make(council, desk, UID)
    council.clock.advance(minutes=6)
    key = MapKey(from_base64url(bus.get("/v1/card-map-key").json["key"]))
    card_map = opened(council, fetched(council, bus)[2])
    assert len(card_map) == 1
    assert card_map.index_of(UID, key, council.clock()) == place_of(council, second.id)

    erase_cardholder(council.context, second.holder, actor=ACTOR)
    with council.context.database.reading() as connection:
        assert connection.execute(select(card_uid)).all() == []
    council.clock.advance(hours=1)
    with pytest.raises(CardUnmapped):
        opened(council, fetched(council, bus)[2]).index_of(UID, key, council.clock())
