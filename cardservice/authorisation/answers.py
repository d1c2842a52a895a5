"""Answers: stored with the transaction, given again word for word, and signed each time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from cardservice.api.fields import to_rfc3339
from cardservice.authorisation.errors import IdOfAnotherTerminal
from cardservice.authorisation.messages import Message
from cardservice.authorisation.reasons import Reason
from cardservice.context import Context
from cardservice.errors import Erased, IdConflict
from cardservice.ids import TerminalId, TransactionId
from cardservice.ledger.values import AccountView, Kind, KnownTransaction
from cardservice.services.seam import Line
from pki.statements import Answer, sign_answer

# The accounts that a terminal may show to the holder.
SHOWN_ACCOUNTS = ("prepaid", "arrears")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """An answer as it is stored; `repeated` when it was given before."""

    body: bytes
    answer: Mapping[str, Any]
    answered_at: datetime
    repeated: bool = False


def new_answer(
    *,
    transaction_id: TransactionId,
    kind: Kind,
    decision: str,
    reason: str,
    message: str,
    amount_minor: int | None,
    currency: str,
    lines: tuple[Line, ...] = (),
    balances: tuple[tuple[AccountView, int], ...] = (),
    flags: tuple[str, ...] = (),
    has_proof: bool,
    moment: datetime,
) -> dict[str, Any]:
    """The answer as JSON, without what is added each time it is given."""
    return {
        "id": str(transaction_id),
        "kind": kind,
        "decision": decision,
        "reason": reason,
        "message": message,
        "amount_minor": amount_minor,
        "currency": currency,
        "receipt": [{"label": line.label, "amount_minor": line.amount_minor} for line in lines],
        "balances": [
            {"account": account.kind, "unit": account.unit, "amount_minor": balance}
            for account, balance in balances
            if account.kind in SHOWN_ACCOUNTS
        ],
        "flags": list(flags),
        "actions": [],
        "proof": "signature" if has_proof else "none",
        "answered_at": to_rfc3339(moment),
    }


def stored_answer(known: KnownTransaction, message: Message, terminal: TerminalId, currency: str) -> Given:
    """Check 4: what this message was answered before.

    Raises IdOfAnotherTerminal and IdConflict where the id is another message's, and Erased where the answer
    is gone.
    """
    if known.terminal_id != terminal:
        raise IdOfAnotherTerminal("this id was not drawn by this terminal; a terminal draws its own")
    if known.body is not None and known.body != message.body:
        raise IdConflict("this id is taken by another message; a new attempt needs a new id")
    if known.is_tombstone:
        answer = new_answer(
            transaction_id=known.id,
            kind="request",
            decision="declined",
            reason=Reason.ANNULLED,
            message="Annulled by the terminal before it arrived. Nothing was charged.",
            amount_minor=None,
            currency=currency,
            has_proof=False,
            moment=known.posted_at,
        )
        return Given(body=message.body, answer=answer, answered_at=known.posted_at)
    if known.answer is None:
        raise Erased("the details of this transaction were erased; its id stays refused")
    return Given(body=message.body, answer=known.answer["given"], answered_at=known.posted_at, repeated=True)


def rendered(context: Context, terminal: TerminalId, given: Given) -> dict[str, Any]:
    """The answer as it is sent: with the next nonce, and signed over id, body, decision and time."""
    answer = Answer(
        scheme=context.scheme.id,
        id=UUID(given.answer["id"]),
        body=given.body,
        decision=given.answer["decision"],
        reason=given.answer["reason"],
        time=given.answered_at,
    )
    keys = context.keys
    return {
        **given.answer,
        "repeated": given.repeated,
        "nonce": keys.nonces.make(terminal, context.now()),
        "signed_answer": sign_answer(answer, keys.answer_key, keys.answer_certificate_sha256),
    }
