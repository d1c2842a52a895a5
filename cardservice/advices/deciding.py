"""Advices decided one after another, each on what those before it leave behind; nothing is posted here."""

from collections.abc import Mapping
from dataclasses import replace

from cardservice.advices.facts import ChunkFacts
from cardservice.authorisation.facts import facts_of
from cardservice.authorisation.found import wanted_for
from cardservice.authorisation.judging import judge
from cardservice.authorisation.messages import CardMessage
from cardservice.authorisation.money import balances_after
from cardservice.authorisation.sales import sale_of
from cardservice.authorisation.service import case_of
from cardservice.authorisation.settling import Prepared
from cardservice.context import Context
from cardservice.ids import PayerId
from cardservice.ledger.values import CounterView, PayerView, Posting
from cardservice.terminals.service import Terminal


class Decider:
    """Decides the advices of one chunk, by the same checks and rules as any other message."""

    def __init__(self, context: Context, facts: ChunkFacts) -> None:
        self._context, self._facts = context, facts
        self._views: dict[PayerId, PayerView] = dict(facts.views)

    def decide(self, terminal: Terminal, message: CardMessage) -> Prepared:
        """What to post for an advice whose id is not known. Raises MessageRefused from check 5, and Busy.

        What claims something of which there is only so much is not taken to be posted: those after it are
        decided without it.
        """
        found = self._facts.found_for(message, self._views)
        facts = facts_of(self._context, wanted_for(message, None) if found.card is None else None, found)
        case = case_of(self._context, terminal, message, facts, self._facts.tariff_for(message))
        prepared = sale_of(self._context, case, judge(case))
        if not prepared.wants_first:
            self._views[prepared.posting.payer_id] = left_by(case.view, prepared.posting)
        return prepared


def left_by(view: PayerView, posting: Posting) -> PayerView:
    """The payer's state once this is posted, still at the version that was read."""
    accounts = tuple(
        account if account.balance == balance else replace(account, balance=balance)
        for account, balance in balances_after(view, posting.transfers)
    )
    return replace(view, accounts=accounts, counters=_counted(view, posting))


def _counted(view: PayerView, posting: Posting) -> tuple[CounterView, ...]:
    if not posting.counters:
        return view.counters
    used: Mapping[tuple[object, str, str], CounterView] = {
        (each.cardholder_id, each.rule, each.period): each for each in view.counters
    }
    counted = dict(used)
    for new in posting.counters:
        key = (new.cardholder_id, new.rule, new.period)
        before = counted[key].used if key in counted else 0
        counted[key] = CounterView(new.cardholder_id, new.rule, new.period, before + new.change)
    return tuple(counted.values())
