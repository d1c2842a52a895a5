"""The kiosk where holders pay in, as its page's script asks it, and what it remembers of a payment."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from kiosk.agent import AgentAway
from kiosk.pay_in.desk import Desk
from kiosk.pay_stand_in import Pay, create_app

READER, PAGE = "Kiosk", "http://127.0.0.1:7423/"


class Teller:
    """A reader agent, as far as a desk asks it."""

    def __init__(self) -> None:
        self.tap: str | None = "tap-1"
        self.state = "created"
        self.asked: list[tuple[str, str, int, str]] = []
        self.is_away = False

    def status(self) -> Mapping[str, Any]:
        """See the agent."""
        return {"readers": [{"reader": READER, "tap": self.tap}, {"reader": "Other", "tap": "tap-9"}]}

    def pay_in(self, tap: str, key: str, amount_minor: int, return_url: str) -> Mapping[str, Any]:
        """See the agent."""
        self.asked.append((key, tap, amount_minor, return_url))
        if self.is_away:
            raise AgentAway("down")
        return {**self.pay_in_state(key), "next_url": "https://pay.example/secure/1"}

    def pay_in_state(self, key: str) -> Mapping[str, Any]:
        """See the agent."""
        available = 2500 if self.state == "success" else None
        return {
            "payment": key,
            "state": self.state,
            "finished": self.state == "success",
            "amount_minor": 2000,
            "currency": "GBP",
            "available_minor": available,
            "owed_minor": 0 if available else None,
        }

    def give_pay_in_up(self, key: str) -> Mapping[str, Any]:
        """See the agent."""
        self.state = "cancelled"
        return self.pay_in_state(key)


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def desk(teller: Teller) -> Desk:
    return Desk(teller, READER, PAGE)


def test_an_answer_that_was_lost_is_asked_for_under_the_same_key(teller: Teller, desk: Desk) -> None:
    teller.is_away = True
    with pytest.raises(AgentAway):
        desk.begin("tap-1", 2000)
    teller.is_away = False
    assert desk.begin("tap-1", 2000)["next_url"] == "https://pay.example/secure/1"
    assert desk.again() == desk.begin("tap-1", 2000)
    assert len(set(teller.asked)) == 1
    key, _, _, address = teller.asked[0]
    assert (UUID(key).version, address) == (7, PAGE)


@pytest.mark.parametrize(("tap", "amount"), [("tap-2", 2000), ("tap-1", 1000)])
def test_another_card_or_amount_is_another_payment(teller: Teller, desk: Desk, tap: str, amount: int) -> None:
    desk.begin("tap-1", 2000)
    desk.begin(tap, amount)
    assert len({key for key, *_ in teller.asked}) == 2


def test_after_finishing_the_same_amount_is_another_payment(teller: Teller, desk: Desk) -> None:
    desk.begin("tap-1", 2000)
    desk.forget()
    assert (desk.look(), desk.again(), desk.give_up()) == (None, None, None)
    desk.begin("tap-1", 2000)
    assert len({key for key, *_ in teller.asked}) == 2


def test_a_balance_is_told_to_whoever_has_left_the_card_there(teller: Teller, desk: Desk) -> None:
    """And to nobody else: neither with another card on the reader nor with none."""
    desk.begin("tap-1", 2000)
    teller.state = "success"
    told = desk.look()
    assert told is not None
    assert (told["available_minor"], told["owed_minor"]) == (2500, 0)
    for other in (None, "tap-9"):
        teller.tap = other
        told = desk.look()
        assert told is not None
        assert (told["state"], told["available_minor"], told["owed_minor"]) == ("success", None, None)


def test_no_page_is_told_the_payments_id(desk: Desk) -> None:
    """It would let another program of the machine look at it."""
    begun = desk.begin("tap-1", 2000)
    assert "payment" not in begun
    assert "payment" not in (desk.give_up() or {})


def test_the_stand_ins_page_pays_and_leads_back() -> None:
    """Whatever is pressed, once; without a key, which a person has not."""
    pay = Pay()
    client = create_app(pay).test_client()
    for pressed, state in (("pay", "success"), ("decline", "failed"), ("cancel", "cancelled")):
        asked = {"amount": 1250, "reference": "r", "description": "<b>", "return_url": PAGE}
        made = pay.create(asked, None)
        page = client.get(f"/secure/{made.id}")
        assert b"Pay \xc2\xa312.50" in page.data
        assert b"<b>" not in page.data
        assert client.post(f"/secure/{made.id}", data={"do": "steal"}).status_code == 404
        for again in (pressed, "pay"):
            answer = client.post(f"/secure/{made.id}", data={"do": again})
            assert (answer.status_code, answer.headers["Location"]) == (303, PAGE)
            assert made.status == state
        assert client.get(f"/secure/{made.id}").headers["Location"] == PAGE
    assert client.get("/secure/nothing").status_code == 404
