"""Cards under power, in the stages of their life."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from reader_agent.cardspec.piv import Algorithm
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.host import Host, personalise, personalise_fully

PIN = b"123456\xff\xff"
PUK = b"87654321"
MANAGEMENT_KEY = bytes(range(16))


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    """A card from its maker, with a PIN and a PUK that the tests know."""
    path = tmp_path / "card.json"
    CardState.create(path, factory_memory(os.urandom, pin=PIN, puk=PUK)).close()
    return path


@pytest.fixture
def personalised(card_file: Path) -> Path:
    """A card with CHUID, key 9E and its certificate, made over its contact face."""
    with CardState.load(card_file) as state:
        personalise(Host.of(state, Face.CONTACT))
    return card_file


@pytest.fixture
def full_card(card_file: Path) -> Path:
    """A card with all keys and certificates, and a management key of AES-128."""
    with CardState.load(card_file) as state:
        state.commit(
            replace(state.memory, management_algorithm=Algorithm.AES_128, management_key=MANAGEMENT_KEY)
        )
        personalise_fully(Host.of(state, Face.CONTACT))
    return card_file


@pytest.fixture
def contact(personalised: Path) -> Iterator[Host]:
    """A personalised card on its contact face, PIV selected."""
    with ExitStack() as stack:
        yield Host.of(stack.enter_context(CardState.load(personalised)), Face.CONTACT)


@pytest.fixture
def contactless(personalised: Path) -> Iterator[Host]:
    """A personalised card on its contactless face, PIV selected."""
    with ExitStack() as stack:
        yield Host.of(stack.enter_context(CardState.load(personalised)), Face.CONTACTLESS)
