"""The PC/SC seam on a real pcscd, with virtual readers and what hands do to them."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from smartcard import scard

import reader_agent
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_KEY
from reader_agent.errors import (
    CardError,
    CardRemoved,
    CardReset,
    CardSilent,
    NoCard,
    PcscUnavailable,
    ReaderAmbiguous,
    ReaderBusy,
    ReaderUnknown,
)
from reader_agent.outbox_entries import EntryKind, EntryState
from reader_agent.personalise import personalise
from reader_agent.piv.session import PivSession, read_identity
from reader_agent.tapping import Outcome, Step, tap
from reader_agent.transport import pcsc
from reader_agent.transport.pcsc import PcscConnection, PcscReaders
from reader_agent.virtual_card.application import Face
from tests.reader_agent.world import ORDER, World, blank_card, new_order
from tests.support.pcsc import CONTACT_READER, CONTACTLESS_READER, Readers

SELECT = bytes.fromhex("00A4040009A00000030800001000" + "00")


@pytest.fixture
def pcsc_readers(readers: Readers) -> Iterator[PcscReaders]:
    """Our own view of the readers."""
    assert readers.pcscd.is_running
    found = PcscReaders()
    yield found
    found.close()


@pytest.fixture
def connection(readers: Readers, pcsc_readers: PcscReaders, tmp_path: Path) -> Iterator[PcscConnection]:
    """Connected to a blank card."""
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    connection = pcsc_readers.connect(CONTACT_READER)
    yield connection
    connection.close()


def test_a_reader_is_found_by_the_beginning_of_its_name(readers: Readers, pcsc_readers: PcscReaders) -> None:
    """pcscd adds numbers to the name; the first slot is meant."""
    assert pcsc_readers.find(CONTACT_READER) == readers.full_name(CONTACT_READER)
    assert pcsc_readers.find(readers.full_name(CONTACT_READER)) == readers.full_name(CONTACT_READER)
    with pytest.raises(ReaderAmbiguous):
        pcsc_readers.find("Test")
    with pytest.raises(ReaderUnknown):
        pcsc_readers.find("Test contact 00 0")


def test_no_card(pcsc_readers: PcscReaders) -> None:
    """At once without waiting, and after the wait with it."""
    with pytest.raises(NoCard):
        pcsc_readers.connect(CONTACT_READER)
    with pytest.raises(NoCard):
        pcsc_readers.connect(CONTACT_READER, wait_s=0.1)


def test_a_card_that_comes_is_waited_for(readers: Readers, pcsc_readers: PcscReaders, tmp_path: Path) -> None:
    """It is put in while somebody waits."""
    card = blank_card(tmp_path / "card.json")
    timer = threading.Timer(0.3, lambda: readers.insert(CONTACT_READER, card))
    timer.start()
    try:
        connection = pcsc_readers.connect(CONTACT_READER, wait_s=20)
    finally:
        timer.join()
    assert connection.transmit(SELECT)[1] == 0x9000
    connection.close()


def test_a_pulled_card_ends_the_connection(readers: Readers, connection: PcscConnection) -> None:
    """Also for another card that is on the reader by then: it must be connected to anew."""
    assert connection.transmit(SELECT)[1] == 0x9000
    readers.pull(CONTACT_READER)
    with pytest.raises(CardRemoved):
        connection.transmit(SELECT)
    with pytest.raises(CardRemoved):
        connection.transmit(SELECT)
    with pytest.raises(CardRemoved), connection.transaction():
        pass


def test_a_swapped_card_is_not_reached_through_the_old_connection(
    readers: Readers, connection: PcscConnection, tmp_path: Path
) -> None:
    """Whatever PC/SC does with the old handle: the answer is an error, not the new card's."""
    readers.pull(CONTACT_READER)
    readers.insert(CONTACT_READER, blank_card(tmp_path / "another.json"))
    with pytest.raises(CardError):
        connection.transmit(SELECT)


def test_a_reset_by_another_program(
    readers: Readers, connection: PcscConnection, pcsc_readers: PcscReaders
) -> None:
    """In the middle of a session it ends it; between two transactions it is taken up."""
    assert readers.pcscd.is_running
    pcsc_readers.connect(CONTACT_READER).close(reset=True)
    with connection.transaction():
        assert connection.transmit(SELECT)[1] == 0x9000
    pcsc_readers.connect(CONTACT_READER).close(reset=True)
    with pytest.raises(CardReset):
        connection.transmit(SELECT)
    # Reconnecting would succeed now, on whatever card is there: what has failed once stays failed.
    with pytest.raises(CardReset), connection.transaction():
        pass


def test_closing_leaves_the_card_to_others(connection: PcscConnection, pcsc_readers: PcscReaders) -> None:
    """A second program's session goes on when we leave, unless we ask for a reset."""
    other = pcsc_readers.connect(CONTACT_READER)
    other.transmit(SELECT)
    connection.close()
    assert other.transmit(SELECT)[1] == 0x9000
    other.close()


def test_an_exclusive_program_is_named(readers: Readers, pcsc_readers: PcscReaders, tmp_path: Path) -> None:
    """Another program holds the reader for itself."""
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    name = readers.full_name(CONTACT_READER)
    protocols = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
    code, handle, _ = scard.SCardConnect(context, name, scard.SCARD_SHARE_EXCLUSIVE, protocols)
    assert code == scard.SCARD_S_SUCCESS
    try:
        with pytest.raises(ReaderBusy):
            pcsc_readers.connect(CONTACT_READER)
    finally:
        scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)
        scard.SCardReleaseContext(context)


def test_a_silent_card_does_not_hold_us(
    readers: Readers, connection: PcscConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card never answers: the watchdog lets go, and closing does not wait either."""
    card = readers._inserted[CONTACT_READER].bridge._card
    answered = threading.Event()

    def never(_: bytes) -> bytes:
        answered.wait(60)
        return b"\x6f\x00"

    monkeypatch.setattr(card, "transmit", never)
    monkeypatch.setattr(pcsc, "TRANSMIT_TIMEOUT_S", 0.3)
    try:
        with pytest.raises(CardSilent):
            connection.transmit(SELECT)
        with pytest.raises(CardSilent):
            connection.transmit(SELECT)
        connection.close()
    finally:
        answered.set()


def test_pcscd_comes_back(readers: Readers, pcsc_readers: PcscReaders, tmp_path: Path) -> None:
    """Stopped: said so. Started again: the same object finds readers and card."""
    assert pcsc_readers.names()
    readers.pcscd.stop()
    with pytest.raises(PcscUnavailable):
        pcsc_readers.names()
    readers.pcscd.start()
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    connection = pcsc_readers.connect(CONTACT_READER)
    assert connection.transmit(SELECT)[1] == 0x9000
    connection.close()


def test_a_card_is_made_by_contact_and_pays_without(
    readers: Readers, pcsc_readers: PcscReaders, world: World, tmp_path: Path
) -> None:
    """The whole way on real PC/SC: issuing desk with a contact slot, validator without."""
    order, card = new_order(world.service), blank_card(tmp_path / "new.json")
    readers.insert(CONTACT_READER, card)
    personalise(world.agent, pcsc_readers.connect(CONTACT_READER), order.id, WELL_KNOWN_TRANSPORT_KEY)
    readers.pull(CONTACT_READER)
    readers.insert(CONTACTLESS_READER, card, Face.CONTACTLESS)
    session = PivSession(pcsc_readers.connect(CONTACTLESS_READER))
    assert read_identity(session).card == order.card
    session.close()
    result = tap(world.agent, pcsc_readers.connect(CONTACTLESS_READER), ORDER)
    assert result.outcome is Outcome.APPROVED
    assert world.service.charged == 240


def when(step: Step, act: Callable[[], None]) -> Callable[[Step], None]:
    """A progress that acts at one step."""

    def progress(reached: Step) -> None:
        if reached is step:
            act()

    return progress


def test_pulled_on_pcscd_before_it_signs(readers: Readers, pcsc_readers: PcscReaders, world: World) -> None:
    """Between the price and the signature: nothing is sent, and nothing is left to tell."""
    readers.insert(CONTACTLESS_READER, world.card_file, Face.CONTACTLESS)
    connection = pcsc_readers.connect(CONTACTLESS_READER)
    with pytest.raises(CardRemoved):
        tap(world.agent, connection, ORDER, when(Step.STORED, lambda: readers.pull(CONTACTLESS_READER)))
    assert world.entries() == [(EntryKind.REQUEST, EntryState.VOID)]
    assert not world.service.received


def test_swapped_on_pcscd_before_it_signs(
    readers: Readers, pcsc_readers: PcscReaders, world: World, tmp_path: Path
) -> None:
    """Another card of the scheme comes onto the reader: it does not pay for the first one's holder."""
    another = tmp_path / "another.json"
    world.issue_card(another)
    readers.insert(CONTACTLESS_READER, world.card_file, Face.CONTACTLESS)
    connection = pcsc_readers.connect(CONTACTLESS_READER)

    def swap() -> None:
        readers.pull(CONTACTLESS_READER)
        readers.insert(CONTACTLESS_READER, another, Face.CONTACTLESS)

    with pytest.raises(CardError):
        tap(world.agent, connection, ORDER, when(Step.STORED, swap))
    assert world.entries() == [(EntryKind.REQUEST, EntryState.VOID)]
    assert not world.service.received


def test_one_module_imports_pyscard() -> None:
    """Whatever else it needs of PC/SC goes through that one, so that another binding is one change."""
    root = Path(reader_agent.__file__).parent
    importing = [
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"^\s*(from|import) smartcard\b", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["transport/winscard.py"]
