"""Paying in at a kiosk on the real stack: browser, face, daemon, pcscd, software card, service, stand-in."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from kiosk.pay_stand_in import Pay
from reader_agent.virtual_card.pcscd import PrivatePcscd
from tests.cardservice.payments.pay import served
from tests.integration.test_school_till import DESK, make_pupil
from tests.kiosk.accessibility import assert_accessible
from tests.kiosk.face import FaceProcess
from tests.reader_agent.daemon.client import Daemon
from tests.support.databases import Databases
from tests.support.stack import Stack

KIOSK = "Kiosk"
expect.set_options(timeout=30_000)


@dataclass(slots=True)
class Counter:
    """A town with a kiosk, and somebody's card with 50.00 to spend."""

    stack: Stack
    pay: Pay
    face: FaceProcess
    port: int
    holder: str
    card: Path

    def prepaid(self) -> int:
        """What there is to spend, in minor units."""
        accounts = self.stack.run("cardservice", "balance", self.holder, "--json").json["accounts"]
        return int(next(each["amount_minor"] for each in accounts if each["account"] == "payer:prepaid"))


@pytest.fixture(scope="module")
def counter(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    """One installation for the module."""
    urls = databases.create("sqlite", migrated=False)
    root, pay = tmp_path_factory.mktemp("kiosk"), Pay()
    stack = Stack(root, urls.service, urls.owner, currency="GBP", timezone="Europe/London")
    daemon = Daemon(stack.agent("kiosk-1"), (KIOSK,), stack.environment, root / "daemon.log")
    with served(pay) as provider, PrivatePcscd(root / "pcscd", [DESK, KIOSK]) as pcscd:
        pay.origin = provider.url
        key = root / "pay-key"
        key.write_text(pay.key, encoding="ascii")
        stack.environment |= {"CARDSERVICE_PAY_URL": provider.url, "CARDSERVICE_PAY_KEY_FILE": str(key)}
        stack.environment |= pcscd.environment
        stack.install("ashcombe")
        stack.run("cardservice", "provider", "add", "council", "--name", "Ashcombe Council")
        try:
            stack.start_service()
            stack.add_terminal("desk-1", "council", "issuer")
            stack.add_terminal("kiosk-1", "council", "kiosk")
            holder, _, card = make_pupil(stack, pcscd.port(DESK))
            daemon.start()
            with _face(daemon, root) as face:
                yield Counter(stack, pay, face, pcscd.port(KIOSK), holder, card)
        finally:
            daemon.close()
            stack.close()
    databases.drop(urls)


@contextmanager
def _face(daemon: Daemon, folder: Path) -> Iterator[FaceProcess]:
    face = FaceProcess(
        *(folder / "face.log", "pay-in", "--agent-url", daemon.url, "--agent", str(daemon.agent)),
        *("--reader", KIOSK),
    )
    face.start()
    try:
        yield face
    finally:
        face.stop()


@pytest.fixture
def page(browser: Browser, counter: Counter) -> Iterator[Page]:
    """The kiosk's screen, which waits for a card; nothing may go wrong in it."""
    with browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB") as context:
        opened = context.new_page()
        errors: list[str] = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto(counter.face.url)
        expect(opened.get_by_role("heading", name="Tap your card")).to_be_visible()
        yield opened
        assert errors == []


@contextmanager
def on_the_reader(counter: Counter, page: Page) -> Iterator[None]:
    """The card lies on the kiosk's reader, and an amount is asked for."""
    counter.stack.insert(counter.card, counter.port)
    expect(page.get_by_role("heading", name="How much do you want to pay in?")).to_be_visible()
    try:
        yield
    finally:
        counter.stack.pull(counter.card)


def test_somebody_pays_in(counter: Counter, page: Page) -> None:
    """An amount of their own, the provider's page, and back: the new balance stands there until they go."""
    assert_accessible(page)
    with on_the_reader(counter, page):
        assert_accessible(page)
        page.get_by_label("Another amount").fill("0.50")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("alert")).to_have_text("Enter an amount of £1.00 or more, such as 12.50")
        page.get_by_label("Another amount").fill("12.50")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("heading", name="Pay in £12.50?")).to_be_focused()
        assert_accessible(page)
        page.get_by_role("button", name="Pay £12.50").click()
        page.get_by_role("button", name="Pay now").click()
        expect(page.get_by_role("heading", name="£12.50 paid in")).to_be_visible()
        expect(page.get_by_text("You can now spend £62.50.")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="Finish").click()
        expect(page.get_by_role("heading", name="How much do you want to pay in?")).to_be_visible()
    assert counter.prepaid() == 6250


def test_what_came_to_nothing_is_said(counter: Counter, page: Page) -> None:
    """Declined, then come back without paying, gone back to it, and given up: nothing was paid in."""
    before = counter.prepaid()
    with on_the_reader(counter, page):
        page.get_by_role("button", name="£20.00").click()
        page.get_by_role("button", name="Pay £20.00").click()
        page.get_by_role("button", name="Be declined").click()
        expect(page.get_by_role("heading", name="Payment not accepted")).to_be_visible()
        page.get_by_role("button", name="Finish").click()
        page.get_by_role("button", name="£5.00").click()
        page.get_by_role("button", name="Pay £5.00").click()
        expect(page.get_by_role("button", name="Pay now")).to_be_visible()
        page.goto(counter.face.url)
        expect(page.get_by_role("heading", name="You have not paid yet")).to_be_visible()
        assert_accessible(page)
        page.get_by_role("button", name="Go back to the payment page").click()
        expect(page.get_by_role("heading", name="Pay £5.00")).to_be_visible()
        page.goto(counter.face.url)
        page.get_by_role("button", name="Cancel this payment").click()
        expect(page.get_by_role("heading", name="Payment cancelled")).to_be_visible()
    expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
    assert counter.prepaid() == before


def test_the_provider_is_away(counter: Counter, page: Page) -> None:
    """It is said, and the amount stands there to be tried again."""
    with on_the_reader(counter, page):
        page.get_by_role("button", name="£10.00").click()
        counter.pay.fault("away", "away", "away")
        page.get_by_role("button", name="Pay £10.00").click()
        expect(page.get_by_role("alert")).to_contain_text("The payment could not be started.")
        page.get_by_role("button", name="Pay £10.00").click()
        expect(page.get_by_role("button", name="Cancel payment")).to_be_visible()
        page.get_by_role("button", name="Cancel payment").click()
        expect(page.get_by_role("heading", name="Payment cancelled")).to_be_visible()
    expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()


def test_who_comes_back_to_another_card_is_shown_no_balance(counter: Counter, page: Page) -> None:
    """The card was taken off while the provider's page was shown: somebody else may stand there."""
    with on_the_reader(counter, page):
        page.get_by_role("button", name="£5.00").click()
        page.get_by_role("button", name="Pay £5.00").click()
        expect(page.get_by_role("button", name="Pay now")).to_be_visible()
    page.get_by_role("button", name="Pay now").click()
    expect(page.get_by_role("heading", name="£5.00 paid in")).to_be_visible()
    expect(page.get_by_text("You can now spend")).to_have_count(0)
    counter.stack.insert(counter.card, counter.port)
    expect(page.get_by_role("heading", name="How much do you want to pay in?")).to_be_visible()
    counter.stack.pull(counter.card)


def test_a_card_is_told_lost(counter: Counter, page: Page) -> None:
    """What is not known is taken alike; the right answers end the card. It is the last test of the module."""
    stack = counter.stack
    stack.run("cardservice", "cardholder", "born", counter.holder, "2014-02-28")
    stack.run("cardservice", "cardholder", "address", counter.holder, "--postcode", "AB1 2CD")
    name = stack.run("cardservice", "cardholder", "show", counter.holder, "--json").json["name"]
    [card] = stack.run("cardservice", "card", "list", "--json").json["cards"]
    for postcode, state in (("AB1 2CE", "active"), ("ab1 2cd", "revoked")):
        page.get_by_role("button", name="My card is lost").click()
        expect(page.get_by_role("heading", name="Whose card is lost?")).to_be_focused()
        assert_accessible(page)
        page.get_by_role("button", name="Stop the card").click()
        expect(page.get_by_role("alert")).to_have_text("Enter the full name, as it is on the card")
        page.get_by_label("Full name").fill(name)
        for label, text in (("Day", "31"), ("Month", "2"), ("Year", "2014"), ("Postcode", postcode)):
            page.get_by_label(label, exact=True).fill(text)
        page.get_by_role("button", name="Stop the card").click()
        expect(page.get_by_role("alert")).to_contain_text("Enter the date of birth in numbers")
        assert_accessible(page)
        page.get_by_label("Day", exact=True).fill("28")
        page.get_by_role("button", name="Stop the card").click()
        expect(page.get_by_role("heading", name="We have taken your report")).to_be_focused()
        assert_accessible(page)
        shown = stack.run("cardservice", "card", "show", card["card"], "--json").json
        assert shown["state"] == state
        page.get_by_role("button", name="Finish").click()
        expect(page.get_by_role("heading", name="Tap your card")).to_be_visible()
