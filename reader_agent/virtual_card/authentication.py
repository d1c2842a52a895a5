"""GENERAL AUTHENTICATE, and what the management key does (SP 800-73-5 part 2, 3.2.4, A.1 and A.2)."""

import hmac
from dataclasses import replace

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import CommandApdu
from reader_agent.cardspec.piv import Algorithm, KeyReference
from reader_agent.cardspec.status import StatusWord
from reader_agent.virtual_card import asymmetric, templates
from reader_agent.virtual_card.memory import RandomBytes
from reader_agent.virtual_card.security import Refused, SecurityStatus
from reader_agent.virtual_card.state import CardState


def authenticate(
    command: CommandApdu, state: CardState, security: SecurityStatus, random_bytes: RandomBytes
) -> bytes:
    """Use one of the asymmetric keys, or take part in an authentication with 9B."""
    template = templates.dynamic_authentication(command.data)
    if command.p2 == KeyReference.MANAGEMENT:
        if command.p1 != state.memory.management_algorithm:
            raise Refused(StatusWord.INCORRECT_P1_P2)
        return _authenticate_management(template, state, security, random_bytes)
    return asymmetric.use_key(command.p1, command.p2, template, state, security)


def set_management_key(command: CommandApdu, state: CardState, security: SecurityStatus) -> bytes:
    """Yubico's command (see cardspec.piv.Instruction): algorithm ‖ 9B ‖ length ‖ key."""
    security.require_management()
    if (command.p1, command.p2) != (0xFF, 0xFF):
        raise Refused(StatusWord.INCORRECT_P1_P2)
    if len(command.data) < 3:
        raise Refused(StatusWord.INCORRECT_DATA)
    number, slot, length = command.data[:3]
    key = command.data[3:]
    expected = {int(algorithm): size for algorithm, size in piv.AES_KEY_LENGTH.items()}.get(number)
    if slot != KeyReference.MANAGEMENT or length != len(key) or length != expected:
        raise Refused(StatusWord.INCORRECT_DATA)
    state.commit(replace(state.memory, management_algorithm=Algorithm(number), management_key=key))
    return b""


def _authenticate_management(
    template: dict[int, bytes], state: CardState, security: SecurityStatus, random_bytes: RandomBytes
) -> bytes:
    # What the card has drawn is good for the next step alone, whatever that is.
    challenge, witness = security.challenge, security.witness
    security.challenge = security.witness = None
    if template == {piv.TAG_CHALLENGE: b""}:  # appendix A.1, external: the card draws a challenge
        security.challenge = random_bytes(piv.AES_BLOCK_LENGTH)
        return templates.answer(piv.TAG_CHALLENGE, security.challenge)
    if template == {piv.TAG_WITNESS: b""}:  # A.2, mutual: the card draws a witness and shows it encrypted
        security.witness = random_bytes(piv.AES_BLOCK_LENGTH)
        return templates.answer(piv.TAG_WITNESS, _encrypt(state, security.witness))
    if set(template) == {piv.TAG_RESPONSE} and challenge is not None:
        _accept(template[piv.TAG_RESPONSE], _encrypt(state, challenge), security)
        return b""
    hosts = template.get(piv.TAG_CHALLENGE, b"")
    if witness is not None and piv.TAG_WITNESS in template and len(hosts) == piv.AES_BLOCK_LENGTH:
        _accept(template[piv.TAG_WITNESS], witness, security)
        return templates.answer(piv.TAG_RESPONSE, _encrypt(state, hosts))
    # Above all never 81 with 82, an encryption of whatever is sent: it would answer the card's own challenge.
    raise Refused(StatusWord.INCORRECT_DATA)


def _accept(shown: bytes, expected: bytes, security: SecurityStatus) -> None:
    security.management = hmac.compare_digest(shown, expected)
    security.require_management()


def _encrypt(state: CardState, block: bytes) -> bytes:
    # One block under a mode that is none: what the card command is defined to do, SP 800-73-5 part 2, 3.2.4.
    encryptor = Cipher(algorithms.AES(state.memory.management_key), modes.ECB()).encryptor()  # noqa: S305
    return encryptor.update(block) + encryptor.finalize()
