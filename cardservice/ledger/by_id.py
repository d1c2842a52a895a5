"""Finding a transaction by its id alone, as staff name it: every key of the ledger leads with the payer.

What has its number is found by an index that no sale waits for. What has none yet is little, and looked
through.
"""

from sqlalchemy import Connection, and_, select, union

from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.closing.models import ledger_sequence
from cardservice.ledger.closing.sequencing import read_position, unsequenced
from cardservice.ledger.models import ledger_transaction


def payers_with(connection: Connection, transaction_id: TransactionId) -> tuple[PayerId, ...]:
    """The payers under whom there is a transaction of this id: one, or none."""
    numbered = select(ledger_sequence.c.payer_id).where(ledger_sequence.c.transaction_id == transaction_id)
    stored = ledger_transaction.c
    waiting = select(stored.payer_id).where(
        and_(unsequenced(connection, read_position(connection)), stored.id == transaction_id)
    )
    return tuple(PayerId(found) for found in connection.scalars(union(numbered, waiting)))
