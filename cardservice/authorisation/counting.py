"""What a sale counts towards its payer's limits, and how that is taken back.

Counters are the payer's state, not a record. What one sale added is therefore kept in its stored answer, and
an annulment takes back just that: from the person and the period that it was counted for, whoever's card and
whichever day the annulment comes on. Where the answer has been erased, its periods are long over.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cardservice.ids import CardholderId
from cardservice.ledger.values import CounterChange, KnownTransaction
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


def taken_back(sale: KnownTransaction) -> tuple[CounterChange, ...]:
    """What undoes the changes that a sale was stored with."""
    stored = () if sale.answer is None else sale.answer.get("counters", ())
    return tuple(
        CounterChange(CardholderId(UUID(kept["cardholder"])), kept["rule"], kept["period"], -kept["change"])
        for kept in stored
    )


def changes_of(answer: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Rule, period and change of each counter that a stored answer was counted in; all are its holder's."""
    return [(kept["rule"], kept["period"], kept["change"]) for kept in answer.get("counters", ())]
