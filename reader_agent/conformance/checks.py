"""The checks, in their order, and how they are run. None writes to the card; a PIN is shown only if given."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.apdu import CLA_CHAINING, MAX_SHORT_NE, CommandApdu
from reader_agent.cardspec.piv import Instruction, KeyReference, ObjectId
from reader_agent.cardspec.status import StatusWord, bytes_waiting, exact_length, tries_left
from reader_agent.conformance.subject import Failed, Skipped, Subject, expect, name_of
from reader_agent.errors import AgentError, CardDataMissing, CardProofInvalid, CardRefused, KeyUnsuitable
from reader_agent.piv import signing
from reader_agent.piv.session import CardPublicKey, PivSession
from reader_agent.transport.connection import CardConnection
from reader_agent.transport.uid import is_kept, read_uid

_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
_FOREIGN_AID: Final = bytes.fromhex("D2760000850100")  # NFC Forum's, which no PIV application has
_SUCCESS: Final = StatusWord.SUCCESS


class Outcome(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """Something that the agent, or a program beside it, relies on."""

    name: str
    clause: str
    run: Callable[[Subject], str]


@dataclass(frozen=True, slots=True)
class Result:
    """How a card fared at one check."""

    check: Check
    outcome: Outcome
    detail: str


def examine(connection: CardConnection, pin: str | None = None) -> list[Result]:
    """Every check on the card of this connection, which is closed in the end; what fails ends no other.

    After a wrong PIN, none is shown any more. Raises CardError only where the card is gone.
    """
    session = PivSession(connection)
    subject = Subject(connection, session, pin)
    try:
        return [_run(check, subject) for check in CHECKS]
    finally:
        session.close()


def _run(check: Check, subject: Subject) -> Result:
    try:
        with subject.session.exclusive():
            try:
                return Result(check, Outcome.PASSED, check.run(subject))
            finally:
                subject.session.forget_pin()
    except Skipped as skipped:
        return Result(check, Outcome.SKIPPED, str(skipped))
    except CardDataMissing as missing:
        return Result(check, Outcome.SKIPPED, str(missing))
    except (Failed, CardRefused, AgentError) as failed:
        return Result(check, Outcome.FAILED, str(failed))


# --- selecting ---


def _select(aid: bytes) -> CommandApdu:
    return CommandApdu(0x00, Instruction.SELECT, 0x04, 0x00, aid, MAX_SHORT_NE)


def _whole_aid(subject: Subject) -> str:
    _, status = subject.send(_select(piv.AID))
    _expect_data(status)
    return "selected"


def _template(subject: Subject) -> str:
    data, status = subject.send(_select(piv.AID_TRUNCATED))
    if (waiting := bytes_waiting(status)) is not None:
        data, status = subject.send(CommandApdu(0x00, 0xC0, 0x00, 0x00, le=waiting))
    expect(status, _SUCCESS)
    template = tlv.find(data, 0x61)
    if template is None or tlv.find(template, 0x4F) is None:
        raise Failed("the answer has no template with the application's name")
    return f"{len(data)} bytes"


def _foreign(subject: Subject) -> str:
    _, status = subject.send(_select(_FOREIGN_AID))
    if status == _SUCCESS or bytes_waiting(status) is not None:
        raise Skipped("the card has that application, too")
    expect(status, StatusWord.NOT_FOUND, StatusWord.FUNCTION_NOT_SUPPORTED)
    subject.session.discovery()
    return f"status {status:04X}, and PIV stays selected"


def _unknown_instruction(subject: Subject) -> str:
    _, status = subject.send(bytes.fromhex("0001000000"))
    expect(status, StatusWord.INSTRUCTION_NOT_SUPPORTED, StatusWord.CLASS_NOT_SUPPORTED)
    return f"status {status:04X}"


# --- objects ---


def _discovery(subject: Subject) -> str:
    subject.session.read(ObjectId.DISCOVERY)
    found = subject.session.discovery()
    return f"PIN policy {found.pin_policy.hex().upper()}"


def _chuid(subject: Subject) -> str:
    found = subject.session.chuid()
    if found.guid.int == 0:
        raise Failed("the GUID is empty: the agent tells cards apart by it")
    return f"until {found.expires_on}{'' if found.issuer_signature else ', not signed'}"


def _absent(subject: Subject) -> str:
    absent = piv.RETIRED_CERTIFICATES[-1]
    _, status = subject.send(_get_data(absent, MAX_SHORT_NE))
    if status == _SUCCESS or bytes_waiting(status) is not None:
        raise Skipped("the card has twenty retired keys")
    # Without contact nothing is said about it
    expect(status, StatusWord.NOT_FOUND, StatusWord.SECURITY_STATUS_NOT_SATISFIED)
    return f"status {status:04X}"


def _in_pieces(subject: Subject) -> str:
    """As OpenSC reads: a few bytes first, to learn the length."""
    data, status = subject.send(_get_data(ObjectId.CHUID, 8))
    if status == StatusWord.NOT_FOUND:
        raise Skipped("the card holds no CHUID")
    if exact_length(status) is None and bytes_waiting(status) is None and len(data) <= 8:
        expect(status, _SUCCESS)
    return f"{len(data)} bytes, then status {status:04X}"


def _long_object(subject: Subject) -> str:
    content = subject.session.read(ObjectId.CARD_AUTHENTICATION_CERTIFICATE)
    if len(content) <= MAX_SHORT_NE:
        raise Skipped("the certificate fits one answer")
    return f"{len(content)} bytes"


def _guarded(subject: Subject) -> str:
    _, status = subject.send(_get_data(ObjectId.PRINTED_INFORMATION, MAX_SHORT_NE))
    if status == StatusWord.NOT_FOUND:
        raise Skipped("the card holds no printed information")
    expect(status, StatusWord.SECURITY_STATUS_NOT_SATISFIED)
    return "refused without the PIN"


def _get_data(object_id: int, le: int) -> CommandApdu:
    return CommandApdu(0x00, Instruction.GET_DATA, 0x3F, 0xFF, piv.encode_tag_list(object_id), le)


# --- keys ---


def _signs(key: KeyReference) -> Callable[[Subject], str]:
    def run(subject: Subject) -> str:
        public_key = _public_key(subject, key)
        if key is not KeyReference.CARD_AUTHENTICATION:
            subject.show_pin()
        try:
            _sign(subject, key, public_key)
        except CardProofInvalid as error:
            raise Failed("the signature is not that of the certificate's key") from error
        return "the signature verifies"

    return run


def _wants_pin(key: KeyReference) -> Callable[[Subject], str]:
    def run(subject: Subject) -> str:
        try:
            if subject.has_contact:
                _sign(subject, key, _public_key(subject, key))
            else:
                subject.session.sign(_digest(), key)
        except CardRefused as refused:
            expect(
                refused.sw,
                *(StatusWord.SECURITY_STATUS_NOT_SATISFIED, StatusWord.CONDITIONS_NOT_SATISFIED),
                *(StatusWord.FUNCTION_NOT_SUPPORTED, StatusWord.REFERENCE_NOT_FOUND),
            )
            return f"refused with {refused.sw:04X}"
        raise Failed(f"key {name_of(key)} signs without the PIN")

    return run


def _signature_wants_pin_again(subject: Subject) -> str:
    public_key = _public_key(subject, KeyReference.DIGITAL_SIGNATURE)
    subject.show_pin()
    _sign(subject, KeyReference.DIGITAL_SIGNATURE, public_key)
    try:
        _sign(subject, KeyReference.DIGITAL_SIGNATURE, public_key)
    except CardRefused:
        return "refused the second time"
    raise Failed("key 9C signs twice for one PIN")


def _chained(subject: Subject) -> str:
    public_key, digest = _public_key(subject, KeyReference.CARD_AUTHENTICATION), _digest()
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or public_key.curve.name != ec.SECP256R1.name:
        raise Skipped("key 9E is not of P-256")
    template = tlv.encode(piv.TAG_RESPONSE, b"") + tlv.encode(piv.TAG_CHALLENGE, digest)
    data = tlv.encode(piv.TAG_DYNAMIC_AUTHENTICATION, template)
    head = (Instruction.GENERAL_AUTHENTICATE, piv.Algorithm.ECC_P256, KeyReference.CARD_AUTHENTICATION)
    _, status = subject.send(CommandApdu(CLA_CHAINING, *head, data[:16]))
    expect(status, _SUCCESS)
    answer, status = subject.send(CommandApdu(0x00, *head, data[16:], MAX_SHORT_NE))
    if (waiting := bytes_waiting(status)) is not None:
        answer, status = subject.send(CommandApdu(0x00, 0xC0, 0x00, 0x00, le=waiting))
    expect(status, _SUCCESS)
    signature = tlv.find(tlv.find(answer, piv.TAG_DYNAMIC_AUTHENTICATION) or b"", piv.TAG_RESPONSE)
    _verify(public_key, signature or b"", digest)
    return "the signature verifies"


def _broken_chain(subject: Subject) -> str:
    head = (Instruction.GENERAL_AUTHENTICATE, piv.Algorithm.ECC_P256, KeyReference.CARD_AUTHENTICATION)
    subject.send(CommandApdu(CLA_CHAINING, *head, bytes(8)))
    subject.session.select()
    subject.session.discovery()
    return "the card goes on"


def _sign(subject: Subject, key: KeyReference, public_key: CardPublicKey) -> None:
    digest = hashlib.new(signing.hash_of(public_key).name, os.urandom(32)).digest()
    signing.sign(subject.session, key, public_key, digest)


def _public_key(subject: Subject, key: KeyReference) -> CardPublicKey:
    try:
        found = subject.session.certificate(key).public_key()
    except CardRefused as refused:
        # Without contact all but 9E's is refused (part 1, table 2)
        raise Skipped(str(refused)) from refused
    try:
        return signing.require_suitable(found)
    except KeyUnsuitable as unsuitable:
        raise Skipped(f"{name_of(key)}: {unsuitable}") from unsuitable


def _verify(key: ec.EllipticCurvePublicKey, signature: bytes, digest: bytes) -> None:
    try:
        key.verify(signature, digest, _PREHASHED)
    except InvalidSignature as error:
        raise Failed("the signature is not that of the certificate's key") from error


def _digest() -> bytes:
    return hashlib.sha256(b"citizen-card conformance " + os.urandom(32)).digest()


# --- PIN ---


def _attempts(subject: Subject) -> str:
    _, status = subject.send(bytes.fromhex("00200080"))
    if status == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
        raise Skipped("the card takes no PIN here: it has no contact")
    if tries_left(status) is None:
        expect(status, StatusWord.AUTHENTICATION_METHOD_BLOCKED)
    return f"status {status:04X}"


def _forgets(subject: Subject) -> str:
    public_key = _public_key(subject, KeyReference.PIV_AUTHENTICATION)
    subject.show_pin()
    subject.session.forget_pin()
    try:
        _sign(subject, KeyReference.PIV_AUTHENTICATION, public_key)
    except CardRefused:
        return "9A is refused afterwards"
    raise Failed("9A signs after the PIN was to be forgotten: the agent resets such a card")


# --- the reader ---


def _uid(subject: Subject) -> str:
    first = read_uid(subject.connection)
    if first is None:
        raise Skipped("the reader tells no UID: it has contacts")
    if not is_kept(first):
        return "it is another one each time: terminals cannot know the card by it"
    if read_uid(subject.connection) != first:
        raise Failed("it changes within a session, and is not marked as one that does")
    return f"{len(first)} bytes"


def _expect_data(status: int) -> None:
    if bytes_waiting(status) is None:
        expect(status, _SUCCESS)


_2, _1 = "SP 800-73-5 part 2, ", "SP 800-73-5 part 1, "
CHECKS: Final = (
    Check("select by the whole name", f"{_2}3.1.1", _whole_aid),
    Check("select by nine bytes, and the template", f"{_2}3.1.1, table 3", _template),
    Check("a foreign application is refused", f"{_2}3.1.1; ISO/IEC 7816-4:2020, 11.2.2", _foreign),
    Check("an unknown instruction is refused", "ISO/IEC 7816-4:2020, 5.6", _unknown_instruction),
    Check("discovery object", f"{_1}3.3.2", _discovery),
    Check("CHUID", f"{_1}3.1.2", _chuid),
    Check("an object that is not there", f"{_2}3.1.2", _absent),
    Check("an object in pieces", "ISO/IEC 7816-4:2020, 5.3.4", _in_pieces),
    Check("an object longer than an answer", "ISO/IEC 7816-4:2020, 5.3.4", _long_object),
    Check("printed information wants the PIN", f"{_1}table 2", _guarded),
    Check("key 9E signs without the PIN", f"{_2}3.2.4", _signs(KeyReference.CARD_AUTHENTICATION)),
    Check("a command in a chain", "ISO/IEC 7816-4:2020, 5.3.3", _chained),
    Check("a chain that is broken off", "ISO/IEC 7816-4:2020, 5.3.3", _broken_chain),
    Check("key 9A wants the PIN", f"{_1}table 5", _wants_pin(KeyReference.PIV_AUTHENTICATION)),
    Check("key 9C wants the PIN", f"{_1}table 5", _wants_pin(KeyReference.DIGITAL_SIGNATURE)),
    Check("attempts of the PIN", f"{_2}3.2.1", _attempts),
    Check("key 9A signs with the PIN", f"{_2}3.2.4", _signs(KeyReference.PIV_AUTHENTICATION)),
    Check("key 9C signs with the PIN", f"{_2}3.2.4", _signs(KeyReference.DIGITAL_SIGNATURE)),
    Check("key 9C wants the PIN each time", f"{_1}table 5", _signature_wants_pin_again),
    Check("the PIN is forgotten", f"{_2}3.2.1", _forgets),
    Check("the reader tells the UID", "PC/SC part 3, 3.2.2.1.3", _uid),
)
