"""What becomes of a card once it is made: sent, put into use, suspended, reported, expired, replaced.

Each step is one database transaction with the certificates' revocation or hold and a fresh revocation list:
lists, OCSP and status lists say it with the next that is asked for, and the ledger at the next request.
"""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Connection, func, select
from sqlalchemy.sql import ColumnElement

from cardservice.cards.errors import CardInUse, CardTooEarly
from cardservice.cards.models import card
from cardservice.cards.service import (
    AUTHORITY,
    Card,
    change_state,
    close_order,
    require_card,
    revoke_card,
)
from cardservice.cards.states import IN_USE, REPORTS, CardState
from cardservice.errors import OrderInvalid, StateChangeRefused
from cardservice.ids import CardholderId, CardId
from cardservice.ledger.payers import touch_payers_of
from pki.authority import Authority

# Why a card is no more once another has taken its place; the revocation list says `superseded`.
REPLACED = "replaced"
# Ours: characters of what is noted as a reason.
MAX_REASON = 200
_EXPIRING = (CardState.PERSONALISED, CardState.DISPATCHED, CardState.ACTIVE, CardState.SUSPENDED)


def put_into_use(
    connection: Connection, authority: Authority, card_id: UUID, *, reason: str, actor: str, moment: datetime
) -> None:
    """Make a card active; the one whose place it takes is revoked in the same transaction.

    What its holder has stays where it is: money, limits, passes and loans are the holder's, not the card's.
    Raises CardUnknown, StateChangeRefused, CardTooEarly, and CardInUse where the holder has another of this
    kind.
    """
    known = require_card(connection, card_id)
    if (begins := usable_later(connection, known.id, moment.date())) is not None:
        raise CardTooEarly(known.id, begins)
    # Two cards of one holder come into use one after the other.
    touch_payers_of(connection, known.cardholder_id)
    replaced = replaced_by(connection, known.id)
    in_use = card_in_use(connection, known.cardholder_id, known.kind)
    if in_use is not None and in_use not in {replaced, known.id}:
        raise CardInUse(known.kind, in_use)
    if replaced is not None and require_card(connection, replaced).state is not CardState.REVOKED:
        revoke_card(connection, authority, replaced, reason=REPLACED, actor=actor, moment=moment)
    change_state(connection, known, CardState.ACTIVE, reason=reason, actor=actor, moment=moment)


def suspend(
    connection: Connection, authority: Authority, card_id: UUID, *, reason: str, actor: str, moment: datetime
) -> None:
    """Let a card rest until it is released: its certificates are on hold. Raises as `change_state` does."""
    known = _required(connection, card_id, reason)
    change_state(connection, known, CardState.SUSPENDED, reason=reason, actor=actor, moment=moment)
    for issued in authority.store.find_by_identity(AUTHORITY, str(known.id)):
        if issued.revoked_at is None:
            authority.suspend(issued.serial, moment)
    authority.make_crls(moment)


def release(
    connection: Connection, authority: Authority, card_id: UUID, *, reason: str, actor: str, moment: datetime
) -> None:
    """End a suspension. Raises CardUnknown, and StateChangeRefused where there is none."""
    known = _required(connection, card_id, reason)
    if known.state is not CardState.SUSPENDED:
        # Others lead to active as well: by being handed over, or by the code of a letter.
        raise StateChangeRefused(known.id, known.state, CardState.ACTIVE)
    change_state(connection, known, CardState.ACTIVE, reason=reason, actor=actor, moment=moment)
    for issued in authority.store.find_by_identity(AUTHORITY, str(known.id)):
        if issued.is_held:
            authority.release(issued.serial, moment)
    authority.make_crls(moment)


def report(
    connection: Connection,
    authority: Authority,
    card_id: UUID,
    what: CardState,
    *,
    reason: str,
    actor: str,
    moment: datetime,
) -> None:
    """Note that a card is lost, stolen, damaged or withdrawn, and revoke it.

    Told a second time it is refused: StateChangeRefused. Raises CardUnknown and OrderInvalid, too.
    """
    if what not in REPORTS:
        raise OrderInvalid(f"a card is reported {', '.join(REPORTS)}; {what} is none of them")
    known = _required(connection, card_id, reason)
    close_order(connection, known.id, moment)
    change_state(connection, known, what, reason=reason, actor=actor, moment=moment)
    revoke_card(connection, authority, known.id, reason=what.value, actor=actor, moment=moment)


def expired(connection: Connection, today: date, limit: int) -> list[CardId]:
    """Cards whose last day is over and whose state does not say so yet, at most `limit`."""
    wanted = select(card.c.id).where(*_over(today)).order_by(card.c.id).limit(limit)
    return [CardId(each) for each in connection.scalars(wanted)]


def count_expired(connection: Connection, today: date) -> int:
    """How many of them there are."""
    return connection.execute(select(func.count()).select_from(card).where(*_over(today))).scalar_one()


def expire(connection: Connection, card_id: CardId, *, actor: str, moment: datetime) -> None:
    """Say that a card has expired; its certificates end by themselves."""
    known = require_card(connection, card_id)
    change_state(connection, known, CardState.EXPIRED, reason="its time is over", actor=actor, moment=moment)


def card_in_use(connection: Connection, holder: CardholderId, kind: str) -> CardId | None:
    """The holder's card of this kind that is active or suspended; there is one at most."""
    found = connection.scalar(
        select(card.c.id).where(
            card.c.cardholder_id == holder, card.c.kind == kind, card.c.state.in_(sorted(IN_USE))
        )
    )
    return None if found is None else CardId(found)


def usable_later(connection: Connection, card_id: CardId, today: date) -> date | None:
    """The day from which a card can be used, if that is still to come."""
    begins: date | None = connection.scalar(select(card.c.usable_from).where(card.c.id == card_id))
    return begins if begins is not None and today < begins else None


def replaced_by(connection: Connection, card_id: CardId) -> CardId | None:
    """The card whose place this one takes."""
    found = connection.scalar(select(card.c.replaces).where(card.c.id == card_id))
    return None if found is None else CardId(found)


def _over(today: date) -> tuple[ColumnElement[bool], ...]:
    return (card.c.expires_on < today, card.c.state.in_(_EXPIRING))


def _required(connection: Connection, card_id: UUID, reason: str) -> Card:
    if not (1 <= len(reason) <= MAX_REASON and reason.isprintable()):
        raise OrderInvalid(f"say why in up to {MAX_REASON} characters on one line")
    return require_card(connection, card_id)
