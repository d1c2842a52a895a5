"""Personalisation orders: what an issuing desk is told to make, certified, and reported done or failed.

An order that broke off is taken up again; a card that failed has its certificate revoked, so that no
half-made card looks whole.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, insert, select, update

from cardservice.audit.service import record
from cardservice.blanks.service import By, use_one
from cardservice.cardholders.service import require_cardholder
from cardservice.cards.errors import CardInUse
from cardservice.cards.life import card_in_use, put_into_use, usable_later
from cardservice.cards.models import card, personalisation_order
from cardservice.cards.service import (
    AUTHORITY,
    change_state,
    record_state,
    require_card,
    revoke_card,
)
from cardservice.cards.slots import PROFILE_OF, SLOTS_OF_KIND, Slot
from cardservice.cards.states import CardState
from cardservice.cards.temporary import TEMPORARY, begin, note_lending
from cardservice.cards.uids import record_uid
from cardservice.errors import (
    CertificateMissing,
    CertificateRequestRefused,
    OrderClosed,
    OrderInvalid,
    OrderUnknown,
)
from cardservice.ids import CardId, new_id
from pki.authority import Authority
from pki.errors import PkiError
from pki.store import IssuedCertificate

# A temporary card is lent, and neither applied for nor ordered otherwise.
KINDS = tuple(kind for kind in SLOTS_OF_KIND if kind != TEMPORARY)
LIFETIME_YEARS = 5
_LAST_SECOND = time(23, 59, 59)


class OrderState(StrEnum):
    """Where an order stands; the last two are closed."""

    OPEN = "open"
    CERTIFIED = "certified"
    DONE = "done"
    FAILED = "failed"


class Delivery(StrEnum):
    """How a card comes to its holder."""

    # Handed over as it is made, and active with that.
    DESK = "desk"
    # Sent, and activated with the code of another letter.
    POST = "post"


@dataclass(frozen=True, slots=True)
class Order:
    """A personalisation order."""

    id: UUID
    card_id: CardId
    kind: str
    ordered_at: datetime
    expires_on: date
    state: OrderState
    delivery: Delivery


def order_card(
    connection: Connection,
    cardholder_id: UUID,
    kind: str,
    *,
    delivery: Delivery = Delivery.DESK,
    replaces: CardId | None = None,
    days: tuple[date, date] | None = None,
    lent_for: CardId | None = None,
    actor: str,
    moment: datetime,
) -> Order:
    """Order a card for a cardholder; its identifier is drawn here and written to it by the desk.

    `replaces` is the card that ends when this one comes into use; `days` are the first and the last one on
    which it can be used, where it is not for as long as a card lasts; `lent_for` the card that it acts for
    (`lend_card`). Raises OrderInvalid, CardholderUnknown,
    and CardInUse where the holder has another of this kind.
    """
    if kind not in KINDS and lent_for is None:
        raise OrderInvalid(f"{kind!r} is no kind of card; there are {', '.join(KINDS)}")
    holder = require_cardholder(connection, cardholder_id)
    in_use = card_in_use(connection, holder, kind)
    if in_use is not None and in_use != replaces:
        raise CardInUse(kind, in_use)
    order = Order(
        id=new_id(),
        card_id=CardId(uuid4()),
        kind=kind,
        ordered_at=moment,
        expires_on=_expiry(moment.date()) if days is None else min(days[1], _expiry(moment.date())),
        state=OrderState.OPEN,
        delivery=delivery,
    )
    connection.execute(
        insert(card).values(
            id=order.card_id,
            cardholder_id=holder,
            kind=kind,
            expires_on=order.expires_on,
            created_at=moment,
            replaces=replaces,
            usable_from=None if days is None else days[0],
        )
    )
    record_state(connection, order.card_id, CardState.ORDERED, reason="ordered", actor=actor, moment=moment)
    connection.execute(
        insert(personalisation_order).values(
            id=order.id,
            card_id=order.card_id,
            state=order.state,
            created_at=moment,
            changed_at=moment,
            delivery=delivery,
        )
    )
    record(connection, actor, "card.order", order.card_id, moment, kind=kind, delivery=delivery)
    return order


def order_replacement(
    connection: Connection,
    card_id: UUID,
    *,
    delivery: Delivery = Delivery.DESK,
    actor: str,
    moment: datetime,
) -> Order:
    """Order the card that takes another's place, of its kind; that one stays as it is until then.

    Raises CardUnknown, and CardInUse where the holder has a third one of this kind.
    """
    known = require_card(connection, card_id)
    return order_card(
        connection,
        known.cardholder_id,
        known.kind,
        delivery=delivery,
        replaces=known.id,
        actor=actor,
        moment=moment,
    )


def lend_card(
    connection: Connection, forgotten: UUID, due_at: datetime, *, actor: str, moment: datetime
) -> Order:
    """Order the card that is lent until a time to who has left theirs at home; a desk makes it.

    Raises CardUnknown, LendingRefused, and CardInUse where one is lent to them already.
    """
    known = require_card(connection, forgotten)
    order = order_card(
        connection,
        known.cardholder_id,
        TEMPORARY,
        days=(moment.date(), due_at.date()),
        lent_for=known.id,
        actor=actor,
        moment=moment,
    )
    note_lending(connection, order.card_id, known.id, due_at, moment)
    return order


def open_order(connection: Connection, order_id: UUID) -> Order:
    """An order that something may still be written under. Raises OrderUnknown and OrderClosed."""
    order = require_order(connection, order_id)
    if order.state in {OrderState.DONE, OrderState.FAILED}:
        raise OrderClosed(order_id, order.state)
    return order


def require_order(connection: Connection, order_id: UUID) -> Order:
    """The order of this identifier. Raises OrderUnknown."""
    row = connection.execute(
        select(personalisation_order, card.c.kind, card.c.expires_on)
        .join(card, card.c.id == personalisation_order.c.card_id)
        .where(personalisation_order.c.id == order_id)
    ).one_or_none()
    if row is None:
        raise OrderUnknown(order_id)
    return Order(
        id=row.id,
        card_id=CardId(row.card_id),
        kind=row.kind,
        ordered_at=row.created_at,
        expires_on=row.expires_on,
        state=OrderState(row.state),
        delivery=Delivery(row.delivery),
    )


def certify(
    connection: Connection,
    authority: Authority,
    order_id: UUID,
    csr_der: bytes,
    slot: Slot = Slot.CARD_AUTHENTICATION,
    *,
    actor: str,
    moment: datetime,
) -> bytes:
    """The certificate (DER) for the key of this request in a slot; the same key again gets the same one.

    Another key supersedes the slot's first: a desk that broke off makes a new key on the card.
    Raises OrderUnknown, OrderClosed, CertificateRequestRefused.
    """
    order = open_order(connection, order_id)
    if slot not in SLOTS_OF_KIND[order.kind]:
        raise CertificateRequestRefused(f"a {order.kind} card has no certificate for the key {slot}")
    profile = PROFILE_OF[slot]
    try:
        request = x509.load_der_x509_csr(csr_der)
        standing = _standing(authority, order.card_id)
        for issued in standing:
            if _is_for(issued.der, request):
                if issued.profile == profile.name:
                    return issued.der
                raise CertificateRequestRefused(f"the key {slot} is the card's key of another slot, too")
        # The order first, then the authority's records, as in `report`: two desks never wait for each other.
        _set_state(connection, order, OrderState.CERTIFIED, moment)
        for issued in standing:
            if issued.profile == profile.name:
                authority.revoke(issued.serial, moment, "superseded")
        # To the end of the card's last day, whenever it is made on another (RFC 5280, 4.1.2.5: inclusive).
        ends = datetime.combine(order.expires_on, _LAST_SECOND, UTC)
        certificate = authority.issue(request, profile, str(order.card_id), moment, until=ends)
    except (ValueError, PkiError) as error:
        raise CertificateRequestRefused(f"the card's request is refused: {error}") from error
    record(connection, actor, "card.certify", order.card_id, moment, slot=slot)
    return certificate.public_bytes(Encoding.DER)


def report(
    connection: Connection,
    authority: Authority,
    order_id: UUID,
    *,
    done: bool,
    uid: bytes | None = None,
    desk: str | None = None,
    spoiled: bool = False,
    actor: str,
    moment: datetime,
) -> tuple[CardId, CardState]:
    """Close an order: a card that is done is active, or is to be sent; one that failed is revoked.

    The same report again changes nothing. `uid` is kept of a card that is done and has a place in the status
    list. `desk` has used up a blank of its stock with a card that is done, or `spoiled`. Raises
    OrderUnknown, OrderClosed, CertificateMissing, UidRefused and CardInUse.
    """
    order = require_order(connection, order_id)
    outcome = OrderState.DONE if done else OrderState.FAILED
    if order.state == outcome:
        return order.card_id, require_card(connection, order.card_id).state
    order = open_order(connection, order_id)
    if done:
        _require_certificates(authority, order)
    _set_state(connection, order, outcome, moment)
    if done:
        _record_uid(connection, authority, order, uid, moment)
        state = _made(connection, authority, order, actor, moment)
    else:
        revoke_card(connection, authority, order.card_id, reason="damaged", actor=actor, moment=moment)
        state = CardState.REVOKED
    if desk is not None and (done or spoiled):
        use_one(connection, desk, By(actor, moment), spoiled=not done)
    return order.card_id, state


def _made(
    connection: Connection, authority: Authority, order: Order, actor: str, moment: datetime
) -> CardState:
    is_early = usable_later(connection, order.card_id, moment.date()) is not None
    if order.delivery is Delivery.POST or is_early:
        known = require_card(connection, order.card_id)
        change_state(connection, known, CardState.PERSONALISED, reason="made", actor=actor, moment=moment)
        return CardState.PERSONALISED
    put_into_use(connection, authority, order.card_id, reason="handed over", actor=actor, moment=moment)
    begin(connection, authority, order.card_id, actor=actor, moment=moment)
    return CardState.ACTIVE


def _record_uid(
    connection: Connection, authority: Authority, order: Order, uid: bytes | None, moment: datetime
) -> None:
    """What has no place, as in a scheme without a public URL, no map could lead to."""
    standing = _standing(authority, order.card_id)
    place = next((each.status_index for each in standing if each.status_index is not None), None)
    if uid is not None and place is not None:
        record_uid(connection, order.card_id, uid, place, moment)


def _require_certificates(authority: Authority, order: Order) -> None:
    """A card that lacks a key of its kind would look whole to everybody but its holder."""
    have = {issued.profile for issued in _standing(authority, order.card_id)}
    missing = [slot for slot in SLOTS_OF_KIND[order.kind] if PROFILE_OF[slot].name not in have]
    if missing:
        raise CertificateMissing(
            f"report the card as done after its certificates are on it; missing: {', '.join(missing)}"
        )


def standing_certificates(authority: Authority, order: Order) -> dict[Slot, bytes]:
    """The certificates (DER) of an order's card that are not revoked, by their slots; in the slots' order."""
    standing = {issued.profile: issued.der for issued in _standing(authority, order.card_id)}
    by_slot = {slot: PROFILE_OF[slot].name for slot in SLOTS_OF_KIND[order.kind]}
    return {slot: standing[name] for slot, name in by_slot.items() if name in standing}


def _standing(authority: Authority, card_id: CardId) -> list[IssuedCertificate]:
    """The certificates of a card that are not revoked."""
    found = authority.store.find_by_identity(AUTHORITY, str(card_id))
    return [issued for issued in found if issued.revoked_at is None]


def _set_state(connection: Connection, order: Order, state: OrderState, moment: datetime) -> None:
    connection.execute(
        update(personalisation_order)
        .where(personalisation_order.c.id == order.id)
        .values(state=state, changed_at=moment)
    )


def _is_for(certificate_der: bytes, request: x509.CertificateSigningRequest) -> bool:
    known = x509.load_der_x509_certificate(certificate_der).public_key()
    return _point(known) == _point(request.public_key())


def _point(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _expiry(today: date) -> date:
    try:
        return today.replace(year=today.year + LIFETIME_YEARS)
    except ValueError:  # the 29th of February
        return today.replace(year=today.year + LIFETIME_YEARS, day=28)
