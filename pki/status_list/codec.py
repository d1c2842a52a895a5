"""Two bits for each card, packed and compressed. Token Status List, 4.1."""

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from pki.errors import StatusIndexUnknown, StatusListMalformed

# Token Status List, 4.1: 1, 2, 4 or 8; ours is 2, which has room for a suspension
BITS = 2
_PER_BYTE = 8 // BITS
_MASK = (1 << BITS) - 1

# Ours: what one list has room for, and what is inflated at most. A megabyte unpacked.
MAX_INDEXES = 1 << 22
_MAX_BYTES = MAX_INDEXES // _PER_BYTE
# Token Status List, 4.1 recommends the highest level
_LEVEL = 9


class CardStatus(IntEnum):
    """Token Status List, 7.1. The fourth value that two bits have is not used."""

    VALID = 0x00
    INVALID = 0x01
    SUSPENDED = 0x02


@dataclass(frozen=True, slots=True)
class StatusList:
    """A list as it was read; looking something up costs the same for every index."""

    octets: bytes

    def __len__(self) -> int:
        return len(self.octets) * _PER_BYTE

    def status(self, index: int) -> CardStatus:
        """The status at an index. Raises StatusIndexUnknown beyond the end, and for a value of no meaning."""
        if not 0 <= index < len(self):
            raise StatusIndexUnknown(f"the status list has no index {index}; fetch a newer list")
        # The least significant bits of a byte come first
        value = self.octets[index // _PER_BYTE] >> (index % _PER_BYTE * BITS) & _MASK
        try:
            return CardStatus(value)
        except ValueError as error:
            raise StatusIndexUnknown(f"the status list gives index {index} no meaning known here") from error

    def counts(self) -> dict[CardStatus, int]:
        """How many indexes have each status."""
        found = Counter(self.octets)
        return {
            status: sum(
                times
                for octet, times in found.items()
                for shift in range(0, 8, BITS)
                if octet >> shift & _MASK == status
            )
            for status in CardStatus
        }

    def compressed(self) -> bytes:
        """As ZLIB (RFC 1950) has it."""
        return zlib.compress(self.octets, _LEVEL)

    @classmethod
    def from_compressed(cls, data: bytes) -> "StatusList":
        """The list of these bytes, which inflate to a megabyte at most. Raises StatusListMalformed."""
        inflate = zlib.decompressobj()
        try:
            octets = inflate.decompress(data, _MAX_BYTES + 1)
        except zlib.error as error:
            raise StatusListMalformed("the status list is not compressed as ZLIB has it") from error
        if len(octets) > _MAX_BYTES:
            raise StatusListMalformed(f"the status list inflates to more than {_MAX_BYTES} bytes")
        if not inflate.eof or inflate.unused_data:
            raise StatusListMalformed("the status list is cut short, or bytes follow its end")
        return cls(octets)


class StatusListBuilder:
    """A list of `size` indexes, all valid at first."""

    def __init__(self, size: int) -> None:
        if not 0 < size <= MAX_INDEXES:
            raise ValueError(f"a status list has 1 to {MAX_INDEXES} indexes")
        self._size = size
        self._octets = bytearray(-(-size // _PER_BYTE))

    def set(self, index: int, status: CardStatus) -> None:
        """Give an index its status. Raises StatusIndexUnknown."""
        if not 0 <= index < self._size:
            raise StatusIndexUnknown(f"the status list has no index {index}")
        at, shift = index // _PER_BYTE, index % _PER_BYTE * BITS
        self._octets[at] = self._octets[at] & ~(_MASK << shift) | status << shift

    def set_all(self, indexes: Iterable[int], status: CardStatus) -> None:
        """Give all of these the same status. Raises StatusIndexUnknown."""
        for index in indexes:
            self.set(index, status)

    def build(self) -> StatusList:
        """The list as it is now."""
        return StatusList(bytes(self._octets))
