"""A sale and a ride on the real stack by keyboard alone, and axe finds nothing at any step."""

import pytest
from playwright.sync_api import BrowserContext

from kiosk.demo.town import AVA, MORGAN, NOAH
from tests.browser.keyboard import press
from tests.browser.running import RunningTown
from tests.kiosk.accessibility import assert_accessible
from tests.support.databases import KINDS
from tests.tour.pages import BUS, TILL, Till, Validator

# The pages know no database.
pytestmark = pytest.mark.parametrize("shared_town", KINDS[:1], indirect=True)

PRICE = "£2.60"


def test_lunch_is_bought_by_keyboard_alone(town: RunningTown, context: BrowserContext) -> None:
    till = Till(context.new_page(), town.told.url("till"))
    page = till.page
    assert_accessible(page)
    town.hand.put(AVA, TILL)
    till.expect_pupil(AVA.name)
    assert_accessible(page)
    for name in ("I have read the allergens", f"Tomato pasta bake {PRICE}", f"Charge {PRICE}"):
        press(page, page.get_by_role("button", name=name))
    till.expect_outcome("Paid", PRICE)
    assert_accessible(page)
    town.hand.take(TILL)
    press(page, page.get_by_role("button", name="Next pupil"))

    town.hand.put(NOAH, TILL)
    till.expect_pupil(NOAH.name)
    for name in ("Oat flapjack £0.80", "Charge £0.80"):
        press(page, page.get_by_role("button", name=name))
    till.expect_outcome("Declined")
    assert_accessible(page)
    assert [sale.moved_minor for sale in town.new_sales()] == [260]


def test_a_ride_needs_no_hands_at_all(town: RunningTown, context: BrowserContext) -> None:
    validator = Validator(context.new_page(), town.told.url("validator"))
    validator.expect_idle()
    assert_accessible(validator.page)
    town.hand.put(MORGAN, BUS)
    validator.expect_outcome("Go", "£2.40")
    assert_accessible(validator.page)
    assert [sale.moved_minor for sale in town.new_sales()] == [240]
