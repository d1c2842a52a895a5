"""The validator's page, in a browser, in each of its states."""

from functools import partial

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kiosk.accessibility import assert_accessible
from tests.kiosk.agent import AVA, BEN, Agent
from tests.kiosk.face import FaceProcess
from tests.support.pcsc import wait_until


@pytest.fixture
def shown(validator: FaceProcess, page: Page) -> Page:
    """The validator, waiting."""
    page.goto(validator.url)
    expect(page.get_by_text("Market Place to Upper Vale £2.40")).to_be_visible()
    expect(page.get_by_text("Online", exact=True)).to_be_visible()
    return page


def outcome(page: Page) -> Locator:
    """What the panel says."""
    return page.get_by_role("status", name="Outcome")


def picture(page: Page, state: str) -> Locator:
    """The panel's drawing: the colour alone says nothing."""
    return page.locator(f".validator__picture--{state}")


def has_carried(agent: Agent, riders: int) -> bool:
    """Whether so many have paid."""
    return len(agent.payments) == riders


def test_it_waits(agent: Agent, shown: Page) -> None:
    expect(shown).to_have_title("Bus validator")
    expect(shown.get_by_role("heading", level=1)).to_have_text("Bus validator")
    expect(outcome(shown)).to_have_text("Tap your card")
    assert_accessible(shown)


def test_each_tap_pays_by_itself(agent: Agent, shown: Page) -> None:
    for riders in (1, 2, 3):
        agent.insert(AVA)
        expect(outcome(shown)).to_contain_text("Go")
        expect(outcome(shown)).to_contain_text("£2.40")
        expect(outcome(shown)).to_contain_text("Market Place to Upper Vale")
        expect(picture(shown, "go")).to_be_visible()
        wait_until(partial(has_carried, agent, riders), "a ride for each tap")
        agent.remove()
        expect(outcome(shown)).to_contain_text("Go")
    assert_accessible(shown)
    expect(outcome(shown)).to_have_text("Tap your card")
    payment = agent.payments[0]
    assert payment["details"] == {"from_stop": "market-place", "to_stop": "upper-vale"}
    assert "amount_minor" not in payment
    assert not any("holder" in path for path in agent.paths)


def test_a_card_that_was_refused_is_red_with_the_reason(agent: Agent, shown: Page) -> None:
    agent.insert(AVA, refused="card_revoked")
    expect(outcome(shown)).to_contain_text("Stop")
    expect(outcome(shown)).to_contain_text("This card has been cancelled.")
    expect(picture(shown, "stop")).to_be_visible()
    assert_accessible(shown)
    assert not any("/pay" in path for path in agent.paths)
    agent.remove()
    agent.insert(BEN)
    expect(outcome(shown)).to_contain_text("Go")


def test_a_payment_that_is_declined_is_red_with_the_reason(agent: Agent, shown: Page) -> None:
    agent.answer = {"decision": "declined", "reason": "insufficient_funds", "message": "Only £0.10 is left."}
    agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("Stop")
    expect(outcome(shown)).to_contain_text("There is not enough money for all of this.")
    expect(outcome(shown)).to_contain_text("Nothing was charged.")
    expect(outcome(shown)).not_to_contain_text("0.10")
    expect(outcome(shown)).not_to_contain_text("£2.40")
    assert_accessible(shown)


def test_offline_it_goes_on_and_says_so(agent: Agent, shown: Page) -> None:
    agent.go(online=False, waiting=1)
    expect(shown.get_by_text("Offline – 1 sale waiting")).to_be_visible()
    agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("Go")
    expect(outcome(shown)).to_contain_text("Accepted offline")
    assert_accessible(shown)


def test_a_card_that_lay_there_before_is_not_charged(
    agent: Agent, validator: FaceProcess, page: Page
) -> None:
    agent.insert(AVA)
    page.goto(validator.url)
    expect(outcome(page)).to_have_text("Take your card off and tap again")
    assert_accessible(page)
    agent.remove()
    expect(outcome(page)).to_have_text("Tap your card")
    assert agent.payments == []
    agent.insert(AVA)
    expect(outcome(page)).to_contain_text("Go")


def test_a_page_that_is_loaded_anew_charges_nothing_again(agent: Agent, shown: Page) -> None:
    tap = agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("Go")
    shown.reload()
    expect(outcome(shown)).to_contain_text("Go")
    expect(outcome(shown)).to_contain_text("£2.40")
    assert agent.paths.count(f"POST /v1/taps/{tap}/pay") == 1


def test_a_lost_answer_is_asked_for_until_it_comes(agent: Agent, shown: Page) -> None:
    agent.lose = 1_000_000
    agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("you will not be charged twice")
    agent.lose = 0
    expect(outcome(shown)).to_contain_text("Go")
    assert len(agent.payments) == 1


def test_a_rider_who_is_too_quick_waits_for_the_one_before(agent: Agent, shown: Page) -> None:
    agent.may_pay.clear()
    first = agent.insert(AVA)
    wait_until(lambda: f"POST /v1/taps/{first}/pay" in agent.paths, "the first ride")
    agent.remove()
    second = agent.insert(BEN)
    expect(outcome(shown)).to_have_text("Hold your card still")
    assert f"POST /v1/taps/{second}/pay" not in agent.paths
    agent.may_pay.set()
    # The first has gone without paying; that is told before the second's turn.
    expect(outcome(shown)).to_contain_text("The card was taken away too soon.")
    expect(outcome(shown)).to_contain_text("Go")
    assert len(agent.payments) == 1


def test_a_card_that_stays_while_the_agent_is_started_anew_is_not_charged_again(
    agent: Agent, shown: Page
) -> None:
    agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("Go")
    agent.stop()
    expect(shown.get_by_text("Out of order")).to_be_visible()
    assert_accessible(shown)
    agent.start()
    expect(shown.get_by_text("Out of order")).to_be_hidden()
    agent.insert(AVA)
    expect(outcome(shown)).to_have_text("Take your card off and tap again")
    assert len(agent.payments) == 1
    agent.remove()
    agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("Go")
    assert len(agent.payments) == 2


def test_a_reader_that_nobody_watches_is_named(agent: Agent, shown: Page, validator: FaceProcess) -> None:
    agent.connect(connected=False)
    expect(shown.get_by_text("The card reader is not connected.")).to_be_visible()
    agent.connect(connected=True)
    expect(outcome(shown)).to_have_text("Tap your card")


@pytest.mark.parametrize(("width", "height"), [(320, 640), (640, 400)])
def test_it_fits_small_screens_and_large_letters(agent: Agent, shown: Page, width: int, height: int) -> None:
    shown.set_viewport_size({"width": width, "height": height})
    agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("Go")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(shown)
