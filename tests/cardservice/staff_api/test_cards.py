"""Cards over HTTP: ordered once, shown, stopped, revoked by one or by two; and seen by the ledger at once."""

from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.fields import to_base64url
from cardservice.audit.searching import Wanted, search
from cardservice.staff.roles import Role
from tests.cardservice.staff_api.conftest import Come
from tests.support.council import Council, csr, message, request_for


def test_a_card_is_ordered_once_however_often_it_is_sent(come: Come) -> None:
    """By its key; the same key with other words is refused, and none, too."""
    issuer = come("ida", Role.ISSUER)
    made = issuer.post("/v1/cardholders", {"name": "Robin Hale"}, Idempotency_Key="robin-hale-1")
    holder = made.json["cardholder"]
    body = {"cardholder": holder, "kind": "citizen"}
    assert issuer.post("/v1/card-orders", body).outcome == (400, "idempotency_key_missing")
    first = issuer.post("/v1/card-orders", body, Idempotency_Key="order-0001")
    assert first.status == 200, first
    assert issuer.post("/v1/card-orders", body, Idempotency_Key="order-0001").json == first.json
    other = {**body, "kind": "visitor"}
    again = issuer.post("/v1/card-orders", other, Idempotency_Key="order-0001")
    assert again.outcome == (422, "idempotency_key_taken")
    listed = issuer.get(f"/v1/cards?cardholder={holder}").json["cards"]
    assert [each["card"] for each in listed] == [first.json["card"]]
    # The key is the person's own: a colleague's is another.
    colleague = come("ivy", Role.ISSUER)
    assert colleague.post("/v1/card-orders", body, Idempotency_Key="order-0001").json != first.json


def test_a_card_that_is_reported_is_refused_at_its_next_tap(council: Council, come: Come) -> None:
    desk, bus, card = come("ben", Role.DESK), council.terminal("bus-1"), council.card(top_up_minor=1000)
    path = f"/v1/cards/{card.id}"
    resting = desk.post(f"{path}/suspension", {"reason": "found on a bus"})
    assert (resting.status, resting.json["state"]) == (200, "suspended")
    tap = bus.post("/v1/authorisations", message(request_for(bus, card), card))
    assert tap.json["reason"] == "card_suspended"
    council.clock.advance(seconds=1)
    assert desk.post(f"{path}/release", {"reason": "it was hers"}).json["state"] == "active"
    assert desk.post(f"{path}/release", {"reason": "again"}).outcome == (409, "state_change_refused")
    council.clock.advance(seconds=1)
    lost = desk.post(f"{path}/report", {"what": "lost", "reason": "left on the bus"})
    assert lost.json["state"] == "revoked"
    states = [each["state"] for each in lost.json["history"]]
    assert states[-2:] == ["lost", "revoked"]
    tap = bus.post("/v1/authorisations", message(request_for(bus, card), card))
    assert tap.json["reason"] == "card_revoked"
    assert desk.post(f"{path}/revocation", {"reason": "lost"}).outcome == (403, "right_missing")
    assert desk.get(f"/v1/cards/{uuid4()}").outcome == (404, "card_missing")
    with council.context.database.reading() as connection:
        done = [each.actor for each in search(connection, Wanted(subject=str(card.id), action="card."))]
    assert done[:3] == ["staff:ben"] * 3


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_cards_come_page_by_page_and_with_a_tag(council: Council, come: Come) -> None:
    auditor = come("ada", Role.AUDITOR)
    made = {str(council.card().id) for _ in range(5)}
    seen: list[str] = []
    after = ""
    while True:
        page = auditor.get(f"/v1/cards?limit=2{after}").json
        assert len(page["cards"]) <= 2
        seen += [each["card"] for each in page["cards"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len(seen) == 5
    assert set(seen) == made
    assert auditor.get("/v1/cards?after=nonsense").outcome == (400, "malformed")
    assert auditor.get("/v1/cards?state=lost").json["cards"] == []
    client = council.client.application.test_client(use_cookies=False)
    bearer = {"Authorization": f"Bearer {auditor.token}"}
    tag = client.get(f"/v1/cards/{seen[0]}", headers=bearer).headers["ETag"]
    unchanged = client.get(f"/v1/cards/{seen[0]}", headers={**bearer, "If-None-Match": tag})
    assert unchanged.status_code == 304


def test_many_are_revoked_by_two(council: Council, come: Come) -> None:
    """The one who asks does not agree; nothing is done before."""
    ida, ivy, desk = come("ida", Role.ISSUER), come("ivy", Role.ISSUER), come("ben", Role.DESK)
    cards = [str(council.card().id) for _ in range(3)]
    body = {"cards": [*cards, cards[0]], "reason": "stolen"}
    unknown = ida.post("/v1/card-revocations", {**body, "cards": [str(uuid4())]}, Idempotency_Key="revoke-00")
    assert unknown.outcome == (422, "order_invalid")
    asked = ida.post("/v1/card-revocations", body, Idempotency_Key="revoke-01").json
    [waiting] = ivy.get("/v1/second-person").json["waiting"]
    assert (waiting["id"], waiting["about"]) == (asked["id"], {"cards": 3, "reason": "stolen"})
    agreement = f"/v1/second-person/{asked['id']}/agreement"
    assert ida.post(agreement, {}).outcome == (409, "second_person_refused")
    assert desk.post(agreement, {}).outcome == (403, "right_missing")
    with council.context.database.reading() as connection:
        [denied] = search(connection, Wanted(actor="staff:ben", action="staff.denied"))
    assert denied.subject == "POST /v1/second-person/<uuid:asked_id>/agreement"
    assert ivy.get(f"/v1/cards/{cards[0]}").json["state"] == "active"
    done = ivy.post(agreement, {}).json
    assert (done["state"], done["cards"]) == ("agreed", 3)
    assert {ivy.get(f"/v1/cards/{each}").json["state"] for each in cards} == {"revoked"}
    assert ivy.post(agreement, {}).json["cards"] == 0
    assert ida.post(f"/v1/second-person/{asked['id']}/withdrawal", {}).outcome == (
        409,
        "second_person_refused",
    )


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_card_by_post_is_sent_and_activated_with_its_code(council: Council, come: Come) -> None:
    """Wrong codes are counted, and said."""
    issuer, card = come("ida", Role.ISSUER), council.card()
    replaced = issuer.post(
        f"/v1/cards/{card.id}/replacement", {"delivery": "post"}, Idempotency_Key="replace-1"
    ).json
    desk = council.terminal("desk-1", "issuer")
    order = f"/v1/personalisation-orders/{replaced['order']}"
    request = csr(ec.generate_private_key(ec.SECP256R1()), "card").public_bytes(Encoding.DER)
    assert desk.post(f"{order}/certificate", {"csr": to_base64url(request)}).status == 200
    assert desk.post(f"{order}/result", {"outcome": "done"}).status == 200
    path = f"/v1/cards/{replaced['card']}"
    code = issuer.post(f"{path}/dispatch", {}).json["code"]
    wrong = issuer.post(f"{path}/activation", {"code": "2222-2222"})
    assert (wrong.outcome, wrong.json["data"]) == ((422, "activation_refused"), {"attempts_left": 4})
    assert issuer.post(f"{path}/activation", {"code": code.lower()}).json["state"] == "active"
    assert issuer.get(f"/v1/cards/{card.id}").json["state"] == "revoked"
