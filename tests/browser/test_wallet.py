"""The wallet's page: cards go where a click says, programs that die are named, and nothing odd is done."""

import os
import re
import signal

import pytest
from playwright.sync_api import BrowserContext, expect

from kiosk.demo.town import AVA, MORGAN, NOAH
from tests.browser.keyboard import press
from tests.browser.running import Listener, RunningTown, writes_to
from tests.kiosk.accessibility import assert_accessible
from tests.kiosk.visitor import Visitor
from tests.support.databases import KINDS
from tests.support.pcsc import wait_until
from tests.tour.pages import BUS, DESK, PATIENCE_MS, TILL, Wallet

# The page knows no database.
pytestmark = pytest.mark.parametrize("shared_town", KINDS[:1], indirect=True)


@pytest.fixture
def wallet(town: RunningTown, context: BrowserContext) -> Wallet:
    """The page, with all cards in it."""
    return Wallet(context.new_page(), town.told.url("wallet"))


def test_a_card_lies_in_one_place_and_a_reader_holds_one_card(wallet: Wallet) -> None:
    wallet.put(AVA.name, DESK)
    wallet.put(AVA.name, TILL)
    wallet.expect_empty(DESK)
    wallet.put(NOAH.name, TILL)
    expect(wallet.page.get_by_role("button", name=f"Take {AVA.name}'s card")).to_have_count(0)
    wallet.take(NOAH.name, TILL)


def test_what_is_done_elsewhere_is_shown(town: RunningTown, wallet: Wallet) -> None:
    town.hand.put(NOAH, DESK)
    wallet.expect_on(NOAH.name, DESK)
    town.hand.take(DESK)
    wallet.expect_empty(DESK)


def test_a_program_that_dies_is_named_with_its_log_and_the_card_can_be_put_again(
    town: RunningTown, wallet: Wallet
) -> None:
    wallet.put(AVA.name, DESK)
    log = town.told.logs / "card-on-issuing-desk.log"
    [card] = [found for found in town.demonstration.programs() if writes_to(found, log)]
    os.kill(card, signal.SIGKILL)
    told = wallet.page.get_by_text(re.compile("card on issuing desk ended with status -9"))
    expect(told).to_be_visible(timeout=PATIENCE_MS)
    expect(told).to_contain_text(str(log))
    wallet.expect_empty(DESK)
    assert_accessible(wallet.page)
    wallet.put(AVA.name, DESK)
    expect(told).to_be_hidden()


def test_by_keyboard_alone_and_accessible_in_each_state(town: RunningTown, wallet: Wallet) -> None:
    page = wallet.page
    assert_accessible(page)
    press(page, page.get_by_role("button", name=f"Put {MORGAN.name}'s card on {DESK}"))
    wallet.expect_on(MORGAN.name, DESK)
    take = page.get_by_role("button", name=f"Take {MORGAN.name}'s card off {DESK}")
    expect(take).to_be_focused()
    assert_accessible(page)
    press(page, take)
    wallet.expect_empty(DESK)

    press(page, page.get_by_role("button", name=f"Report lost {MORGAN.name}'s card"))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()

    press(page, page.get_by_role("button", name="Stop the card service"))
    wallet.expect_service("Start the card service")
    assert_accessible(page)
    press(page, page.get_by_role("button", name="Start the card service"))
    wallet.expect_service("Stop the card service")
    assert town.told.run("cardservice", "card", "show", town.told.card(MORGAN.key))["state"] == "active"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/put", {"card": 1}, 400),
        ("/put", {"card": 1, "reader": "2"}, 400),
        ("/put", {"card": True, "reader": 2}, 400),
        ("/put", {"card": 1, "reader": 2, "more": 3}, 400),
        ("/put", [1, 2], 400),
        ("/put", {"card": 5, "reader": 1}, 409),
        ("/put", {"card": 1, "reader": 0}, 409),
        ("/take", {"reader": -1}, 409),
        ("/lost", {"card": 99}, 409),
    ],
)
def test_odd_requests_are_refused_and_move_nothing(
    town: RunningTown, path: str, body: object, status: int
) -> None:
    visitor = Visitor(town.told.url("wallet"))
    try:
        before = visitor.get("/stage").json()["version"]
        answer = visitor.post(path, body)
        assert answer.status_code == status, answer.text
        assert answer.json()["detail"]
        assert visitor.get("/stage").json()["version"] == before
        assert visitor.session.post(visitor.url + path, json=body, timeout=60).status_code == 400, "no token"
    finally:
        visitor.close()


def test_its_events_say_that_something_changed_and_nothing_else(town: RunningTown) -> None:
    listener = Listener(town.told.url("wallet") + "events")
    try:
        [first] = listener.data
        town.hand.put(AVA, BUS)
        wait_until(lambda: listener.data[-1]["version"] > first["version"], "news of the card")
        assert all(set(said) == {"version"} for said in listener.data)
    finally:
        listener.close()
