"""Looking at what is held: opened, which is logged, and read."""

from typing import Any

from sqlalchemy import Connection

from cardservice.advices.wire import read_entry
from cardservice.api.fields import to_rfc3339
from cardservice.authorisation.messages import AnnulMessage
from cardservice.context import Context
from cardservice.errors import MessageRefused
from cardservice.ids import CardholderId, TerminalId
from cardservice.money import format_minor
from cardservice.quarantine import sealing, service
from cardservice.quarantine.service import Held


def look(context: Context, number: int, *, actor: str) -> tuple[Held, bytes]:
    """A message, and its bytes; the look is logged. Raises as `service.opened` does."""
    with context.database.begin() as connection:
        entry = service.opened(
            connection, context.keys.cardholder_kek, number, actor=actor, moment=context.now()
        )
        [known] = service.held(connection, number=number, everything=True)
    return known, entry


def told_to(context: Context, connection: Connection, holder: CardholderId) -> list[dict[str, Any]]:
    """What is held of a person's cards, for that person."""
    ring = context.keys.cardholder_kek
    return [
        {
            "at": to_rfc3339(row.at),
            "terminal": row.terminal_id,
            "transaction": None if row.transaction_id == service.NO_ID else str(row.transaction_id),
            "refused_as": row.code,
            "because": row.detail,
            "state": row.state,
            "says": said_in(context, row.terminal_id, sealing.opened(connection, ring, row)),
        }
        for row in sealing.held_of(connection, holder)
    ]


def said_in(context: Context, terminal_id: str, entry: bytes) -> dict[str, Any]:
    """What a terminal's message says, for a person; of what cannot be read its bytes."""
    message = read_entry(context.scheme.id, TerminalId(terminal_id), entry)
    if isinstance(message, MessageRefused):
        return {"bytes": entry.hex()}
    if isinstance(message, AnnulMessage):
        return {"card": str(message.card_id), "annuls": str(message.annuls), "time": to_rfc3339(message.time)}
    statement = message.signed.statement
    amount_minor = statement.amount_minor
    return {
        "card": str(statement.card),
        "terminal": statement.terminal,
        "sequence": statement.sequence,
        "service": statement.service,
        "action": statement.action,
        "amount": None
        if amount_minor is None
        else f"{format_minor(amount_minor, statement.currency)} {statement.currency}",
        "time": to_rfc3339(statement.time),
        "replaces": None if statement.replaces is None else str(statement.replaces),
        "details": dict(message.details),
    }
