"""Command and response APDUs (ISO/IEC 7816-4:2020, 5.1 to 5.3): bytes to values and back, nothing else."""

from dataclasses import dataclass

MAX_SHORT_DATA = 255  # Nc of a short command, ISO/IEC 7816-4:2020, 5.2
MAX_SHORT_NE = 256  # encoded as Le = 00
MAX_EXTENDED_DATA = 65_535
MAX_EXTENDED_NE = 65_536  # encoded as Le = 0000

CLA_INTERINDUSTRY = 0x00  # ISO/IEC 7816-4:2020, 5.4.1: no chaining, no secure messaging, channel 0
CLA_CHAINING = 0x10  # the command is not the last one of its chain

INS_GET_RESPONSE = 0xC0  # ISO/IEC 7816-4:2020, 11.8.1


class ApduError(ValueError):
    """Bytes that are no APDU, or values that none can carry."""

    code = "apdu_malformed"


@dataclass(frozen=True, slots=True)
class CommandApdu:
    """One command.

    `le` is the number of bytes that may come back (the standard's Ne), 1 to 65,536, and None where no Le
    field is sent. "As much as a short response can hold" is 256, which is sent as 00.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    le: int | None = None

    def __post_init__(self) -> None:
        for name in ("cla", "ins", "p1", "p2"):
            if not 0 <= getattr(self, name) <= 0xFF:
                raise ApduError(f"{name} is one byte")
        if len(self.data) > MAX_EXTENDED_DATA:
            raise ApduError(f"no command carries {len(self.data)} bytes of data")
        if self.le is not None and not 1 <= self.le <= MAX_EXTENDED_NE:
            raise ApduError("le is a count of 1 to 65536 bytes, or None for no Le field")

    @property
    def is_chained(self) -> bool:
        """Whether further commands of the same chain follow (interindustry class, 5.4.1)."""
        return self.cla & 0x80 == 0 and self.cla & CLA_CHAINING != 0

    def encode(self, *, extended: bool = False) -> bytes:
        """The command's bytes, with short length fields unless `extended`; ApduError if they do not fit."""
        header = bytes((self.cla, self.ins, self.p1, self.p2))
        if extended:
            return header + self._extended_body()
        if len(self.data) > MAX_SHORT_DATA or (self.le or 0) > MAX_SHORT_NE:
            raise ApduError("too long for a short APDU: chain it, or use extended length")
        lc = bytes((len(self.data),)) if self.data else b""
        le = b"" if self.le is None else bytes((self.le % MAX_SHORT_NE,))
        return header + lc + self.data + le

    def _extended_body(self) -> bytes:
        le = b"" if self.le is None else (self.le % MAX_EXTENDED_NE).to_bytes(2)
        if self.data:
            return b"\x00" + len(self.data).to_bytes(2) + self.data + le
        return b"\x00" + le if le else b""

    @classmethod
    def decode(cls, raw: bytes) -> "CommandApdu":
        """Read cases 1 to 4, short and extended (5.2, table 1); anything else is an ApduError."""
        if len(raw) < 4:
            raise ApduError("a command has a header of four bytes")
        cla, ins, p1, p2 = raw[:4]
        data, le = _decode_body(raw[4:])
        return cls(cla, ins, p1, p2, data, le)


def _decode_body(body: bytes) -> tuple[bytes, int | None]:
    if not body:  # case 1
        return b"", None
    if len(body) == 1:  # case 2 short
        return b"", body[0] or MAX_SHORT_NE
    if body[0] != 0:  # cases 3 and 4 short
        return _split(body[1:], body[0], le_length=1)
    if len(body) == 3:  # case 2 extended
        return b"", int.from_bytes(body[1:]) or MAX_EXTENDED_NE
    length = int.from_bytes(body[1:3])
    if len(body) < 3 or length == 0:
        raise ApduError("an extended length field has three bytes and counts at least one")
    return _split(body[3:], length, le_length=2)


def _split(rest: bytes, length: int, le_length: int) -> tuple[bytes, int | None]:
    data, le = rest[:length], rest[length:]
    if len(data) < length or len(le) not in (0, le_length):
        raise ApduError("the length fields do not agree with the command's length")
    if not le:
        return data, None
    return data, int.from_bytes(le) or 1 << 8 * le_length


@dataclass(frozen=True, slots=True)
class ResponseApdu:
    """One response: its data and its status word SW1-SW2 (5.6)."""

    data: bytes
    sw: int

    def __post_init__(self) -> None:
        if not 0 <= self.sw <= 0xFFFF:
            raise ApduError("a status word is two bytes")

    def encode(self) -> bytes:
        """Data, then SW1 and SW2."""
        return self.data + self.sw.to_bytes(2)

    @classmethod
    def decode(cls, raw: bytes) -> "ResponseApdu":
        """Split what a card answered; ApduError where even a status word is missing."""
        if len(raw) < 2:
            raise ApduError("a response has a status word of two bytes")
        return cls(raw[:-2], int.from_bytes(raw[-2:]))
