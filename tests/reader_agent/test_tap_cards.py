"""What hands do with cards while a tap is going on."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import ObjectId
from reader_agent.errors import CardDataMissing, CardIdentityMismatch, CardProofInvalid, CardRemoved
from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.sync import sync
from reader_agent.tapping import tap
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.card_service import LOST
from tests.reader_agent.world import ORDER, DirectConnection, World, blank_card

SIGN = 0x87


def pull_at(instruction: int, count: int) -> "Puller":
    """Take the card away at the count-th command with this instruction."""
    return Puller(instruction, count)


class Puller:
    """A hand."""

    def __init__(self, instruction: int, count: int) -> None:
        self.instruction, self.count = instruction, count

    def __call__(self, connection: DirectConnection, command: bytes) -> None:
        self.count -= command[1] == self.instruction
        connection.is_pulled = connection.is_pulled or self.count == 0


def test_pulled_before_it_signs(world: World) -> None:
    """Nothing was signed, so nothing is sent, and nothing is left to tell."""
    with pytest.raises(CardRemoved):
        world.tap(before=pull_at(SIGN, 1))
    assert world.entries() == [(EntryKind.REQUEST, EntryState.VOID)]
    assert not world.service.received
    sync(world.agent)
    assert not world.service.received


def test_pulled_while_its_request_is_repeated(world: World) -> None:
    """The request is repeated only while the card is there; then it is annulled."""
    world.tap()
    world.service.mishaps = [LOST]
    selects_until_signed = 2  # one to identify, one to sign
    with pytest.raises(CardRemoved):
        world.tap(before=pull_at(0xA4, selects_until_signed + 1))
    assert world.entries()[1:] == [
        (EntryKind.REQUEST, EntryState.CLOSED),
        (EntryKind.ANNUL, EntryState.OPEN),
    ]
    sync(world.agent)
    assert world.service.charged == 240


def test_pulled_before_it_signs_the_advice(world: World) -> None:
    """The request is annulled already; the advice is void."""
    world.tap()
    world.service.mishaps = [LOST, LOST, LOST]
    with pytest.raises(CardRemoved):
        world.tap(before=pull_at(SIGN, 2))
    assert world.entries()[1:] == [
        (EntryKind.REQUEST, EntryState.CLOSED),
        (EntryKind.ANNUL, EntryState.OPEN),
        (EntryKind.ADVICE, EntryState.VOID),
    ]


@pytest.mark.parametrize("count", range(1, 9))
def test_pulled_at_any_command(world: World, count: int) -> None:
    """Wherever it happens, either the tap is through or nothing is open and nothing was charged."""
    commands = 0

    def before(connection: DirectConnection, _: bytes) -> None:
        nonlocal commands
        commands += 1
        connection.is_pulled = connection.is_pulled or commands == count

    with DirectConnection.to(world.card_file) as connection:
        connection.before = before
        try:
            tap(world.agent, connection, ORDER, sleep=lambda _: None)
        except CardRemoved:
            assert world.service.charged == 0
        else:
            assert world.service.charged == 240
    assert not world.agent.outbox.entries(EntryState.OPEN, EntryState.PREPARED)


def test_swapped_before_it_signs(world: World, tmp_path: Path) -> None:
    """Another card of the scheme signs what the first one was asked: refused, and never sent."""
    world.issue_card(tmp_path / "another.json")

    def before(connection: DirectConnection, command: bytes) -> None:
        if command[1] == SIGN:
            connection.before = lambda *_: None
            connection.swap(tmp_path / "another.json")

    with pytest.raises(CardProofInvalid):
        world.tap(before=before)
    assert world.entries() == [(EntryKind.REQUEST, EntryState.VOID)]
    assert not world.service.received


def test_a_chuid_of_another_card_is_refused(world: World) -> None:
    """The certificate is genuine, but the CHUID beside it is not this card's."""
    with CardState.load(world.card_file) as state:
        chuid = piv.Chuid.decode(state.memory.objects[ObjectId.CHUID])
        state.commit(state.memory.with_object(ObjectId.CHUID, replace(chuid, guid=uuid4()).encode()))
    with pytest.raises(CardIdentityMismatch):
        world.tap()
    assert not world.entries()


def test_an_unfinished_card_is_refused(world: World, tmp_path: Path) -> None:
    """A card as it comes from its maker."""
    world.card_file = blank_card(tmp_path / "blank.json")
    with pytest.raises(CardDataMissing, match="chuid"):
        world.tap()


def test_the_card_is_let_go_without_a_reset(world: World) -> None:
    """No PIN and no key was used: other programs keep their session."""
    with DirectConnection.to(world.card_file) as connection:
        tap(world.agent, connection, ORDER)
        assert connection.closed_with_reset == [False]
