"""What the test's card service has written to cards, put together by the agent's own codec.

The service's own is tested in `tests/cardservice/cards`, and both against each other in `tests/integration`.
"""

from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from pki import cms, der
from reader_agent.cardspec import piv, tlv
from reader_agent.cardspec.piv import ObjectId
from reader_agent.cardspec.piv_data import KeyHistory, PrintedInformation

EXPIRES_ON = date(2031, 6, 15)
SHA256 = der.tlv(der.SEQUENCE, der.object_identifier(x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")))
# SP 800-73-5 part 1, appendix A: a CHUID's issuer asymmetric signature
_SIGNATURE = 0x3E


@dataclass(frozen=True, slots=True)
class Signer:
    """A key with its certificate."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def contents_of(card: UUID, signer: Signer) -> dict[int, bytes]:
    """CHUID, printed information, key history, and the security object about them."""
    unsigned = tlv.decode(piv.Chuid(guid=card, expires_on=EXPIRES_ON).encode())
    # By its elements: a GUID may hold the bytes of an empty signature, too.
    signed = b"".join(element.encode() for element in unsigned if element.tag != _SIGNATURE)
    signature = cms.sign(
        cms.SignedContent(kind=cms.CHUID_OBJECT, content=signed, is_enclosed=False, carries_certificate=True),
        signer.certificate,
        signer.key,
    )
    objects: dict[int, bytes] = {
        ObjectId.CHUID: piv.Chuid(guid=card, expires_on=EXPIRES_ON, issuer_signature=signature).encode(),
        ObjectId.PRINTED_INFORMATION: PrintedInformation(
            "Morgan Reed", "citizen", "2031JUN15", "00000001", "test"
        ).encode(),
        ObjectId.KEY_HISTORY: KeyHistory().encode(),
    }
    objects[ObjectId.SECURITY_OBJECT] = security_object(objects, signer)
    return objects


def security_object(objects: dict[int, bytes], signer: Signer) -> bytes:
    """Signed hashes of these."""
    numbered = list(enumerate(objects.items(), start=1))
    mapping = b"".join(
        bytes((number,)) + piv.CONTAINER_OF[ObjectId(tag)].to_bytes(2) for number, (tag, _) in numbered
    )
    hashes = [
        der.tlv(der.SEQUENCE, der.integer(number), der.tlv(der.OCTET_STRING, sha256(content).digest()))
        for number, (_, content) in numbered
    ]
    content = der.tlv(der.SEQUENCE, der.integer(0), SHA256, der.tlv(der.SEQUENCE, *hashes))
    signed = cms.SignedContent(
        kind=cms.LDS_SECURITY_OBJECT, content=content, is_enclosed=True, carries_certificate=False
    )
    signature = cms.sign(signed, signer.certificate, signer.key)
    return tlv.encode(0xBA, mapping) + tlv.encode(0xBB, signature) + tlv.encode(0xFE, b"")
