"""Transaction MACs: what a card attests of a committed transaction. MF2DL(H)x0, 10.3.

**Unproven.** The session keys agree with what two other projects computed; how commands become the MAC's
input is built from the data sheet alone: no published example has a value to compare with, and no real card
has been asked yet. `docs/card-spec.md` says so, and the vectors of this part are marked as our own.
"""

import hmac
from dataclasses import dataclass

from pki.card_keys import aes
from pki.card_keys.errors import CardAnswerInvalid, CardOrderInvalid, TransactionMacInvalid

COUNTER_BYTES = 4
READER_ID_BYTES = 16
VALUE_BYTES = 8
# MF2DL(H)x0, 10.3.2.3: labels, then counter 0001 and length 0080
_SV_MAC, _SV_ENCRYPTION = b"\x5a\x00\x01\x00\x80", b"\xa5\x00\x01\x00\x80"
_MAX_COUNTER = 0xFFFF_FFFF
# A reader that never was: MF2DL(H)x0, 10.3.3
NO_READER = bytes(READER_ID_BYTES)


@dataclass(frozen=True, slots=True)
class TransactionMac:
    """TMC and TMV as CommitTransaction returns them; nothing has been verified."""

    counter: int
    value: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> "TransactionMac":
        """Read TMC ‖ TMV. Raises CardAnswerInvalid."""
        if len(data) != COUNTER_BYTES + VALUE_BYTES:
            raise CardAnswerInvalid("a Transaction MAC has 4 bytes of counter and 8 of value")
        return cls(int.from_bytes(data[:COUNTER_BYTES], "little"), data[COUNTER_BYTES:])


@dataclass(frozen=True, slots=True)
class TransactionInput:
    """TMI: the transaction's commands, in the order in which they were sent. A value: adding makes another.

    `instruction` is the command byte that was really sent: the native and the ISO-like form of one command
    differ, and the card takes the one it got. MF2DL(H)x0, 10.3.4.
    """

    data: bytes = b""

    def value(self, instruction: int, file: int, amount: int) -> "TransactionInput":
        """GetValue, Debit, Credit, LimitedCredit: 6C, DC, 0C, 1C."""
        if not -(1 << 31) <= amount < 1 << 31:
            raise CardOrderInvalid("a value has four bytes")
        return self._with(bytes([instruction, file]) + amount.to_bytes(4, "little", signed=True))

    def data_of_file(self, instruction: int, file: int, offset: int, content: bytes) -> "TransactionInput":
        """ReadData, WriteData, WriteRecord: AD, 8D, 8B; the length is the content's, also for 000000."""
        head = bytes([instruction, file]) + _three(offset) + _three(len(content))
        return self._with(head, content)

    def records(
        self, instruction: int, file: int, first: int, count: int, content: bytes
    ) -> "TransactionInput":
        """ReadRecords: AB, with the records as they were read."""
        return self._with(bytes([instruction, file]) + _three(first) + _three(count), content)

    def record_update(
        self, instruction: int, file: int, record: int, offset: int, content: bytes
    ) -> "TransactionInput":
        """UpdateRecord: DB."""
        head = bytes([instruction, file]) + _three(record) + _three(offset) + _three(len(content))
        return self._with(head, content)

    def record_file_clearing(self, instruction: int, file: int) -> "TransactionInput":
        """ClearRecordFile: EB."""
        return self._with(bytes([instruction, file]))

    def reader(self, instruction: int, reader_id: bytes, encrypted_previous: bytes) -> "TransactionInput":
        """CommitReaderID: C8, with the reader before as the card returned it, encrypted."""
        if len(reader_id) != READER_ID_BYTES or len(encrypted_previous) != READER_ID_BYTES:
            raise CardOrderInvalid("a ReaderID has 16 bytes, encrypted or not")
        return self._with(bytes([instruction]) + reader_id + encrypted_previous)

    def _with(self, head: bytes, content: bytes = b"") -> "TransactionInput":
        return TransactionInput(self.data + aes.zero_padded(head) + aes.zero_padded(content))


class TransactionMacKey:
    """AppTransactionMACKey of one card and application."""

    def __init__(self, uid: bytes, key: bytes) -> None:
        self._uid = uid
        self._key = key

    def verify(self, found: TransactionMac, transaction: TransactionInput) -> None:
        """Return if this card has committed exactly these commands. Raises TransactionMacInvalid."""
        if not hmac.compare_digest(self.value(found.counter, transaction), found.value):
            raise TransactionMacInvalid(
                f"the Transaction MAC of count {found.counter} is not this card's over these commands"
            )

    def value(self, counter: int, transaction: TransactionInput) -> bytes:
        """TMV of the transaction that `counter`, TMC as CommitTransaction returns it, belongs to."""
        mac_key, _ = self.session_keys(counter)
        return aes.truncated(aes.cmac(mac_key, transaction.data))

    def previous_reader(self, counter: int, encrypted: bytes) -> bytes:
        """The ReaderID before, of what CommitReaderID returned in the transaction of `counter`."""
        if len(encrypted) != READER_ID_BYTES:
            raise CardAnswerInvalid("an encrypted ReaderID has 16 bytes")
        _, encryption_key = self.session_keys(counter)
        return aes.decrypt_cbc(encryption_key, bytes(aes.BLOCK), encrypted)

    def session_keys(self, counter: int) -> tuple[bytes, bytes]:
        """SesTMMAC and SesTMENC. The counter is the transaction's: one more than was stored before it."""
        if not 1 <= counter <= _MAX_COUNTER:
            raise TransactionMacInvalid(f"{counter} is no count of a transaction")
        context = counter.to_bytes(COUNTER_BYTES, "little") + self._uid
        return aes.cmac(self._key, _SV_MAC + context), aes.cmac(self._key, _SV_ENCRYPTION + context)


def _three(number: int) -> bytes:
    try:
        return number.to_bytes(3, "little")
    except OverflowError as error:
        raise CardOrderInvalid("an offset, length or record number has three bytes") from error
