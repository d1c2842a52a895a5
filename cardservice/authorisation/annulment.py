"""Annulment: the terminal closes a request that it got no answer to; it is not charged."""

from dataclasses import dataclass

from cardservice.authorisation.answers import new_answer
from cardservice.authorisation.counting import taken_back
from cardservice.authorisation.errors import IdOfAnotherTerminal
from cardservice.authorisation.facts import Facts
from cardservice.authorisation.messages import AnnulMessage
from cardservice.authorisation.money import balances_after, reverse
from cardservice.authorisation.reasons import Reason
from cardservice.authorisation.settling import Prepared
from cardservice.context import Context
from cardservice.ids import TransactionId
from cardservice.ledger.values import (
    CounterChange,
    KnownTransaction,
    NewDetails,
    NewTransaction,
    NewTransfer,
    Posting,
)
from cardservice.services.seam import APPROVED
from cardservice.terminals.roles import sees_balances
from cardservice.terminals.service import Terminal

RETENTION = "annulment"


@dataclass(frozen=True, slots=True)
class _Effect:
    """What an annulment does, and says."""

    reason: Reason
    message: str
    reverses: bool = False
    # The request has not been seen: its id is stored as annulled, so that it is refused when it comes.
    tombstone: TransactionId | None = None


def annulment_of(context: Context, terminal: Terminal, message: AnnulMessage, facts: Facts) -> Prepared:
    """What to post for an annulment. Raises IdOfAnotherTerminal where the request is another terminal's."""
    currency = context.scheme.currency
    annulled = facts.known.get(message.annuls)
    if annulled is not None and annulled.terminal_id != terminal.id:
        raise IdOfAnotherTerminal("a terminal annuls its own requests alone")
    payer_id = facts.payer_id if annulled is None else annulled.payer_id
    view = facts.views[payer_id]
    effect = _effect(message, annulled)
    transfers: tuple[NewTransfer, ...] = ()
    counters: tuple[CounterChange, ...] = ()
    if annulled is not None and effect.reverses:
        transfers, counters = reverse(view, annulled), taken_back(annulled, view)
    answer = new_answer(
        transaction_id=message.id,
        kind="annul",
        decision=APPROVED,
        reason=effect.reason,
        message=effect.message,
        amount_minor=sum(transfer.amount_minor for transfer in transfers),
        currency=currency,
        balances=balances_after(view, transfers) if sees_balances(terminal.role, context.services) else (),
        has_proof=False,
        moment=facts.moment,
    )
    posting = Posting(
        payer_id=payer_id,
        expected_version=view.version,
        transaction=NewTransaction(
            id=message.id,
            origin="system",
            kind="annul",
            decision="approved",
            reason=effect.reason,
            unit=currency,
            body=message.body,
            occurred_at=message.time,
            posted_at=facts.moment,
            terminal_id=terminal.id,
            sequence=message.notice.sequence,
            provider_id=terminal.provider_id,
            annuls=message.annuls,
        ),
        transfers=transfers,
        counters=counters,
        details=NewDetails(RETENTION, None, None, {"given": answer}),
        tombstone=effect.tombstone,
        also_under=facts.also_under(payer_id),
    )
    return Prepared(posting, answer, undoes=message.annuls if effect.reverses else None)


def _effect(message: AnnulMessage, annulled: KnownTransaction | None) -> _Effect:
    if annulled is None:
        return _Effect(
            Reason.ANNULLED, "Annulled before it arrived. Nothing is charged.", tombstone=message.annuls
        )
    if annulled.decision != APPROVED:
        return _Effect(Reason.NOTHING_TO_ANNUL, "Nothing had been charged.")
    if annulled.annulled_by is not None:
        return _Effect(Reason.ANNULLED_BEFORE, "Annulled already.")
    if annulled.kept_by is not None:
        return _Effect(Reason.KEPT_BY_DUPLICATE, "It stands for the payment that replaced it.")
    return _Effect(Reason.ANNULLED, "Annulled. What was charged is given back.", reverses=True)
