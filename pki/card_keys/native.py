"""Native commands of a DESFire card, as they go over ISO/IEC 7816-4."""

from dataclasses import dataclass

from pki.card_keys.errors import CardAnswerInvalid, CardOrderInvalid

# NXP MF2DL(H)x0, 9.2: the class of wrapped native commands
_CLA = 0x90
_SW1 = 0x91
# ISO/IEC 7816-4, 5.1: short lengths
_MAX_DATA = 255

# NXP MF2DL(H)x0, 11.2: status codes
OPERATION_OK = 0x00
ADDITIONAL_FRAME = 0xAF

# NXP MF2DL(H)x0, 11.1: instruction codes
AUTHENTICATE_EV2_FIRST = 0x71
AUTHENTICATE_EV2_NON_FIRST = 0x77
ADDITIONAL_FRAME_COMMAND = 0xAF
SELECT_APPLICATION = 0x5A
CHANGE_KEY = 0xC4
CREDIT = 0x0C
GET_VALUE = 0x6C
WRITE_DATA = 0x8D
COMMIT_READER_ID = 0xC8
COMMIT_TRANSACTION = 0xC7


@dataclass(frozen=True, slots=True, repr=False)
class NativeCommand:
    """An instruction and everything after it, protected or not. Its data may hold a key, so no `repr`."""

    instruction: int
    data: bytes = b""

    def apdu(self) -> bytes:
        """As ISO/IEC 7816-4 wraps it: no Lc without data, Le always 00. Raises CardOrderInvalid."""
        if len(self.data) > _MAX_DATA:
            raise CardOrderInvalid(f"{len(self.data)} bytes do not fit one command; split the order")
        length = bytes([len(self.data)]) if self.data else b""
        return bytes([_CLA, self.instruction, 0x00, 0x00]) + length + self.data + b"\x00"


@dataclass(frozen=True, slots=True, repr=False)
class NativeAnswer:
    """A status code and the data before it; of several frames the data together and the last status."""

    status: int
    data: bytes = b""

    @classmethod
    def from_apdu(cls, apdu: bytes) -> "NativeAnswer":
        """Read a wrapped answer. Raises CardAnswerInvalid where it is none of a native command."""
        if len(apdu) < 2 or apdu[-2] != _SW1:
            raise CardAnswerInvalid(f"the card answered {apdu[-2:].hex() or 'nothing'}, not 91xx")
        return cls(apdu[-1], apdu[:-2])
