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
from cardservice.ledger.values import CounterChange, KnownTransaction, PayerView
from cardservice.services.holds import is_hold
from cardservice.services.seam import CounterUse


def changes(uses: Sequence[CounterUse], holder: CardholderId) -> tuple[CounterChange, ...]:
    """What a decision adds to its holder's counters."""
    return tuple(CounterChange(holder, use.rule, use.period, use.amount) for use in uses if use.amount)


def as_stored(counted: Sequence[CounterChange]) -> list[dict[str, Any]]:
    """The changes as JSON, to be kept with the answer."""
    return [
        {
            "cardholder": str(change.cardholder_id),
            "rule": change.rule,
            "period": change.period,
            "change": change.change,
        }
        for change in counted
    ]


def taken_back(
    sale: KnownTransaction, view: PayerView, given_back_minor: int | None = None
) -> tuple[CounterChange, ...]:
    """What undoes the changes that a sale was stored with, where so much of it is given back: None, all.

    What is counted in money goes back by what is given back; a count of things, such as one main meal, when
    the last of its price is. A counter that retention has taken away is left alone: its period is over.
    """
    present = {(counter.cardholder_id, counter.rule, counter.period) for counter in view.counters}
    stored = () if sale.answer is None else sale.answer.get("counters", ())
    before_minor, whole_minor = sale.reversed_minor, sale.moved_minor
    after_minor = whole_minor if given_back_minor is None else before_minor + given_back_minor
    changes = []
    for kept in stored:
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


def _share(counted: int, given_back_minor: int, whole_minor: int) -> int:
    # Rounded down from the beginning of the sale each time, so that the parts add up to what was counted.
    return counted * given_back_minor // whole_minor if whole_minor else counted


def changes_of(answer: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Rule, period and change of each counter that a stored answer was counted in; all are its holder's."""
    return [(kept["rule"], kept["period"], kept["change"]) for kept in answer.get("counters", ())]
