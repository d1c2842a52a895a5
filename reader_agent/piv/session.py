"""A session with the PIV application of one card: its objects, its keys, its PIN, its management key.

For cards that others have written, too: what they answer is checked, bounded, and never believed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki.errors import EncodingInvalid
from pki.reading import read_certificate
from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.apdu import MAX_SHORT_NE, CommandApdu, ResponseApdu
from reader_agent.cardspec.piv import Algorithm, Instruction, KeyReference, ObjectId
from reader_agent.cardspec.piv_data import Discovery
from reader_agent.cardspec.status import StatusWord
from reader_agent.errors import (
    CardDataMalformed,
    CardDataMissing,
    CardError,
    CardNotPiv,
    CardRefused,
    PinNeeded,
)
from reader_agent.piv import management, reference_data
from reader_agent.piv.exchange import exchange
from reader_agent.transport.connection import CardConnection

CardPublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

CURVES: Final[Mapping[Algorithm, ec.EllipticCurve]] = {
    Algorithm.ECC_P256: ec.SECP256R1(),
    Algorithm.ECC_P384: ec.SECP384R1(),
}


class PivSession:
    """PIV over a connection. Every method raises CardError; after any but CardRefused the session is over."""

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection
        self._management_shown = False
        self._pin_shown: KeyReference | None = None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other programs off the card, and select the application, for the length of the block."""
        with self._connection.transaction():
            self.select()
            yield

    @contextmanager
    def exclusive_with_pin(self, pin: str) -> Iterator[None]:
        """The same with the PIN shown, which is forgotten before other programs get at the card again.

        Raises as `verify_pin` does.
        """
        with self.exclusive_showing(lambda session: session.verify_pin(pin, session.pin_reference())):
            yield

    @contextmanager
    def exclusive_showing(self, show: Callable[["PivSession"], None]) -> Iterator[None]:
        """The same, whatever shows the PIN; see `pin_entry`."""
        with self.exclusive():
            try:
                show(self)
                yield
            finally:
                self.forget_pin()

    def select(self) -> None:
        """Select the application (SP 800-73-5 part 2, 3.1.1). Raises CardNotPiv."""
        command = CommandApdu(0x00, Instruction.SELECT, 0x04, 0x00, piv.AID_TRUNCATED, MAX_SHORT_NE)
        response = self._exchange(command)
        if response.sw != StatusWord.SUCCESS:
            raise CardNotPiv(response.sw)

    def close(self) -> None:
        """Let go of the card; reset after a PIN or management key was shown: nobody inherits its rights."""
        self.forget_pin()
        self._connection.close(reset=self._management_shown or self._pin_shown is not None)

    # --- objects ---

    def read(self, object_id: ObjectId) -> bytes:
        """The content of a data object (3.1.2). Raises CardDataMissing where none is, or an empty one."""
        command = CommandApdu(
            0x00, Instruction.GET_DATA, 0x3F, 0xFF, piv.encode_tag_list(object_id), MAX_SHORT_NE
        )
        response = self._exchange(command)
        if response.sw == StatusWord.NOT_FOUND:
            raise CardDataMissing(_name(object_id))
        frame = object_id if object_id in piv.SELF_FRAMED_OBJECTS else piv.TAG_DATA
        try:
            content = piv.decode_data(_data(response, f"give its {_name(object_id)}"), frame)
        except piv.PivDataError as error:
            raise CardDataMalformed(f"the card's {_name(object_id)} cannot be read: {error}") from error
        if not content:
            raise CardDataMissing(_name(object_id))
        return content

    def write(self, object_id: ObjectId, content: bytes) -> None:
        """Write a data object (3.3.1), or delete it by writing nothing; needs the management key."""
        if object_id in piv.SELF_FRAMED_OBJECTS:
            data = tlv.encode(object_id, content)
        else:
            data = piv.encode_tag_list(object_id) + piv.encode_data(content)
        self._send(Instruction.PUT_DATA, 0x3F, 0xFF, data, f"take its {_name(object_id)}", le=None)

    def chuid(self) -> piv.Chuid:
        """The card's identity: its GUID and expiry date."""
        try:
            return piv.Chuid.decode(self.read(ObjectId.CHUID))
        except piv.PivDataError as error:
            raise CardDataMalformed(f"the card's CHUID cannot be read: {error}") from error

    def guid(self) -> UUID:
        """The card's identity, from no more of its CHUID than holds it: the signature is most of that.

        A card with contactless speed takes a tenth of a second for the rest, which nobody at a gate needs.
        """
        tag_list = piv.encode_tag_list(ObjectId.CHUID)
        command = CommandApdu(0x00, Instruction.GET_DATA, 0x3F, 0xFF, tag_list, piv.CHUID_HEAD_LENGTH)
        beginning, _ = self._connection.transmit(command.encode())
        # What the card still has is dropped with the next command (ISO/IEC 7816-4:2020, 5.3.4). One that
        # gives all or nothing is asked for all.
        return piv.decode_guid(beginning) or self.chuid().guid

    def discovery(self) -> Discovery:
        """Which PIN the card wants; a card that does not say wants the application's (part 1, 3.3.2)."""
        try:
            return Discovery.decode(self.read(ObjectId.DISCOVERY))
        except CardDataMissing:
            return Discovery()
        except piv.PivDataError as error:
            raise CardDataMalformed(f"the card's discovery object cannot be read: {error}") from error

    def certificate(self, key: KeyReference) -> x509.Certificate:
        """The certificate of a key, unpacked if the card keeps it compressed.

        It is what the card says: nothing about it is verified here.
        """
        try:
            der = piv.decode_certificate(self.read(piv.CERTIFICATE_OF[key]))
            return read_certificate(der)
        except (ValueError, EncodingInvalid) as error:
            raise CardDataMalformed(f"the card's certificate cannot be read: {error}") from error

    def card_certificate(self) -> x509.Certificate:
        """The certificate of key 9E; see `certificate`."""
        return self.certificate(KeyReference.CARD_AUTHENTICATION)

    # --- keys ---

    def sign(
        self,
        block: bytes,
        key: KeyReference = KeyReference.CARD_AUTHENTICATION,
        algorithm: Algorithm = Algorithm.ECC_P256,
    ) -> bytes:
        """What a key makes of a digest, or of a padded block (3.2.4). Unverified: see the caller.

        A curve's key gives a DER signature. 9E wants no PIN, 9A one a session, 9C one immediately before each
        signature. Raises PinNeeded; ValueError for a block that is not as long as this algorithm wants it.
        """
        if len(block) != piv.SIGNED_LENGTH.get(algorithm):
            raise ValueError(
                "a P-256 key signs 32 bytes, a P-384 key 48, an RSA key as many as its modulus has"
            )
        template = tlv.encode(piv.TAG_RESPONSE, b"") + tlv.encode(piv.TAG_CHALLENGE, block)
        try:
            answer = self.general_authenticate(algorithm, key, template, "sign")
        except CardRefused as refused:
            if refused.sw == StatusWord.SECURITY_STATUS_NOT_SATISFIED:
                raise PinNeeded(refused.what, refused.sw) from refused
            raise
        return _element(answer, piv.TAG_RESPONSE)

    def generate_key(self, key: KeyReference) -> ec.EllipticCurvePublicKey:
        """Make a P-256 key on the card, which never leaves it (3.3.2); needs the management key."""
        made = self.generate(key, Algorithm.ECC_P256)
        if not isinstance(made, ec.EllipticCurvePublicKey):
            raise TypeError("an answer is read as the algorithm that was asked for")
        return made

    def generate(self, key: KeyReference, algorithm: Algorithm) -> CardPublicKey:
        """The same for any kind of key that PIV has (SP 800-78-5, 6.2); RSA may take a card half a minute."""
        control = tlv.encode(piv.TAG_KEY_CONTROL, tlv.encode(piv.TAG_ALGORITHM, bytes((algorithm,))))
        answer = self._send(Instruction.GENERATE_ASYMMETRIC_KEY_PAIR, 0x00, key, control, "make its key")
        try:
            return read_public_key(answer, algorithm)
        except ValueError as error:
            raise CardDataMalformed(f"the card's new key cannot be read: {error}") from error

    def authenticate_management(self, key: bytes) -> None:
        """Prove the management key to the card, which proves that it knows it, too. Raises CardRefused."""
        management.authenticate(self.general_authenticate, key)
        self._management_shown = True

    def set_management_key(self, key: bytes) -> None:
        """Replace the management key. No standard has this command: it is Yubico's (see cardspec/piv.py)."""
        algorithm = management.algorithm_of(key)
        data = bytes((algorithm, KeyReference.MANAGEMENT, len(key))) + key
        self._send(Instruction.SET_MANAGEMENT_KEY, 0xFF, 0xFF, data, "take its management key", le=None)

    def general_authenticate(
        self, algorithm: Algorithm, key: KeyReference, template: bytes, what: str
    ) -> bytes:
        """The content of the dynamic authentication template that the card answers (3.2.4, table 7)."""
        data = tlv.encode(piv.TAG_DYNAMIC_AUTHENTICATION, template)
        answer = self._send(Instruction.GENERAL_AUTHENTICATE, algorithm, key, data, what)
        return _element(answer, piv.TAG_DYNAMIC_AUTHENTICATION) if answer else b""

    # --- PIN and PUK ---

    def pin_reference(self) -> KeyReference:
        """The PIN that the holder is to be asked for: the application's, or the card's global one."""
        return KeyReference.GLOBAL_PIN if self.discovery().prefers_global_pin else KeyReference.PIN

    def pin_attempts(self, reference: KeyReference = KeyReference.PIN) -> int | None:
        """The attempts that the PIN has, 0 if it is blocked; None if the card does not say."""
        return reference_data.attempts_left(self._exchange, reference)

    def verify_pin(self, pin: str, reference: KeyReference = KeyReference.PIN) -> None:
        """Show the PIN. Raises PinMalformed, PinWrong, PinBlocked, ContactNeeded."""
        self._pin_shown = reference
        reference_data.verify(self._exchange, pin, reference)

    def verify_pin_by(self, enter: Callable[[CommandApdu], ResponseApdu]) -> None:
        """Show the PIN by a reader's own keys, which fill it in. Raises as `verify_pin` does."""
        self._pin_shown = self.pin_reference()
        reference_data.verify_by(enter, self._pin_shown)

    def change_pin_by(self, enter: Callable[[CommandApdu], ResponseApdu]) -> None:
        """Replace the PIN by a reader's own keys. Raises as `verify_pin` does."""
        self._pin_shown = self.pin_reference()
        reference_data.change_by(enter, self._pin_shown)

    def forget_pin(self) -> None:
        """Have the card forget a PIN that was shown, if it can. Never raises: the card may be gone already.

        Cards that cannot are reset by `close`; those that another program holds on to may not be.
        """
        if self._pin_shown is not None:
            with suppress(CardError):
                reference_data.forget(self._exchange, self._pin_shown)

    def change_pin(self, old: str, new: str, reference: KeyReference = KeyReference.PIN) -> None:
        """Replace the PIN by who knows it. Raises as `verify_pin` does."""
        self._pin_shown = reference
        reference_data.change_pin(self._exchange, old, new, reference)

    def change_puk(self, old: str, new: str) -> None:
        """Replace the PUK by who knows it. Raises as `verify_pin` does."""
        reference_data.change_puk(self._exchange, old, new)

    def unblock_pin(self, puk: str, new: str) -> None:
        """Set a new PIN, with all its attempts, by the PUK. Raises as `verify_pin` does."""
        self._pin_shown = KeyReference.PIN
        reference_data.unblock(self._exchange, puk, new)

    # --- commands ---

    def _exchange(self, command: CommandApdu) -> ResponseApdu:
        return exchange(self._connection, command)

    def _send(
        self,
        instruction: Instruction,
        p1: int,
        p2: int,
        data: bytes,
        what: str,
        le: int | None = MAX_SHORT_NE,
    ) -> bytes:
        return _data(self._exchange(CommandApdu(0x00, instruction, p1, p2, data, le)), what)


@dataclass(frozen=True, slots=True)
class CardIdentity:
    """What a card says it is, read in one piece; unverified."""

    card: UUID
    certificate: x509.Certificate
    # Whether the card said its number alone, and the certificate is of an earlier time
    is_remembered: bool = False


def read_identity(
    session: PivSession, remembered: Callable[[UUID], x509.Certificate | None] = lambda _: None
) -> CardIdentity:
    """The card's GUID and the certificate of its key 9E, which is not read where it is `remembered`."""
    with session.exclusive():
        card = session.guid()
        if (certificate := remembered(card)) is not None:
            return CardIdentity(card, certificate, is_remembered=True)
        return CardIdentity(card, session.card_certificate())


def read_public_key(answer: bytes, algorithm: Algorithm) -> CardPublicKey:
    """The key that a card says it has made. Raises ValueError."""
    if algorithm in piv.RSA_BYTES:
        modulus, exponent = piv.decode_rsa_public_key(answer)
        if (modulus.bit_length() + 7) // 8 != piv.RSA_BYTES[algorithm]:
            raise ValueError("it is of another length than was asked for")
        return rsa.RSAPublicNumbers(exponent, modulus).public_key()
    point = piv.decode_public_key(answer, piv.EC_POINT_LENGTH[algorithm])
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[algorithm], point)


def _data(response: ResponseApdu, what: str) -> bytes:
    """A response's data. Raises CardRefused for any status but success."""
    if response.sw != StatusWord.SUCCESS:
        raise CardRefused(what, response.sw)
    return response.data


def _element(data: bytes, tag: int) -> bytes:
    try:
        found = tlv.find(data, tag)
    except tlv.TlvError as error:
        raise CardDataMalformed(f"the card's answer is no BER-TLV: {error}") from error
    if found is None:
        raise CardDataMalformed(f"the card's answer lacks the element {tag:02X}")
    return found


def _name(object_id: ObjectId) -> str:
    return object_id.name.lower().replace("_", " ")
