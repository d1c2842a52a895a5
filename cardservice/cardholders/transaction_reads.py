"""Looks at a single transaction: on the audit trail by its id alone, and told to the person whose it was.

The trail is for people who are not to see who bought what; so the two stand apart (`accesses.note_reads`).
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from cardservice.audit.service import record
from cardservice.cardholders.accesses import note_reads
from cardservice.ids import CardholderId, PayerId, TransactionId
from cardservice.ledger.by_id import payers_with
from cardservice.ledger.event_models import rating
from cardservice.ledger.models import cardholder_key, cardholder_payer, transaction_proof


def note_transaction_read(
    connection: Connection, transaction_id: UUID, action: str, *, actor: str, moment: datetime
) -> None:
    """Note that somebody looks at a transaction, whether there is one or not."""
    record(connection, actor, action, transaction_id, moment)
    note_reads(connection, whose(connection, transaction_id), action, actor=actor, moment=moment)


def whose(connection: Connection, transaction_id: UUID) -> Collection[CardholderId]:
    """Whose card made it, or whose day it charges; without either, for whom alone its payer pays."""
    wanted = TransactionId(transaction_id)
    found: set[CardholderId] = set()
    for payer in payers_with(connection, wanted):
        found |= _by_key(connection, payer, wanted) or _alone(connection, payer)
    return found


def _by_key(connection: Connection, payer: PayerId, wanted: TransactionId) -> set[CardholderId]:
    keys = [
        select(table.c.key_id).where(table.c.payer_id == payer, table.c.transaction_id == wanted)
        for table in (transaction_proof, rating)
    ]
    named = [key for query in keys for key in connection.scalars(query)]
    own = cardholder_key.c
    holders = connection.scalars(
        select(own.cardholder_id).where(own.id.in_(named), own.cardholder_id.is_not(None))
    )
    return {CardholderId(each) for each in holders}


def _alone(connection: Connection, payer: PayerId) -> set[CardholderId]:
    own = cardholder_payer.c
    people = connection.scalars(
        select(own.cardholder_id).where(own.payer_id == payer).distinct().limit(2)
    ).all()
    return {CardholderId(each) for each in people} if len(people) == 1 else set()
