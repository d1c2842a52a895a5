"""PIN and PUK: VERIFY, CHANGE REFERENCE DATA, RESET RETRY COUNTER (SP 800-73-5 part 2, 3.2.1 to 3.2.3)."""

import hmac
from dataclasses import replace

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import KeyReference
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card.memory import Secret
from reader_agent.virtual_card.security import Refused, SecurityStatus
from reader_agent.virtual_card.state import CardState

P1_FORGET = 0xFF


def verify(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """Check the PIN; without data tell how it stands; with P1 = FF forget that it was shown."""
    if command.p2 != KeyReference.PIN:
        raise Refused(StatusWord.REFERENCE_NOT_FOUND)
    if command.p1 == P1_FORGET and not command.data:
        security.forget_pin()
        return b""
    if command.p1 != 0x00:
        raise Refused(StatusWord.INCORRECT_P1_P2)
    if not command.data:
        if not security.pin_verified:
            raise Refused(_failure(state.memory.pin))
        return b""
    _require_pin_format(command.data)
    _check(KeyReference.PIN, command.data, state, security)
    security.pin_verified = security.pin_fresh = True
    return b""


def change(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """Old and new PIN, or old and new PUK."""
    if command.p1 != 0x00 or command.p2 not in (KeyReference.PIN, KeyReference.PUK):
        raise Refused(StatusWord.REFERENCE_NOT_FOUND)
    reference = KeyReference(command.p2)
    old, new = _split(command.data)
    if reference is KeyReference.PIN:
        _require_pin_format(old)
        _require_pin_format(new)
    _check(reference, old, state, security)
    _set(reference, new, state)
    if reference is KeyReference.PIN:
        security.pin_verified = security.pin_fresh = True
    return b""


def reset_retry_counter(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """PUK and new PIN. The PIN is free again, but not shown."""
    if command.p1 != 0x00 or command.p2 != KeyReference.PIN:
        raise Refused(StatusWord.REFERENCE_NOT_FOUND)
    puk, new = _split(command.data)
    _require_pin_format(new)
    _check(KeyReference.PUK, puk, state, security)
    _set(KeyReference.PIN, new, state)
    return b""


def _check(reference: KeyReference, candidate: bytes, state: CardState, security: SecurityStatus) -> None:
    secret = _secret(reference, state)
    if secret.tries_left == 0:
        raise Refused(StatusWord.AUTHENTICATION_METHOD_BLOCKED)
    # The try is spent before anything is compared: who cuts the power at a wrong PIN gains nothing.
    spent = replace(secret, tries_left=secret.tries_left - 1)
    _store(reference, spent, state)
    if not hmac.compare_digest(candidate, secret.value):
        if reference is KeyReference.PIN:
            security.forget_pin()
        raise Refused(0x63C0 | spent.tries_left)
    _store(reference, replace(secret, tries_left=secret.tries), state)


def _failure(secret: Secret) -> int:
    return 0x63C0 | secret.tries_left if secret.tries_left else StatusWord.AUTHENTICATION_METHOD_BLOCKED


def _set(reference: KeyReference, value: bytes, state: CardState) -> None:
    secret = _secret(reference, state)
    _store(reference, Secret(value, secret.tries, secret.tries), state)


def _secret(reference: KeyReference, state: CardState) -> Secret:
    return state.memory.pin if reference is KeyReference.PIN else state.memory.puk


def _store(reference: KeyReference, secret: Secret, state: CardState) -> None:
    if reference is KeyReference.PIN:
        state.commit(replace(state.memory, pin=secret))
    else:
        state.commit(replace(state.memory, puk=secret))


def _split(data: bytes) -> tuple[bytes, bytes]:
    if len(data) != 2 * piv.PIN_LENGTH:
        raise Refused(StatusWord.INCORRECT_DATA)
    return data[: piv.PIN_LENGTH], data[piv.PIN_LENGTH :]


def _require_pin_format(value: bytes) -> None:
    """Six to eight digits, padded with FF (2.4.3). Anything else costs no try."""
    digits = value.rstrip(b"\xff")
    if len(value) != piv.PIN_LENGTH or len(digits) < piv.PIN_MIN_DIGITS or not digits.isdigit():
        raise Refused(StatusWord.INCORRECT_DATA)
