"""A running daemon with two readers, a card service, and cards."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reader_agent.virtual_card.application import Face
from tests.reader_agent.daemon.client import Daemon, Event, Stream
from tests.reader_agent.world import World
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers


@pytest.fixture
def daemon(world: World, readers: Readers, tmp_path: Path) -> Iterator[Daemon]:
    """Started, with a contact and a contactless reader."""
    made = Daemon(
        world.directory.path,
        (CONTACTLESS_READER, CONTACT_READER),
        readers.environment,
        tmp_path / "daemon.log",
    )
    made.start()
    yield made
    made.close()


@pytest.fixture
def stream(daemon: Daemon) -> Stream:
    """The daemon's events, from a moment at which it knows its readers and the service."""
    listening = daemon.listen()
    seen = listening.wait("status").data
    for reader in daemon.readers:
        if {"reader": reader, "connected": True, "tap": None} not in seen["readers"]:
            listening.wait("reader.found", reader=reader)
    if not seen["service"]["online"]:
        listening.wait("service.online")
    return listening


@dataclass(slots=True)
class Hand:
    """Somebody with cards."""

    readers: Readers
    stream: Stream
    card: Path

    def insert(self, reader: str = CONTACTLESS_READER, card: Path | None = None) -> Event:
        """Put a card on a reader; its event."""
        since = len(self.stream.events)
        self.readers.insert(reader, card or self.card, Face.CONTACT)
        return self.stream.wait("card.inserted", since, reader=reader)

    def tap(self, reader: str = CONTACTLESS_READER, card: Path | None = None) -> str:
        """Put a card on a reader, and wait until it is read; its handle."""
        handle = str(self.insert(reader, card).data["tap"])
        self.stream.wait("card.ready", tap=handle)
        return handle

    def pull(self, reader: str = CONTACTLESS_READER) -> None:
        """Take it away."""
        self.readers.pull(reader)


@pytest.fixture
def hand(readers: Readers, stream: Stream, world: World) -> Hand:
    """With the world's card."""
    return Hand(readers, stream, world.card_file)


@pytest.fixture
def personal(world: World) -> Callable[[], list[str]]:
    """What no event and no log may hold: the card's number in its writings, and the trip."""

    def texts() -> list[str]:
        card = world.card
        details: list[Any] = ["market-place", "upper-vale"]
        return [str(card), card.hex, card.hex.upper(), *details]

    return texts
