"""Making a blank card the one of an order: keys made on it, certified by the service, all read back.

Each step may be the last before somebody trips over the cable. The identity is written first, and marks whose
card it is; the certificate of key 9E last, without which no terminal takes the card. Called again for the
same order and card, it goes on from what the card holds.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from pki.errors import PkiError
from pki.verification import Purpose, verify
from reader_agent.agent import Agent
from reader_agent.cardspec import piv
from reader_agent.cardspec.piv import WELL_KNOWN_TRANSPORT_PUK, KeyReference, ObjectId
from reader_agent.errors import (
    CardDataMissing,
    CardOfAnotherOrder,
    PersonalisationFailed,
)
from reader_agent.personalise.card_keys import challenge, present_key, request_for
from reader_agent.personalise.management import authenticate, replace_management_key
from reader_agent.personalise.references import RandomBelow, new_pin, set_references
from reader_agent.personalise.uids import HoldCard, kept_uid, uid_without_contact
from reader_agent.personalise.vouching import check_signatures
from reader_agent.piv.session import PivSession
from reader_agent.service_client import PersonalisationOrder
from reader_agent.transport.connection import CardConnection

DONE, FAILED = "done", "failed"
_CCC_IDENTIFIER_BYTES = 14

PURPOSE_OF: Mapping[KeyReference, Purpose] = {
    KeyReference.PIV_AUTHENTICATION: Purpose.HOLDER_AUTHENTICATION,
    KeyReference.DIGITAL_SIGNATURE: Purpose.SIGNATURE,
    KeyReference.CARD_AUTHENTICATION: Purpose.CARD_AUTHENTICATION,
}


class Stage(StrEnum):
    """How far a personalisation has come; keys and certificates come once for each key."""

    AUTHENTICATED = "authenticated"
    IDENTITY_WRITTEN = "identity_written"
    PIN_SET = "pin_set"
    KEY_MADE = "key_made"
    CERTIFIED = "certified"
    CONTENTS_WRITTEN = "contents_written"
    VERIFIED = "verified"
    REPORTED = "reported"


StageProgress = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Personalised:
    """A card that is ready."""

    order: UUID
    card: UUID
    # The service's word for where the card stands now
    state: str
    # To be handed to the holder, once: it is kept nowhere. None where no key of the card wants a PIN.
    initial_pin: str | None = field(repr=False)


def personalise(
    agent: Agent,
    connection: CardConnection,
    order_id: UUID,
    transport_key: bytes,
    progress: StageProgress = lambda _: None,
    *,
    transport_puk: str = WELL_KNOWN_TRANSPORT_PUK,
    uid: bytes | None = None,
    hold: HoldCard | None = None,
    random_below: RandomBelow = secrets.randbelow,
) -> Personalised:
    """Make the card of this connection, which is closed in the end, the one of this order.

    The service is told the UID that the card shows without contact, as far as it is known: of the reader that
    it is made on, by `uid`, or from the same card on the reader to which `hold` connects afterwards. Raises
    AgentError; after it the order stays open, and the same call goes on from where it broke off. A PIN that
    was set by then is lost, and another one set.
    """
    session = PivSession(connection)
    pin = new_pin(random_below)
    try:
        order = agent.client.personalisation_order(order_id)
        contents = agent.client.contents(order_id)
        # For checking the certificates: with the lists of today.
        agent.fetch_trust()
        with session.exclusive():
            uid = kept_uid(connection, uid)
            desk = _Desk(agent, session, order, contents, pin, progress)
            public_key = desk.make(transport_key, transport_puk)
    finally:
        session.close()
    if uid is None and hold is not None:
        uid = uid_without_contact(hold, order.card, public_key)
    state = agent.client.report(order_id, DONE, uid).state
    progress(Stage.REPORTED)
    return Personalised(order.order, order.card, state, pin if _wants_pin(order) else None)


def give_up(agent: Agent, order_id: UUID, *, spoiled: bool = True) -> str:
    """Tell the service that the card of this order failed: what was certified for it is revoked.

    `spoiled`: the blank is of no use any more, and the stock has one less.
    """
    return agent.client.report(order_id, FAILED, spoiled=spoiled).state


def require_own_or_blank(session: PivSession, order: PersonalisationOrder) -> None:
    """Raises CardOfAnotherOrder."""
    try:
        found = session.chuid().guid
    except CardDataMissing:
        return
    if found != order.card:
        raise CardOfAnotherOrder(found)


class _Desk:
    """One card at the issuing desk; its methods are the stages."""

    def __init__(
        self,
        agent: Agent,
        session: PivSession,
        order: PersonalisationOrder,
        contents: Mapping[int, bytes],
        pin: str,
        progress: StageProgress,
    ) -> None:
        self.agent, self.session, self.order, self.progress = agent, session, order, progress
        self.pin = pin
        self.contents = {_object_id(tag): content for tag, content in contents.items()}

    def make(self, transport_key: bytes, transport_puk: str) -> ec.EllipticCurvePublicKey:
        """Its key 9E, under the certificate that was read back."""
        require_own_or_blank(self.session, self.order)
        has_own_key = authenticate(self.session, self.order.management_key, transport_key)
        self.progress(Stage.AUTHENTICATED)
        self._write_identity()
        self.progress(Stage.IDENTITY_WRITTEN)
        if not has_own_key:
            replace_management_key(self.session, self.order.management_key)
        set_references(self.session, self.order.puk, transport_puk, self.pin, is_begun=has_own_key)
        self.progress(Stage.PIN_SET)
        *others, last = sorted(map(_key_reference, self.order.slots), key=_is_last)
        certificates = {key: self._make_key(key) for key in others}
        self._write_contents()
        self.progress(Stage.CONTENTS_WRITTEN)
        certificates[last] = self._make_key(last)
        public_key = self._verify(certificates)[last]
        self.progress(Stage.VERIFIED)
        return public_key

    def _write_identity(self) -> None:
        self._write(ObjectId.CHUID, self.contents[ObjectId.CHUID])
        chuid, expires_on = self.session.chuid(), date.fromisoformat(self.order.expires_on)
        if (chuid.guid, chuid.expires_on) != (self.order.card, expires_on):
            raise PersonalisationFailed(
                "the identity from the service is not that of the order; ask for help"
            )

    def _write_contents(self) -> None:
        for object_id, content in self.contents.items():
            self._write(object_id, content)
        self._write_if_missing(ObjectId.CCC, piv.encode_ccc(self.order.card.bytes[:_CCC_IDENTIFIER_BYTES]))
        if self.session.discovery().prefers_global_pin:
            raise PersonalisationFailed(
                "the card prefers a global PIN, which is not set here; use another card"
            )

    def _make_key(self, key: KeyReference) -> bytes:
        """Have the card make a key, if it has none with a certificate, and give it its certificate."""
        public_key = present_key(self.session, key, self.pin) or self.session.generate_key(key)
        self.progress(Stage.KEY_MADE)
        request = request_for(self.session, key, public_key, self.pin)
        # The service answers the same key with the same certificate, and another one supersedes it.
        certificate = self.agent.client.certify(self.order.order, request, f"{key:02X}")
        self.progress(Stage.CERTIFIED)
        self._write(piv.CERTIFICATE_OF[key], piv.encode_certificate(certificate))
        return certificate

    def _write(self, object_id: ObjectId, content: bytes) -> None:
        """Write what is not there yet; a card is not written to without need."""
        if self._read(object_id) == content:
            return
        self.session.write(object_id, content)
        if self._read(object_id) != content:
            raise PersonalisationFailed(
                "the card gives back something else than was written; use another card"
            )

    def _write_if_missing(self, object_id: ObjectId, content: bytes) -> None:
        """Some middleware takes a card without it for broken; its maker may have put one there."""
        if self._read(object_id) is None:
            self._write(object_id, content)

    def _read(self, object_id: ObjectId) -> bytes | None:
        try:
            return self.session.read(object_id)
        except CardDataMissing:
            return None

    def _verify(
        self, certificates: Mapping[KeyReference, bytes]
    ) -> Mapping[KeyReference, ec.EllipticCurvePublicKey]:
        """As those who rely on the card will look at it, with what is read back from it; its keys."""
        found = {key: self._verify_key(key, certificate) for key, certificate in certificates.items()}
        trust = self.agent.stored_trust()
        vouched = check_signatures(self.session.read, self.agent.now(), trust.store)
        if vouched != self.contents.keys() - {ObjectId.SECURITY_OBJECT}:
            raise PersonalisationFailed("the security object is not about what is on the card; ask for help")
        return found

    def _verify_key(self, key: KeyReference, certificate: bytes) -> ec.EllipticCurvePublicKey:
        found = self.session.certificate(key)
        try:
            # Status is left out: the certificate is younger than the newest list.
            verified = verify(
                found,
                PURPOSE_OF[key],
                self.agent.now(),
                self.agent.stored_trust().store,
                require_status=False,
            )
        except PkiError as error:
            raise PersonalisationFailed(f"the card's new certificate does not verify: {error}") from error
        if found.public_bytes(Encoding.DER) != certificate or verified.identity != str(self.order.card):
            raise PersonalisationFailed("the card's certificate is not the one of this order")
        challenge(self.session, key, verified.public_key, self.pin)
        return verified.public_key


def _object_id(tag: int) -> ObjectId:
    try:
        return ObjectId(tag)
    except ValueError as error:
        raise PersonalisationFailed(f"the service wants {tag:X} written, which is not known here") from error


def _key_reference(slot: str) -> KeyReference:
    found = next((key for key in PURPOSE_OF if f"{key:02X}" == slot), None)
    if found is None:
        raise PersonalisationFailed(f"the service wants a key {slot}, which is not known here; update this")
    return found


def _is_last(key: KeyReference) -> bool:
    return key is KeyReference.CARD_AUTHENTICATION


def _wants_pin(order: PersonalisationOrder) -> bool:
    return any(not _is_last(_key_reference(slot)) for slot in order.slots)
