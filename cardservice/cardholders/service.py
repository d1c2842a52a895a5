"""Cardholders, and whose money each one spends."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, insert, select

from cardservice.audit.service import record
from cardservice.cardholders.models import cardholder
from cardservice.errors import CardholderUnknown
from cardservice.ids import CardholderId, PayerId, new_id
from cardservice.ledger.payers import assign_payer, create_payer
from cardservice.ledger.privacy import key_of


@dataclass(frozen=True, slots=True)
class NewCardholder:
    """A person who is to have cards."""

    name: str
    category: str


def add_cardholder(
    connection: Connection, new: NewCardholder, currency: str, kek: bytes, *, actor: str, moment: datetime
) -> tuple[CardholderId, PayerId]:
    """Register a person, who from now on pays for themself."""
    holder = CardholderId(new_id())
    connection.execute(
        insert(cardholder).values(id=holder, name=new.name, category=new.category, created_at=moment)
    )
    payer = create_payer(connection, "person", currency, moment)
    assign_payer(connection, holder, payer, moment, moment)
    # Made now, so that no posting has to: under it the proofs of this person are encrypted.
    key_of(connection, kek, holder, moment)
    record(connection, actor, "cardholder.add", holder, moment, category=new.category)
    return holder, payer


def require_cardholder(connection: Connection, holder: UUID) -> CardholderId:
    """The identifier again. Raises CardholderUnknown."""
    if connection.execute(select(cardholder.c.id).where(cardholder.c.id == holder)).first() is None:
        raise CardholderUnknown(holder)
    return CardholderId(holder)
