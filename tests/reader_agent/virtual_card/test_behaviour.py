"""Cards that are told to break, to fall silent, to answer nonsense or to be as slow as a chip."""

import signal
import socket
import threading
from pathlib import Path

import pytest
from smartcard.Exceptions import SmartcardException

from reader_agent.errors import CardError
from reader_agent.piv.session import PivSession
from reader_agent.transport.pcsc import PcscReaders
from reader_agent.virtual_card import silicon
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.behaviour import MAX_RESPONSE, MIN_RESPONSE, Behaviour, ToldCard
from reader_agent.virtual_card.bridge import GET_ATR, POWER_ON, Bridge
from reader_agent.virtual_card.errors import CardSaysNothing, CardTorn, CardUnpowered
from reader_agent.virtual_card.state import CardState, read_memory
from tests.reader_agent.virtual_card.conftest import PIN
from tests.reader_agent.virtual_card.host import SELECT_PIV, Host
from tests.reader_agent.virtual_card.test_cli import running
from tests.reader_agent.virtual_card.test_on_pcscd import connect
from tests.support.pcsc import CONTACT_READER, Readers, wait_until

WRONG = b"000000\xff\xff"
DISCOVERY = bytes.fromhex("00CB3FFF035C017E00")


def told(state: CardState, behaviour: Behaviour, slept: list[float] | None = None) -> Host:
    """A card on its contact face that was told this, PIV selected."""
    card = ToldCard(state, Face.CONTACT, behaviour, sleep=(slept if slept is not None else []).append)
    card.power_on()
    host = Host(card, state)
    host.raw(SELECT_PIV)
    return host


def test_told_nothing_it_is_a_card(personalised: Path) -> None:
    with CardState.load(personalised) as state:
        host = told(state, Behaviour())
        assert host.verify(PIN) == 0x9000
        host.card.reset()
        assert host.raw(DISCOVERY)[1] == 0x6D00


@pytest.mark.parametrize(("kept", "tries"), [(False, 5), (True, 4)])
def test_a_write_is_torn_before_or_after(personalised: Path, kept: bool, tries: int) -> None:
    """A wrong PIN is one write: lost, or kept without its answer."""
    with CardState.load(personalised) as state:
        host = told(state, Behaviour(tear_at=1, tear_kept=kept))
        with pytest.raises(CardTorn):
            host.verify(WRONG)
        host.card.power_on()  # a card without a reader gets no power
        with pytest.raises(CardUnpowered):
            host.raw(SELECT_PIV)
    assert read_memory(personalised).pin.tries_left == tries


def test_the_write_that_tears_is_counted(personalised: Path) -> None:
    """The right PIN is two writes: the try is spent, then given back."""
    with CardState.load(personalised) as state:
        host = told(state, Behaviour(tear_at=2))
        with pytest.raises(CardTorn, match="write 2"):
            host.verify(PIN)
    assert read_memory(personalised).pin.tries_left == 4


def test_a_card_falls_silent(personalised: Path) -> None:
    with CardState.load(personalised) as state:
        host = told(state, Behaviour(silent_after=2))
        assert host.raw(DISCOVERY)[1] == 0x9000
        for _ in range(2):
            with pytest.raises(CardSaysNothing):
                host.raw(DISCOVERY)


def test_a_card_answers_nonsense_of_any_length(personalised: Path) -> None:
    with CardState.load(personalised) as state:
        host = told(state, Behaviour(garbage_after=1))
        answers = [host.card.transmit(DISCOVERY) for _ in range(300)]
    assert len(set(answers)) > 290
    assert min(map(len, answers)) >= MIN_RESPONSE
    assert max(map(len, answers)) <= MAX_RESPONSE


def test_a_chip_takes_its_time(personalised: Path) -> None:
    """Each answer waits for the model's time, less what was spent already."""
    slept: list[float] = []
    with CardState.load(personalised) as state:
        host = told(state, Behaviour(silicon=True), slept)
        del slept[:]
        assert host.sign(0x9E, bytes(32))[1] == 0x9000
        assert host.raw(DISCOVERY)[1] == 0x9000
    signing, reading = slept
    assert 0.1 < signing < silicon.P256_S + 0.05
    assert reading < silicon.COMMAND_S + 0.01


SIGN = bytes.fromhex("0087119E267C2482008120") + bytes(32) + b"\x00"
GENERATE = bytes.fromhex("0047009E05AC0380011100")
P384 = bytes.fromhex("0087149E367C3482008130") + bytes(48) + b"\x00"
RSA = bytes.fromhex("0087079E0B") + bytes(11) + b"\x00"  # the last piece of its chain
GENERATE_RSA = bytes.fromhex("0047009E05AC0380010700")
AUTHENTICATE = bytes.fromhex("00870A9B047C02800000")


@pytest.mark.parametrize(
    ("command", "response", "writes", "work_s"),
    [
        (DISCOVERY, bytes(20) + b"\x90\x00", 0, 0.0),
        (SIGN, bytes(76) + b"\x90\x00", 0, silicon.P256_S),
        (SIGN, b"\x69\x82", 0, 0.0),  # refused before anything is computed
        (SIGN, b"\x61\x4c", 0, silicon.P256_S),
        (b"\x10" + SIGN[1:], b"\x90\x00", 0, 0.0),  # the first piece of a chain
        (GENERATE, bytes(70) + b"\x90\x00", 1, silicon.GENERATE_S + silicon.WRITE_S),
        (P384, bytes(106) + b"\x90\x00", 0, silicon.P384_S),
        (RSA, b"\x61\x08", 0, silicon.RSA_S),
        (GENERATE_RSA, b"\x61\x0e", 1, silicon.GENERATE_RSA_S + silicon.WRITE_S),
        (AUTHENTICATE, bytes(20) + b"\x90\x00", 0, silicon.BLOCK_CIPHER_S),
        (bytes.fromhex("0020008008") + WRONG, b"\x63\xc4", 1, silicon.WRITE_S),
        (bytes.fromhex("0020008008") + PIN, b"\x90\x00", 2, 2 * silicon.WRITE_S),
        (bytes.fromhex("00DB3FFFFF") + bytes(255), b"\x90\x00", 1, 5 * silicon.WRITE_S),
        (b"", b"\x67\x00", 0, 0.0),
    ],
)
def test_the_model(command: bytes, response: bytes, writes: int, work_s: float) -> None:
    expected = silicon.COMMAND_S + (len(command) + len(response)) * silicon.BYTE_S + work_s
    assert silicon.modelled_s(command, response, writes) == pytest.approx(expected)


def test_a_byte_takes_what_106_kbit_a_second_allow() -> None:
    """Ten units of 128 periods of the carrier of 13.56 MHz (ISO/IEC 14443-3)."""
    assert pytest.approx(10 * 128 / 13.56e6, rel=0.01) == silicon.BYTE_S


@pytest.mark.parametrize("option", [("--tear-at", "1"), ("--tear-at", "1", "--tear-kept")])
def test_a_torn_card_is_pulled_and_told(
    readers: Readers, personalised: Path, option: tuple[str, ...]
) -> None:
    port = str(readers.port(CONTACT_READER))
    with running("virtual-card", "insert", personalised, "--port", port, *option) as (process, _):
        wait_until(lambda: readers.state(CONTACT_READER).has_card, "the card")
        assert transmit(readers, SELECT_PIV, bytes.fromhex("0020008008") + WRONG) is None
        assert process.wait(10) == 1
        assert process.stderr is not None
        assert "lost its power at write 1" in process.stderr.read()
    wait_until(lambda: not readers.state(CONTACT_READER).has_card, "no card")
    assert read_memory(personalised).pin.tries_left == (4 if "--tear-kept" in option else 5)


def test_insert_says_that_its_time_is_modelled(readers: Readers, personalised: Path) -> None:
    port = str(readers.port(CONTACT_READER))
    with running("virtual-card", "insert", personalised, "--port", port, "--silicon") as (process, line):
        assert "modelled" in line
        wait_until(lambda: readers.state(CONTACT_READER).has_card, "the card")
        assert transmit(readers, SELECT_PIV, DISCOVERY) == bytes.fromhex(
            "7E124F0BA0000003080000100001005F2F024000"
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    wait_until(lambda: not readers.state(CONTACT_READER).has_card, "no card")


def transmit(readers: Readers, *commands: bytes) -> bytes | None:
    """The last command's data; None where the card went away instead of answering."""
    connection = connect(readers, CONTACT_READER)
    try:
        for command in commands:
            data, _, _ = connection.transmit(list(command))
    except SmartcardException:
        return None
    finally:
        connection.disconnect()
    return bytes(data)


def test_a_silent_card_is_still_in_its_reader(personalised: Path) -> None:
    """It answers no command, and what is no command as before: pcscd goes on seeing a card."""
    with socket.create_server(("127.0.0.1", 0)) as listener, CardState.load(personalised) as state:
        card = ToldCard(state, Face.CONTACT, Behaviour(silent_after=0))
        bridge = Bridge.connect(card, "127.0.0.1", listener.getsockname()[1])
        connection, _ = listener.accept()
        connection.settimeout(10)
        thread = threading.Thread(target=bridge.run)
        thread.start()
        with connection:
            for message in (POWER_ON, SELECT_PIV, GET_ATR):
                connection.sendall(len(message).to_bytes(2) + message)
            assert connection.recv(2, socket.MSG_WAITALL) == len(card.atr).to_bytes(2)
            assert connection.recv(len(card.atr), socket.MSG_WAITALL) == card.atr
        thread.join(10)
        assert not thread.is_alive()


def test_a_session_survives_a_lying_card(readers: Readers, personalised: Path) -> None:
    """Over a real pcscd: an error of ours each time, or a result that is checked by who uses it."""
    readers.insert(CONTACT_READER, personalised, behaviour=Behaviour(garbage_after=1))
    pcsc = PcscReaders()
    session = PivSession(pcsc.connect(CONTACT_READER))
    try:
        session.select()
        for _ in range(20):
            with pytest.raises(CardError):
                session.chuid()
    finally:
        session.close()
        pcsc.close()
