"""The software card as its reader sees it: power, ATR, and one answer to each command, whatever the bytes."""

from os import urandom
from typing import Final

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import (
    CLA_CHAINING,
    CLA_INTERINDUSTRY,
    INS_GET_RESPONSE,
    MAX_SHORT_NE,
    ApduError,
    CommandApdu,
    ResponseApdu,
)
from reader_agent.cardspec.piv import Instruction
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card.application import Face, PivApplication
from reader_agent.virtual_card.errors import CardUnpowered
from reader_agent.virtual_card.memory import RandomBytes
from reader_agent.virtual_card.security import Refused
from reader_agent.virtual_card.state import CardState

# ISO/IEC 7816-3:2006, 8.2, with historical bytes of ISO/IEC 7816-4:2020, 12.1: 80 F9 and the AID. With it
# OpenSC 0.23 takes the card for a PIV card with elliptic curves; with 3B80800101 for one without.
ATR_CONTACT: Final = bytes.fromhex("3B8B800180F9A00000030800001000C8")
# PC/SC part 3, 3.1.3.2.3.1: what a reader makes of the historical bytes of a contactless card. Ours say that
# applications are selected by their whole or truncated name and that commands may be chained, then the AID.
ATR_CONTACTLESS: Final = bytes.fromhex("3B8F80018073C00180F9A00000030800001000FE")

MAX_CHAIN_LENGTH: Final = 16_384  # ours: more than any object and its tags


class VirtualCard:
    """One card under power through one of its faces.

    `transmit` answers every byte string with a status word: a card does not crash. Short lengths only, as
    many readers and cards know no others.
    """

    def __init__(self, state: CardState, face: Face, random_bytes: RandomBytes = urandom) -> None:
        self._state, self._random_bytes = state, random_bytes
        self.face = face
        self._application: PivApplication | None = None
        self._selected = False
        self._chain: CommandApdu | None = None
        self._waiting = b""

    @property
    def atr(self) -> bytes:
        """The answer to reset, ISO/IEC 7816-3:2006, 8; without contact, the one that the reader makes up."""
        return ATR_CONTACT if self.face is Face.CONTACT else ATR_CONTACTLESS

    @property
    def uid(self) -> bytes:
        """The identifier of the contactless chip, ISO/IEC 14443-3, 6.5.4."""
        return self._state.memory.uid

    def power_on(self) -> None:
        """Give the card power, or take it away for a moment: nothing is selected, nobody is authenticated."""
        self._application = PivApplication(self._state, self.face, self._random_bytes)
        self._selected, self._chain, self._waiting = False, None, b""

    reset = power_on

    def power_off(self) -> None:
        """Take the power away."""
        self._application = None

    def transmit(self, raw: bytes) -> bytes:
        """The response to one command, both in bytes. Raises CardUnpowered."""
        if self._application is None:
            raise CardUnpowered("the card has no power")
        try:
            return self._respond(CommandApdu.decode(raw), raw)
        except ApduError:
            return _status(StatusWord.WRONG_LENGTH)
        except Refused as refusal:
            return _status(refusal.sw)
        except OSError:
            return _status(StatusWord.MEMORY_FAILURE)

    def _respond(self, command: CommandApdu, raw: bytes) -> bytes:
        waiting, self._waiting = self._waiting, b""
        chain, self._chain = self._chain, None
        if command.encode() != raw:
            raise Refused(StatusWord.WRONG_LENGTH)
        _require_class(command.cla)
        if command.ins == INS_GET_RESPONSE and not command.is_chained:
            if not waiting:
                raise Refused(StatusWord.CONDITIONS_NOT_SATISFIED)
            return self._hand_out(waiting, command.le or MAX_SHORT_NE)
        if command.is_chained and command.ins == Instruction.SELECT:
            # Else a chain that broke off there would swallow the SELECT by which the next session begins.
            raise Refused(StatusWord.CHAINING_NOT_SUPPORTED)
        command = _joined(chain, command)
        if command.is_chained:
            self._chain = command
            return _status(StatusWord.SUCCESS)
        return self._hand_out(self._execute(command), command.le or 0)

    def _execute(self, command: CommandApdu) -> bytes:
        if command.ins == Instruction.SELECT:
            return self._select(command)
        if self._application is None or not self._selected:
            raise Refused(StatusWord.INSTRUCTION_NOT_SUPPORTED)
        return self._application.handle(command)

    def _select(self, command: CommandApdu) -> bytes:
        """SP 800-73-5 part 2, 3.1.1. Whatever fails here leaves the selected application as it was."""
        by_name = command.p1 == 0x04 and command.p2 in (0x00, 0x0C)
        if not by_name or len(command.data) < len(piv.AID_TRUNCATED) or not piv.AID.startswith(command.data):
            raise Refused(StatusWord.NOT_FOUND)
        self._selected = True
        return piv.encode_application_property_template() if command.p2 == 0x00 else b""

    def _hand_out(self, data: bytes, limit: int) -> bytes:
        """As much as was asked for; 61xx where GET RESPONSE fetches the rest (ISO/IEC 7816-4:2020, 5.3.4)."""
        given, self._waiting = data[:limit], data[limit:]
        if not self._waiting:
            return ResponseApdu(given, StatusWord.SUCCESS).encode()
        left = len(self._waiting)
        return ResponseApdu(given, 0x6100 | (left if left < MAX_SHORT_NE else 0)).encode()


def _status(sw: int) -> bytes:
    return ResponseApdu(b"", sw).encode()


def _require_class(cla: int) -> None:
    """Interindustry, basic channel, no secure messaging; chaining or not (ISO/IEC 7816-4:2020, 5.4.1)."""
    if cla in (CLA_INTERINDUSTRY, CLA_CHAINING):
        return
    if cla & 0xE0:
        raise Refused(StatusWord.CLASS_NOT_SUPPORTED)
    if cla & 0x0C:
        raise Refused(StatusWord.SECURE_MESSAGING_NOT_SUPPORTED)
    raise Refused(StatusWord.CHANNEL_NOT_SUPPORTED)


def _joined(chain: CommandApdu | None, command: CommandApdu) -> CommandApdu:
    """The command with what its chain brought before. A chain that another command breaks into is dropped."""
    if chain is None or (chain.ins, chain.p1, chain.p2) != (command.ins, command.p1, command.p2):
        return command
    data = chain.data + command.data
    if len(data) > MAX_CHAIN_LENGTH:
        raise Refused(StatusWord.NOT_ENOUGH_MEMORY)
    return CommandApdu(command.cla, command.ins, command.p1, command.p2, data, command.le)
