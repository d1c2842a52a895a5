"""The virtual readers, a scheme, a card service, a terminal and a card that pays: real, but for the chip."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pki.clock import system_clock
from pki.scheme import Scheme, create_scheme
from reader_agent.agent import Agent
from tests.reader_agent.card_service import CardService, Order, create_card_service
from tests.reader_agent.world import MovableClock, World, issue_card, make_agent
from tests.support.pcsc import readers, session_readers

__all__ = ["readers", "session_readers"]


@pytest.fixture(scope="session")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    """A scheme with its authorities."""
    directory = tmp_path_factory.mktemp("scheme") / "ashcombe"
    return create_scheme(directory, "ashcombe", "Ashcombe Card", b"for tests", None, system_clock()())


@pytest.fixture(scope="session")
def issued_card(scheme: Scheme, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Order]:
    """A card made by the issuing desk once for all tests; each test gets a copy."""
    folder = tmp_path_factory.mktemp("issued")
    service = create_card_service(scheme, system_clock())
    try:
        directory = make_agent(folder / "desk", service, scheme, "desk-1")
        with Agent(directory, system_clock()) as agent:
            card = folder / "card.json"
            return card, issue_card(agent, service, card)
    finally:
        service.stop()


@pytest.fixture
def clock() -> MovableClock:
    """The clock of service and terminal alike."""
    return MovableClock()


@pytest.fixture
def card_service(scheme: Scheme, clock: MovableClock) -> Iterator[CardService]:
    """A running card service that knows nobody yet."""
    service = create_card_service(scheme, clock)
    yield service
    service.stop()


@pytest.fixture
def world(
    scheme: Scheme,
    card_service: CardService,
    clock: MovableClock,
    issued_card: tuple[Path, Order],
    tmp_path: Path,
) -> Iterator[World]:
    """A validator that has been enrolled, and a card that may pay at it."""
    path, order = issued_card
    card = Path(shutil.copy(path, tmp_path / "card.json"))
    assert order.certificate is not None
    card_service.cards[order.card] = order.certificate
    directory = make_agent(tmp_path / "agent", card_service, scheme, "bus-12")
    with Agent(directory, clock) as agent:
        agent.fetch_trust()
        yield World(scheme, card_service, clock, agent, directory, card, order.card)
