"""A council's installation to put load on: made by the console scripts, with people and terminals in bulk."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cardservice.api.app import create_app
from cardservice.config import load_settings
from cardservice.context import open_context
from tests.support.council import Card, Council, StandingClock, Terminal
from tests.support.databases import OWNER, SERVICE_ROLE, PostgresServer
from tests.support.stack import Stack

SCHEME = "ashcombe"
CARDS, TERMINALS = 1_000, 32
# Enough for every fare that a run can ask for.
TOP_UP_MINOR = 10_000_000


@dataclass(frozen=True, slots=True)
class TownCard:
    """What signing for a card takes, in a form that another process can be given."""

    id: UUID
    key_der: bytes
    thumbprint: bytes


@dataclass(frozen=True, slots=True)
class TownTerminal:
    """A validator and its key."""

    id: str
    key_der: bytes


@dataclass(frozen=True, slots=True)
class Town:
    """A running service with people who ride its buses."""

    stack: Stack
    owner_url: str
    cards: tuple[TownCard, ...]
    terminals: tuple[TownTerminal, ...]


Populate = Callable[[Stack, int, int], tuple[tuple[TownCard, ...], tuple[TownTerminal, ...]]]


@contextmanager
def running_town(
    server: PostgresServer,
    root: Path,
    cards: int = CARDS,
    terminals: int = TERMINALS,
    environment: Mapping[str, str] | None = None,
    people: Populate | None = None,
) -> Iterator[Town]:
    """A town whose service `cardservice serve` runs, until the block ends; `people`: other than riders."""
    name = server.create()
    stack = Stack(root, server.url(name, SERVICE_ROLE), server.url(name, OWNER), "GBP", "Europe/London")
    stack.environment |= environment or {}
    with town_on(stack, people or populate, cards, terminals) as town:
        yield town


@contextmanager
def town_on(
    stack: Stack,
    people: Populate,
    cards: int,
    terminals: int,
    set_up: Callable[[Stack], object] = lambda _: None,
) -> Iterator[Town]:
    """The same over an empty database that is there, set up further by `set_up` before there are people."""
    try:
        stack.install(SCHEME)
        set_up(stack)
        found, posts = people(stack, cards, terminals)
        stack.start_service()
        yield Town(stack, stack.owner_url, found, posts)
    finally:
        stack.close()


def populate(
    stack: Stack, people: int, terminals: int
) -> tuple[tuple[TownCard, ...], tuple[TownTerminal, ...]]:
    """People with cards and money, and validators, by the functions behind the console scripts."""
    with council_of(stack) as council:
        council.provider()
        council.load_fares()
        cards = tuple(town_card(council.card(top_up_minor=TOP_UP_MINOR)) for _ in range(people))
        return cards, tuple(
            town_terminal(council.terminal(f"validator-{number}")) for number in range(terminals)
        )


@contextmanager
def council_of(stack: Stack) -> Iterator[Council]:
    """The installation's council, in this process."""
    clock = StandingClock(datetime.now(UTC))
    origin = {"CARDSERVICE_PUBLIC_ORIGIN": stack.origin}
    context = open_context(load_settings({**os.environ, **stack.environment, **origin}), clock)
    try:
        yield Council(context, create_app(context).test_client(), clock)
    finally:
        context.close()


def town_terminal(made: Terminal) -> TownTerminal:
    """What signing for a terminal takes."""
    return TownTerminal(made.id, _der(made.key))


def town_card(made: Card) -> TownCard:
    """What signing for a card takes."""
    return TownCard(made.id, _der(made.key), made.thumbprint)


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
