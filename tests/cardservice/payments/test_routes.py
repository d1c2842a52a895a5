"""Paying in over HTTP: begun by a kiosk or at the desk, looked at, given up; posted once at capture."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cardservice.api.app import create_app
from cardservice.payments.polling import poll
from cardservice.payments.provider import PaymentProvider
from cardservice.staff.roles import Role
from kiosk.pay_stand_in import Pay
from pki.request_signatures import sign_request
from tests.cardservice.payments.pay import RETURN_URL, difference, served
from tests.cardservice.staff.browsing import signed_in
from tests.cardservice.staff.people import add
from tests.support.council import ORIGIN, Card, Council, Terminal, advice_of, new_id
from tests.support.council import message as tapped

PAYMENTS = "/v1/payments"
# What nothing in the database is asked about.
ONE_DATABASE = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@dataclass(frozen=True, slots=True)
class Counter:
    """A council with a kiosk, and the provider that it asks."""

    council: Council
    kiosk: Terminal
    pay: Pay
    provider: PaymentProvider

    def asked(self, card: Card, /, **changes: Any) -> dict[str, Any]:
        """A payment of 20.00 for a card."""
        body = {
            "id": str(new_id()),
            "card": str(card.id),
            "amount_minor": 2000,
            "return_url": RETURN_URL,
            "method": "card",
        }
        return {name: value for name, value in {**body, **changes}.items() if value is not None}

    def begun(self, card: Card, /, **changes: Any) -> dict[str, Any]:
        """The answer to it."""
        reply = self.kiosk.post(PAYMENTS, self.asked(card, **changes))
        assert reply.status == 200, reply
        return reply.json

    def look(self, payment: str) -> dict[str, Any]:
        """How the kiosk is told that it is."""
        reply = self.kiosk.get(f"{PAYMENTS}/{payment}")
        assert reply.status == 200, reply
        return reply.json

    def move(self, state: str, nth: int = -1) -> None:
        """What the person does on the provider's page."""
        self.pay.move(list(self.pay.payments)[nth], state)


@contextmanager
def counter(council: Council, folder: Path) -> Iterator[Counter]:
    """A council that was set up with the stand-in."""
    pay = Pay()
    with served(pay) as provider:
        key = folder / "pay-key"
        key.write_text(pay.key, encoding="ascii")
        settings = replace(council.context.settings, pay_url=provider.url, pay_key_file=key)
        council.context = replace(council.context, settings=settings)
        council.client = create_app(council.context).test_client()
        yield Counter(council, council.terminal("kiosk-1", "kiosk"), pay, provider)


@pytest.fixture
def town(council: Council, tmp_path: Path) -> Iterator[Counter]:
    """The council's counter."""
    with counter(council, tmp_path) as made:
        yield made


def test_a_kiosk_pays_in_for_the_card_that_it_was_shown(town: Counter) -> None:
    """Begun, on its way, captured: the kiosk says what there is to spend, and the day's equation holds."""
    card = town.council.card(top_up_minor=150)
    begun = town.begun(card)
    assert (begun["state"], begun["finished"], begun["available_minor"]) == ("created", False, None)
    assert begun["next_url"].startswith("http")
    town.move("submitted")
    on_its_way = town.look(begun["payment"])
    assert (on_its_way["state"], on_its_way["next_url"]) == ("submitted", None)
    assert town.council.balances(card.payer) == (150, 0)
    town.move("success")
    for _ in range(2):
        told = town.look(begun["payment"])
        assert (told["state"], told["finished"]) == ("success", True)
        assert (told["available_minor"], told["owed_minor"], told["currency"]) == (2150, 0, "GBP")
    assert town.council.balances(card.payer) == (2150, 0)
    poll(town.council.context, town.provider)
    assert town.council.balances(card.payer) == (2150, 0)
    assert difference(town.council.context) == 0


def test_what_is_owed_is_settled_first(town: Counter) -> None:
    """And what is still owed afterwards is said beside it."""
    council, card = town.council, town.council.card()
    bus = council.terminal("bus-12")
    advice = advice_of(bus, card)
    assert bus.post("/v1/authorisations", tapped(advice, card)).json["decision"] == "approved"
    begun = town.begun(card, amount_minor=100)
    town.move("success")
    told = town.look(begun["payment"])
    assert (told["available_minor"], told["owed_minor"]) == (0, 140)


def test_sent_again_it_is_the_same_payment(town: Counter) -> None:
    """With the same place to pay at; for another amount, card or terminal its id is taken."""
    card = town.council.card()
    asked = town.asked(card)
    first = town.kiosk.post(PAYMENTS, asked)
    again = town.kiosk.post(PAYMENTS, asked)
    assert first.status == 200
    assert again == first
    assert len(town.pay.payments) == 1
    other = town.council.terminal("kiosk-2", "kiosk")
    assert town.kiosk.post(PAYMENTS, {**asked, "amount_minor": 1}).outcome == (422, "order_invalid")
    stranger = str(town.council.card().id)
    assert town.kiosk.post(PAYMENTS, {**asked, "card": stranger}).outcome == (422, "order_invalid")
    assert other.post(PAYMENTS, asked).outcome == (422, "order_invalid")
    assert other.get(f"{PAYMENTS}/{asked['id']}").outcome == (404, "payment_unknown")
    assert other.post(f"{PAYMENTS}/{asked['id']}/cancellation", {}).outcome == (404, "payment_unknown")


def test_a_lost_answer_begins_nothing_twice(town: Counter) -> None:
    """The provider has it and says nothing; asked again by its id it is there."""
    card = town.council.card()
    asked = town.asked(card)
    town.pay.fault("lost_answer", "lost_answer", "lost_answer")
    assert town.kiosk.post(PAYMENTS, asked).outcome == (503, "payment_provider_away")
    assert town.look(asked["id"])["state"] == "created"
    assert town.kiosk.post(PAYMENTS, asked).json["next_url"].startswith("http")
    assert len(town.pay.payments) == 1


def test_a_payment_is_given_up(town: Counter) -> None:
    """Once; and where it was captured meanwhile it stays."""
    card = town.council.card()
    path = f"{PAYMENTS}/{town.begun(card)['payment']}/cancellation"
    for _ in range(2):
        given_up = town.kiosk.post(path, {})
        assert (given_up.status, given_up.json["state"], given_up.json["finished"]) == (
            200,
            "cancelled",
            True,
        )
    captured = town.begun(card, amount_minor=500)
    town.move("success")
    told = town.kiosk.post(f"{PAYMENTS}/{captured['payment']}/cancellation", {}).json
    assert (told["state"], told["available_minor"]) == ("success", 500)
    assert town.council.balances(card.payer) == (500, 0)


@ONE_DATABASE
@pytest.mark.parametrize("state", ["failed", "error"])
def test_what_came_to_nothing_is_said(town: Counter, state: str) -> None:
    """By the provider's own word, and nothing is posted."""
    card = town.council.card()
    begun = town.begun(card)
    town.move(state)
    told = town.look(begun["payment"])
    assert (told["state"], told["finished"], told["available_minor"]) == (state, True, None)
    assert town.council.balances(card.payer) == (0, 0)


@ONE_DATABASE
def test_what_is_known_is_said_while_the_provider_is_away(town: Counter) -> None:
    """And what cannot be done without it is to be sent again."""
    payment = town.begun(town.council.card())["payment"]
    town.pay.fault("away", "away", "away")
    assert town.look(payment)["state"] == "created"
    town.pay.fault("away", "away", "away")
    away = town.kiosk.post(f"{PAYMENTS}/{payment}/cancellation", {})
    assert away.outcome == (503, "payment_provider_away")


@ONE_DATABASE
def test_a_balance_is_told_for_an_hour(town: Counter) -> None:
    """Then the payment says of itself alone how it ended."""
    begun = town.begun(town.council.card())
    town.move("success")
    assert town.look(begun["payment"])["available_minor"] == 2000
    town.council.clock.advance(minutes=61)
    told = town.look(begun["payment"])
    assert (told["state"], told["available_minor"], told["owed_minor"]) == ("success", None, None)


@ONE_DATABASE
def test_its_state_has_a_tag(town: Counter) -> None:
    """RFC 9110, 13.1.2: who asks again and again is told nothing twice."""
    payment = town.begun(town.council.card())["payment"]
    path = f"{PAYMENTS}/{payment}"

    def asked(tag: str | None) -> Any:
        kiosk = town.kiosk
        headers = sign_request("GET", ORIGIN + path, {}, None, kiosk.key, kiosk.id, kiosk.clock())
        return kiosk.client.get(path, headers=headers if tag is None else {**headers, "If-None-Match": tag})

    tag = asked(None).headers["ETag"]
    assert asked(tag).status_code == 304
    town.move("submitted")
    assert (asked(tag).status_code, asked(tag).json["state"]) == (200, "submitted")


REFUSED: list[tuple[Mapping[str, Any], tuple[int, str]]] = [
    ({"amount_minor": 0}, (400, "malformed")),
    ({"amount_minor": 10_000_001}, (400, "malformed")),
    ({"amount_minor": "5"}, (400, "malformed")),
    ({"method": "cash"}, (400, "malformed")),
    ({"id": "00000000-0000-4000-8000-000000000000"}, (400, "malformed")),
    ({"card": None}, (400, "malformed")),
    ({"cardholder": "00000000-0000-4000-8000-000000000000"}, (400, "malformed")),
    ({"card": None, "cardholder": "00000000-0000-4000-8000-000000000000"}, (400, "malformed")),
    ({"card": "00000000-0000-4000-8000-000000000000"}, (422, "card_unknown")),
    ({"return_url": "http://cards.ashcombe.example/"}, (400, "malformed")),
    ({"return_url": "http://127.0.0.1.evil.example/"}, (400, "malformed")),
    ({"return_url": "https://user@cards.ashcombe.example/"}, (400, "malformed")),
    ({"return_url": "javascript:alert(1)"}, (400, "malformed")),
    ({"return_url": "https://[::1/"}, (400, "malformed")),
    ({"return_url": "https://a/" + "a" * 2000}, (400, "malformed")),
]


@ONE_DATABASE
def test_what_is_refused(town: Counter) -> None:
    """Before the provider is asked for anything."""
    card = town.council.card()
    answered = [
        (changes, town.kiosk.post(PAYMENTS, town.asked(card, **changes)).outcome) for changes, _ in REFUSED
    ]
    assert answered == REFUSED
    assert town.pay.payments == {}


@ONE_DATABASE
def test_a_kiosk_comes_back_to_its_own_page(town: Counter) -> None:
    """Which is on the kiosk itself."""
    town.begun(town.council.card(), return_url="http://127.0.0.1:7423/paid?again=1")


@ONE_DATABASE
def test_whose_card_cannot_be_used_is_told_so(town: Counter) -> None:
    """As at a till."""
    card = town.council.card()
    town.council.revoke(card)
    assert town.kiosk.post(PAYMENTS, town.asked(card)).outcome == (422, "card_revoked")


@ONE_DATABASE
def test_a_validator_begins_no_payment(town: Counter) -> None:
    bus = town.council.terminal("bus-12")
    assert bus.post(PAYMENTS, town.asked(town.council.card())).outcome == (403, "role_not_allowed")


@ONE_DATABASE
def test_the_key_is_the_id(town: Counter) -> None:
    """What makes a payment the same is under the signature; another key beside it is refused."""
    asked = town.asked(town.council.card())
    add(town.council.context, "ann", Role.ADMINISTRATOR)
    add(town.council.context, "dee", Role.DESK)
    dee = signed_in(town.council, "dee")
    assert dee.post(PAYMENTS, asked, **{"Idempotency-Key": str(new_id())}).outcome == (400, "malformed")
    assert dee.post(PAYMENTS, asked, **{"Idempotency-Key": asked["id"]}).status == 200


def test_the_desk_pays_in_for_a_cardholder(town: Counter) -> None:
    """Who may take money may; who sees money sees every payment; who may neither is refused."""
    council, card = town.council, town.council.card()
    add(council.context, "ann", Role.ADMINISTRATOR)
    for name, role in (("dee", Role.DESK), ("fay", Role.FINANCE), ("ivy", Role.ISSUER)):
        add(council.context, name, role)
    asked = town.asked(card, card=None, cardholder=str(card.holder))
    assert signed_in(council, "ivy").post(PAYMENTS, asked).outcome == (403, "right_missing")
    dee = signed_in(council, "dee")
    begun = dee.post(PAYMENTS, asked)
    assert (begun.status, begun.json["state"]) == (200, "created")
    unknown = town.asked(card, card=None, cardholder=str(new_id()))
    assert dee.post(PAYMENTS, unknown).outcome == (404, "cardholder_unknown")
    town.move("success")
    told = signed_in(council, "fay").get(f"{PAYMENTS}/{asked['id']}").json
    assert (told["state"], told["available_minor"]) == ("success", 2000)
    kiosks = town.begun(card)
    assert dee.post(f"{PAYMENTS}/{kiosks['payment']}/cancellation", {}).json["state"] == "cancelled"


@ONE_DATABASE
def test_without_a_provider_nothing_is_begun(council: Council) -> None:
    kiosk = council.terminal("kiosk-1", "kiosk")
    body = {"id": str(new_id()), "card": str(council.card().id), "amount_minor": 1, "return_url": RETURN_URL}
    assert kiosk.post(PAYMENTS, body).outcome == (404, "payments_missing")
    assert kiosk.get(f"{PAYMENTS}/{new_id()}").outcome == (404, "payments_missing")
