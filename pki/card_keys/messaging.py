"""EV2 secure messaging from the terminal's side. NXP AN12343, 6; MF2DL(H)x0, 9.1.

A session has a transaction identifier, two keys and a counter of commands. The counter rises with each
command that succeeded, also with those that are sent in the clear. Any error status ends the session, and so
does an answer that is not authentic.
"""

import hmac
from enum import Enum

from pki.card_keys import aes
from pki.card_keys.errors import CardAnswerInvalid, CardRefused, CardSessionEnded
from pki.card_keys.native import OPERATION_OK, NativeAnswer, NativeCommand

TRANSACTION_IDENTIFIER_BYTES = 4
MAC_BYTES = 8
# MF2DL(H)x0, 9.1.2: two bytes
_MAX_COUNTER = 0xFFFF
# MF2DL(H)x0, 9.1.4: labels of the initialisation vectors
_IV_COMMAND, _IV_ANSWER = b"\xa5\x5a", b"\x5a\xa5"


class Mode(Enum):
    """How data are protected. MF2DL(H)x0, 8.2.3.5: CommMode."""

    PLAIN = "plain"
    MAC = "mac"
    FULL = "full"


class Session:
    """An authenticated session. One command is under way at a time: `wrap` it, then `unwrap` its answer."""

    def __init__(
        self,
        key_number: int,
        transaction_identifier: bytes,
        encryption_key: bytes,
        mac_key: bytes,
        counter: int = 0,
    ) -> None:
        self.key_number = key_number
        self.transaction_identifier = transaction_identifier
        self._encryption_key = encryption_key
        self._mac_key = mac_key
        self._counter = counter
        self._awaits_answer = False
        self._ended = False

    @property
    def counter(self) -> int:
        """The number of commands that have succeeded."""
        return self._counter

    @property
    def is_open(self) -> bool:
        """Whether another command can be sent."""
        return not self._ended and not self._awaits_answer

    def wrap(self, instruction: int, header: bytes, data: bytes, mode: Mode) -> NativeCommand:
        """A command with its data protected; the header, such as the file's number, is never encrypted.

        Raises CardSessionEnded.
        """
        if not self.is_open:
            raise CardSessionEnded("the session has ended or awaits an answer; authenticate again")
        if self._counter >= _MAX_COUNTER:
            self.end()
            raise CardSessionEnded("the session's counter is used up; authenticate again")
        self._awaits_answer = True
        if mode is Mode.FULL and data:
            iv = self._iv(_IV_COMMAND, self._counter)
            data = aes.encrypt_cbc(self._encryption_key, iv, aes.padded(data))
        if mode is Mode.PLAIN:
            return NativeCommand(instruction, header + data)
        return NativeCommand(
            instruction, header + data + self._mac(instruction, self._counter, header + data)
        )

    def unwrap(self, answer: NativeAnswer, mode: Mode, *, padded: bool = True) -> bytes:
        """The answer's data, authentic and decrypted as `mode` says.

        CommitReaderID alone encrypts without padding. Raises CardRefused and CardAnswerInvalid, both of which
        end the session, and CardSessionEnded.
        """
        if not self._awaits_answer:
            raise CardSessionEnded("the session awaits no answer")
        self._awaits_answer = False
        if answer.status != OPERATION_OK:
            self.end()
            raise CardRefused(answer.status)
        try:
            data = self._opened(answer.data, mode, padded=padded)
        except CardAnswerInvalid:
            self.end()
            raise
        self._counter += 1
        return data

    def end(self) -> None:
        """Forget the session's keys."""
        self._ended = True
        self._awaits_answer = False
        self._encryption_key = self._mac_key = b""

    def _opened(self, data: bytes, mode: Mode, *, padded: bool) -> bytes:
        if mode is Mode.PLAIN:
            return data
        if len(data) < MAC_BYTES:
            raise CardAnswerInvalid("the answer has no MAC")
        data, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(OPERATION_OK, self._counter + 1, data)):
            raise CardAnswerInvalid("the answer's MAC is wrong")
        if mode is Mode.MAC or not data:
            return data
        try:
            iv = self._iv(_IV_ANSWER, self._counter + 1)
            text = aes.decrypt_cbc(self._encryption_key, iv, data)
            return aes.unpadded(text) if padded else text
        except ValueError as error:
            raise CardAnswerInvalid("the answer cannot be decrypted") from error

    def _mac(self, code: int, counter: int, data: bytes) -> bytes:
        """MACt over instruction or status, counter, identifier and data. MF2DL(H)x0, 9.1.9."""
        message = bytes([code]) + counter.to_bytes(2, "little") + self.transaction_identifier + data
        return aes.truncated(aes.cmac(self._mac_key, message))

    def _iv(self, label: bytes, counter: int) -> bytes:
        """MF2DL(H)x0, 9.1.4."""
        block = label + self.transaction_identifier + counter.to_bytes(2, "little") + bytes(8)
        return aes.encrypt_block(self._encryption_key, block)
