"""What is written to a card beside its keys: the data objects of PIV, signed (SP 800-73-5 part 1, 3 and A).

The service puts them together itself and signs what it has put together, never what a desk sends. The desk
reads them with a codec of its own.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Final
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cardservice.cards.facial_image import facial_record, within_cbeff
from pki import cms, der

# SP 800-73-5 part 1, table 3: the tag on the card, and the container's number in the security object
CHUID, SECURITY_OBJECT, FACIAL_IMAGE = 0x5FC102, 0x5FC106, 0x5FC108
PRINTED_INFORMATION, KEY_HISTORY = 0x5FC109, 0x5FC10C
_CONTAINER: Final = {CHUID: 0x3000, FACIAL_IMAGE: 0x6030, PRINTED_INFORMATION: 0x3001, KEY_HISTORY: 0x6060}

# Agency code 9999 and nines throughout: an issuer that is no federal agency (SP 800-73-5 part 1, 3.1.2).
FASC_N: Final = bytes.fromhex("D4E739DA739CED39CE739D836858210842108421C84210C3EB")

# SP 800-73-5 part 1, appendix A, printed information: the most characters of each
_MAX_NAME, _MAX_AFFILIATION, _MAX_SERIAL, _MAX_ISSUER = 125, 20, 20, 15
_END: Final = b"\xfe\x00"  # the error detection code, always empty (appendix A)
_SHA256: Final = der.tlv(der.SEQUENCE, der.object_identifier(x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")))


@dataclass(frozen=True, slots=True, repr=False)
class CardFace:
    """What a card says about itself and its holder."""

    card: UUID
    kind: str
    expires_on: date
    issued_on: date
    # The scheme's id
    issuer: str
    holder: str
    # A JPEG that fits (`facial_image.fitting`)
    photo: bytes | None


@dataclass(frozen=True, slots=True, repr=False)
class ContentSigner:
    """The key that vouches for what is on the cards, with its certificate."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def sign(self, signed: cms.SignedContent) -> bytes:
        """See `pki.cms.sign`."""
        return cms.sign(signed, self.certificate, self.key)


def objects_of(face: CardFace, signer: ContentSigner) -> dict[int, bytes]:
    """The content of each object by its tag; the same card has the same, byte for byte.

    The security object vouches for the others (3.1.7), but not for the capability container, which a card may
    have from its maker, nor for certificates, which are signed already.
    """
    objects = {
        CHUID: chuid(face, signer),
        PRINTED_INFORMATION: printed_information(face),
        # No key of an earlier card is on this one (3.3.3).
        KEY_HISTORY: b"\xc1\x01\x00\xc2\x01\x00\xf3\x00" + _END,
    }
    if face.photo is not None:
        objects[FACIAL_IMAGE] = facial_image(face, face.photo, signer)
    objects[SECURITY_OBJECT] = security_object(objects, signer)
    return objects


def chuid(face: CardFace, signer: ContentSigner) -> bytes:
    """Card holder unique identifier (3.1.2). Signed is all but the element of the signature."""
    before = b"".join(
        (
            der.tlv(0x30, FASC_N),
            der.tlv(0x34, face.card.bytes),
            der.tlv(0x35, f"{face.expires_on:%Y%m%d}".encode()),
        )
    )
    signed = cms.SignedContent(
        kind=cms.CHUID_OBJECT, content=before + _END, is_enclosed=False, carries_certificate=True
    )
    return before + der.tlv(0x3E, signer.sign(signed)) + _END


def printed_information(face: CardFace) -> bytes:
    """What is printed on the card (appendix A), in ASCII."""
    texts = {
        0x01: _ascii(face.holder)[:_MAX_NAME],
        0x02: face.kind[:_MAX_AFFILIATION],
        0x04: f"{face.expires_on:%Y%b%d}".upper(),
        0x05: face.card.hex[:_MAX_SERIAL],
        0x06: _ascii(face.issuer)[:_MAX_ISSUER],
    }
    return b"".join(der.tlv(tag, text.encode("ascii")) for tag, text in texts.items()) + _END


def facial_image(face: CardFace, photo: bytes, signer: ContentSigner) -> bytes:
    """The holder's photo (3.1.6), signed by itself, too (FIPS 201-3, 4.2.3.1; SP 800-76-2, 7 and 9)."""
    record = facial_record(photo)
    attributes = {
        cms.FASC_N: der.tlv(der.OCTET_STRING, FASC_N),
        cms.ENTRY_UUID: der.tlv(der.OCTET_STRING, face.card.bytes),
    }

    def signature(content: bytes) -> bytes:
        return signer.sign(
            cms.SignedContent(
                kind=cms.BIOMETRIC_OBJECT,
                content=content,
                is_enclosed=False,
                # The certificate is in the CHUID
                carries_certificate=False,
                attributes=attributes,
            )
        )

    return der.tlv(0xBC, within_cbeff(record, face.issued_on, face.expires_on, FASC_N, signature)) + _END


def security_object(objects: Mapping[int, bytes], signer: ContentSigner) -> bytes:
    """The hashes of the other objects, signed (3.1.7; ICAO Doc 9303-10, 4.6.2.3).

    Hashed is an object's content, without the 53 around it; the numbers of data groups are arbitrary.
    """
    numbered = list(enumerate(objects.items(), start=1))
    mapping = b"".join(bytes((number,)) + _CONTAINER[tag].to_bytes(2) for number, (tag, _) in numbered)
    hashes = [
        der.tlv(der.SEQUENCE, der.integer(number), der.tlv(der.OCTET_STRING, sha256(content).digest()))
        for number, (_, content) in numbered
    ]
    signed = cms.SignedContent(
        kind=cms.LDS_SECURITY_OBJECT,
        content=der.tlv(der.SEQUENCE, der.integer(0), _SHA256, der.tlv(der.SEQUENCE, *hashes)),
        is_enclosed=True,
        # The certificate is in the CHUID (3.1.7)
        carries_certificate=False,
    )
    return der.tlv(0xBA, mapping) + der.tlv(0xBB, signer.sign(signed)) + _END


def _ascii(text: str) -> str:
    """As near as ASCII comes: accents are left away, and what has no letter becomes a question mark."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return plain.encode("ascii", "replace").decode("ascii")
