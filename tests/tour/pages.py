"""The pages as a person sees them: by headings, names of regions and buttons, and what stands there.

The accessible names are the pages' contract: whoever uses a screen reader finds the same.
"""

import re

from playwright.sync_api import Locator, Page, expect

from kiosk.demo import town

# Everything runs on one machine, which may be busy; what is there at once costs no wait.
PATIENCE_MS = 120_000
DESK, BUS, TILL, KIOSK = (terminal.reader for terminal in town.TERMINALS)


class Wallet:
    """The card wallet."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        expect(page).to_have_title("Card wallet")

    def reader(self, name: str) -> Locator:
        """The region of a reader."""
        return self.page.get_by_role("region", name=name, exact=True)

    def put(self, person: str, reader: str) -> None:
        """Put somebody's card on a reader."""
        self.page.get_by_role("button", name=f"Put {person}'s card on {reader}").click()
        self.expect_on(person, reader)

    def take(self, person: str, reader: str) -> None:
        """Take somebody's card off a reader."""
        self.page.get_by_role("button", name=f"Take {person}'s card off {reader}").click()
        self.expect_empty(reader)

    def expect_on(self, person: str, reader: str) -> None:
        """Somebody's card lies on a reader."""
        button = self.page.get_by_role("button", name=f"Take {person}'s card off {reader}")
        expect(button).to_be_visible(timeout=PATIENCE_MS)

    def expect_empty(self, reader: str) -> None:
        """Nothing lies on a reader."""
        expect(self.reader(reader).get_by_text("No card")).to_be_visible(timeout=PATIENCE_MS)

    def clear(self) -> None:
        """Take every card back."""
        for reader in (DESK, BUS, TILL, KIOSK):
            button = self.reader(reader).get_by_role("button", name=re.compile("^Take "))
            empty = self.reader(reader).get_by_text("No card")
            expect(button.or_(empty)).to_be_visible()
            if button.is_visible():
                button.click()
            self.expect_empty(reader)

    def report_lost(self, person: str) -> None:
        """Have somebody's card revoked."""
        self.page.get_by_role("button", name=f"Report lost {person}'s card").click()
        self.page.get_by_role("button", name="Yes, revoke the card").click()
        expect(self.page.get_by_role("status")).to_contain_text(
            f"{person}'s card is revoked", timeout=PATIENCE_MS
        )

    def stop_service(self) -> None:
        """Stop the card service."""
        self.page.get_by_role("button", name="Stop the card service").click()
        self.expect_service("Start the card service")

    def start_service(self) -> None:
        """Start the card service."""
        self.page.get_by_role("button", name="Start the card service").click()
        self.expect_service("Stop the card service")

    def ensure_service(self) -> None:
        """Start the card service if it does not run."""
        start = self.page.get_by_role("button", name="Start the card service")
        stop = self.page.get_by_role("button", name="Stop the card service")
        expect(start.or_(stop)).to_be_enabled(timeout=PATIENCE_MS)
        if start.is_visible():
            self.start_service()

    def expect_service(self, button: str) -> None:
        """The service is in the state in which this button is offered."""
        expect(self.page.get_by_role("button", name=button)).to_be_enabled(timeout=PATIENCE_MS)


class Till:
    """The school's till."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        expect(page.get_by_role("heading", name="School till", level=1)).to_be_visible()

    @property
    def pupil(self) -> Locator:
        """Who stands at the till."""
        return self.page.get_by_role("region", name="Pupil")

    @property
    def basket(self) -> Locator:
        """What lies on the tray."""
        return self.page.get_by_role("region", name="Basket")

    @property
    def outcome(self) -> Locator:
        """What came of the payment."""
        return self.page.get_by_role("region", name="Outcome")

    def expect_pupil(self, name: str) -> None:
        """Somebody is shown."""
        expect(self.pupil.get_by_role("heading", name=name, level=2)).to_be_visible(timeout=PATIENCE_MS)

    def acknowledge_allergens(self) -> None:
        """Say that the allergens were read."""
        self.page.get_by_role("button", name="I have read the allergens").click()

    def add(self, *items: str) -> None:
        """Put items on the tray, each by its key's whole name: "Oat flapjack £0.80"."""
        for item in items:
            self.page.get_by_role("button", name=item).click()

    def charge(self, amount: str) -> None:
        """Charge what lies on the tray, such as "£2.95"."""
        self.page.get_by_role("button", name=f"Charge {amount}").click()

    def expect_outcome(self, beginning: str, *words: str) -> None:
        """The payment came to this."""
        expect(self.outcome).to_contain_text(beginning, timeout=PATIENCE_MS)
        for word in words:
            expect(self.outcome).to_contain_text(word)

    def next_pupil(self) -> None:
        """Clear the screen for the next."""
        self.page.get_by_role("button", name="Next pupil").click()

    def expect_badge(self, text: str | re.Pattern[str]) -> None:
        """The badge of the connection says this."""
        badge = self.page.get_by_role("status").filter(has_text=text)
        expect(badge).to_be_visible(timeout=PATIENCE_MS)


class Validator:
    """The bus's validator."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        expect(page.get_by_role("heading", name="Bus validator", level=1)).to_be_visible()

    @property
    def outcome(self) -> Locator:
        """Go or stop, or the invitation to tap."""
        return self.page.get_by_role("status", name="Outcome")

    def expect_outcome(self, *words: str) -> None:
        """All of these words stand there."""
        for word in words:
            expect(self.outcome).to_contain_text(word, timeout=PATIENCE_MS)

    def expect_idle(self) -> None:
        """It waits for a card."""
        expect(self.page.get_by_text("Tap your card")).to_be_visible(timeout=PATIENCE_MS)


class Kiosk:
    """The kiosk where holders pay in."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(url)
        self.expect_idle()

    def choose(self, amount: str) -> None:
        """Choose an amount on the keys, such as "£20.00", and go to the provider's page."""
        self.page.get_by_role("button", name=amount, exact=True).click(timeout=PATIENCE_MS)
        self.page.get_by_role("button", name=f"Pay {amount}", exact=True).click()
        expect(self.page.get_by_role("heading", name=f"Pay {amount}")).to_be_visible(timeout=PATIENCE_MS)

    def pay(self) -> None:
        """Pay, on the page that stands in for the provider's."""
        self.page.get_by_role("button", name="Pay now").click()

    def expect_paid_in(self, amount: str, balance: str) -> None:
        """It was posted, and says what there is to spend now."""
        expect(self.page.get_by_role("heading", name=f"{amount} paid in")).to_be_visible(timeout=PATIENCE_MS)
        expect(self.page.get_by_text(f"You can now spend {balance}.")).to_be_visible()

    def finish(self) -> None:
        """The person goes."""
        self.page.get_by_role("button", name="Finish").click()

    def expect_idle(self) -> None:
        """It waits for a card."""
        expect(self.page.get_by_role("heading", name="Tap your card")).to_be_visible(timeout=PATIENCE_MS)
