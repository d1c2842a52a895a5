"""A card from the blank to the closed account, asked over HTTP by those whose work it is; what is whose."""

import json
import re
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cardservice.api.fields import to_base64url
from cardservice.audit.searching import Wanted, search
from cardservice.bureau.files import RESULT, from_base64, to_base64, write
from cardservice.cards.slots import SLOTS_OF_KIND, Slot
from cardservice.ids import CardholderId, CardId, PayerId
from cardservice.ledger.closing.sequencing import sequence
from cardservice.staff.roles import Role
from cardservice.upkeep import calendar_of
from tests.cardservice.staff.browsing import Browsing
from tests.cardservice.staff_api.conftest import Come
from tests.cardservice.staff_api.test_people import seen
from tests.support.council import Card, Council, csr, from_base64url, message, new_id, request_for

PRODUCT, FARE_DAYS = "dual-8k", "first=2026-06-01&last=2026-06-30"


def ok(answer: Any) -> dict[str, Any]:
    """What it says, where nothing is refused."""
    assert answer.status == 200, answer
    said: dict[str, Any] = answer.json
    return said


def lying_at(somebody: Browsing, place: str) -> int:
    """How many blanks."""
    [found] = ok(somebody.get(f"/v1/blank-stock?place={place}"))["stock"]
    return int(found["count"])


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    """Its public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def told(content: str) -> list[dict[str, Any]]:
    """The lines of a bureau's file between its head and its signature."""
    return [json.loads(line) for line in from_base64url(content).splitlines()[1:-1]]


class Maker:
    """A bureau that gets its files over HTTP: its keys, and those that its cards have made."""

    def __init__(self, issuer: Browsing) -> None:
        self.issuer = issuer
        self._signing, sealing = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        self.made: dict[str, dict[str, ec.EllipticCurvePrivateKey]] = {}
        self.certificates: dict[str, dict[str, bytes]] = {}
        blanks = {"place": "vale", "product": PRODUCT}
        keys = {"signing_key": pem(self._signing), "sealing_key": pem(sealing)}
        ok(
            issuer.post(
                "/v1/card-bureaux", {"bureau": "vale-cards", "name": "Vale", "blanks": blanks, **keys}
            )
        )

    def send(self, batch: str, lines: list[dict[str, Any]], *, dry_run: bool = False) -> dict[str, Any]:
        """Its file of results."""
        head = {"format": RESULT, "scheme": "ashcombe", "batch": batch, "bureau": "vale-cards"}
        content = to_base64url(write(head, lines, self._signing))
        return ok(
            self.issuer.post("/v1/card-bureaux/vale-cards/results", {"content": content, "dry_run": dry_run})
        )

    def make(self, batch: str) -> None:
        """All cards of a batch: keys, certificates, done."""
        path = f"/v1/bureau-batches/{batch}"
        lines = told(ok(self.issuer.post(f"{path}/order-file", {}))["content"])
        asked = [{**_named(line), "outcome": "keys", "requests": self._requests(line)} for line in lines]
        assert self.send(batch, asked, dry_run=True)["keys"] == len(lines)
        assert told(ok(self.issuer.get(f"{path}/certificates-file"))["content"]) == []
        assert self.send(batch, asked)["keys"] == len(lines)
        given = told(ok(self.issuer.get(f"{path}/certificates-file"))["content"])
        done = [{**_named(line), "outcome": "made", "certificates": self._kept(line)} for line in given]
        assert self.send(batch, done)["made"] == len(lines)
        assert self.send(batch, done)["known"] == len(lines)

    def _requests(self, line: dict[str, Any]) -> dict[str, str]:
        keys = {slot: ec.generate_private_key(ec.SECP256R1()) for slot in line["slots"]}
        self.made[line["card"]] = keys
        return {slot: to_base64(csr(key, "card").public_bytes(Encoding.DER)) for slot, key in keys.items()}

    def _kept(self, line: dict[str, Any]) -> dict[str, str]:
        kept = {slot: from_base64(der) for slot, der in line["certificates"].items()}
        self.certificates[line["card"]] = kept
        return {slot: sha256(der).hexdigest() for slot, der in kept.items()}


def _named(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in ("number", "order", "card")}


def registered(issuer: Browsing) -> dict[str, str]:
    """Somebody with an address, who pays for themself."""
    person = ok(issuer.post("/v1/cardholders", {"name": "Robin Hale"}, Idempotency_Key="robin-hale"))
    path = f"/v1/cardholders/{person['cardholder']}"
    _, tag = seen(issuer, path)
    change = {"address": {"paon": "7", "street": "Mill Lane", "postcode": "AB1 2CD"}}
    ok(issuer.post(f"{path}/changes", change, If_Match=tag))
    return {"path": path, **person}


def received(issuer: Browsing) -> None:
    """Ten blanks, of which four lie at the bureau; each order was sent twice."""
    for place in ("town-hall", "vale"):
        ok(issuer.post("/v1/blank-places", {"place": place, "name": place}))
    for _ in range(2):
        delivery = {"supplier": "Vale Cards", "product": PRODUCT, "place": "town-hall", "count": 10}
        ok(issuer.post("/v1/blank-deliveries", delivery, Idempotency_Key="delivery-1"))
        moved = {"product": PRODUCT, "from": "town-hall", "to": "vale", "count": 4}
        ok(issuer.post("/v1/blank-movements", moved, Idempotency_Key="movement-1"))
    few = issuer.post("/v1/blank-movements", {**moved, "count": 7}, Idempotency_Key="movement-2")
    assert few.outcome == (409, "stock_too_low")
    spoiled = {"product": PRODUCT, "place": "town-hall", "count": 1, "reason": "bent"}
    ok(issuer.post("/v1/spoiled-blanks", spoiled, Idempotency_Key="spoiled-1"))
    counted = {"product": PRODUCT, "place": "town-hall", "counted": 5, "reason": "counted"}
    count = ok(issuer.post("/v1/blank-counts", counted, Idempotency_Key="counted-1"))
    assert count == {"expected": 5, "counted": 5, "difference": 0}
    assert (lying_at(issuer, "town-hall"), lying_at(issuer, "vale")) == (5, 4)


def test_a_card_from_the_blank_to_the_closed_account(council: Council, come: Come) -> None:
    """Made by a bureau, sent, activated, paid with, told lost, replaced; what is left goes back by two."""
    issuer, desk = come("ida", Role.ISSUER), come("ben", Role.DESK)
    books, second = come("fay", Role.FINANCE), come("gus", Role.FINANCE)
    received(issuer)
    maker, person = Maker(issuer), registered(issuer)
    wanted = {"cardholder": person["cardholder"], "kind": "citizen", "delivery": "post"}
    ordered = ok(issuer.post("/v1/card-orders", wanted, Idempotency_Key="order-0001"))
    batch = ok(issuer.post("/v1/bureau-batches", {"bureau": "vale-cards"}, Idempotency_Key="batch-0001"))
    assert batch["cards"] == 1
    assert ok(issuer.get(f"/v1/bureau-batches/{batch['batch']}"))["orders"] == [ordered["order"]]
    maker.make(batch["batch"])
    assert lying_at(issuer, "vale") == 3
    letters = ok(issuer.post(f"/v1/bureau-batches/{batch['batch']}/letters", {}))
    assert letters["at_desk"] == 0
    [code] = re.findall(r"^    (\w{4}-\w{4})$", letters["letters"][0], re.MULTILINE)
    council.clock.advance(seconds=1)
    card_path = f"/v1/cards/{ordered['card']}"
    assert ok(desk.post(f"{card_path}/activation", {"code": code}))["state"] == "active"

    paid = {"id": str(new_id()), "amount_minor": 2000}
    for _ in range(2):
        accounts = ok(desk.post(f"{person['path']}/top-ups", paid))["accounts"]
        assert [each["amount_minor"] for each in accounts if each["account"] == "payer:prepaid"] == [2000]
    # Once, by whoever has taken the money, and no word of whose it is.
    with council.context.database.reading() as connection:
        [taken] = search(connection, Wanted(action="payment.top_up"))
    assert (taken.actor, taken.subject, taken.detail) == ("staff:ben", paid["id"], {"method": "cash"})
    bus, made = council.terminal("bus-1"), maker.made[ordered["card"]]
    holder, payer = CardholderId(UUID(person["cardholder"])), PayerId(UUID(person["payer"]))
    signing = Slot.CARD_AUTHENTICATION.value
    certificate = maker.certificates[ordered["card"]][signing]
    card = Card(CardId(UUID(ordered["card"])), holder, payer, made[signing], certificate)
    ride = request_for(bus, card)
    assert ok(bus.post("/v1/authorisations", message(ride, card)))["decision"] == "approved"

    answers = {"postcode": "ab12cd", "number": card.id.hex[:20][-4:]}
    council.clock.advance(seconds=1)
    loss = ok(desk.post(f"{card_path}/told-loss", {"channel": "phone", "answers": answers}))
    assert (loss["verified"], loss["state"]) == (True, "revoked")
    refused = bus.post("/v1/authorisations", message(request_for(bus, card), card))
    assert refused.json["reason"] == "card_revoked"

    again = ok(issuer.post(f"{card_path}/replacement", {}, Idempotency_Key="replace-1"))
    issuing = council.terminal("desk-1", "issuer")
    ok(issuer.post("/v1/blank-desks", {"terminal": "desk-1", "place": "town-hall", "product": PRODUCT}))
    replaced = _made_at(issuing, again, card)
    assert lying_at(issuer, "town-hall") == 4
    council.clock.advance(seconds=1)
    second_ride = request_for(bus, replaced)
    assert ok(bus.post("/v1/authorisations", message(second_ride, replaced)))["decision"] == "approved"

    council.clock.advance(seconds=1)
    account = f"{person['path']}/account"
    early = books.post(f"{account}/giving-back", {"by": "bank"})
    assert early.outcome == (409, "closing_refused")
    closing = ok(issuer.post(f"{account}/closing", {"why": "asked"}))
    assert (closing["stopped"], closing["cards"]) == (True, [])
    left = ok(desk.get(account))["to_give_back_minor"]
    assert 0 < left < 2000
    assert desk.post(f"{account}/giving-back", {"by": "bank"}).outcome == (403, "right_missing")
    assert ok(books.post(f"{account}/giving-back", {"by": "bank"}))["given_minor"] == left
    [wanted_by_bank] = ok(books.get("/v1/payment-exceptions"))["exceptions"]
    approval = f"/v1/payouts/{wanted_by_bank['subject']}/approval"
    assert books.post(approval, {}).outcome == (422, "order_invalid")
    assert ok(second.post(approval, {}))["amount_minor"] == left
    given = ok(books.post(f"{account}/giving-back", {"by": "bank"}))
    assert (given["given_minor"], given["closed"]) == (0, True)

    sequence(council.context.database, calendar_of(council.context))
    statement = ok(books.get(f"{person['path']}/statement?{FARE_DAYS}"))
    assert [each["kind"] for each in statement["lines"]] == ["topup", "request", "request", "repayment"]
    assert statement["lines"][0]["moved"]["prepaid_minor"] == 2000
    assert statement["closing"] == {"prepaid_minor": 0, "arrears_minor": 0}
    assert ok(books.get(f"/v1/transactions/{ride.id}/explanation"))["agrees"] is True
    reads = [
        each["action"] for each in ok(desk.get(f"{person['path']}/accesses"))["accesses"] if each["read"]
    ]
    assert {"account.show", "cardholder.print", "cardholder.verify", "payer.statement"} <= set(reads)


def _made_at(desk: Any, order: dict[str, Any], before: Card) -> Card:
    """The card of an order, made by an issuing desk."""
    path, kept = f"/v1/personalisation-orders/{order['order']}", {}
    for slot in SLOTS_OF_KIND["citizen"]:
        key = ec.generate_private_key(ec.SECP256R1())
        request = to_base64url(csr(key, "card").public_bytes(Encoding.DER))
        answer = ok(desk.post(f"{path}/certificate", {"csr": request, "slot": slot.value}))
        kept[slot] = key, from_base64url(answer["certificate"])
    assert ok(desk.post(f"{path}/result", {"outcome": "done"}))
    return Card(CardId(UUID(order["card"])), before.holder, before.payer, *kept[Slot.CARD_AUTHENTICATION])


def test_a_terminal_is_invited_enrols_itself_does_something_else_and_is_revoked(
    council: Council, come: Come
) -> None:
    """Each as an administrator asks it; the terminal's next request is refused."""
    ann = come("ann", Role.ADMINISTRATOR)
    ok(ann.post("/v1/providers", {"provider": "town-pool", "name": "Town Pool"}))
    assert ok(ann.post("/v1/providers/town-pool/services", {"service": "leisure", "sells": True}))
    new = {"terminal": "pool-1", "provider": "town-pool", "role": "validator", "offline_limit_minor": 300}
    assert ann.post("/v1/terminal-invitations", {**new, "role": "wizard"}).outcome == (422, "order_invalid")
    assert ann.post("/v1/terminal-invitations", {**new, "provider": "nobody"}).outcome == (
        404,
        "provider_unknown",
    )
    void = ok(ann.post("/v1/terminal-invitations", new))
    invited = ok(ann.post("/v1/terminal-invitations", {**new, "minutes": 5}))
    [out] = ok(ann.get("/v1/terminal-invitations"))["invited"]
    assert out.pop("expires_at") == invited["expires_at"]
    who = {"terminal": "pool-1", "provider": "town-pool", "role": "validator"}
    assert out == {**who, "again": False, "attempts_left": 5, "by": "staff:ann"}
    pia = come("pia", Role.PROVIDER, provider="vale-buses")
    assert ok(pia.get("/v1/terminal-invitations")) == {"invited": []}
    key = ec.generate_private_key(ec.SECP256R1())
    body = {"terminal": "pool-1", "csr": to_base64url(csr(key, "pool-1").public_bytes(Encoding.DER))}
    anybody = Browsing(council)
    assert anybody.post("/enrolments", {**body, "code": void["code"]}).outcome == (403, "enrolment_refused")
    ok(anybody.post("/enrolments", {**body, "code": invited["code"]}))
    assert ok(ann.get("/v1/terminal-invitations")) == {"invited": []}
    gone = ann.post("/v1/terminal-invitations/pool-1/withdrawal", {})
    assert gone.outcome == (404, "invitation_unknown")

    pool = council.terminal("pool-2", provider="town-pool")
    assert pool.get("/v1/nonce").status == 200
    terms = {"role": "gate", "offline_limit_minor": None}
    path = "/v1/terminals/pool-2"
    assert ann.post(f"{path}/terms", terms).outcome == (428, "if_match_missing")
    shown, tag = seen(ann, f"{path}/terms")
    assert (shown["role"], shown["offline_limit_minor"]) == ("validator", 500)
    council.clock.advance(seconds=1)
    changed = ok(ann.post(f"{path}/terms", terms, If_Match=tag))
    assert [each["role"] for each in changed["history"]] == ["validator", "gate"]
    assert ann.post(f"{path}/terms", terms, If_Match=tag).outcome == (412, "changed_meanwhile")
    named = {"name": "Pool, turnstile 2"}
    assert ann.post(f"{path}/name", named, If_Match=tag).outcome == (412, "changed_meanwhile")
    called = ok(ann.post(f"{path}/name", named, If_Match=seen(ann, f"{path}/terms")[1]))
    assert (called["name"], called["history"]) == (named["name"], changed["history"])
    assert ok(ann.post(f"{path}/revocation", {"reason": "stolen"}))["state"] == "revoked"
    assert pool.get("/v1/nonce").outcome == (403, "terminal_revoked")
    assert ann.post(f"{path}/invitation", {}).outcome == (422, "order_invalid")
    assert ann.post("/v1/terminals/nobody/invitation", {}).outcome == (404, "terminal_missing")


def test_a_provider_sees_its_own_alone(council: Council, come: Come) -> None:
    """What it sells, its statement, its sales page by page, its terminals; of others not that they are."""
    bus, card = council.terminal("bus-1"), council.card(top_up_minor=1000)
    council.provider("town-pool")
    council.terminal("pool-1", provider="town-pool")
    for _ in range(3):
        assert bus.post("/v1/authorisations", message(request_for(bus, card), card)).status == 200
        council.clock.advance(seconds=1)
    sequence(council.context.database, calendar_of(council.context))
    pia = come("pia", Role.PROVIDER, provider="vale-buses")
    own, other = "/v1/providers/vale-buses", "/v1/providers/town-pool"
    statement = ok(pia.get(f"{own}/statement?{FARE_DAYS}"))
    assert (statement["lines"][0]["transactions"], statement["does_not_add_up_on"]) == (3, [])
    sold: list[dict[str, Any]] = []
    after = ""
    while True:
        page = ok(pia.get(f"{own}/sales?{FARE_DAYS}&limit=2{after}"))
        sold += page["sales"]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert len({each["transaction"] for each in sold}) == len(sold) == 3
    assert len({each["customer"] for each in sold}) == 1
    assert str(card.holder) not in json.dumps(sold)
    assert sum(each["amount_minor"] for each in sold) == statement["closing_minor"]
    assert ok(pia.get(f"{own}/services")) == {"services": []}
    for what in ("services", "statement", "sales", "card-keys"):
        for theirs in (other, "/v1/providers/nobody"):
            assert pia.get(f"{theirs}/{what}").outcome == (403, "not_theirs"), what
    for what in ("terms", "gaps"):
        ok(pia.get(f"/v1/terminals/bus-1/{what}"))
        for theirs in ("pool-1", "nobody"):
            assert pia.get(f"/v1/terminals/{theirs}/{what}").outcome == (404, "terminal_missing"), what
    assert pia.get(f"{own}/sales?first=2026-06-02&last=2026-06-01").outcome == (422, "statement_invalid")
    assert pia.get(f"{own}/sales?first=2020-06-02&last=2026-06-01").outcome == (400, "malformed")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_a_card_is_lent_for_a_day_and_taken_back(council: Council, come: Come) -> None:
    desk, card = come("ben", Role.DESK), council.card()
    path = f"/v1/cards/{card.id}"
    far, near = "2026-12-31T16:00:00.000Z", "2026-06-15T16:00:00.000Z"
    assert desk.post(f"{path}/lending", {"until": far}, Idempotency_Key="lend-far").outcome == (
        409,
        "lending_refused",
    )
    lent = ok(desk.post(f"{path}/lending", {"until": near}, Idempotency_Key="lend-near"))
    assert ok(desk.post(f"{path}/lending", {"until": near}, Idempotency_Key="lend-near")) == lent
    [listed] = ok(desk.get("/v1/lent-cards"))["lent"]
    assert (listed["card"], listed["acts_for"]) == (lent["card"], str(card.id))
    ok(desk.post(f"/v1/cards/{lent['card']}/taking-back", {}))
    assert ok(desk.get("/v1/lent-cards"))["lent"] == []
    assert desk.post(f"/v1/cards/{lent['card']}/taking-back", {}).outcome == (409, "lending_refused")
    for attempt in range(5):
        wrong = ok(desk.post(f"{path}/told-loss", {"answers": {"postcode": f"ZZ{attempt} 9ZZ"}}))
        assert (wrong["verified"], wrong["state"], wrong["attempts_left"]) == (
            False,
            "suspended",
            4 - attempt,
        )
        council.clock.advance(seconds=1)
    assert desk.post(f"{path}/told-loss", {"answers": {}}).outcome == (409, "loss_refused")


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_money_is_moved_once_and_limits_are_whose_they_are(council: Council, come: Come) -> None:
    """By the movement's own id; nobody but a guardian asks for somebody else's limits."""
    desk, books = come("ben", Role.DESK), come("fay", Role.FINANCE)
    one, other = council.card(top_up_minor=1000), council.card()
    path, moved = f"/v1/payers/{one.payer}", {"id": str(new_id()), "amount_minor": 300}
    gift = {"id": str(new_id()), "amount_minor": 50}
    for _ in range(2):
        ok(books.post(f"{path}/carry-over", {**moved, "to": str(other.payer)}))
        ok(books.post(f"{path}/goodwill", gift))
    assert (council.balances(one.payer), council.balances(other.payer)) == ((750, 0), (300, 0))
    much = books.post(
        f"{path}/carry-over", {"id": str(new_id()), "to": str(other.payer), "amount_minor": 751}
    )
    assert (much.outcome, much.json["left_minor"]) == ((422, "refund_refused"), 750)
    redemption = {"id": str(new_id()), "amount_minor": 200}
    first = ok(books.post(f"{path}/redemption", redemption))
    assert (first["payout"], first["payout_minor"]) == (redemption["id"], 200)
    assert ok(books.post(f"{path}/redemption", redemption)) == first
    assert books.post(f"/v1/payers/{other.payer}/redemption", redemption).outcome == (422, "order_invalid")
    assert len(ok(books.get("/v1/payment-exceptions"))["exceptions"]) == 1
    holder = f"/v1/cardholders/{one.holder}"
    limit = {"rule": "meals.day", "most": 350}
    rules = ok(desk.get("/v1/limit-rules"))["rules"]
    assert "meals.day" in {each["rule"] for each in rules}
    strange = desk.post(f"{holder}/limits", {**limit, "asked_by": str(other.holder)})
    assert (strange.outcome, strange.json["data"]) == ((409, "asker_refused"), {"reason": "not_a_guardian"})
    assert ok(desk.post(f"{holder}/limits", {**limit, "asked_by": str(one.holder)}))["most"] == 350
    assert ok(desk.post(f"{holder}/limits", {**limit, "most": None}))["most"] is None
    wrong = desk.post(f"{holder}/limits", {**limit, "rule": "meals.moon"})
    assert wrong.outcome == (422, "order_invalid")
    assert ok(desk.post(f"{holder}/services", {"service": "meals", "on": False}))["on"] is False
    unknown = desk.post(f"{holder}/services", {"service": "moon", "on": False})
    assert unknown.outcome == (404, "service_unknown")
    assert desk.post(f"{path}/goodwill", {"id": str(new_id()), "amount_minor": 1}).outcome == (
        403,
        "right_missing",
    )
