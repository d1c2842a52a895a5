"""A person without a mouse: Tab until the button has the focus, then Enter."""

from playwright.sync_api import Locator, Page, expect

from tests.tour.pages import PATIENCE_MS

FURTHEST = 120


def press(page: Page, button: Locator) -> None:
    """Reach a button by Tab alone, see that the focus is visible, and press Enter."""
    expect(button).to_be_enabled(timeout=PATIENCE_MS)
    for _ in range(FURTHEST):
        if button.evaluate("button => button === document.activeElement"):
            assert button.evaluate("button => button.matches(':focus-visible')"), (
                "its focus is not to be seen"
            )
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{button} is not reached by Tab")
