"""PIV as on the wire: names, numbers and data objects (SP 800-73-5 part 1 and 2, SP 800-78-5).

Data objects are built and read here as values; how they travel (chaining, GET RESPONSE) is the session's
and the card's affair. What is 'ours' is what a scheme that is no federal agency fills in.
"""

import zlib
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Final
from uuid import UUID

from reader_agent.cardspec import tlv

# SP 800-73-5 part 1, 2.2: RID of NIST, PIX 0000 1000, version 0100. The last two bytes may be left out.
RID: Final = bytes.fromhex("A000000308")
AID: Final = bytes.fromhex("A000000308000010000100")
AID_TRUNCATED: Final = AID[:9]


class Instruction(IntEnum):
    """Command names of SP 800-73-5 part 2, 3."""

    VERIFY = 0x20  # 3.2.1
    CHANGE_REFERENCE_DATA = 0x24  # 3.2.2
    RESET_RETRY_COUNTER = 0x2C  # 3.2.3
    GENERATE_ASYMMETRIC_KEY_PAIR = 0x47  # 3.3.2
    GENERAL_AUTHENTICATE = 0x87  # 3.2.4
    SELECT = 0xA4  # 3.1.1
    GET_DATA = 0xCB  # 3.1.2
    PUT_DATA = 0xDB  # 3.3.1
    # No standard command sets the management key. This is Yubico's, which PivApplet answers, too:
    # P1 FF, P2 FF, data algorithm ‖ 9B ‖ length ‖ key.
    SET_MANAGEMENT_KEY = 0xFF


class ObjectId(IntEnum):
    """Tags of the data objects, SP 800-73-5 part 1, 4.3; those of retired keys have a range below."""

    DISCOVERY = 0x7E
    BIOMETRIC_GROUP_TEMPLATE = 0x7F61
    CARD_AUTHENTICATION_CERTIFICATE = 0x5FC101  # 9E
    CHUID = 0x5FC102
    FINGERPRINTS = 0x5FC103
    PIV_AUTHENTICATION_CERTIFICATE = 0x5FC105  # 9A
    SECURITY_OBJECT = 0x5FC106
    CCC = 0x5FC107
    FACIAL_IMAGE = 0x5FC108
    PRINTED_INFORMATION = 0x5FC109
    DIGITAL_SIGNATURE_CERTIFICATE = 0x5FC10A  # 9C
    KEY_MANAGEMENT_CERTIFICATE = 0x5FC10B  # 9D
    KEY_HISTORY = 0x5FC10C
    IRIS_IMAGES = 0x5FC121
    SECURE_MESSAGING_CERTIFICATE_SIGNER = 0x5FC122
    PAIRING_CODE = 0x5FC123


# The number of each object's container in the security object, SP 800-73-5 part 1, appendix A, table 8.
CONTAINER_OF: Final = {
    ObjectId.CARD_AUTHENTICATION_CERTIFICATE: 0x0500,
    ObjectId.CHUID: 0x3000,
    ObjectId.FINGERPRINTS: 0x6010,
    ObjectId.PIV_AUTHENTICATION_CERTIFICATE: 0x0101,
    ObjectId.SECURITY_OBJECT: 0x9000,
    ObjectId.CCC: 0xDB00,
    ObjectId.FACIAL_IMAGE: 0x6030,
    ObjectId.PRINTED_INFORMATION: 0x3001,
    ObjectId.DIGITAL_SIGNATURE_CERTIFICATE: 0x0100,
    ObjectId.KEY_MANAGEMENT_CERTIFICATE: 0x0102,
    ObjectId.DISCOVERY: 0x6050,
    ObjectId.KEY_HISTORY: 0x6060,
}

RETIRED_CERTIFICATES: Final = range(0x5FC10D, 0x5FC121)  # of the keys 82 to 95, in their order

# These two are their own templates; all others come in a 53 (SP 800-73-5 part 2, 3.1.2).
SELF_FRAMED_OBJECTS: Final = frozenset({ObjectId.DISCOVERY, ObjectId.BIOMETRIC_GROUP_TEMPLATE})


class KeyReference(IntEnum):
    """SP 800-73-5 part 1, 5.1; without the retired keys 82 to 95 and the fingerprints 96 and 97."""

    GLOBAL_PIN = 0x00
    PIN = 0x80
    PUK = 0x81
    PIV_AUTHENTICATION = 0x9A
    MANAGEMENT = 0x9B
    DIGITAL_SIGNATURE = 0x9C
    KEY_MANAGEMENT = 0x9D
    CARD_AUTHENTICATION = 0x9E


# Where the certificate of each key lies, SP 800-73-5 part 1, 4.3 and 5.1.
CERTIFICATE_OF: Final = {
    KeyReference.PIV_AUTHENTICATION: ObjectId.PIV_AUTHENTICATION_CERTIFICATE,
    KeyReference.DIGITAL_SIGNATURE: ObjectId.DIGITAL_SIGNATURE_CERTIFICATE,
    KeyReference.KEY_MANAGEMENT: ObjectId.KEY_MANAGEMENT_CERTIFICATE,
    KeyReference.CARD_AUTHENTICATION: ObjectId.CARD_AUTHENTICATION_CERTIFICATE,
}


class Algorithm(IntEnum):
    """Algorithm identifiers, SP 800-78-5, 6.2. A scheme's cards carry AES and P-256 alone."""

    # Withdrawn by SP 800-78-5, and the management key of many a card in the field (SP 800-78-4, table 6-2)
    TRIPLE_DES = 0x03
    RSA_3072 = 0x05
    RSA_2048 = 0x07
    AES_128 = 0x08
    AES_192 = 0x0A
    AES_256 = 0x0C
    ECC_P256 = 0x11
    ECC_P384 = 0x14


AES_KEY_LENGTH: Final = {Algorithm.AES_128: 16, Algorithm.AES_192: 24, Algorithm.AES_256: 32}
AES_BLOCK_LENGTH: Final = 16
TRIPLE_DES_KEY_LENGTH: Final = 24
TRIPLE_DES_BLOCK_LENGTH: Final = 8
P256_POINT_LENGTH: Final = 65  # uncompressed: 04 ‖ X ‖ Y, SP 800-73-5 part 2, 3.3.2
P384_POINT_LENGTH: Final = 97
EC_POINT_LENGTH: Final = {Algorithm.ECC_P256: P256_POINT_LENGTH, Algorithm.ECC_P384: P384_POINT_LENGTH}
RSA_BYTES: Final = {Algorithm.RSA_2048: 256, Algorithm.RSA_3072: 384}

# What a key is given to sign: a digest of SHA-256 or SHA-384 (SP 800-78-5, table 2), or for RSA the block
# that the host has padded, as long as the modulus (SP 800-73-5 part 2, 3.2.4).
SIGNED_LENGTH: Final = {Algorithm.ECC_P256: 32, Algorithm.ECC_P384: 48, **RSA_BYTES}

PIN_LENGTH: Final = 8  # SP 800-73-5 part 2, 2.4.3: six to eight digits, padded with FF to eight bytes
PIN_MIN_DIGITS: Final = 6
PUK_LENGTH: Final = 8

# What YubiKeys and PivApplet leave the factory with, so known to everybody: a transport key only.
WELL_KNOWN_TRANSPORT_KEY: Final = bytes(range(1, 9)) * 3
# The same is true of their PUK.
WELL_KNOWN_TRANSPORT_PUK: Final = "12345678"

# Tags within commands and their answers (SP 800-73-5 part 2, 3.1.2, 3.2.4, 3.3.2).
TAG_LIST: Final = 0x5C
TAG_DATA: Final = 0x53
TAG_DYNAMIC_AUTHENTICATION: Final = 0x7C
TAG_WITNESS: Final = 0x80
TAG_CHALLENGE: Final = 0x81
TAG_RESPONSE: Final = 0x82
TAG_EXPONENTIATION: Final = 0x85  # the other side's point, for a key agreement
TAG_KEY_CONTROL: Final = 0xAC
TAG_ALGORITHM: Final = 0x80
TAG_PUBLIC_KEY: Final = 0x7F49
TAG_EC_POINT: Final = 0x86
TAG_RSA_MODULUS: Final = 0x81
TAG_RSA_EXPONENT: Final = 0x82

# The FASC-N of issuers that are no federal agency: agency code 9999 and nines throughout, as yubico-piv-tool
# writes it. Nothing of ours reads it: the GUID alone tells which card this is.
NON_FEDERAL_FASCN: Final = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")

# Ours: the frame, FASC-N, GUID and date of a CHUID take 59 bytes, and older elements before them a few more.
CHUID_HEAD_LENGTH: Final = 80

MAX_CERTIFICATE_LENGTH: Final = 8192  # ours: a bound for what a compressed certificate may unpack to


class PivDataError(ValueError):
    """A data object that is not what SP 800-73-5 says it is."""

    code = "piv_data_malformed"


@dataclass(frozen=True, slots=True)
class Chuid:
    """Card holder unique identifier (SP 800-73-5 part 1, 3.1.2, appendix A). Its GUID is the card's UUID."""

    guid: UUID
    expires_on: date
    fascn: bytes = NON_FEDERAL_FASCN
    issuer_signature: bytes = b""  # CMS; empty means that the scheme has no content signer

    def encode(self) -> bytes:
        """The object's content, without the 53 around it."""
        if len(self.fascn) != len(NON_FEDERAL_FASCN):
            raise PivDataError("a FASC-N has 25 bytes")
        return b"".join(
            (
                tlv.encode(0x30, self.fascn),
                tlv.encode(0x34, self.guid.bytes),
                # Not by strftime, which writes the year 301 in three digits.
                tlv.encode(0x35, self.expires_on.isoformat().replace("-", "").encode()),
                tlv.encode(0x3E, self.issuer_signature),
                tlv.encode(0xFE, b""),
            )
        )

    @classmethod
    def decode(cls, content: bytes) -> "Chuid":
        """Read a CHUID's content; elements that we do not use are passed over. Raises PivDataError."""
        items = _fields(content)
        try:
            return cls(
                guid=UUID(bytes=items[0x34]),
                expires_on=_date(items[0x35]),
                fascn=items[0x30],
                issuer_signature=items.get(0x3E, b""),
            )
        except (KeyError, ValueError) as error:
            raise PivDataError("this CHUID lacks its GUID, its expiry date or its FASC-N") from error


def encode_certificate(der: bytes) -> bytes:
    """The content of a certificate object: 70, 71 00 (not compressed), FE (part 1, appendix A)."""
    return tlv.encode(0x70, der) + tlv.encode(0x71, b"\x00") + tlv.encode(0xFE, b"")


def decode_certificate(content: bytes) -> bytes:
    """The certificate's DER, unpacked if the card keeps it with gzip. Raises PivDataError."""
    items = _fields(content)
    if not items.get(0x70):
        raise PivDataError("this object holds no certificate")
    if not items.get(0x71, b"\x00").startswith(b"\x01"):  # CertInfo's lowest bits: 01 is gzip
        return items[0x70]
    unpacking = zlib.decompressobj(wbits=31)
    try:
        der = unpacking.decompress(items[0x70], MAX_CERTIFICATE_LENGTH)
    except zlib.error as error:
        raise PivDataError("this certificate is marked as compressed and is not") from error
    if not unpacking.eof:
        raise PivDataError("this certificate breaks off or unpacks to too much")
    return der


def decode_guid(beginning: bytes) -> UUID | None:
    """The GUID from the beginning of a CHUID in its frame; None where it is not in that."""
    try:
        elements = tlv.decode_beginning(beginning, TAG_DATA)
    except tlv.TlvError:
        return None
    found = [element.value for element in elements if element.tag == 0x34]
    return UUID(bytes=found[0]) if len(found) == 1 and len(found[0]) == 16 else None


def encode_discovery(pin_policy: bytes = b"\x40\x00") -> bytes:
    """The discovery object, 7E and all (part 1, 3.3.2). The default policy: the application's PIN alone."""
    return tlv.encode(0x7E, tlv.encode(0x4F, AID) + tlv.encode(0x5F2F, pin_policy))


def encode_application_property_template() -> bytes:
    """What SELECT answers: 61 with the PIX and the RID (part 2, 3.1.1)."""
    return tlv.encode(0x61, tlv.encode(0x4F, AID[5:]) + tlv.encode(0x79, tlv.encode(0x4F, RID)))


def encode_ccc(card_identifier: bytes) -> bytes:
    """The card capability container's content, with the elements that PIV leaves empty (part 1, appendix A).

    `card_identifier` is the last 14 bytes of F0, which begins with the GSC-RID, manufacturer FF and type 02.
    """
    if len(card_identifier) != 14:
        raise PivDataError("the card identifier has 14 bytes")
    identifier = bytes.fromhex("A000000116") + b"\xff\x02" + card_identifier
    head = (
        (0xF0, identifier),
        (0xF1, b"\x21"),
        (0xF2, b"\x21"),
        (0xF3, b""),
        (0xF4, b"\x00"),
        (0xF5, b"\x10"),
    )
    empty = ((tag, b"") for tag in (0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE))
    return b"".join(tlv.encode(tag, value) for tag, value in (*head, *empty))


def encode_tag_list(object_id: int) -> bytes:
    """The data field of GET DATA, and the head of PUT DATA's: 5C with one object's tag (part 2, 3.1.2)."""
    return tlv.encode(TAG_LIST, tlv.encode_tag(object_id))


def encode_data(content: bytes) -> bytes:
    """A data object as GET DATA answers it and PUT DATA takes it: 53 around its content."""
    return tlv.encode(TAG_DATA, content)


def decode_data(response: bytes, tag: int = TAG_DATA) -> bytes:
    """The content of what GET DATA answered; empty where the object is. Raises PivDataError.

    `tag` is what frames the object: 53, or its own tag where it is one of SELF_FRAMED_OBJECTS.
    """
    items = _fields(response)
    if tag not in items:
        raise PivDataError("the answer holds no data object")
    return items[tag]


def encode_public_key(point: bytes) -> bytes:
    """What GENERATE ASYMMETRIC KEY PAIR answers for a curve: 7F49 with 86 (part 2, 3.3.2)."""
    return tlv.encode(TAG_PUBLIC_KEY, tlv.encode(TAG_EC_POINT, point))


def decode_public_key(response: bytes, length: int = P256_POINT_LENGTH) -> bytes:
    """The uncompressed point of such an answer, not yet checked to lie on its curve. Raises PivDataError."""
    point = _fields(_fields(response).get(TAG_PUBLIC_KEY, b"")).get(TAG_EC_POINT, b"")
    if len(point) != length or point[0] != 0x04:
        raise PivDataError("the answer holds no uncompressed point of that curve")
    return point


def encode_rsa_public_key(modulus: int, exponent: int) -> bytes:
    """What GENERATE ASYMMETRIC KEY PAIR answers for RSA: 7F49 with 81 and 82 (part 2, 3.3.2)."""
    numbers = ((TAG_RSA_MODULUS, modulus), (TAG_RSA_EXPONENT, exponent))
    fields = (tlv.encode(tag, value.to_bytes((value.bit_length() + 7) // 8)) for tag, value in numbers)
    return tlv.encode(TAG_PUBLIC_KEY, b"".join(fields))


def decode_rsa_public_key(response: bytes) -> tuple[int, int]:
    """Modulus and exponent of such an answer, not yet checked to be a key's. Raises PivDataError."""
    fields = _fields(_fields(response).get(TAG_PUBLIC_KEY, b""))
    modulus, exponent = (fields.get(tag, b"") for tag in (TAG_RSA_MODULUS, TAG_RSA_EXPONENT))
    if not modulus or not exponent or len(modulus) > max(RSA_BYTES.values()) + 1 or len(exponent) > 8:
        raise PivDataError("the answer holds no RSA key of a size that cards have")
    return int.from_bytes(modulus), int.from_bytes(exponent)


def encode_puk(puk: str) -> bytes:
    """A PUK of eight characters (part 2, 2.4.3), as its bytes. Raises PivDataError.

    The standard allows any bytes; one that a person types has ASCII characters. Yubico's may be shorter, and
    are padded like a PIN.
    """
    if not (puk.isascii() and puk.isprintable() and PIN_MIN_DIGITS <= len(puk) <= PUK_LENGTH):
        raise PivDataError("a PUK has eight characters, and no fewer than six")
    return puk.encode().ljust(PUK_LENGTH, b"\xff")


def encode_pin(pin: str) -> bytes:
    """A PIN of six to eight digits, padded with FF to eight bytes (part 2, 2.4.3). Raises PivDataError."""
    if not (pin.isascii() and pin.isdigit() and PIN_MIN_DIGITS <= len(pin) <= PIN_LENGTH):
        raise PivDataError("a PIN has six to eight digits")
    return pin.encode().ljust(PIN_LENGTH, b"\xff")


def _date(digits: bytes) -> date:
    """YYYYMMDD, and nothing else that Python takes for a date. Raises ValueError."""
    if len(digits) != 8 or not digits.isdigit():
        raise ValueError("a date has eight digits")
    return date.fromisoformat(digits.decode("ascii"))


def _fields(content: bytes) -> dict[int, bytes]:
    try:
        return {item.tag: item.value for item in tlv.decode(content)}
    except tlv.TlvError as error:
        raise PivDataError("this is no sequence of data objects") from error
