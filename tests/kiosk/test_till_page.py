"""The till's page, in a browser, in each of its states."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.kiosk.accessibility import assert_accessible
from tests.kiosk.agent import AVA, BEN, LUNCH, READER, Agent
from tests.kiosk.face import FaceProcess
from tests.support.pcsc import wait_until

PASTA, JUICE, SALAD = "Tomato pasta bake £2.60", "Orange juice £0.60", "Side salad £0.50"


@pytest.fixture
def shown(till: FaceProcess, page: Page) -> Page:
    """The till, with its keys."""
    page.goto(till.url)
    expect(button(page, PASTA)).to_be_visible()
    expect(page.get_by_text("Online", exact=True)).to_be_visible()
    return page


def button(page: Page, name: str) -> Locator:
    """A button by its name."""
    return page.get_by_role("button", name=name)


def region(page: Page, name: str) -> Locator:
    """A region by its name."""
    return page.get_by_role("region", name=name)


def outcome(page: Page) -> Locator:
    """How the sale ended."""
    return region(page, "Outcome")


def pupil(page: Page, name: str) -> None:
    """Wait until this one stands there."""
    expect(region(page, "Pupil").get_by_role("heading", name=name, level=2)).to_be_visible()


def test_nobody_is_there(agent: Agent, shown: Page) -> None:
    expect(shown).to_have_title("School till")
    expect(shown.get_by_role("heading", level=1)).to_have_text("School till")
    expect(region(shown, "Pupil")).to_contain_text("Tap a card")
    expect(button(shown, "Charge £0.00")).to_be_disabled()
    expect(region(shown, "Main meals").get_by_role("button")).to_have_count(1)
    assert_accessible(shown)


def test_a_sale(agent: Agent, shown: Page) -> None:
    agent.insert(AVA)
    pupil(shown, "Ava Reed")
    expect(shown.get_by_role("img", name="Photo of Ava Reed")).to_be_visible()
    assert shown.get_by_alt_text("Photo of Ava Reed").evaluate("image => image.decode().then(() => true)")
    expect(region(shown, "Pupil")).to_contain_text("Form 5B")
    expect(region(shown, "Pupil").get_by_role("status")).to_have_text("Ava Reed. Allergens: milk and nuts")
    expect(shown.get_by_role("list", name="Allergens").get_by_role("listitem")).to_have_text(["milk", "nuts"])
    assert_accessible(shown)

    button(shown, JUICE).click()
    expect(button(shown, "Charge £0.60")).to_be_disabled()
    expect(region(shown, "Basket")).to_contain_text("Confirm the allergens first")
    button(shown, "I have read the allergens").click()
    button(shown, JUICE).click()
    button(shown, SALAD).click()
    lines = region(shown, "Basket").get_by_role("listitem")
    expect(lines).to_have_text(["2 × Orange juice £1.20", "1 × Side salad £0.50"])
    button(shown, "Undo").click()
    expect(lines).to_have_text(["2 × Orange juice £1.20"])
    button(shown, "Clear").click()
    expect(lines).to_have_count(0)
    button(shown, "Undo").click()
    assert_accessible(shown)

    button(shown, "Charge £1.20").click()
    expect(outcome(shown)).to_contain_text(re.compile(r"^\s*Paid £1.20"))
    expect(outcome(shown).get_by_role("listitem")).to_have_text(["Lunch £1.20"])
    expect(button(shown, "Charge £0.00")).to_be_disabled()
    assert_accessible(shown)
    assert len(agent.payments) == 1

    button(shown, "Next pupil").click()
    expect(region(shown, "Pupil")).to_contain_text("Take the card off the reader")
    expect(shown.get_by_text("Ava Reed")).to_have_count(0)
    expect(outcome(shown)).to_have_text("Last sale: Paid £1.20")
    agent.remove()
    expect(region(shown, "Pupil")).to_contain_text("Tap a card")


def test_the_next_card_begins_the_next_sale(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    expect(region(shown, "Pupil").get_by_role("status")).to_have_text("Ben Reed. No allergens recorded")
    button(shown, SALAD).click()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Paid £0.50")
    agent.remove()
    pupil(shown, "Ben Reed")
    agent.insert(AVA)
    pupil(shown, "Ava Reed")
    expect(outcome(shown)).to_have_text("Last sale: Paid £0.50")
    expect(button(shown, "Charge £0.00")).to_be_disabled()


def test_an_item_that_is_dangerous_is_marked_and_asked_about(agent: Agent, shown: Page) -> None:
    expect(button(shown, PASTA)).to_have_text("Tomato pasta bake £2.60")
    agent.insert(AVA)
    pupil(shown, "Ava Reed")
    expect(button(shown, PASTA)).to_contain_text("Contains milk")
    expect(button(shown, "Oat flapjack")).to_contain_text("Contains milk. May contain nuts")
    expect(button(shown, SALAD)).to_have_text("Side salad £0.50")
    button(shown, PASTA).click()
    question = shown.get_by_role("dialog", name="Allergen warning")
    expect(question).to_contain_text("Ava Reed is recorded as allergic to: milk and nuts.")
    expect(question).to_contain_text("Tomato pasta bake: Contains milk")
    expect(button(shown, "Do not add")).to_be_focused()
    assert_accessible(shown)
    shown.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(region(shown, "Basket").get_by_role("listitem")).to_have_count(0)
    button(shown, PASTA).click()
    button(shown, "Add anyway").click()
    expect(region(shown, "Basket").get_by_role("listitem")).to_contain_text("Contains milk")
    # Asked once, not for each piece
    button(shown, PASTA).click()
    expect(button(shown, "Charge £5.20")).to_be_visible()


def test_what_was_keyed_before_the_tap_is_asked_about_before_it_is_charged(agent: Agent, shown: Page) -> None:
    button(shown, PASTA).click()
    expect(region(shown, "Basket")).to_contain_text("Tap a card first")
    agent.insert(AVA)
    pupil(shown, "Ava Reed")
    button(shown, "I have read the allergens").click()
    button(shown, "Charge £2.60").click()
    expect(shown.get_by_role("dialog")).to_contain_text("Tomato pasta bake: Contains milk")
    button(shown, "Go back").click()
    assert agent.payments == []
    button(shown, "Charge £2.60").click()
    button(shown, "Charge anyway").click()
    expect(outcome(shown)).to_contain_text("Paid £2.60")


def test_a_basket_is_not_charged_to_another_pupil(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    agent.remove()
    expect(region(shown, "Pupil")).to_contain_text("Put it back to pay")
    expect(button(shown, "Charge £0.50")).to_be_disabled()
    # The same pupil puts the card back: nothing is asked.
    agent.insert(BEN)
    expect(button(shown, "Charge £0.50")).to_be_enabled()
    agent.remove()
    agent.insert({**BEN, "name": "Cara Jones"})
    question = shown.get_by_role("dialog", name="Is the basket for Cara Jones?")
    expect(question).to_be_visible()
    assert_accessible(shown)
    button(shown, "Start a new basket").click()
    expect(button(shown, "Charge £0.00")).to_be_disabled()


@pytest.mark.parametrize(
    ("answer", "title", "text"),
    [
        (
            {"decision": "declined", "reason": "limit_reached", "message": "£0.20 is left."},
            "Declined",
            "This would pass the limit for today. £0.20 is left.",
        ),
        (
            {"decision": "declined", "reason": "insufficient_funds", "message": "Only £0.10."},
            "Declined",
            "There is not enough money for all of this. Nothing was charged.",
        ),
        (
            {"decision": "not_paid", "reason": "card_removed", "message": "Gone."},
            "Not paid",
            "The card was taken away too soon.",
        ),
        (
            {"decision": "declined", "reason": "brand_new", "message": "The moon is full."},
            "Declined",
            "The moon",
        ),
    ],
)
def test_a_refusal_is_told_in_plain_words(
    agent: Agent, shown: Page, answer: dict[str, str], title: str, text: str
) -> None:
    agent.answer = dict(answer)
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown).get_by_role("alert")).to_contain_text(re.compile(f"^{title}"))
    expect(outcome(shown)).to_contain_text(re.compile(r"\s*".join(re.escape(word) for word in text.split())))
    expect(outcome(shown)).to_contain_text("use the paper list")
    assert_accessible(shown)
    # The basket stays, and may be tried again, changed.
    agent.answer = {"decision": "approved", "reason": "approved", "message": ""}
    button(shown, JUICE).click()
    button(shown, "Charge £1.10").click()
    expect(outcome(shown)).to_contain_text("Paid £1.10")


def test_what_the_service_says_that_it_costs_is_charged(agent: Agent, shown: Page) -> None:
    """With a deal, or for a member of staff: until something else is on the tray."""
    agent.answer = {"decision": "not_paid", "reason": "price_changed", "message": "", "amount_minor": 45}
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("The price is now £0.45")
    expect(button(shown, "Charge £0.45")).to_be_visible()
    button(shown, JUICE).click()
    expect(button(shown, "Charge £1.10")).to_be_visible()
    button(shown, "Undo").click()
    button(shown, "Charge £0.50").click()
    expect(button(shown, "Charge £0.45")).to_be_visible()
    agent.answer = {"decision": "approved", "reason": "approved", "message": ""}
    button(shown, "Charge £0.45").click()
    expect(outcome(shown)).to_contain_text("Paid £0.45")
    assert agent.payments[-1]["amount_minor"] == 45


def test_another_main_meal_is_asked_about(agent: Agent, shown: Page) -> None:
    """Once the service has said so; what was answered is told with the sale."""
    agent.answer = {"decision": "declined", "reason": "second_meal", "message": "There was one."}
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, PASTA).click()
    button(shown, "Charge £2.60").click()
    expect(outcome(shown)).to_contain_text("There was a main meal for this card already")
    agent.answer = {"decision": "approved", "reason": "approved", "message": ""}
    button(shown, "Charge £2.60").click()
    question = shown.get_by_role("dialog", name="Another main meal?")
    expect(question).to_be_visible()
    assert_accessible(shown)
    button(shown, "Charge anyway").click()
    expect(outcome(shown)).to_contain_text("Paid £2.60")
    assert [each["details"].get("confirmed") for each in agent.payments] == [None, ["second-meal"]]


def test_offline_it_sells_and_says_so(agent: Agent, shown: Page) -> None:
    agent.go(online=False, waiting=2)
    expect(shown.get_by_text("Offline – 2 sales waiting")).to_be_visible()
    agent.insert(AVA)
    pupil(shown, "Ava Reed")
    expect(region(shown, "Pupil")).to_contain_text(re.compile(r"As of 5 Jan 2026, \d\d:12"))
    button(shown, "I have read the allergens").click()
    button(shown, SALAD).click()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Accepted offline £0.50")
    agent.go(online=False, waiting=1)
    expect(shown.get_by_text("Offline – 1 sale waiting")).to_be_visible()
    assert_accessible(shown)
    agent.go(online=True)
    expect(shown.get_by_text("Online", exact=True)).to_be_visible()


def test_offline_an_unknown_pupil_is_asked_and_served(agent: Agent, shown: Page) -> None:
    agent.go(online=False)
    agent.insert(None)
    pupil(shown, "Name not known")
    expect(region(shown, "Pupil")).to_contain_text("look at the paper list of allergens")
    button(shown, SALAD).click()
    expect(button(shown, "Charge £0.50")).to_be_disabled()
    assert_accessible(shown)
    button(shown, "I have asked about allergens").click()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Accepted offline £0.50")


def test_a_card_that_cannot_be_used_is_told_at_once(agent: Agent, shown: Page) -> None:
    agent.insert(AVA, refused="card_revoked")
    pupil(shown, "This card cannot be used")
    expect(region(shown, "Pupil")).to_contain_text("This card has been cancelled.")
    expect(region(shown, "Pupil")).to_contain_text("Do not send the pupil away.")
    expect(shown.get_by_text("Ava Reed")).to_have_count(0)
    button(shown, SALAD).click()
    expect(button(shown, "Charge £0.50")).to_be_disabled()
    assert_accessible(shown)


def test_out_of_order_and_back_by_itself(agent: Agent, shown: Page) -> None:
    button(shown, SALAD).click()
    agent.stop()
    expect(shown.get_by_role("alert")).to_contain_text("Out of order")
    expect(shown.get_by_text("The card reader program is not running.")).to_be_visible()
    expect(button(shown, SALAD)).to_be_hidden()
    assert_accessible(shown)
    agent.start()
    expect(button(shown, "Charge £0.50")).to_be_visible()
    agent.insert(BEN)
    pupil(shown, "Ben Reed")


def test_its_reader_is_unplugged(agent: Agent, shown: Page) -> None:
    agent.connect(connected=False)
    expect(shown.get_by_text("The card reader is not connected.")).to_be_visible()
    assert_accessible(shown)
    agent.connect(connected=True)
    expect(region(shown, "Pupil")).to_contain_text("Tap a card")


def test_its_program_is_started_anew_under_a_page_that_is_open(
    agent: Agent, till: FaceProcess, shown: Page
) -> None:
    button(shown, SALAD).click()
    port = till.port
    till.stop()
    expect(shown.get_by_text("This page has lost its program.")).to_be_visible()
    till.start(port)
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Paid £0.50")


def test_without_a_menu_it_says_why(agent: Agent, till: FaceProcess, page: Page) -> None:
    agent.catalogue = None
    page.goto(till.url)
    expect(page.get_by_text("The menu cannot be shown: The card service does not answer.")).to_be_visible()
    assert_accessible(page)
    agent.catalogue = {"sections": [LUNCH]}
    agent.go(online=True)
    expect(button(page, PASTA)).to_be_visible()


def test_where_several_are_served_the_section_is_chosen(agent: Agent, page: Page, till: FaceProcess) -> None:
    other = FaceProcess(
        till._log_file,
        *("till", "--agent-url", agent.url, "--agent-token-file", str(agent.token_file), "--reader", READER),
    )
    other.start()
    try:
        page.goto(other.url)
        expect(button(page, "Lunch")).to_have_attribute("aria-pressed", "true")
        button(page, SALAD).click()
        button(page, "Oat flapjack").click()
        button(page, "Morning break").click()
        expect(button(page, "Toast and spread £0.40")).to_be_visible()
        expect(region(page, "Basket").get_by_role("listitem")).to_have_text(["1 × Oat flapjack £0.80"])
        assert_accessible(page)
    finally:
        other.stop()


# ---- one sale or none, and the screen says which


def test_charged_twice_at_once_is_one_sale(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    agent.may_pay.clear()
    button(shown, "Charge £0.50").dblclick()
    expect(outcome(shown)).to_contain_text("Paying. Leave the card on the reader.")
    expect(button(shown, "Charge £0.50")).to_be_disabled()
    assert_accessible(shown)
    agent.may_pay.set()
    expect(outcome(shown)).to_contain_text("Paid £0.50")
    assert len(agent.payments) == 1


def test_a_lost_answer_is_asked_for_until_it_comes(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    agent.lose = 1_000_000
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("No answer yet")
    assert_accessible(shown)
    agent.lose = 0
    expect(outcome(shown)).to_contain_text("Paid £0.50")
    assert len(agent.payments) == 1


def test_the_page_is_loaded_anew_while_it_pays(agent: Agent, shown: Page) -> None:
    tap = agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    agent.may_pay.clear()
    button(shown, "Charge £0.50").click()
    wait_until(lambda: f"POST /v1/taps/{tap}/pay" in agent.paths, "the payment")
    shown.reload()
    expect(outcome(shown)).to_contain_text("No answer yet")
    assert_accessible(shown)
    agent.may_pay.set()
    expect(outcome(shown)).to_contain_text("Paid £0.50")
    assert len(agent.payments) == 1
    # And once more, when it is paid: the card that lies there has paid.
    shown.reload()
    expect(outcome(shown)).to_contain_text("Paid £0.50")
    expect(button(shown, "Charge")).to_be_disabled()


def test_a_card_that_was_pulled_in_the_middle_is_put_back(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    agent.may_pay.clear()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Paying")
    agent.remove()
    # The same pupil again, at once: nothing was paid, and the basket is still theirs.
    agent.insert(BEN)
    agent.may_pay.set()
    expect(outcome(shown)).to_contain_text("Not paid")
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Paid £0.50")
    assert len(agent.payments) == 1


def test_a_card_that_comes_before_the_answer_waits_for_it(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    agent.may_pay.clear()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Paying")
    agent.remove()
    agent.insert(AVA)
    # The first pupil's card has gone in the middle: nothing was paid, and who is there now is asked for.
    agent.may_pay.set()
    expect(outcome(shown)).to_contain_text("Not paid")
    pupil(shown, "Ava Reed")
    button(shown, "Start a new basket").click()
    expect(shown.get_by_role("dialog", name="Is the basket for Ava Reed?")).to_be_hidden()
    expect(outcome(shown)).to_contain_text("Not paid")
    expect(region(shown, "Basket").get_by_role("listitem")).to_have_count(0)
    assert agent.payments == []


def test_a_payment_of_a_card_that_has_gone_is_still_told(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, SALAD).click()
    agent.lose = 1
    agent.may_pay.clear()
    button(shown, "Charge £0.50").click()
    expect(outcome(shown)).to_contain_text("Paying")
    agent.may_pay.set()
    wait_until(lambda: len(agent.payments) == 1, "the payment")
    agent.remove()
    agent.insert(AVA)
    expect(outcome(shown)).to_contain_text("Paid £0.50")
    expect(outcome(shown)).to_contain_text("Another card is on the reader.")
    pupil(shown, "Ben Reed")
    button(shown, "Next pupil").click()
    pupil(shown, "Ava Reed")
    expect(outcome(shown)).to_have_text("Last sale: Paid £0.50")


# ---- for everybody


def test_a_sale_by_the_keyboard_alone(agent: Agent, shown: Page) -> None:
    agent.insert(AVA)
    pupil(shown, "Ava Reed")

    def tab_to(name: str) -> None:
        for _ in range(20):
            shown.keyboard.press("Tab")
            focused = shown.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')")
            if str(focused).startswith(name):
                width = shown.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert width != "none", "the focus can be seen"
                return
        pytest.fail(f"the keyboard does not reach {name}")

    tab_to("I have read the allergens")
    shown.keyboard.press("Enter")
    tab_to("Tomato pasta bake")
    shown.keyboard.press("Space")
    expect(button(shown, "Do not add")).to_be_focused()
    tab_to("Add anyway")
    shown.keyboard.press("Enter")
    expect(button(shown, PASTA)).to_be_focused()
    tab_to("Orange juice")
    shown.keyboard.press("Enter")
    tab_to("Charge £3.20")
    shown.keyboard.press("Enter")
    expect(outcome(shown)).to_contain_text("Paid £3.20")
    expect(button(shown, "Next pupil")).to_be_focused()
    shown.keyboard.press("Enter")
    expect(region(shown, "Pupil")).to_be_focused()
    agent.remove()
    expect(region(shown, "Pupil")).to_contain_text("Tap a card")


@pytest.mark.parametrize(("width", "height"), [(320, 640), (640, 400), (1024, 768)])
def test_it_fits_small_screens_and_large_letters(agent: Agent, shown: Page, width: int, height: int) -> None:
    shown.set_viewport_size({"width": width, "height": height})
    agent.insert({**AVA, "name": "Wolfeschlegelsteinhausenbergerdorff Featherstonehaugh"})
    pupil(shown, "Wolfeschlegelstein")
    button(shown, JUICE).click()
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    assert_accessible(shown)


def test_keys_are_large(agent: Agent, shown: Page) -> None:
    agent.insert(AVA)
    pupil(shown, "Ava Reed")
    for key in shown.get_by_role("button").all():
        box = key.bounding_box()
        assert box is not None
        assert box["height"] >= 80, key.text_content()
        assert box["width"] >= 80, key.text_content()


def test_a_page_from_the_browser_s_memory_is_loaded_anew(agent: Agent, shown: Page) -> None:
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    with shown.expect_navigation():
        shown.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(button(shown, PASTA)).to_be_visible()


def test_the_totals_of_a_service(agent: Agent, shown: Page) -> None:
    """What was sold, of nobody, with the badge's queue; also while nothing can be told."""
    button(shown, "Totals").click()
    dialog = shown.get_by_role("dialog", name="What this till has sold today")
    expect(dialog).to_contain_text("Nothing was sold today.")
    button(shown, "Close").click()
    expect(dialog).to_be_hidden()
    agent.totals = {
        "lunch": {
            "sales": 30,
            "amount_minor": 8125,
            "offline": 2,
            "waiting": 1,
            "declined": {"allergen_stop": 1},
            "items": {"meal-pasta": 25, "yesterdays-soup": 1},
        }
    }
    button(shown, "Totals").click()
    expect(dialog.get_by_role("heading", name="Lunch", level=3)).to_be_visible()
    sums = dialog.get_by_role("table", name="Sums").get_by_role("row")
    expect(sums).to_have_text(
        ["Sales30", "Amount£81.25", "Without the card service2, of which 1 still to be sent"]
    )
    items = dialog.get_by_role("table", name="Items").get_by_role("row")
    expect(items).to_have_text(["Tomato pasta bake25", "yesterdays-soup1"])
    expect(dialog.get_by_role("table", name="Declined")).to_contain_text("Read the allergens.1")
    assert_accessible(shown)
    shown.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    agent.totals = None
    button(shown, "Totals").click()
    expect(dialog).to_contain_text("The totals cannot be shown now.")


def test_a_supervisor_serves_anyway(agent: Agent, supervisors_till: FaceProcess, page: Page) -> None:
    """After a decline for the pupil's sake, when asked; and never without the service."""
    page.goto(supervisors_till.url)
    agent.insert(BEN)
    pupil(page, "Ben Reed")
    anyway = button(page, "Serve anyway")
    button(page, PASTA).click()
    expect(anyway).to_be_hidden()
    agent.answer = {"decision": "declined", "reason": "limit_reached", "message": "0.10 is left today."}
    button(page, "Charge £2.60").click()
    expect(outcome(page)).to_contain_text("Declined")
    assert_accessible(page)
    anyway.click()
    question = page.get_by_role("dialog", name="Serve anyway?")
    expect(question).to_contain_text("This would pass the limit for today.")
    expect(question).to_contain_text("0.10 is left today.")
    assert_accessible(page)
    question.get_by_role("button", name="Go back").click()
    assert len(agent.payments) == 1
    anyway.click()
    agent.answer = {"decision": "approved", "reason": "approved", "message": "Approved."}
    question.get_by_role("button", name="Serve anyway").click()
    expect(outcome(page)).to_contain_text("Paid £2.60")
    expect(anyway).to_be_hidden()
    asked = agent.payments[-1]
    assert (asked["action"], asked["allow_offline"], asked["details"]) == (
        "serve-anyway",
        False,
        {"service": "lunch", "items": [{"item": "meal-pasta", "quantity": 1}]},
    )


def test_who_is_no_supervisor_serves_nothing_anyway(agent: Agent, shown: Page) -> None:
    """What a card is refused for is not for a supervisor to decide, either."""
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, PASTA).click()
    agent.answer = {"decision": "declined", "reason": "limit_reached", "message": "No."}
    button(shown, "Charge £2.60").click()
    expect(outcome(shown)).to_contain_text("Declined")
    expect(button(shown, "Serve anyway")).to_be_hidden()


def test_what_comes_back_is_given_back_once(agent: Agent, shown: Page) -> None:
    """A line of the sale on the screen; without an answer the same is asked again. Not of one that waits."""
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    open_it = button(shown, "Give back")
    button(shown, PASTA).click()
    expect(open_it).to_be_hidden()
    button(shown, "Charge £2.60").click()
    expect(outcome(shown)).to_contain_text("Paid £2.60")
    open_it.click()
    dialog = shown.get_by_role("dialog", name="Give back")
    assert_accessible(shown)
    agent.lose = 1
    for said in ("No answer. Choose the same again", "Given back: £2.60.", "Given back: £2.60."):
        dialog.get_by_role("button", name="Lunch £2.60").click()
        expect(dialog.get_by_role("status")).to_contain_text(said)
    assert len({refund["key"] for refund in agent.refunds}) == 1
    assert agent.refunds[0]["line"] == 1
    dialog.get_by_role("button", name="Close").click()
    button(shown, "Next pupil").click()
    expect(open_it).to_be_hidden()
    agent.remove()
    agent.go(online=False)
    agent.insert(BEN)
    pupil(shown, "Ben Reed")
    button(shown, PASTA).click()
    button(shown, "Charge £2.60").click()
    expect(outcome(shown)).to_contain_text("Accepted offline")
    expect(open_it).to_be_hidden()
