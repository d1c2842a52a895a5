"""The other side of a software card in tests. It shares no session code with the agent, only the codecs."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import NameOID

from reader_agent.cardspec import piv
from reader_agent.cardspec.apdu import CLA_CHAINING, CommandApdu
from reader_agent.cardspec.piv import ObjectId
from reader_agent.cardspec.piv_data import KeyHistory, PrintedInformation
from reader_agent.virtual_card.application import Face
from reader_agent.virtual_card.card import VirtualCard
from reader_agent.virtual_card.state import CardState

GUID = UUID("7b0c2f5e-9d5a-4a57-8f0a-3d1f2f1f9c11")
EXPIRES_ON = date(2031, 1, 31)
SELECT_PIV = bytes.fromhex("00A4040009A0000003080000100000")


@dataclass(slots=True)
class Host:
    """Speaks to a powered card."""

    card: VirtualCard
    state: CardState

    @classmethod
    def of(cls, state: CardState, face: Face) -> "Host":
        """Power the card and select PIV."""
        host = cls(VirtualCard(state, face), state)
        host.card.power_on()
        assert host.raw(SELECT_PIV)[1] == 0x9000
        return host

    def raw(self, command: bytes | str) -> tuple[bytes, int]:
        """Send these very bytes; what the card answered, and its status word."""
        answer = self.card.transmit(bytes.fromhex(command) if isinstance(command, str) else command)
        return answer[:-2], int.from_bytes(answer[-2:])

    def send(self, ins: int, p1: int, p2: int, data: bytes = b"", le: int | None = 256) -> tuple[bytes, int]:
        """Send a command in as many pieces as it needs, and fetch all of its answer."""
        while len(data) > 255:
            answer, sw = self.raw(CommandApdu(CLA_CHAINING, ins, p1, p2, data[:255]).encode())
            if sw != 0x9000:
                return answer, sw
            data = data[255:]
        answer, sw = self.raw(CommandApdu(0, ins, p1, p2, data, le).encode())
        while sw >> 8 == 0x61:
            more, sw = self.raw(CommandApdu(0, 0xC0, 0, 0, b"", sw & 0xFF or 256).encode())
            answer += more
        return answer, sw

    def get(self, object_id: int) -> tuple[bytes, int]:
        """GET DATA."""
        return self.send(0xCB, 0x3F, 0xFF, piv.encode_tag_list(object_id))

    def put(self, object_id: int, content: bytes) -> int:
        """PUT DATA."""
        data = piv.encode_tag_list(object_id) + piv.encode_data(content)
        return self.send(0xDB, 0x3F, 0xFF, data, le=None)[1]

    def generate(self, slot: int) -> tuple[bytes, int]:
        """GENERATE ASYMMETRIC KEY PAIR for P-256."""
        return self.send(0x47, 0x00, slot, bytes.fromhex("AC03800111"))

    def verify(self, pin: bytes) -> int:
        """VERIFY."""
        return self.send(0x20, 0x00, 0x80, pin, le=None)[1]

    def sign(self, slot: int, digest: bytes) -> tuple[bytes, int]:
        """GENERAL AUTHENTICATE; the signature without its template."""
        data = bytes((0x7C, len(digest) + 4, 0x82, 0x00, 0x81, len(digest))) + digest
        answer, sw = self.send(0x87, 0x11, slot, data)
        return answer[4:], sw

    def authenticate(self, key: bytes | None = None) -> int:
        """Show the management key (by default the right one): external authentication."""
        algorithm = self.state.memory.management_algorithm
        answer, sw = self.send(0x87, algorithm, 0x9B, bytes.fromhex("7C028100"))
        if sw != 0x9000:
            return sw
        response = encrypt(key or self.state.memory.management_key, answer[4:])
        return self.send(0x87, algorithm, 0x9B, bytes.fromhex("7C128210") + response)[1]


def personalise(host: Host) -> None:
    """Give a card its identity: key 9E, certificate, CHUID."""
    assert host.authenticate() == 0x9000
    answer, sw = host.generate(0x9E)
    assert sw == 0x9000
    public_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), piv.decode_public_key(answer))
    certificate = make_certificate(public_key)
    container = piv.encode_certificate(certificate.public_bytes(serialization.Encoding.DER))
    assert host.put(ObjectId.CARD_AUTHENTICATION_CERTIFICATE, container) == 0x9000
    assert host.put(ObjectId.CHUID, piv.Chuid(GUID, EXPIRES_ON).encode()) == 0x9000


# Slots, and where their certificates go (SP 800-73-5 part 1, 4.3).
CERTIFICATES = {
    0x9A: ObjectId.PIV_AUTHENTICATION_CERTIFICATE,
    0x9C: ObjectId.DIGITAL_SIGNATURE_CERTIFICATE,
    0x9E: ObjectId.CARD_AUTHENTICATION_CERTIFICATE,
}


def personalise_fully(host: Host) -> None:
    """Give a card keys 9A, 9C and 9E with certificates, and the objects that middleware looks for."""
    personalise(host)
    for slot in (0x9A, 0x9C):
        public_key = ec.EllipticCurvePublicKey.from_encoded_point(
            ec.SECP256R1(), piv.decode_public_key(host.generate(slot)[0])
        )
        certificate = make_certificate(public_key)
        container = piv.encode_certificate(certificate.public_bytes(serialization.Encoding.DER))
        assert host.put(CERTIFICATES[slot], container) == 0x9000
    printed = PrintedInformation("Morgan Example", "Citizen", "2031JAN31", "0042", "Ashcombe")
    assert host.put(ObjectId.PRINTED_INFORMATION, printed.encode()) == 0x9000
    assert host.put(ObjectId.KEY_HISTORY, KeyHistory().encode()) == 0x9000


def make_certificate(public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> x509.Certificate:
    """A certificate that names the card's UUID, by an issuer that is gone at once."""
    issued = datetime(2026, 1, 1, tzinfo=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.SERIAL_NUMBER, str(GUID))]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Cards of the tests")]))
        .public_key(public_key)
        .serial_number(0x1234_5678_9ABC_DEF0_1234_5678_9ABC_DEF0)
        .not_valid_before(issued)
        .not_valid_after(issued + timedelta(days=1825))
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(GUID.urn)]), critical=False
        )
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )


def card_certificate(host: Host, slot: int = 0x9E) -> x509.Certificate:
    """A certificate as it is on the card."""
    answer, sw = host.get(CERTIFICATES[slot])
    assert sw == 0x9000
    return x509.load_der_x509_certificate(piv.decode_certificate(piv.decode_data(answer)))


def encrypt(key: bytes, block: bytes) -> bytes:
    """One AES block, as a management key does."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - what the standard says
    return encryptor.update(block) + encryptor.finalize()
