"""Holds in a decision: money set aside under a transaction, and given back by what reverses its transfer.

A release reverses the line that set the money aside, so that the tables see to it that no hold is given back
twice, whoever comes first: the decision that settles it, staff who refund it, or the worker after its time.
"""

from collections.abc import Sequence

from cardservice.authorisation.case import Case
from cardservice.ids import CardholderId, TransactionId
from cardservice.ledger.values import PAYER_PREPAID, PAYER_RESERVED, CounterChange, NewTransfer
from cardservice.services.holds import Held, holds_of, period_of, rule_of
from cardservice.services.seam import Decision

# A hold is a sale's only line, and is paid from one account.
_LINE = 1


def held_by(decision: Decision, case: Case, paid: Sequence[NewTransfer]) -> tuple[CounterChange, ...]:
    """The counter under which what was set aside is found again: of as much as there was money for."""
    amount_minor = sum(transfer.amount_minor for transfer in paid if transfer.credit == PAYER_RESERVED)
    if decision.hold is None or not amount_minor:
        return ()
    holder, period = case.facts.card.cardholder_id, period_of(decision.hold, case.message.id)
    return (CounterChange(holder, rule_of(case.service.name), period, amount_minor),)


def released_by(decision: Decision, case: Case) -> tuple[Held, ...]:
    """The payer's holds that a decision releases."""
    counters, service = case.view.counters, case.service.name
    return tuple(held for key in decision.releases for held in holds_of(counters, service, key))


def gives_back(released: Sequence[Held], unit: str) -> tuple[NewTransfer, ...]:
    """The transfers that give back what was set aside."""
    return tuple(
        NewTransfer(
            debit=PAYER_RESERVED,
            credit=PAYER_PREPAID,
            amount_minor=held.amount_minor,
            unit=unit,
            reverses_transaction=TransactionId(held.transaction),
            reverses_line=_LINE,
        )
        for held in released
    )


def let_go(released: Sequence[Held], service: str) -> tuple[CounterChange, ...]:
    """What takes the counters of these holds to nothing."""
    return tuple(
        CounterChange(CardholderId(held.cardholder_id), rule_of(service), held.period, -held.amount_minor)
        for held in released
    )
