"""What a terminal has sold since a moment, by its own outbox: for who counts at the end of a service.

It is there without the service, and after a restart. Nobody is in it, neither card nor holder, and nothing of
who pays: a sale is its price. What was given back later is the service's to tell.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pki.statements import TransactionStatement, open_statement
from reader_agent.agent import Agent
from reader_agent.answers import APPROVED
from reader_agent.outbox_entries import Entry, EntryKind, EntryState
from reader_agent.wire import from_base64url

# What is no sale and no refusal: never signed, or annulled.
_NOTHING = frozenset({EntryState.PREPARED, EntryState.VOID, EntryState.CLOSED})


@dataclass(slots=True)
class Totals:
    """What was sold of one group; `offline` of these without the service, `waiting` not told of yet."""

    sales: int = 0
    amount_minor: int = 0
    offline: int = 0
    waiting: int = 0
    # By the service's reason
    declined: Counter[str] = field(default_factory=Counter)
    # Pieces by key, where details have `items`, each with `item` and `quantity`
    items: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, object]:
        """As the API gives it."""
        return {
            "sales": self.sales,
            "amount_minor": self.amount_minor,
            "offline": self.offline,
            "waiting": self.waiting,
            "declined": dict(sorted(self.declined.items())),
            "items": dict(sorted(self.items.items())),
        }


def totals(agent: Agent, service: str, since: datetime, by: str) -> dict[str, Totals]:
    """Of each group that something was asked for in: by this detail's text, such as `service`.

    Only what has an amount counts: an order has none. Raises OutboxDamaged.
    """
    found: defaultdict[str, Totals] = defaultdict(Totals)
    for entry in agent.outbox.entries_since(since):
        if entry.kind is EntryKind.ANNUL or entry.state in _NOTHING:
            continue
        content = agent.outbox.content(entry.id)
        message = json.loads(content.message)
        statement = open_statement(from_base64url(message["statement"])).statement
        if statement.service == service and statement.amount_minor is not None:
            details: Mapping[str, Any] = message["details"]
            _add(found[str(details.get(by, ""))], entry, statement, details, content.answer)
    return dict(sorted(found.items()))


def _add(
    to: Totals,
    entry: Entry,
    statement: TransactionStatement,
    details: Mapping[str, Any],
    answer: Mapping[str, Any] | None,
) -> None:
    if entry.kind is EntryKind.REQUEST and (answer is None or answer["decision"] != APPROVED):
        # One that is still open is asked for again: it counts when it is answered.
        if entry.state is not EntryState.OPEN:
            to.declined[str(entry.problem if answer is None else answer["reason"])] += 1
        return
    to.sales += 1
    to.amount_minor += statement.amount_minor or 0
    to.offline += entry.kind is EntryKind.ADVICE
    to.waiting += entry.state is EntryState.OPEN
    items = details.get("items")
    for item in items if isinstance(items, list) else ():
        # The service has its own rules of what these are; here they are only counted.
        if isinstance(item, dict) and isinstance(item.get("quantity"), int):
            to.items[str(item.get("item"))] += item["quantity"]
