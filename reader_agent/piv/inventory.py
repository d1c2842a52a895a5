"""What is on a card, as far as it tells without a PIN: for a person who wants to know what card this is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from uuid import UUID

from cryptography import x509

from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import KeyReference, ObjectId
from reader_agent.cardspec.piv_data import Discovery
from reader_agent.errors import CardDataMalformed, CardDataMissing, CardRefused
from reader_agent.piv.session import PivSession


class Presence(StrEnum):
    """What a card says when it is asked for an object."""

    READABLE = "readable"
    # Wants the PIN, or contact; says nothing about whether the object is there
    REFUSED = "refused"
    # It answers something that is no such object
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Inventory:
    """What was found; nothing of it is verified."""

    # None without a CHUID, or with one that cannot be read
    card: UUID | None
    expires_on: date | None
    discovery: Discovery
    # 0 if it is blocked, None if the card does not say, as without contact
    pin_attempts: int | None
    certificates: Mapping[KeyReference, x509.Certificate]
    # Those that are not there are left out
    objects: Mapping[ObjectId, Presence]


def take_inventory(session: PivSession) -> Inventory:
    """Look at a card in one piece. Raises CardError where the session ends; a faulty object is a finding."""
    with session.exclusive():
        objects = {object_id: found for object_id in ObjectId if (found := _presence(session, object_id))}
        chuid = _chuid(session) if objects.get(ObjectId.CHUID) is Presence.READABLE else None
        certificates = {
            key: certificate
            for key, object_id in piv.CERTIFICATE_OF.items()
            if objects.get(object_id) is Presence.READABLE and (certificate := _certificate(session, key))
        }
        return Inventory(
            card=chuid.guid if chuid else None,
            expires_on=chuid.expires_on if chuid else None,
            discovery=_discovery(session),
            pin_attempts=session.pin_attempts(),
            certificates=certificates,
            objects=objects,
        )


def _presence(session: PivSession, object_id: ObjectId) -> Presence | None:
    try:
        session.read(object_id)
    except CardDataMissing:
        return None
    except CardRefused:
        return Presence.REFUSED
    except CardDataMalformed:
        return Presence.MALFORMED
    return Presence.READABLE


def _chuid(session: PivSession) -> piv.Chuid | None:
    try:
        return session.chuid()
    except CardDataMalformed:
        return None


def _certificate(session: PivSession, key: KeyReference) -> x509.Certificate | None:
    try:
        certificate = session.certificate(key)
        # Read only now by `cryptography`: what a card of somebody else holds may fail here.
        _ = certificate.subject, certificate.issuer, certificate.not_valid_after_utc
    except (CardDataMalformed, ValueError):
        return None
    return certificate


def _discovery(session: PivSession) -> Discovery:
    try:
        return session.discovery()
    except (CardDataMalformed, CardRefused):
        return Discovery()
