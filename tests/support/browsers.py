"""The browser of a session: one for all tests of a worker, since Playwright runs once in a process."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.tour.browser import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with chromium() as running:
        yield running
