"""Faults at the worst moment: one sale or none, the screen says which, and the ledger agrees."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from kiosk.demo.town import AVA, NOAH
from tests.browser.running import RunningTown
from tests.support.pcsc import wait_until
from tests.tour.pages import TILL, Till

ITEM, PRICE, PRICE_MINOR = "Jacket potato with beans £2.60", "£2.60", 260
AUTHORISATION, QUOTE = "/v1/authorisations", "/v1/quotes"
SETTLED_S = 90.0


@pytest.fixture
def till(town: RunningTown, context: BrowserContext) -> Till:
    """The till, with a pupil's meal on the tray."""
    till = Till(context.new_page(), town.told.url("till"))
    town.hand.put(AVA, TILL)
    till.expect_pupil(AVA.name)
    till.acknowledge_allergens()
    till.add(ITEM)
    return till


def once(town: RunningTown, path: str, action: Callable[[], None]) -> Callable[[], bool]:
    """Do something when the next request for a path is on its way; whether it was done."""
    done: list[bool] = []

    def act(requested: str) -> None:
        if requested == path and not done:
            done.append(True)
            action()

    town.wire.on_request = act
    return lambda: bool(done)


def test_pulled_while_the_service_decides_it_is_paid_once(town: RunningTown, till: Till) -> None:
    was_pulled = once(town, AUTHORISATION, lambda: town.hand.take(TILL))
    till.charge(PRICE)
    till.expect_outcome("Paid", PRICE)
    assert was_pulled()
    assert [entry.moved_minor for entry in town.new_sales()] == [PRICE_MINOR]


def test_pulled_before_it_signs_it_is_not_paid(town: RunningTown, till: Till) -> None:
    was_pulled = once(town, QUOTE, lambda: town.hand.take(TILL))
    till.charge(PRICE)
    till.expect_outcome("Not paid")
    assert was_pulled()
    town.sync()
    assert town.new_sales() == []


def test_charged_twice_in_a_hurry_it_is_paid_once(town: RunningTown, till: Till) -> None:
    till.page.get_by_role("button", name=f"Charge {PRICE}").dblclick()
    till.expect_outcome("Paid", PRICE)
    assert [entry.moved_minor for entry in town.new_entries()] == [PRICE_MINOR]


def test_tapped_again_while_it_pays_it_is_paid_once(town: RunningTown, till: Till) -> None:
    was_tapped = once(town, AUTHORISATION, lambda: town.swap_at_the_till(AVA))
    till.charge(PRICE)
    till.expect_outcome("Paid", PRICE)
    assert was_tapped()
    till.next_pupil()
    till.expect_pupil(AVA.name)
    expect(till.basket.get_by_role("listitem")).to_have_count(0)
    assert [entry.moved_minor for entry in town.new_sales()] == [PRICE_MINOR]


def test_swapped_while_it_pays_the_first_has_paid_once(town: RunningTown, till: Till) -> None:
    was_swapped = once(town, AUTHORISATION, lambda: town.swap_at_the_till(NOAH))
    till.charge(PRICE)
    till.expect_outcome("Paid", PRICE)
    assert was_swapped()
    till.expect_pupil(AVA.name)
    till.next_pupil()
    till.expect_pupil(NOAH.name)
    assert [entry.moved_minor for entry in town.new_sales()] == [PRICE_MINOR]


def test_the_service_killed_after_it_has_posted_it_is_charged_once(town: RunningTown, till: Till) -> None:
    before = town.told.prepaid(AVA.key)
    killed: list[bool] = []

    def kill() -> None:
        if not killed:
            killed.append(True)
            town.kill_service()

    town.wire.on_answer = kill
    till.charge(PRICE)
    till.expect_outcome("Accepted offline", PRICE)
    assert killed
    [posted] = town.new_sales()
    assert posted.kind == "request"

    town.wire.on_answer = None
    town.hand.start_service()
    town.sync()
    wait_until(lambda: town.waiting() == 0, "an empty outbox", SETTLED_S)
    assert before - town.told.prepaid(AVA.key) == PRICE_MINOR, "the advice takes the request's place"
    assert town.told.verified()["findings"] == []
