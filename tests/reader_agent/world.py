"""What the tests of the agent share: a clock to move, a card in the hand, a terminal's folder."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

from cryptography import x509

from pki.scheme import Scheme
from reader_agent.agent import Agent
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY
from reader_agent.config import AgentDirectory, Settings, create_agent, store_certificate
from reader_agent.errors import CardRemoved
from reader_agent.outbox_entries import Entry, EntryKind, EntryState
from reader_agent.personalise import personalise
from reader_agent.service_client import TimeLimits
from reader_agent.tapping import Progress, TapOrder, TapResult, ignore_progress, tap
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState
from reader_agent.wire import to_base64url
from tests.reader_agent.card_service import CardService, Order

TRIP: dict[str, object] = {"from_stop": "market-place", "to_stop": "upper-vale"}
ORDER = TapOrder("transport", "single-fare", TRIP)

LUNCH: list[dict[str, object]] = [
    {
        "key": "lunch",
        "label": "Lunch",
        "items": [
            {
                "key": "meal-pasta",
                "label": "Pasta",
                "category": "main",
                "amount_minor": 260,
                "contains": ["gluten", "milk"],
                "may_contain": ["eggs"],
            },
            {
                "key": "fruit",
                "label": "Fruit",
                "category": "snack",
                "amount_minor": 40,
                "contains": [],
                "may_contain": [],
            },
        ],
    }
]
BASKET: dict[str, object] = {
    "service": "lunch",
    "items": [{"item": "meal-pasta", "quantity": 1}, {"item": "fruit", "quantity": 2}],
}
BASKET_MINOR = 340
SALE = TapOrder("meals", "sale", BASKET)
# The first bytes of a JPEG, and some more
PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256))
PUPIL: dict[str, object] = {
    "name": "Ava Reed",
    "form": "5B",
    "allergens": ["milk", "nuts"],
    "photo": to_base64url(PHOTO),
}


class MovableClock:
    """The machine's clock, and what a test has moved it by."""

    def __init__(self) -> None:
        self.offset = timedelta(0)

    def __call__(self) -> datetime:
        """Now."""
        return datetime.now(UTC) + self.offset


@dataclass
class DirectConnection:
    """A CardConnection straight to a software card, with what a hand can do to it."""

    card: VirtualCard
    state: CardState
    # Called before each command; may raise, or put another card in the place of this one
    before: "Callable[[DirectConnection, bytes], None]" = lambda _connection, _command: None
    sent: list[bytes] = field(default_factory=list)
    closed_with_reset: list[bool] = field(default_factory=list)
    is_pulled: bool = False

    @classmethod
    def to(cls, path: Path, face: Face = Face.CONTACT) -> Self:
        """Hold a card to the reader."""
        state = CardState.load(path)
        card = VirtualCard(state, face)
        card.power_on()
        return cls(card, state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.state.close()

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """See CardConnection."""
        self.before(self, command)
        if self.is_pulled:
            raise CardRemoved("test")
        self.sent.append(command)
        response = self.card.transmit(command)
        return response[:-2], int.from_bytes(response[-2:])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See CardConnection."""
        if self.is_pulled:
            raise CardRemoved("test")
        yield

    def close(self, *, reset: bool = False) -> None:
        """See CardConnection."""
        self.closed_with_reset.append(reset)

    def swap(self, path: Path) -> None:
        """Put another card in the place of this one, so quickly that nobody sees it."""
        self.state.close()
        self.state = CardState.load(path)
        self.card = VirtualCard(self.state, Face.CONTACT)
        self.card.power_on()
        # The application of the new card is selected: the worst case, in which nothing else tells it.
        self.card.transmit(bytes.fromhex("00A4040009A00000030800001000"))


@dataclass
class World:
    """A terminal, its service, and a card."""

    scheme: Scheme
    service: CardService
    clock: MovableClock
    agent: Agent
    directory: AgentDirectory
    card_file: Path
    card: UUID

    def tap(
        self,
        order: TapOrder = ORDER,
        progress: Progress = ignore_progress,
        before: Callable[[DirectConnection, bytes], None] | None = None,
    ) -> TapResult:
        """Hold the card to the reader."""
        with DirectConnection.to(self.card_file) as connection:
            if before is not None:
                connection.before = before
            return tap(self.agent, connection, order, progress, sleep=lambda _: None)

    def issue_card(self, path: Path) -> UUID:
        """Have another card made; this terminal is its issuing desk for once."""
        return issue_card(self.agent, self.service, path).card

    def entries(self) -> list[tuple[EntryKind, EntryState]]:
        """The outbox, in its order."""
        return [(entry.kind, entry.state) for entry in self.agent.outbox.entries()]

    def only(self, kind: EntryKind) -> Entry:
        """The one entry of this kind."""
        (entry,) = [entry for entry in self.agent.outbox.entries() if entry.kind is kind]
        return entry


def blank_card(path: Path) -> Path:
    """A card as it comes from its maker."""
    CardState.create(path, factory_memory(os.urandom)).close()
    return path


def new_order(service: CardService) -> Order:
    """Order a card."""
    order = Order(uuid4(), uuid4(), os.urandom(16))
    service.orders[order.id] = order
    return order


def issue_card(agent: Agent, service: CardService, path: Path) -> Order:
    """Order a card and make it."""
    order = new_order(service)
    with DirectConnection.to(blank_card(path)) as connection:
        personalise(agent, connection, order.id, WELL_KNOWN_TRANSPORT_KEY)
    return order


def make_agent(path: Path, service: CardService, scheme: Scheme, terminal: str) -> AgentDirectory:
    """The folder of an enrolled terminal."""
    settings = Settings(service.url, terminal, limits=TimeLimits(connect_s=1.0, answer_s=5.0))
    directory = create_agent(path, settings, scheme.public_dir / "root.crt")
    csr = x509.load_pem_x509_csr(directory.request_file.read_bytes())
    store_certificate(directory, service.add_terminal(csr, terminal))
    return directory
