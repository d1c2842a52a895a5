"""Whether the ledger says what the card signed: its row, and what its transfers come to.

Whoever can write to the tables can change an amount, the transfer and the balance together, so that all of it
adds up. What the card signed they cannot change; so it is found before the day is sealed, too.
"""

from typing import Any

from sqlalchemy import Connection, Row, func, select

from cardservice.authorisation.reasons import Flag
from cardservice.ids import PayerId, TransactionId
from cardservice.ledger.models import ledger_transaction, transfer
from cardservice.ledger.values import PAYER_RESERVED
from cardservice.services.seam import APPROVED
from pki.statements import SignedStatement, StatementKind, TransactionStatement

_KINDS = {StatementKind.REQUEST: "request", StatementKind.ADVICE: "advice"}


def fault_of_row(
    connection: Connection, payer: PayerId, transaction: TransactionId, signed: SignedStatement
) -> str | None:
    """What of the ledger's row and its transfers is not as it was signed; None: nothing."""
    stored = ledger_transaction.c
    row = connection.execute(
        select(ledger_transaction).where(stored.payer_id == payer, stored.id == transaction)
    ).one_or_none()
    if row is None or row.body != signed.body:
        return "the ledger's row is of another statement"
    for name, (in_ledger, in_statement) in _pairs(row, signed.statement).items():
        if in_ledger != in_statement:
            return f"the ledger's {name} is not what the card signed"
    return _fault_of_transfers(connection, row)


def _pairs(row: Row[Any], statement: TransactionStatement) -> dict[str, tuple[object, object]]:
    """What stands in both, as the row has it and as it was signed."""
    found: dict[str, tuple[object, object]] = {
        "kind": (row.kind, _KINDS[statement.kind]),
        "terminal": (row.terminal_id, statement.terminal),
        "sequence": (row.sequence, statement.sequence),
        "service": (row.service, statement.service),
        "action": (row.action, statement.action),
        "tariff": (row.tariff_version, statement.tariff_version),
        "offline": (row.offline, statement.offline),
        "replaced request": (row.replaces, statement.replaces),
        "time": (row.occurred_at, statement.time),
    }
    # Without an amount it is a tap; of what was signed in another currency nothing is charged.
    if statement.amount_minor is not None and statement.currency == row.unit:
        found["amount"] = (row.amount_minor, statement.amount_minor)
    return found


def _fault_of_transfers(connection: Connection, row: Row[Any]) -> str | None:
    """Whether what was approved was charged, once what was given back since is left aside."""
    if row.decision != APPROVED or row.amount_minor is None:
        return None
    moved = transfer.c
    mine = moved.payer_id == row.payer_id, moved.transaction_id == row.id
    charged, spent = (
        int(each)
        for each in connection.execute(
            select(
                func.coalesce(func.sum(moved.amount_minor), 0),
                func.count().filter(moved.credit != PAYER_RESERVED),
            ).where(*mine, moved.reverses_transaction.is_(None))
        ).one()
    )
    # Of what an advice holds there is as much as there was money: nobody owes it.
    is_short = charged < row.amount_minor and not spent and Flag.OVER_FLOOR in row.flags
    if charged == row.amount_minor or is_short:
        return None
    return f"its transfers come to {charged}, and the card signed for {row.amount_minor}, in minor units"
