"""From an application to an erased record, as administrators do it, over HTTP alone, on both databases."""

from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from cardservice.api.fields import to_base64url
from cardservice.ids import CardholderId, CardId
from cardservice.ledger.payers import payers_of
from cardservice.staff.roles import Role
from tests.cardservice.applications.test_applications import Desk
from tests.cardservice.cardholders.test_photos import file_of, halves
from tests.cardservice.staff.browsing import Browsing
from tests.cardservice.staff.people import Staff
from tests.cardservice.staff_api.conftest import Come
from tests.cardservice.staff_api.test_families import born, changed, id_of, keyed, ok, reads
from tests.cardservice.staff_api.test_people import seen
from tests.support.council import TRIP, Card, Council, csr, from_base64url, message, request_for

KIND = "young-citizen"


def approved(issuer: Browsing) -> tuple[str, dict[str, Any]]:
    """A child's application, made, proven and approved: the path of the record, and the order."""
    made = ok(keyed(issuer, "/v1/applications", {"kind": KIND, "name": "Ava Read"}))
    path, application = f"/v1/cardholders/{made['cardholder']}", f"/v1/applications/{made['application']}"
    for kind, more in (("identity", {}), ("residence", {"review_on": "2027-06-01"})):
        ok(keyed(issuer, f"{path}/proofs", {"kind": kind, "reference": "a letter", **more}))
    assert ok(issuer.get(application))["against"] == ["no date of birth is noted"]
    changed(issuer, path, {"born_on": "2016-04-30"})
    return path, ok(issuer.post(f"{application}/approval", {}))


def personalised(council: Council, order: dict[str, Any]) -> Card:
    """The card of an order, certified and reported by an issuing desk, and the key with which it pays."""
    desk, holder = council.terminal("desk-1", "issuer"), CardholderId(UUID(order["cardholder"]))
    path, certificate = f"/v1/personalisation-orders/{order['order']}", ""
    council.clock.advance(minutes=1)
    for slot in ok(desk.get(path))["slots"]:
        key = ec.generate_private_key(ec.SECP256R1())
        body = {"csr": to_base64url(csr(key, "card").public_bytes(Encoding.DER)), "slot": slot}
        certificate = ok(desk.post(f"{path}/certificate", body))["certificate"]
    assert ok(desk.post(f"{path}/result", {"outcome": "done"}))["state"] == "active"
    with council.context.database.reading() as connection:
        [payer] = payers_of(connection, holder)
    # The last slot is the one that pays.
    return Card(CardId(UUID(order["card"])), holder, payer, key, from_base64url(certificate))


def rides(council: Council, card: Card) -> None:
    """A ride, paid with all that was paid in."""
    bus = council.terminal("bus-1")
    council.clock.advance(minutes=1)
    asked = {"service": "transport", "action": "single-fare", "card": str(card.id), "details": TRIP}
    amount_minor = ok(bus.post("/v1/quotes", asked))["amount_minor"]
    council.top_up(card, amount_minor)
    ride = request_for(bus, card, amount_minor=amount_minor)
    assert ok(bus.post("/v1/authorisations", message(ride, card)))["decision"] == "approved"
    assert council.balances(card.payer) == (0, 0)


def test_a_childs_card_from_the_application_to_the_erasure(council: Council, come: Come) -> None:
    """Each step is somebody's who may; what is left of the person is a ledger that adds up."""
    issuer, desk = come("ida", Role.ISSUER), come("ben", Role.DESK)
    path, order = approved(issuer)
    card = personalised(council, order)
    assert ok(desk.get(f"/v1/cards/{card.id}"))["state"] == "active"
    said = [
        each["predicate"] for each in ok(issuer.post(f"/v1/cards/{card.id}/entitlements", {}))["entitlements"]
    ]
    assert said == ["resident"]

    kim = born(issuer, "Kim Reed", "1985-02-02")
    ok(keyed(issuer, f"{path}/guardians", {"person": id_of(kim), "relation": "carer"}))
    changed(issuer, path, {"consents": {"photo": {"given": True, "wording": "2026-1"}}})
    _, tag = seen(issuer, path)
    picture = to_base64url(file_of(halves((480, 640))))
    ok(issuer.post(f"{path}/photo", {"photo": picture}, If_Match=tag))
    changed(issuer, path, {"preferences": {"wanted": ["larger_text"], "language": "cy"}})
    changed(issuer, path, {"address": {"uprn": "10091", "street": "Mill Lane", "postcode": "AB1 2CD"}})
    rides(council, card)

    lee = born(issuer, "Lee Hale", "1980-01-01")
    nobodys = issuer.post(f"{path}/export", {"asked_by": id_of(lee)})
    assert (nobodys.outcome, nobodys.json["data"]["reason"]) == ((409, "asker_refused"), "not_a_guardian")
    told = ok(issuer.post(f"{path}/export", {"asked_by": id_of(kim)}))["record"]
    assert (told["record"]["name"], len(told["cards"]), len(told["transactions"])) == ("Ava Read", 1, 2)
    right = changed(issuer, path, {"name": "Ava Reed"})
    assert right["name"] == "Ava Reed"
    found = ok(desk.post("/v1/cardholders/search", {"name": "ava reed"}))["cardholders"]
    assert [each["cardholder"] for each in found] == [id_of(path)]
    assert ok(desk.post("/v1/cardholders/search", {"name": "ava read"}))["cardholders"] == []
    assert ("staff:ben", "cardholder.find") in reads(issuer, path)

    plan = ok(issuer.get(f"{path}/erasure"))
    assert (plan["cards"], plan["cards_to_revoke"], plan["objections"]) == (1, 1, [])
    ok(issuer.post(f"{path}/erasure", {"erase": id_of(path)}))
    assert issuer.get(path).outcome == (404, "cardholder_unknown")
    assert ok(issuer.get(f"{kim}/family")) == {"children": []}
    come("nel", Role.OPERATOR)
    Staff(council.context).is_at_the_keyboard("nel")
    verified = Desk(council).ok("ledger", "verify")
    assert (verified["findings"], verified["transactions"], verified["proofs_erased"]) == ([], 2, 1)
