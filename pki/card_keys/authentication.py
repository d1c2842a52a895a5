"""EV2 authentication from the terminal's side. NXP AN12343, 5; MF2DL(H)x0, 9.1.5 and 9.1.6.

Both sides show that they hold the key, and make a session's keys of what both drew. The first one of a
transaction opens it with a new identifier; a non-first one, in an open session, changes the key and keeps
identifier and counter.
"""

import hmac
from dataclasses import dataclass

from pki.card_keys import aes
from pki.card_keys.errors import CardAnswerInvalid, CardNotAuthentic, CardRefused, CardSessionEnded
from pki.card_keys.messaging import TRANSACTION_IDENTIFIER_BYTES, Session
from pki.card_keys.native import (
    ADDITIONAL_FRAME,
    ADDITIONAL_FRAME_COMMAND,
    AUTHENTICATE_EV2_FIRST,
    AUTHENTICATE_EV2_NON_FIRST,
    OPERATION_OK,
    NativeAnswer,
    NativeCommand,
)

RANDOM_BYTES = 16
# MF2DL(H)x0, 9.1.5: capabilities of card and terminal, 6 bytes each
_CAPABILITIES_BYTES = 6
# MF2DL(H)x0, 9.1.7: labels, then counter 0001 and length 0080
_SV_ENCRYPTION, _SV_MAC = b"\xa5\x5a\x00\x01\x00\x80", b"\x5a\xa5\x00\x01\x00\x80"
_ZERO_IV = bytes(aes.BLOCK)


@dataclass(frozen=True, slots=True, repr=False)
class CardKey:
    """A key of one card, by its number in the application. It has no `repr`, so that no log shows it."""

    number: int
    value: bytes


class Authentication:
    """One authentication: send `command`, then what `challenge` returns, and `finish` with the last answer.

    `random` is RndA, 16 bytes that were never used before. With `session` it is a non-first one, which ends
    that session and continues its transaction. Each answer is used once.
    """

    def __init__(self, key: CardKey, random: bytes, session: Session | None = None) -> None:
        if len(random) != RANDOM_BYTES:
            raise ValueError("RndA has 16 bytes")
        if session is not None and not session.is_open:
            raise CardSessionEnded("there is no open session to authenticate in; begin with a first one")
        self._key = key
        self._random = random
        self._card_random: bytes | None = None
        self._session = session
        self._finished = False

    @property
    def command(self) -> NativeCommand:
        """The command to begin with."""
        number = bytes([self._key.number])
        if self._session is None:
            # No capabilities of ours: their length is 0
            return NativeCommand(AUTHENTICATE_EV2_FIRST, number + b"\x00")
        return NativeCommand(AUTHENTICATE_EV2_NON_FIRST, number)

    def challenge(self, answer: NativeAnswer) -> NativeCommand:
        """The command that answers the card's challenge. Raises CardRefused, CardAnswerInvalid."""
        if self._card_random is not None or self._finished:
            raise CardSessionEnded("the card's challenge was answered already; begin again")
        data = self._checked(answer, ADDITIONAL_FRAME, RANDOM_BYTES)
        self._card_random = aes.decrypt_cbc(self._key.value, _ZERO_IV, data)
        text = self._random + _rotated(self._card_random)
        return NativeCommand(ADDITIONAL_FRAME_COMMAND, aes.encrypt_cbc(self._key.value, _ZERO_IV, text))

    def finish(self, answer: NativeAnswer) -> Session:
        """The session, if the card holds the key. Raises CardNotAuthentic, CardRefused, CardAnswerInvalid."""
        if self._card_random is None or self._finished:
            raise CardSessionEnded("there is no challenge to finish; begin again")
        previous, first = self._session, self._session is None
        length = TRANSACTION_IDENTIFIER_BYTES + RANDOM_BYTES + 2 * _CAPABILITIES_BYTES
        data = self._checked(answer, OPERATION_OK, length if first else RANDOM_BYTES)
        self._finished = True
        text = aes.decrypt_cbc(self._key.value, _ZERO_IV, data)
        identifier = text[:TRANSACTION_IDENTIFIER_BYTES] if first else b""
        proof = text[len(identifier) :][:RANDOM_BYTES]
        if not hmac.compare_digest(proof, _rotated(self._random)):
            self._end()
            raise CardNotAuthentic("the card does not hold this key; it may be another scheme's or version's")
        encryption_key, mac_key = session_keys(self._key.value, self._random, self._card_random)
        if previous is None:
            return Session(self._key.number, identifier, encryption_key, mac_key)
        session = Session(
            self._key.number, previous.transaction_identifier, encryption_key, mac_key, previous.counter
        )
        previous.end()
        return session

    def _checked(self, answer: NativeAnswer, status: int, length: int) -> bytes:
        if answer.status != status:
            self._end()
            raise CardRefused(answer.status)
        if len(answer.data) != length:
            self._end()
            raise CardAnswerInvalid(f"the card answered {len(answer.data)} bytes instead of {length}")
        return answer.data

    def _end(self) -> None:
        self._finished = True
        if self._session is not None:
            self._session.end()


def session_keys(key: bytes, terminal_random: bytes, card_random: bytes) -> tuple[bytes, bytes]:
    """SesAuthENC and SesAuthMAC of RndA and RndB. MF2DL(H)x0, 9.1.7."""
    context = session_context(terminal_random, card_random)
    return aes.cmac(key, _SV_ENCRYPTION + context), aes.cmac(key, _SV_MAC + context)


def session_context(a: bytes, b: bytes) -> bytes:
    """RndA[15:14] ‖ RndA[13:8] ⊕ RndB[15:10] ‖ RndB[9:0] ‖ RndA[7:0], byte 15 being the first."""
    mixed = bytes(x ^ y for x, y in zip(a[2:8], b[:6], strict=True))
    return a[:2] + mixed + b[6:] + a[8:]


def _rotated(random: bytes) -> bytes:
    """MF2DL(H)x0, 9.1.5: RndA' and RndB' are rotated left by a byte."""
    return random[1:] + random[:1]
