"""The PIV application of the software card: which command does what, and on which face."""

from enum import StrEnum
from os import urandom

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import Instruction, KeyReference, ObjectId
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card import asymmetric, authentication, reference_data
from reader_agent.virtual_card.memory import RandomBytes
from reader_agent.virtual_card.security import Refused, SecurityStatus
from reader_agent.virtual_card.state import CardState

# SP 800-73-5 part 1, table 2: read with the PIN only.
PIN_OBJECTS = (
    ObjectId.FINGERPRINTS,
    ObjectId.FACIAL_IMAGE,
    ObjectId.PRINTED_INFORMATION,
    ObjectId.IRIS_IMAGES,
)
# The same table: read by everybody, on both faces.
FREE_OBJECTS = (ObjectId.CHUID, ObjectId.CARD_AUTHENTICATION_CERTIFICATE, ObjectId.DISCOVERY)
WRITABLE_OBJECTS = range(
    0x5FC101, 0x5FC125
)  # SP 800-73-5 part 1, 4.3; the discovery object is the card's own

MAX_OBJECT_LENGTH = 12_704  # SP 800-73-5 part 1, appendix A: the facial image, the longest
MEMORY_LENGTH = 65_536  # ours: all objects together


class Face(StrEnum):
    """Which of its two interfaces the card is powered through; never both at once."""

    CONTACT = "contact"
    CONTACTLESS = "contactless"


class PivApplication:
    """Answers commands whose chains are already put together."""

    def __init__(self, state: CardState, face: Face, random_bytes: RandomBytes = urandom) -> None:
        self._state, self._face, self._random_bytes = state, face, random_bytes
        self._security = SecurityStatus()

    def handle(self, command: CommandApdu) -> bytes:
        """The data that the command answers with 9000; Refused for any other status word."""
        restricted = self._face is Face.CONTACTLESS and not self._state.memory.contactless_pin
        if restricted and not _is_free(command):
            raise Refused(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
        match command.ins:
            case Instruction.GET_DATA:
                return self._get_data(command)
            case Instruction.PUT_DATA:
                return self._put_data(command)
            case Instruction.GENERAL_AUTHENTICATE:
                return authentication.authenticate(command, self._state, self._security, self._random_bytes)
            case Instruction.GENERATE_ASYMMETRIC_KEY_PAIR:
                return asymmetric.generate_key_pair(command, self._state, self._security)
            case Instruction.SET_MANAGEMENT_KEY:
                return authentication.set_management_key(command, self._state, self._security)
            case Instruction.VERIFY:
                return reference_data.verify(command, self._state, self._security)
            case Instruction.CHANGE_REFERENCE_DATA:
                return reference_data.change(command, self._state, self._security)
            case Instruction.RESET_RETRY_COUNTER:
                return reference_data.reset_retry_counter(command, self._state, self._security)
        raise Refused(StatusWord.INSTRUCTION_NOT_SUPPORTED)

    def _get_data(self, command: CommandApdu) -> bytes:
        object_id = _named_object(command)
        if object_id == ObjectId.DISCOVERY:
            return piv.encode_discovery()
        if object_id in PIN_OBJECTS and not self._security.pin_verified:
            raise Refused(StatusWord.SECURITY_STATUS_NOT_SATISFIED)
        content = self._state.memory.objects.get(object_id)
        if content is None:
            raise Refused(StatusWord.NOT_FOUND)
        return piv.encode_data(content)

    def _put_data(self, command: CommandApdu) -> bytes:
        self._security.require_management()
        items = _decode(command)
        if [item.tag for item in items] != [piv.TAG_LIST, piv.TAG_DATA]:
            raise Refused(StatusWord.INCORRECT_DATA)
        object_id, content = int.from_bytes(items[0].value), items[1].value
        if object_id not in WRITABLE_OBJECTS:
            raise Refused(StatusWord.FUNCTION_NOT_SUPPORTED)
        changed = self._state.memory.with_object(object_id, content)
        if len(content) > MAX_OBJECT_LENGTH or sum(map(len, changed.objects.values())) > MEMORY_LENGTH:
            raise Refused(StatusWord.NOT_ENOUGH_MEMORY)
        self._state.commit(changed)
        return b""


def _is_free(command: CommandApdu) -> bool:
    """What SP 800-73-5 part 1, tables 2 and 5, gives away without contact and without a VCI."""
    if command.ins == Instruction.GET_DATA:
        return _named_object(command) in FREE_OBJECTS
    if command.ins == Instruction.GENERAL_AUTHENTICATE:
        return command.p2 == KeyReference.CARD_AUTHENTICATION
    return command.ins not in set(Instruction)


def _named_object(command: CommandApdu) -> int:
    items = _decode(command)
    if [item.tag for item in items] != [piv.TAG_LIST]:
        raise Refused(StatusWord.INCORRECT_DATA)
    return int.from_bytes(items[0].value)


def _decode(command: CommandApdu) -> list[tlv.Tlv]:
    if (command.p1, command.p2) != (0x3F, 0xFF):  # the current application, SP 800-73-5 part 2, 3.1.2
        raise Refused(StatusWord.INCORRECT_P1_P2)
    try:
        return tlv.decode(command.data)
    except tlv.TlvError:
        raise Refused(StatusWord.INCORRECT_DATA) from None
