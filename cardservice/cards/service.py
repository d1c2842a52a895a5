"""Cards: their record, dated states, and revocation, which is one transaction with the certificate's."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select, update

from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder, record_field
from cardservice.cardholders.sealing import Field
from cardservice.cards.models import card, card_state, personalisation_order
from cardservice.cards.states import CRL_REASONS, LEADS_TO, CardState
from cardservice.errors import CardUnknown, OrderInvalid, StateChangeRefused
from cardservice.funding.reading import entitlements_of
from cardservice.ids import CardholderId, CardId
from cardservice.ledger.payers import touch_payers_of
from cardservice.services.seam import Entitlement
from pki.authority import Authority
from pki.profiles import CARD_AUTHENTICATION
from pki.store import CertificateStore, IssuedCertificate

AUTHORITY = "cards"


@dataclass(frozen=True, slots=True)
class StateChange:
    """A card's state from a moment on."""

    state: CardState
    valid_from: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Card:
    """A card's record with all the states it has had, the earliest first."""

    id: CardId
    cardholder_id: CardholderId
    kind: str
    expires_on: date
    category: str
    states: tuple[StateChange, ...]
    # Of the holder: what they must not eat, as it is kept (`cardholders.records`), and what they are entitled
    # to, in the order of its recording.
    sealed_allergens: bytes | None = field(default=None, repr=False)
    entitlements: tuple[Entitlement, ...] = ()

    @property
    def state(self) -> CardState:
        """The latest state."""
        return self.states[-1].state

    def state_at(self, moment: datetime) -> CardState:
        """The state in force at `moment`; in stock before anything happened to it."""
        in_force = [change.state for change in self.states if change.valid_from <= moment]
        return in_force[-1] if in_force else CardState.STOCK


def find_card(connection: Connection, card_id: UUID) -> Card | None:
    """The card of this identifier, or None."""
    return next(iter(find_cards(connection, [card_id])), None)


def find_cards(connection: Connection, card_ids: Collection[UUID]) -> list[Card]:
    """The cards of these identifiers, as many as there are."""
    states: defaultdict[UUID, list[StateChange]] = defaultdict(list)
    changes = connection.execute(
        select(card_state.c.card_id, card_state.c.state, card_state.c.valid_from, card_state.c.reason)
        .where(card_state.c.card_id.in_(card_ids))
        .order_by(card_state.c.card_id, card_state.c.valid_from, card_state.c.id)
    )
    for card_id, state, valid_from, reason in changes:
        states[card_id].append(StateChange(CardState(state), valid_from, reason))
    rows = connection.execute(
        select(card, cardholder.c.category)
        .join(cardholder, cardholder.c.id == card.c.cardholder_id)
        .where(card.c.id.in_(card_ids))
    ).all()
    holders = {row.cardholder_id for row in rows}
    allergens, entitlements = _sealed_allergens(connection, holders), entitlements_of(connection, holders)
    return [
        Card(
            id=CardId(row.id),
            cardholder_id=CardholderId(row.cardholder_id),
            kind=row.kind,
            expires_on=row.expires_on,
            category=row.category,
            states=tuple(states[row.id]),
            sealed_allergens=allergens.get(row.cardholder_id),
            entitlements=entitlements.get(row.cardholder_id, ()),
        )
        for row in rows
    ]


def _sealed_allergens(connection: Connection, holders: Collection[UUID]) -> dict[UUID, bytes]:
    own = record_field.c
    rows = connection.execute(
        select(own.cardholder_id, own.sealed).where(
            own.cardholder_id.in_(holders), own.field == Field.ALLERGENS.value
        )
    )
    return {row.cardholder_id: row.sealed for row in rows}


def require_card(connection: Connection, card_id: UUID) -> Card:
    """The card of this identifier. Raises CardUnknown."""
    found = find_card(connection, card_id)
    if found is None:
        raise CardUnknown(card_id)
    return found


def change_state(
    connection: Connection, known: Card, wanted: CardState, *, reason: str, actor: str, moment: datetime
) -> None:
    """Give a card another state from `moment` on; its payer's version moves, for rules look at the state.

    Raises StateChangeRefused where the present state does not lead there.
    """
    touch_payers_of(connection, known.cardholder_id)
    # Read anew: only now nobody else changes it.
    latest = connection.execute(
        select(card_state.c.state, card_state.c.valid_from)
        .where(card_state.c.card_id == known.id)
        .order_by(card_state.c.valid_from.desc(), card_state.c.id.desc())
        .limit(1)
    ).one()
    if wanted not in LEADS_TO[CardState(latest.state)]:
        raise StateChangeRefused(known.id, latest.state, wanted)
    # Another machine's clock may be a little ahead; states are dated in their order all the same.
    since = max(moment, latest.valid_from)
    record_state(connection, known.id, wanted, reason=reason, actor=actor, moment=since)
    record(connection, actor, f"card.{wanted}", known.id, moment, reason=reason)


def record_state(
    connection: Connection, card_id: CardId, state: CardState, *, reason: str, actor: str, moment: datetime
) -> None:
    """Insert a dated state, unasked."""
    connection.execute(
        insert(card_state).values(
            card_id=card_id, valid_from=moment, recorded_at=moment, state=state, reason=reason, actor=actor
        )
    )


def revoke_card(
    connection: Connection,
    authority: Authority,
    card_id: UUID,
    *,
    reason: str,
    actor: str,
    moment: datetime,
    publish: bool = True,
) -> None:
    """Revoke a card for good: its state, its certificates and a fresh revocation list, in one transaction.

    Without `publish` the list is the caller's, once for several cards.

    `reason` is one of CRL_REASONS. Raises CardUnknown, StateChangeRefused, OrderInvalid.
    """
    if reason not in CRL_REASONS:
        raise OrderInvalid(f"the reason {reason!r} is none of {', '.join(sorted(CRL_REASONS))}")
    known = require_card(connection, card_id)
    close_order(connection, known.id, moment)
    change_state(connection, known, CardState.REVOKED, reason=reason, actor=actor, moment=moment)
    revoke_certificates(authority, known.id, moment, CRL_REASONS[reason])
    if publish:
        authority.make_crls(moment)


def close_order(connection: Connection, card_id: CardId, moment: datetime) -> None:
    """Let no desk go on with a card that is not to be. Before its payers are locked, as a desk does it."""
    connection.execute(
        update(personalisation_order)
        .where(
            personalisation_order.c.card_id == card_id,
            personalisation_order.c.state.in_(("open", "certified")),
        )
        .values(state="failed", changed_at=moment)
    )


def card_certificate(store: CertificateStore, card_id: CardId) -> IssuedCertificate | None:
    """The latest certificate of the key that signs taps, 9E; a card has those of other keys beside it."""
    issued = store.find_by_identity(AUTHORITY, str(card_id))
    return next((each for each in issued if each.profile == CARD_AUTHENTICATION.name), None)


def revoke_certificates(authority: Authority, card_id: CardId, moment: datetime, crl_reason: str) -> None:
    """Revoke whatever certificates of the card still stand, or are on hold."""
    for issued in authority.store.find_by_identity(AUTHORITY, str(card_id)):
        if issued.revoked_at is None or issued.is_held:
            authority.revoke(issued.serial, moment, crl_reason)
