"""The browser that the tour, the tests and the pictures share: Debian's Chromium, without a window."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

EXECUTABLE = "/usr/bin/chromium-headless-shell"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running Chromium, until the end of the block."""
    # Its sandbox refuses root; what it opens is our own, on this machine.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
