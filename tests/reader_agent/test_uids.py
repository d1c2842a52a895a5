"""UIDs: what readers tell of them, and how the service comes to know that of a card that is made."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from pki.scheme import Scheme
from reader_agent.agent import Agent
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY
from reader_agent.cli import main
from reader_agent.errors import AgentError, CardOfAnotherOrder, PersonalisationFailed, UidMissing
from reader_agent.personalise import Personalised, personalise
from reader_agent.transport.uid import is_kept, read_uid
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.memory import factory_memory
from reader_agent.virtual_card.state import CardState, read_memory
from reader_agent.wire import to_base64url
from tests.reader_agent.card_service import CardService, Order
from tests.reader_agent.world import (
    DirectConnection,
    MovableClock,
    blank_card,
    issue_card,
    make_agent,
    new_order,
)
from tests.support import warm
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers, wait_until

UID = bytes.fromhex("04a1b2c3d4e5f6")
GET_UID = bytes.fromhex("FFCA000000")


@dataclass
class TellingReader(DirectConnection):
    """A reader that answers for its card, as contactless ones do; without `uid`, it tells none."""

    uid: bytes | None = None

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """See CardConnection."""
        if command == GET_UID:
            return (b"", 0x6A81) if self.uid is None else (self.uid, 0x9000)
        return super().transmit(command)


def held(path: Path, uid: bytes | None, face: Face = Face.CONTACTLESS) -> TellingReader:
    """A card on such a reader; who uses it closes its state."""
    connection = TellingReader.to(path, face)
    connection.uid = uid
    return connection


@pytest.fixture
def desk(scheme: Scheme, card_service: CardService, clock: MovableClock, tmp_path: Path) -> Iterator[Agent]:
    """An issuing desk."""
    with Agent(make_agent(tmp_path / "desk", card_service, scheme, "desk-1"), clock) as agent:
        yield agent


@dataclass
class Answering:
    """A connection that answers every command so."""

    data: bytes
    status: int

    def transmit(self, command: bytes) -> tuple[bytes, int]:
        """See CardConnection."""
        assert command == GET_UID
        return self.data, self.status

    def transaction(self) -> AbstractContextManager[None]:
        """See CardConnection."""
        return nullcontext()

    def close(self, *, reset: bool = False) -> None:
        """See CardConnection."""


@pytest.mark.parametrize(
    ("data", "status", "uid"),
    [
        (UID, 0x9000, UID),
        (UID[:4], 0x9000, UID[:4]),
        (bytes(10), 0x9000, bytes(10)),
        (b"", 0x6A81, None),
        (b"", 0x6E00, None),
        (UID, 0x6282, None),  # PC/SC part 3, table 3-9: less than was asked for
        (b"", 0x9000, None),
        (UID[:5], 0x9000, None),
        (bytes(11), 0x9000, None),
    ],
)
def test_what_a_reader_answers(data: bytes, status: int, uid: bytes | None) -> None:
    """A UID of one of its three lengths, or none."""
    assert read_uid(Answering(data, status)) == uid


@pytest.mark.parametrize(
    ("uid", "kept"),
    [
        ("04a1b2c3", True),
        ("08a1b2c3", False),
        ("08a1b2c3d4e5f6", True),
        ("04a1b2c3d4e5f6", True),
        ("00" * 10, True),
        ("04a1b2", False),
        ("", False),
    ],
)
def test_a_uid_that_is_drawn_is_nobodys(uid: str, kept: bool) -> None:
    """ISO/IEC 14443-3, table 7: 08 begins a random one, of four bytes alone."""
    assert is_kept(bytes.fromhex(uid)) == kept


def make(
    desk: Agent,
    order: Order,
    card: Path,
    reader: bytes | None,
    *,
    given: bytes | None = None,
    hold: Callable[[], DirectConnection] | None = None,
) -> Personalised:
    """Make a card on a reader that tells this UID of it."""
    with held(card, reader, Face.CONTACT) as connection:
        return personalise(desk, connection, order.id, WELL_KNOWN_TRANSPORT_KEY, uid=given, hold=hold)


@pytest.mark.parametrize(
    ("told", "given", "recorded"),
    [
        (UID, None, UID),
        (UID, UID, UID),
        (None, UID, UID),
        (None, None, None),
        (bytes.fromhex("08a1b2c3"), None, None),
        (bytes.fromhex("08a1b2c3"), UID, UID),
    ],
)
def test_the_service_is_told_what_lasts(
    desk: Agent,
    card_service: CardService,
    tmp_path: Path,
    told: bytes | None,
    given: bytes | None,
    recorded: bytes | None,
) -> None:
    """By the reader that the card is made on, or else as it was given."""
    order = new_order(card_service)
    make(desk, order, blank_card(tmp_path / "card.json"), told, given=given)
    assert (order.state, order.uid) == ("done", None if recorded is None else to_base64url(recorded))


def test_another_uid_than_the_cards_is_refused(
    desk: Agent, card_service: CardService, tmp_path: Path
) -> None:
    """Before anything is written: it may be another card than the person thinks."""
    order, card = new_order(card_service), blank_card(tmp_path / "card.json")
    before = read_memory(card)
    with pytest.raises(PersonalisationFailed, match="another UID"):
        make(desk, order, card, UID, given=bytes(7))
    assert (order.state, read_memory(card)) == ("open", before)


def test_held_to_another_reader_afterwards(desk: Agent, card_service: CardService, tmp_path: Path) -> None:
    """The card proves itself; neither another will do, nor a reader that tells nothing, nor a drawn UID."""
    order, card = new_order(card_service), blank_card(tmp_path / "card.json")
    other = tmp_path / "other.json"
    issue_card(desk, card_service, other)

    def attempt(path: Path, uid: bytes | None) -> AgentError | None:
        on_reader: list[TellingReader] = []

        def hold() -> TellingReader:
            made.state.close()  # it leaves the first reader
            on_reader.append(held(path, uid))
            return on_reader[0]

        made = held(card, None, Face.CONTACT)
        try:
            personalise(desk, made, order.id, WELL_KNOWN_TRANSPORT_KEY, hold=hold)
        except AgentError as error:
            return error
        finally:
            made.state.close()
            on_reader[0].state.close()
        return None

    assert isinstance(attempt(other, UID), CardOfAnotherOrder)
    assert isinstance(attempt(card, None), UidMissing)
    assert isinstance(attempt(card, bytes.fromhex("08a1b2c3")), UidMissing)
    assert order.state == "open"
    assert attempt(card, UID) is None
    assert (order.state, order.uid) == ("done", to_base64url(UID))


def test_by_the_command_on_two_readers(
    desk: Agent, card_service: CardService, readers: Readers, tmp_path: Path
) -> None:
    """Made in the slot, then held to the other reader when it is asked for; `info` shows the UID there."""
    order, card = new_order(card_service), blank_card(tmp_path / "card.json")
    readers.insert(CONTACT_READER, card)
    command = ["reader-agent", "personalise", str(order.id), "--agent", str(desk.directory.path)]
    command += ["--reader", CONTACT_READER, "--uid-reader", CONTACTLESS_READER, "--wait", "60", "--json"]
    said = tmp_path / "said"
    with said.open("w") as err, (tmp_path / "out").open("w") as out:
        begun = warm.begin(command, {**os.environ, **readers.environment}, out, err)
        wait_until(lambda: "Hold the card to" in said.read_text(), "the command to ask", 60)
        assert order.state == "open"
        readers.pull(CONTACT_READER)
        readers.insert(CONTACTLESS_READER, card, Face.CONTACTLESS)
        assert begun.wait(60) == 0, said.read_text()
    uid = read_memory(card).uid
    assert (order.state, order.uid) == ("done", to_base64url(uid))
    shown = CliRunner().invoke(main, ["info", "--reader", CONTACTLESS_READER], catch_exceptions=False)
    assert f"UID          {uid.hex()}\n" in shown.stdout
    readers.pull(CONTACTLESS_READER)
    readers.insert(CONTACT_READER, card)
    shown = CliRunner().invoke(main, ["info", "--reader", CONTACT_READER], catch_exceptions=False)
    assert "UID" not in shown.stdout


def test_a_batch_records_them_too(
    desk: Agent, card_service: CardService, readers: Readers, tmp_path: Path
) -> None:
    """A card that is administered without contact, as some are, on a reader that tells its UID."""
    order, card = new_order(card_service), tmp_path / "card.json"
    CardState.create(card, factory_memory(os.urandom, contactless_pin=True)).close()
    readers.insert(CONTACTLESS_READER, card, Face.CONTACTLESS)
    (tmp_path / "stock.csv").write_text(f"order\n{order.id}\n")
    arguments = ["personalise", "--batch", str(tmp_path / "stock.csv"), "--out", str(tmp_path / "out.csv")]
    arguments += ["--reader", CONTACTLESS_READER, "--agent", str(desk.directory.path), "--wait", "5"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert order.uid == to_base64url(read_memory(card).uid)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--uid", "04a1b2c3d4e5f6", "--uid-reader", "Desk", "--reader", "Desk"),
        ("--uid-reader", "Desk", "--give-up"),
        ("--uid-reader", "Desk", "--reader", "Desk", "--reset"),
    ],
)
def test_a_uid_in_the_wrong_place(desk: Agent, arguments: tuple[str, ...]) -> None:
    """A usage error, and nothing is asked."""
    order = "5f1c0f5e-0d8f-4c36-8f1c-3d5cf8f6f0aa"
    command = ["personalise", order, "--agent", str(desk.directory.path), *arguments]
    assert CliRunner().invoke(main, command).exit_code == 2


@pytest.mark.parametrize("arguments", [(), ("--reader", "Door", "--uid", "04a1b2c3"), ("--uid", "04a1")])
def test_status_wants_one_card(desk: Agent, arguments: tuple[str, ...]) -> None:
    """A reader, or a UID that is one."""
    command = ["status", "--agent", str(desk.directory.path), *arguments]
    assert CliRunner().invoke(main, command).exit_code == 2
