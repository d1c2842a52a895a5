"""Faces as a terminal runs them, against a stand-in for the agent, and the browser that shows them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.kiosk.agent import READER, Agent
from tests.kiosk.face import FaceProcess

# Generous: what is waited for has happened long before on a machine that is not busy.
expect.set_options(timeout=60_000)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """The reader agent's stand-in, running."""
    running = Agent(tmp_path)
    running.start()
    yield running
    running.may_pay.set()
    running.stop()


@pytest.fixture
def till(agent: Agent, tmp_path: Path) -> Iterator[FaceProcess]:
    """A school till at lunch."""
    yield from _till(agent, tmp_path)


@pytest.fixture
def supervisors_till(agent: Agent, tmp_path: Path) -> Iterator[FaceProcess]:
    """The same where a supervisor stands."""
    yield from _till(agent, tmp_path, "--supervisor")


def _till(agent: Agent, folder: Path, *more: str) -> Iterator[FaceProcess]:
    face = FaceProcess(
        *(folder / "till.log", "till", "--agent-url", agent.url, "--agent", str(folder)),
        *("--reader", READER, "--section", "lunch", *more),
    )
    face.start()
    yield face
    face.stop()


@pytest.fixture
def validator(agent: Agent, tmp_path: Path) -> Iterator[FaceProcess]:
    """A bus validator on one trip."""
    trip = tmp_path / "trip.json"
    trip.write_text(json.dumps({"from_stop": "market-place", "to_stop": "upper-vale"}))
    face = FaceProcess(
        *(tmp_path / "validator.log", "validator", "--agent-url", agent.url),
        *("--agent-token-file", str(agent.token_file), "--reader", READER, "--trip", str(trip)),
    )
    face.start()
    yield face
    face.stop()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A window of its own; nothing may go wrong in it, and nothing may stay in the browser."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        # A refusal that the page deals with is logged by the browser all the same.
        lambda message: (
            errors.append(message.text)
            if message.type == "error" and not message.text.startswith("Failed to load resource")
            else None
        ),
    )
    yield opened
    left = opened.evaluate(
        """async () => [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length,
                       (await caches.keys()).length, document.cookie]"""
    )
    context.close()
    assert errors == []
    assert left == [0, 0, 0, 0, ""]
