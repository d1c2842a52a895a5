"""Whether the scheme's content signer vouches for what is on a card: its CHUID and its security object."""

from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography import x509

from pki import cms, der
from pki.errors import PkiError
from pki.verification import Purpose, TrustStore, verify
from reader_agent.cardspec import tlv
from reader_agent.cardspec.piv import CONTAINER_OF, ObjectId
from reader_agent.errors import CardContentInvalid

_SIGNATURE, _MAPPING, _SECURITY_OBJECT = 0x3E, 0xBA, 0xBB
_SHA256: Final = der.tlv(der.SEQUENCE, der.object_identifier(x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")))
_OBJECT_OF: Final = {container: object_id for object_id, container in CONTAINER_OF.items()}

ReadObject = Callable[[ObjectId], bytes]


def check_signatures(read: ReadObject, moment: datetime, trust: TrustStore) -> frozenset[ObjectId]:
    """The objects that the content signer vouches for; each is read again, so that it is the card's.

    Raises CardContentInvalid, and CardError where an object is not there or wants the PIN.
    """
    try:
        signer = _check_chuid(read(ObjectId.CHUID), moment, trust)
        return _check_security_object(read, signer)
    except (PkiError, tlv.TlvError) as error:
        raise CardContentInvalid(f"the card's content is not vouched for: {error}") from error


def _check_chuid(content: bytes, moment: datetime, trust: TrustStore) -> x509.Certificate:
    """The content signer's certificate (SP 800-73-5 part 1, 3.1.2)."""
    elements = tlv.decode(content)
    signature = _only(elements, _SIGNATURE)
    signer = cms.carried_certificate(signature)
    # Status is left out: a signer that is revoked later has signed the cards of before all the same.
    verify(signer, Purpose.CONTENT_SIGNER, moment, trust, require_status=False)
    signed = b"".join(element.encode() for element in elements if element.tag != _SIGNATURE)
    cms.verify(
        signature,
        cms.SignedContent(kind=cms.CHUID_OBJECT, content=signed, is_enclosed=False, carries_certificate=True),
        signer,
    )
    return signer


def _check_security_object(read: ReadObject, signer: x509.Certificate) -> frozenset[ObjectId]:
    """SP 800-73-5 part 1, 3.1.7: what must have been hashed and signed, from what is on the card."""
    elements = tlv.decode(read(ObjectId.SECURITY_OBJECT))
    mapping = _mapping(_only(elements, _MAPPING))
    hashes = [
        der.tlv(
            der.SEQUENCE, der.integer(number), der.tlv(der.OCTET_STRING, sha256(read(object_id)).digest())
        )
        for number, object_id in mapping.items()
    ]
    cms.verify(
        _only(elements, _SECURITY_OBJECT),
        cms.SignedContent(
            kind=cms.LDS_SECURITY_OBJECT,
            content=der.tlv(der.SEQUENCE, der.integer(0), _SHA256, der.tlv(der.SEQUENCE, *hashes)),
            is_enclosed=True,
            carries_certificate=False,
        ),
        signer,
    )
    return frozenset(mapping.values())


def _mapping(raw: bytes) -> Mapping[int, ObjectId]:
    """Data group number to object, from triples of a number and a container."""
    if not raw or len(raw) % 3:
        raise CardContentInvalid("the card's security object has no mapping")
    found = {}
    for at in range(0, len(raw), 3):
        container = int.from_bytes(raw[at + 1 : at + 3])
        if container not in _OBJECT_OF or raw[at] in found:
            raise CardContentInvalid("the card's security object names what is not known here")
        found[raw[at]] = _OBJECT_OF[container]
    return found


def _only(elements: list[tlv.Tlv], tag: int) -> bytes:
    values = [element.value for element in elements if element.tag == tag]
    if len(values) != 1 or not values[0]:
        raise CardContentInvalid("the card's content is not signed")
    return values[0]
