"""Faults of readers and of pcscd that other tests do not meet: by the rows of what is known to happen."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.chaining import as_t0
from reader_agent.cardspec.piv import KeyReference, ObjectId
from reader_agent.cli import main
from reader_agent.errors import CardRemoved, CardSilent, PcscUnavailable, PinWrong, ReaderBusy
from reader_agent.piv import signing
from reader_agent.piv.session import PivSession
from reader_agent.transport import pcsc
from reader_agent.transport.access import Access
from reader_agent.transport.feeding import CardFeeder
from reader_agent.transport.pcsc import PcscReaders
from reader_agent.transport.slots import SlotWatch
from reader_agent.transport.traffic import TrafficLog
from reader_agent.virtual_card import card as virtual_card
from reader_agent.virtual_card.behaviour import Behaviour
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.card_service import CardService
from tests.reader_agent.virtual_card.conftest import MANAGEMENT_KEY, card_file, full_card
from tests.reader_agent.virtual_card.host import GUID
from tests.reader_agent.world import World, blank_card
from tests.support.pcsc import CONTACT_READER, Readers, wait_until

__all__ = ["card_file", "full_card"]

SELECT = bytes.fromhex("00A4040009A0000003080000100000")


@pytest.fixture
def kiosk() -> Iterator[PcscReaders]:
    """Readers whose cards are this program's alone."""
    readers = PcscReaders(Access(is_exclusive=True))
    yield readers
    readers.close()


@pytest.fixture
def others() -> Iterator[PcscReaders]:
    """Another program's."""
    readers = PcscReaders()
    yield readers
    readers.close()


def test_pcscd_is_absent(readers: Readers, others: PcscReaders) -> None:
    """It says so, and works as soon as pcscd is there."""
    readers.pcscd.close()
    for _ in range(2):
        with pytest.raises(PcscUnavailable):
            others.names()
    readers.pcscd.start()
    assert readers.full_name(CONTACT_READER) in others.names()


@pytest.fixture
def hanging(readers: Readers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], None]]:
    """Stops pcscd's process, or lets it go on; it neither answers nor ends. Nobody waits for it for long."""
    process = readers.pcscd._process
    assert process is not None
    limits = ("SERVICE_TIMEOUT_S", "CONNECT_TIMEOUT_S", "TRANSMIT_TIMEOUT_S", "TRANSACTION_TIMEOUT_S")
    usual = {name: getattr(pcsc, name) for name in limits}

    def is_stopped() -> bool:
        # proc(5): the state stands after the name, which is in brackets. Each of its threads stops by itself.
        tasks = Path(f"/proc/{process.pid}/task").glob("*/stat")
        return all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks)

    def hang(is_hanging: bool) -> None:
        for name in limits:
            monkeypatch.setattr(pcsc, name, 0.3 if is_hanging else usual[name])
        process.send_signal(signal.SIGSTOP if is_hanging else signal.SIGCONT)
        if is_hanging:
            wait_until(is_stopped, "pcscd to stand still")

    yield hang
    hang(False)


def test_pcscd_hangs(
    readers: Readers, others: PcscReaders, hanging: Callable[[bool], None], full_card: Path
) -> None:
    """Every call has a limit, and says who does not answer; the same objects work as soon as it goes on."""
    readers.insert(CONTACT_READER, full_card)
    name = readers.full_name(CONTACT_READER)
    watch = SlotWatch()
    known = watch.wait([CONTACT_READER], {}, 100)
    fresh = PcscReaders()
    assert known[CONTACT_READER].has_card
    others.names()
    hanging(True)
    calls: list[Callable[[], object]] = [
        *(others.names, others.names, fresh.names),
        lambda: others.wait_for_card(name, 5.0),
        lambda: others.connect(CONTACT_READER, wait_s=5.0),
        lambda: others.has_pin_pad(CONTACT_READER),
        lambda: watch.wait([CONTACT_READER], known, 100),
        lambda: watch.wait([CONTACT_READER], {}, 100),
    ]
    for call in calls:
        with pytest.raises(PcscUnavailable):
            call()
    hanging(False)
    assert watch.wait([CONTACT_READER], {}, 100)[CONTACT_READER].has_card
    for each in (others, fresh):
        connection = each.connect(CONTACT_READER, wait_s=10.0)
        with connection.transaction():
            assert connection.transmit(SELECT)[1] == 0x9000
        connection.close()
    watch.close()
    fresh.close()


@pytest.mark.parametrize("at", ["transmit", "begin", "end", "close", "reset"])
def test_pcscd_hangs_under_a_connection(
    readers: Readers, others: PcscReaders, hanging: Callable[[bool], None], full_card: Path, at: str
) -> None:
    """The session is over, whichever call it was; nobody waits, also not to close it."""
    readers.insert(CONTACT_READER, full_card)
    connection = others.connect(CONTACT_READER)

    def use() -> None:
        with connection.transaction():
            hanging(at == "end")

    if at in ("close", "reset"):
        hanging(True)
        connection.close(reset=at == "reset")
    else:
        hanging(at != "end")
        with pytest.raises(CardSilent):
            connection.transmit(SELECT) if at == "transmit" else use()
        with pytest.raises(CardSilent):
            connection.transmit(SELECT)
        connection.close()
    others.close()
    hanging(False)
    again = others.connect(CONTACT_READER)
    assert again.transmit(SELECT)[1] == 0x9000
    again.close()


@pytest.mark.parametrize(("atr", "protocol"), [("3B0A80F9A000000308000010", "T=0"), (None, "T=1")])
def test_both_protocols(
    readers: Readers,
    full_card: Path,
    monkeypatch: pytest.MonkeyPatch,
    atr: str | None,
    protocol: str,
    tmp_path: Path,
) -> None:
    """A card of T=0 alone gets no command with two lengths; whatever a session does works by either."""
    if atr is not None:
        monkeypatch.setattr(virtual_card, "ATR_CONTACT", bytes.fromhex(atr))
    readers.insert(CONTACT_READER, full_card)
    came: list[bytes] = []
    card = readers._inserted[CONTACT_READER].bridge._card
    answer = card.transmit

    def listen(command: bytes) -> bytes:
        came.append(command)
        return answer(command)

    monkeypatch.setattr(card, "transmit", listen)
    log = TrafficLog(tmp_path / "card.log")
    pcsc_readers = PcscReaders(Access(traffic=log))
    session = PivSession(pcsc_readers.connect(CONTACT_READER))
    with session.exclusive():
        assert session.guid() == GUID
        certificate = session.card_certificate()
        assert session.pin_attempts() == 5
        session.authenticate_management(MANAGEMENT_KEY)
        session.write(ObjectId.SECURITY_OBJECT, bytes(600))
        assert session.read(ObjectId.SECURITY_OBJECT) == bytes(600)
        session.verify_pin("123456")
        for key in (KeyReference.PIV_AUTHENTICATION, KeyReference.CARD_AUTHENTICATION):
            public_key = signing.require_suitable(session.certificate(key).public_key())
            signing.sign(session, key, public_key, bytes(32))
    session.close()
    pcsc_readers.close()
    log.close()
    assert certificate.subject
    assert f"connected, {protocol}" in (tmp_path / "card.log").read_text()
    if protocol == "T=0":
        assert came == [as_t0(command) for command in came]
    assert {command.ins for command in map(CommandApdu.decode, came)} >= {0xA4, 0xCB, 0xDB, 0x87, 0x20, 0xC0}


def test_a_kiosks_card_is_its_own(
    readers: Readers, kiosk: PcscReaders, others: PcscReaders, full_card: Path
) -> None:
    """While it is held nobody else gets at it, also between two transactions; afterwards everybody does."""
    readers.insert(CONTACT_READER, full_card)
    session = PivSession(kiosk.connect(CONTACT_READER))
    with session.exclusive():
        session.chuid()
    with pytest.raises(ReaderBusy):
        others.connect(CONTACT_READER)
    with session.exclusive():
        session.chuid()
    session.close()
    others.connect(CONTACT_READER).close()


def test_a_held_card_keeps_a_kiosk_away(
    readers: Readers, kiosk: PcscReaders, others: PcscReaders, full_card: Path
) -> None:
    """And the error says what to do."""
    readers.insert(CONTACT_READER, full_card)
    held = others.connect(CONTACT_READER)
    with pytest.raises(ReaderBusy, match="another program"):
        kiosk.connect(CONTACT_READER)
    held.close()


def test_pulled_within_a_command(readers: Readers, others: PcscReaders, full_card: Path) -> None:
    """The card has the command and does not answer; the hand takes it away meanwhile."""
    readers.insert(CONTACT_READER, full_card, behaviour=Behaviour(silent_after=0))
    connection = others.connect(CONTACT_READER)
    hand = threading.Timer(0.3, readers.pull, (CONTACT_READER,))
    hand.start()
    with pytest.raises(CardRemoved):
        connection.transmit(bytes.fromhex("00A4040009A0000003080000100000"))
    hand.join()
    # Whatever comes onto the reader now, it is not reached through the old connection.
    readers.insert(CONTACT_READER, full_card)
    with pytest.raises(CardRemoved):
        connection.transmit(bytes.fromhex("00A4040009A0000003080000100000"))
    connection.close()


def test_a_batch_outlives_pcscd(readers: Readers, tmp_path: Path) -> None:
    """It dies while a card is waited for, and comes back: the next card is met."""
    feeder = CardFeeder([CONTACT_READER], 20.0)
    found: list[object] = []
    waiting = threading.Thread(target=lambda: found.append(feeder.next()))
    waiting.start()
    readers.pcscd.close()
    readers.pcscd.start()
    readers.insert(CONTACT_READER, blank_card(tmp_path / "card.json"))
    wait_until(lambda: bool(found), "the card")
    waiting.join()
    feeder.close()
    assert found[0] is not None


def test_a_desk_sets_a_new_pin(
    world: World, card_service: CardService, readers: Readers, tmp_path: Path
) -> None:
    """The service tells it the PUK of a card that has proved itself; the holder types the new PIN."""
    path = tmp_path / "another.json"
    card = world.issue_card(path)
    readers.insert(CONTACT_READER, path)
    (tmp_path / "new").write_text("24681357")
    arguments = ["pin", "unblock", "--reader", CONTACT_READER, "--desk", str(world.directory.path)]
    arguments += ["--new-pin-file", str(tmp_path / "new")]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert str(card) not in done.output
    pcsc = PcscReaders()
    session = PivSession(pcsc.connect(CONTACT_READER))
    with session.exclusive_with_pin("24681357"):
        assert session.pin_attempts() is None
    with pytest.raises(PinWrong), session.exclusive_with_pin("000000"):
        pass
    session.close()
    pcsc.close()


def test_a_false_card_learns_no_puk(
    world: World, card_service: CardService, readers: Readers, tmp_path: Path
) -> None:
    """A copy of all that can be read of a card, with a key of its own: the service is not even asked."""
    path = blank_card(tmp_path / "false.json")
    with CardState.load(path) as state:
        memory = state.memory
        for tag, content in read_memory(world.card_file).objects.items():
            memory = memory.with_object(tag, content)
        key = ec.generate_private_key(ec.SECP256R1())
        pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        state.commit(memory.with_private_key(0x9E, pkcs8))
    readers.insert(CONTACT_READER, path)
    arguments = ["pin", "unblock", "--reader", CONTACT_READER, "--desk", str(world.directory.path)]
    done = CliRunner().invoke(main, arguments, input="24681357\n24681357\n", catch_exceptions=False)
    assert done.exit_code == 1
    assert "[card_proof_invalid]" in done.stderr
    assert "/v1/card-puks" not in card_service.paths
