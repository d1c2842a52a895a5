"""Holders who have not been seen for long: found, told, and closed if they do not come back."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, and_, insert, select
from sqlalchemy.sql import ColumnElement

from cardservice.accounts.errors import ClosingRefused
from cardservice.accounts.models import account_closing
from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder
from cardservice.cardholders.service import lock_cardholder, require_cardholder
from cardservice.cards.models import card, card_state
from cardservice.ids import CardholderId
from cardservice.ledger.models import ledger_transaction
from cardservice.ledger.quiet import quiet_holders

# Ours, and documented: without a tap, a payment or a step of a card for so long somebody is dormant.
DORMANT_AFTER = timedelta(days=731)


def dormant(connection: Connection, moment: datetime, after: UUID, limit: int) -> list[CardholderId]:
    """Dormant holders of cards who have not been told, at most `limit`, by identifier from `after` on."""
    closing = select(account_closing.c.cardholder_id).where(
        account_closing.c.cardholder_id == cardholder.c.id
    )
    wanted = (
        select(cardholder.c.id)
        .where(cardholder.c.id > after, ~closing.exists(), *_not_seen(moment - DORMANT_AFTER))
        .order_by(cardholder.c.id)
    )
    found = quiet_holders(connection, wanted, _moved(moment - DORMANT_AFTER), limit)
    return [CardholderId(each) for each in found]


def tell(connection: Connection, holder: UUID, *, actor: str, moment: datetime) -> None:
    """Note that a dormant holder was told that their account will be closed.

    Raises CardholderUnknown, and ClosingRefused for who is not dormant, or was told.
    """
    person = require_cardholder(connection, holder)
    lock_cardholder(connection, person)
    own = account_closing.c
    if connection.scalar(select(own.why).where(own.cardholder_id == person)) is not None:
        raise ClosingRefused(f"the account of {person} is being closed already")
    if not _is_unseen(connection, person, moment - DORMANT_AFTER):
        raise ClosingRefused(f"{person} was seen within {DORMANT_AFTER.days} days")
    connection.execute(
        insert(account_closing).values(
            cardholder_id=person, why="dormant", begun_by=actor, told_at=moment, stopped_at=None
        )
    )
    record(connection, actor, "account.tell", person, moment)


def require_still_unseen(connection: Connection, holder: CardholderId) -> None:
    """Raises ClosingRefused for a dormant holder who has come back since they were told."""
    own = account_closing.c
    told_at = connection.scalar(select(own.told_at).where(own.cardholder_id == holder))
    if told_at is not None and not _is_unseen(connection, holder, told_at):
        raise ClosingRefused(f"{holder} was seen since they were told; they are dormant no more")


def _is_unseen(connection: Connection, holder: CardholderId, since: datetime) -> bool:
    unseen = select(cardholder.c.id).where(cardholder.c.id == holder, *_not_seen(since))
    return bool(quiet_holders(connection, unseen, _moved(since)))


def _moved(since: datetime) -> ColumnElement[bool]:
    """A transaction that tells of its holder."""
    moved = ledger_transaction.c
    return and_(moved.origin.in_(("card", "payment")), moved.occurred_at > since)


def _not_seen(since: datetime) -> tuple[ColumnElement[bool], ...]:
    """Has a card, which nothing has been done with since."""
    cards = select(card.c.id).where(card.c.cardholder_id == cardholder.c.id)
    steps = cards.join(card_state, card_state.c.card_id == card.c.id).where(card_state.c.valid_from > since)
    return (cardholder.c.created_at <= since, cards.exists(), ~steps.exists())
