"""One running town for each database, shared by the tests of a session; each test finds it at rest."""

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext

from kiosk.demo.place import choose_ports
from tests.browser.running import RunningTown
from tests.support.databases import KINDS, Databases
from tests.support.demonstration import Demonstration
from tests.support.proxy import Wire


@pytest.fixture(scope="session", params=KINDS)
def shared_town(
    request: pytest.FixtureRequest, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningTown]:
    """A demonstration on each kind of database in turn, with a wire between terminals and card service."""
    urls = databases.create(request.param, migrated=False)
    port = choose_ports(None, usual=False).card_service
    wire = Wire(port)
    demonstration = Demonstration(
        tmp_path_factory.mktemp("town") / "demo",
        [
            *("--port", str(port), "--public-port", str(wire.port)),
            *("--database-url", urls.service, "--owner-database-url", urls.owner),
        ],
    )
    try:
        yield RunningTown.begin(demonstration, wire)
    finally:
        status = demonstration.end(signal.SIGTERM)
        wire.close()
        databases.drop(urls)
    assert status == 0
    assert demonstration.programs() == [], "nothing is left behind"


@pytest.fixture
def town(shared_town: RunningTown) -> Iterator[RunningTown]:
    """The town, at rest: cards in the wallet, service running, nothing waiting."""
    shared_town.rest()
    yield shared_town
    shared_town.wire.on_answer = shared_town.wire.on_request = None
    shared_town.rest()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile of the browser."""
    with browser.new_context(locale="en-GB") as fresh:
        yield fresh
