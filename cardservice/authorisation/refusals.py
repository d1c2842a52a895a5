"""A refused message: noted as a security event, and kept in quarantine where its goods are gone."""

from cardservice.advices.wire import encode_entry
from cardservice.authorisation.messages import AnnulMessage, Message
from cardservice.context import Context
from cardservice.errors import Erased, MessageRefused
from cardservice.quarantine.service import Refused, note


def note_refusal(
    context: Context, terminal_id: str, message: Message | None, refusal: MessageRefused
) -> None:
    """Note a refused message by terminal, id and hash; an advice or annulment among them is quarantined."""
    with context.database.begin() as connection:
        note(connection, context.keys.cardholder_kek, [refused(context, terminal_id, message, refusal)])


def refused(
    context: Context,
    terminal_id: str,
    message: Message | None,
    refusal: MessageRefused,
    entry: bytes | None = None,
) -> Refused:
    """A refusal as it is noted; `entry`: the bytes to keep of what could not be read.

    Of what is erased nothing is kept anew: it is noted that it came.
    """
    told = isinstance(message, AnnulMessage) or (message is not None and message.is_advice)
    if isinstance(refusal, Erased):
        entry = None
    elif told and message is not None:
        entry = encode_entry(message)
    return Refused(
        at=context.now(),
        code=refusal.code,
        detail=str(refusal),
        terminal_id=terminal_id,
        transaction_id=None if message is None else message.id,
        body=None if message is None else message.body,
        entry=entry,
    )
