"""A session with the PIV application of one card: its objects, its keys, its management key."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pki.errors import EncodingInvalid
from pki.reading import read_certificate
from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.apdu import MAX_SHORT_NE, CommandApdu, ResponseApdu
from reader_agent.cardspec.piv import Algorithm, Instruction, KeyReference, ObjectId
from reader_agent.cardspec.status import StatusWord
from reader_agent.errors import CardDataMalformed, CardDataMissing, CardNotPiv, CardRefused
from reader_agent.piv import management
from reader_agent.piv.exchange import exchange
from reader_agent.transport.connection import CardConnection

P256_DIGEST_BYTES = 32


class PivSession:
    """PIV over a connection. Every method raises CardError; after any but CardRefused the session is over."""

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection
        self._authenticated = False

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other programs off the card, and select the application, for the length of the block."""
        with self._connection.transaction():
            self.select()
            yield

    def select(self) -> None:
        """Select the application (SP 800-73-5 part 2, 3.1.1). Raises CardNotPiv."""
        command = CommandApdu(0x00, Instruction.SELECT, 0x04, 0x00, piv.AID_TRUNCATED, MAX_SHORT_NE)
        response = exchange(self._connection, command)
        if response.sw != StatusWord.SUCCESS:
            raise CardNotPiv(response.sw)

    def read(self, object_id: ObjectId) -> bytes:
        """The content of a data object (3.1.2). Raises CardDataMissing where none is, or an empty one."""
        command = CommandApdu(
            0x00, Instruction.GET_DATA, 0x3F, 0xFF, piv.encode_tag_list(object_id), MAX_SHORT_NE
        )
        response = exchange(self._connection, command)
        if response.sw == StatusWord.NOT_FOUND:
            raise CardDataMissing(_name(object_id))
        try:
            content = piv.decode_data(_data(response, f"give its {_name(object_id)}"))
        except piv.PivDataError as error:
            raise CardDataMalformed(f"the card's {_name(object_id)} cannot be read: {error}") from error
        if not content:
            raise CardDataMissing(_name(object_id))
        return content

    def write(self, object_id: ObjectId, content: bytes) -> None:
        """Write a data object (3.3.1); needs the management key."""
        data = piv.encode_tag_list(object_id) + piv.encode_data(content)
        self._send(Instruction.PUT_DATA, 0x3F, 0xFF, data, f"take its {_name(object_id)}")

    def chuid(self) -> piv.Chuid:
        """The card's identity: its GUID and expiry date."""
        try:
            return piv.Chuid.decode(self.read(ObjectId.CHUID))
        except piv.PivDataError as error:
            raise CardDataMalformed(f"the card's CHUID cannot be read: {error}") from error

    def card_certificate(self) -> x509.Certificate:
        """The certificate of key 9E. It is what the card says: nothing about it is verified here."""
        try:
            der = piv.decode_certificate(self.read(ObjectId.CARD_AUTHENTICATION_CERTIFICATE))
            return read_certificate(der)
        except (ValueError, EncodingInvalid) as error:
            raise CardDataMalformed(f"the card's certificate cannot be read: {error}") from error

    def sign(self, digest: bytes) -> bytes:
        """The DER signature of key 9E over a SHA-256 digest (3.2.4); no PIN. Unverified: see the caller."""
        if len(digest) != P256_DIGEST_BYTES:
            raise ValueError("a P-256 key signs a digest of 32 bytes")
        template = tlv.encode(piv.TAG_RESPONSE, b"") + tlv.encode(piv.TAG_CHALLENGE, digest)
        answer = self.general_authenticate(
            Algorithm.ECC_P256, KeyReference.CARD_AUTHENTICATION, template, "sign"
        )
        return _element(answer, piv.TAG_RESPONSE)

    def generate_card_authentication_key(self) -> ec.EllipticCurvePublicKey:
        """Make key 9E on the card (3.3.2); needs the management key. The private half never leaves it."""
        control = tlv.encode(piv.TAG_KEY_CONTROL, tlv.encode(piv.TAG_ALGORITHM, bytes((Algorithm.ECC_P256,))))
        answer = self._send(
            Instruction.GENERATE_ASYMMETRIC_KEY_PAIR,
            0x00,
            KeyReference.CARD_AUTHENTICATION,
            control,
            "make its key",
        )
        try:
            point = piv.decode_public_key(answer)
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise CardDataMalformed(f"the card's new key cannot be read: {error}") from error

    def authenticate_management(self, key: bytes) -> None:
        """Prove the management key to the card, which proves that it knows it, too. Raises CardRefused."""
        management.authenticate(self.general_authenticate, key)
        self._authenticated = True

    def set_management_key(self, key: bytes) -> None:
        """Replace the management key. No standard has this command: it is Yubico's (see cardspec/piv.py)."""
        algorithm = management.algorithm_of(key)
        data = bytes((algorithm, KeyReference.MANAGEMENT, len(key))) + key
        self._send(Instruction.SET_MANAGEMENT_KEY, 0xFF, 0xFF, data, "take its management key")

    def general_authenticate(
        self, algorithm: Algorithm, key: KeyReference, template: bytes, what: str
    ) -> bytes:
        """The content of the dynamic authentication template that the card answers (3.2.4, table 7)."""
        data = tlv.encode(piv.TAG_DYNAMIC_AUTHENTICATION, template)
        answer = self._send(Instruction.GENERAL_AUTHENTICATE, algorithm, key, data, what)
        return _element(answer, piv.TAG_DYNAMIC_AUTHENTICATION) if answer else b""

    def close(self) -> None:
        """Let go of the card: reset after a management key was used, so that nobody inherits its rights."""
        self._connection.close(reset=self._authenticated)

    def _send(self, instruction: Instruction, p1: int, p2: int, data: bytes, what: str) -> bytes:
        command = CommandApdu(0x00, instruction, p1, p2, data, MAX_SHORT_NE)
        return _data(exchange(self._connection, command), what)


@dataclass(frozen=True, slots=True)
class CardIdentity:
    """What a card says it is, read in one piece; unverified."""

    card: UUID
    certificate: x509.Certificate


def read_identity(session: PivSession) -> CardIdentity:
    """The card's GUID and the certificate of its key 9E."""
    with session.exclusive():
        return CardIdentity(session.chuid().guid, session.card_certificate())


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
