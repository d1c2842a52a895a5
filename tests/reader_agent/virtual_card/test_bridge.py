"""The card's side of the vpcd protocol, byte for byte, against a socket that plays the driver."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.bridge import Bridge, serve
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.errors import CardUnpowered, ReaderAbsent
from reader_agent.virtual_card.state import CardState
from tests.reader_agent.virtual_card.host import SELECT_PIV

TIMEOUT_S = 10.0


@dataclass
class Driver:
    """The listening side, as vpcd is, and the card that was inserted."""

    connection: socket.socket
    bridge: Bridge
    thread: threading.Thread
    card: VirtualCard

    def send(self, message: str | bytes) -> None:
        raw = bytes.fromhex(message) if isinstance(message, str) else message
        self.connection.sendall(len(raw).to_bytes(2) + raw)

    def receive(self) -> bytes:
        head = self.connection.recv(2, socket.MSG_WAITALL)
        return self.connection.recv(int.from_bytes(head), socket.MSG_WAITALL)

    def ended(self) -> bool:
        self.thread.join(TIMEOUT_S)
        return not self.thread.is_alive()


@pytest.fixture(params=Face)
def driver(request: pytest.FixtureRequest, personalised: Path) -> Iterator[Driver]:
    with socket.create_server(("127.0.0.1", 0)) as listener, CardState.load(personalised) as state:
        card = VirtualCard(state, request.param)
        bridge = Bridge.connect(card, "127.0.0.1", listener.getsockname()[1])
        connection, _ = listener.accept()
        connection.settimeout(TIMEOUT_S)
        thread = threading.Thread(target=bridge.run)
        thread.start()
        with connection:
            yield Driver(connection, bridge, thread, card)
        assert Driver(connection, bridge, thread, card).ended()


def test_the_atr_is_told_before_the_card_has_power(driver: Driver) -> None:
    driver.send("04")
    assert driver.receive() == driver.card.atr


@pytest.mark.parametrize("power", ["01", "02"], ids=["power on", "reset"])
def test_power_has_no_reply_and_lets_commands_through(driver: Driver, power: str) -> None:
    driver.send(power)
    driver.send(SELECT_PIV)
    assert driver.receive()[-2:] == b"\x90\x00"


def test_messages_may_come_byte_by_byte(driver: Driver) -> None:
    raw = b"\x00\x01\x01" + len(SELECT_PIV).to_bytes(2) + SELECT_PIV
    driver.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in raw:
        driver.connection.sendall(bytes((byte,)))
    assert driver.receive()[-2:] == b"\x90\x00"


@pytest.mark.parametrize("message", ["", "03", "05", "60", "90"])
def test_other_short_messages_are_commands(driver: Driver, message: str) -> None:
    driver.send("01")
    driver.send(message)
    assert driver.receive() == bytes.fromhex("6700")


def test_the_uid_is_answered_by_the_reader_and_only_without_contact(driver: Driver) -> None:
    driver.send("01")
    driver.send("FFCA000000")
    answer = driver.receive()
    if driver.card.face is Face.CONTACTLESS:
        assert (answer[:-2], answer[-2:]) == (driver.card.uid, b"\x90\x00")
        assert len(driver.card.uid) == 7
    else:
        assert answer == bytes.fromhex("6A81")
    driver.send("FFCA010000")
    assert driver.receive() == bytes.fromhex("6A81")


def test_pulling_ends_the_connection_and_the_power(driver: Driver) -> None:
    driver.send("01")
    driver.send(SELECT_PIV)
    driver.receive()
    driver.bridge.pull()
    assert driver.connection.recv(1) == b""
    assert driver.ended()
    with pytest.raises(CardUnpowered):
        driver.card.transmit(SELECT_PIV)
    driver.bridge.pull()  # once more does no harm


@pytest.mark.parametrize(
    "last", [b"", b"\x00", b"\x00\x05\x00\xa4"], ids=["between", "in the length", "in the message"]
)
def test_a_reader_that_goes_away_ends_it(driver: Driver, last: bytes) -> None:
    driver.connection.sendall(last)
    driver.connection.close()
    assert driver.ended()


def test_no_reader_is_said_so(personalised: Path) -> None:
    with socket.socket() as taken, CardState.load(personalised) as state:
        taken.bind(("127.0.0.1", 0))  # bound, so that nobody else listens there, and not listening
        port = taken.getsockname()[1]
        with pytest.raises(ReaderAbsent) as caught:
            serve(VirtualCard(state, Face.CONTACT), "127.0.0.1", port)
    assert (caught.value.port, str(port) in str(caught.value)) == (port, True)
