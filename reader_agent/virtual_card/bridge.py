"""Puts a software card on a virtual reader: the card's side of vsmartcard's vpcd protocol.

The reader (a driver inside pcscd) listens; a card is inserted by connecting and pulled by closing. A message
is its length in two bytes, big-endian, and its bytes. One-byte messages 00, 01, 02 and 04 control the card,
all others are commands to it.
"""

import socket
from typing import Final, Self

from reader_agent.cardspec.apdu import ResponseApdu
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.errors import CardSaysNothing, CardTorn, ReaderAbsent

POWER_OFF: Final = b"\x00"
POWER_ON: Final = b"\x01"
RESET: Final = b"\x02"
GET_ATR: Final = b"\x04"

CONNECT_TIMEOUT_S: Final = 5.0

# PC/SC part 3, 3.2.2.1.3: a reader, not the card, answers GET DATA for the UID.
CLA_READER: Final = b"\xff"
GET_UID: Final = bytes.fromhex("FFCA000000")


class Bridge:
    """One card on one reader, from `connect` until it is pulled."""

    def __init__(self, card: VirtualCard, connection: socket.socket) -> None:
        self._card, self._connection = card, connection

    @classmethod
    def connect(cls, card: VirtualCard, host: str, port: int) -> Self:
        """Insert the card. Raises ReaderAbsent."""
        try:
            connection = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            raise ReaderAbsent(host, port) from error
        connection.settimeout(None)
        return cls(card, connection)

    def run(self) -> None:
        """Answer the reader until the card is pulled or the reader goes away."""
        try:
            while (message := self._receive()) is not None:
                answer = self._answer(message)
                if answer is not None:
                    self._connection.sendall(len(answer).to_bytes(2) + answer)
        except (ConnectionError, CardTorn):
            return  # the reader went away, or the card's power: nothing is left to answer
        finally:
            self._card.power_off()
            self._connection.close()

    def pull(self) -> None:
        """Take the card out; ends `run` in whatever thread it is."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is out already

    def _answer(self, message: bytes) -> bytes | None:
        if message == GET_ATR:
            return self._card.atr
        if message == POWER_OFF:
            self._card.power_off()
            return None
        if message in (POWER_ON, RESET):
            self._card.power_on()
            return None
        if message[:1] == CLA_READER:
            return self._as_reader(message)
        try:
            return self._card.transmit(message)
        except CardSaysNothing:
            return None

    def _as_reader(self, message: bytes) -> bytes:
        if message == GET_UID and self._card.face is Face.CONTACTLESS:
            return ResponseApdu(self._card.uid, StatusWord.SUCCESS).encode()
        return ResponseApdu(b"", StatusWord.FUNCTION_NOT_SUPPORTED).encode()

    def _receive(self) -> bytes | None:
        """The next message; None at the end of the connection."""
        head = self._receive_exactly(2)
        return None if head is None else self._receive_exactly(int.from_bytes(head))

    def _receive_exactly(self, length: int) -> bytes | None:
        received = b""
        while len(received) < length:
            # Set anew each time, since the kernel forgets it. Without, the driver's two small writes and a
            # delayed acknowledgement make each command take 44 ms instead of 0.1 ms; TCP_NODELAY is no cure.
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            part = self._connection.recv(length - len(received))
            if not part:
                return None
            received += part
        return received


def serve(card: VirtualCard, host: str, port: int) -> None:
    """Insert the card and keep it in until the reader goes away. Raises ReaderAbsent."""
    Bridge.connect(card, host, port).run()
