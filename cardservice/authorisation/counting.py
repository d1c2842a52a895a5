"""What a sale counts towards its payer's limits, and how that is taken back.

Counters are the payer's state, not a record. What one sale added is therefore kept in its stored answer, and
an annulment or a refund takes back just that: from the person and the period that it was counted for,
whoever's card and whichever day it comes on, so that no other period's allowance grows by it. Where the
answer has been erased, its periods are long over.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cardservice.ids import CardholderId
from cardservice.ledger.values import (
    CounterChange,
    KnownTransaction,
    NewTransfer,
    PayerView,
    scheme_subsidy,
)
from cardservice.services.holds import is_hold
from cardservice.services.seam import CounterUse, Funding


def changes(
    uses: Sequence[CounterUse], holder: CardholderId, funding: Sequence[Funding] = ()
) -> tuple[CounterChange, ...]:
    """What a decision adds to its holder's counters, and what programmes have paid to theirs."""
    counted = [CounterChange(holder, use.rule, use.period, use.amount) for use in uses if use.amount]
    funded = [CounterChange(holder, each.rule, each.period, each.amount_minor) for each in funding]
    return (*counted, *funded)


def as_stored(counted: Sequence[CounterChange], funding: Sequence[Funding] = ()) -> list[dict[str, Any]]:
    """The changes as JSON, to be kept with the answer; of what a programme has paid, from which account."""
    sources = {
        (each.rule, each.period): {"source": scheme_subsidy(each.funder, each.programme)} for each in funding
    }
    return [
        {
            "cardholder": str(change.cardholder_id),
            "rule": change.rule,
            "period": change.period,
            "change": change.change,
            **sources.get((change.rule, change.period), {}),
        }
        for change in counted
    ]


def taken_back(
    sale: KnownTransaction, view: PayerView, back: Sequence[NewTransfer] | None = None
) -> tuple[CounterChange, ...]:
    """What undoes the changes that a sale was stored with, where these transfers give it back: None, all.

    What is counted in money goes back by what is given back; a count of things, such as one main meal, when
    the last of its price is; what a programme has paid by what goes back to it. A counter that retention has
    taken away is left alone: its period is over.
    """
    given_back_minor = None if back is None else sum(transfer.amount_minor for transfer in back)
    present = {(counter.cardholder_id, counter.rule, counter.period) for counter in view.counters}
    stored = () if sale.answer is None else sale.answer.get("counters", ())
    before_minor, whole_minor = sale.reversed_minor, sale.moved_minor
    after_minor = whole_minor if given_back_minor is None else before_minor + given_back_minor
    changes = []
    for kept in stored:
        if (source := kept.get("source")) is not None:
            share = _to_source(sale, source, back)
        else:
            share = _share(kept["change"], after_minor, whole_minor)
            if before_minor:
                share -= _share(kept["change"], before_minor, whole_minor)
        holder = CardholderId(UUID(kept["cardholder"]))
        if share < 0 and is_hold(kept["rule"]):
            # What a hold has given back is not held again: its transfer cannot be reversed twice.
            continue
        if share and (holder, kept["rule"], kept["period"]) in present:
            changes.append(CounterChange(holder, kept["rule"], kept["period"], -share))
    return tuple(changes)


def _to_source(sale: KnownTransaction, source: str, back: Sequence[NewTransfer] | None) -> int:
    """What goes back to a programme: by these transfers, or all that is left of what it has paid."""
    if back is not None:
        return sum(transfer.amount_minor for transfer in back if transfer.credit == source)
    return sum(line.amount_minor - line.reversed_minor for line in sale.transfers if line.debit == source)


def _share(counted: int, given_back_minor: int, whole_minor: int) -> int:
    # Rounded down from the beginning of the sale each time, so that the parts add up to what was counted.
    return counted * given_back_minor // whole_minor if whole_minor else counted


def changes_of(answer: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Rule, period and change of each counter that a stored answer was counted in; all are its holder's."""
    return [(kept["rule"], kept["period"], kept["change"]) for kept in answer.get("counters", ())]
