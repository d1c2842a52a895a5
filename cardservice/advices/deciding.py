"""Advices decided one after another, each on what those before it leave behind; nothing is posted here."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cardservice.advices.facts import ChunkFacts
from cardservice.advices.proving import prove
from cardservice.authorisation.facts import Facts, facts_of
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
    """Decides the advices of a chunk as of one moment, by the same checks and rules as any other message."""

    def __init__(self, context: Context, facts: ChunkFacts, messages: Iterable[CardMessage]) -> None:
        self._context, self._facts = context, facts
        self._moment = context.now()
        self._proven = prove(context, facts, messages, self._moment)
        self._views: dict[PayerId, PayerView] = dict(facts.views)

    def decide(self, terminal: Terminal, message: CardMessage) -> Prepared:
        """What to post for an advice whose id is not known. Raises MessageRefused from check 5, and Busy.

        What claims something of which there is only so much is not taken to be posted: those after it are
        decided without it.
        """
        facts = self._facts_of(message)
        proven = self._proven[message.id]
        if isinstance(proven, Exception):
            raise proven
        tariff = self._facts.tariff_for(message)
        case = case_of(self._context, terminal, message, facts, tariff, proven.proof)
        prepared = sale_of(self._context, case, judge(case), proven.sealed)
        if not prepared.wants_first:
            self._views[prepared.posting.payer_id] = left_by(case.view, prepared.posting)
        return prepared

    def _facts_of(self, message: CardMessage) -> Facts:
        found = self._facts.found_for(message, self._views)
        if found.card is None or found.payer_id is None or found.payer_id not in found.views:
            return facts_of(self._context, wanted_for(message, None), found)  # which says what is wrong
        return Facts(self._moment, found.card, found.payer_id, found.views, {}, found)


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
