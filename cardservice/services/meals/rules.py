"""The rules of a sale at school: pure functions of the ask, the payer's limits and the menu.

What programmes pay is the last thing that is looked at, and it changes nothing of the answer: a sale to a
pupil whose meal somebody pays for is decided, worded and answered like any other of as much to spend.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cardservice.services.meals import reasons
from cardservice.services.meals.checks import Standing, arrears_limit, objections, standings
from cardservice.services.meals.funding import funding_of
from cardservice.services.meals.menu import Menu
from cardservice.services.meals.orders import collected, not_ordered
from cardservice.services.meals.periods import DAY_LIMIT, MAINS, mains_period
from cardservice.services.meals.tray import Tray, tray_of
from cardservice.services.seam import (
    APPROVED,
    Ask,
    AskKind,
    CounterUse,
    Decision,
    Funding,
    Holder,
    Line,
    Quote,
    Refusal,
    View,
)

# Ours: long enough to present a card, and not longer than a statement's time may be off.
QUOTE_VALIDITY = timedelta(minutes=5)
REASONS = reasons.REASONS
SALE, SERVE_ANYWAY, COLLECT = "sale", "serve-anyway", "collect"


def quote(ask: Ask, holder: Holder | None, menu: Menu) -> Quote | Refusal:
    """The price of a tray: by whose it is, a pupil's or a member of staff's, and by nothing else of them.

    Offline it is everybody's, since nobody knows who will come: no deals, no prices of one's own.
    """
    tray = tray_of(ask, menu, _buyer(holder))
    if isinstance(tray, Refusal):
        return tray
    validity = timedelta(hours=menu.offline_quote_hours) if ask.offline else QUOTE_VALIDITY
    ends = (menu.ends(portion.priced) for portion in tray.portions)
    return Quote(
        amount_minor=tray.list_minor if ask.offline else tray.total_minor,
        currency=menu.currency,
        tariff_version=menu.version,
        valid_until=min(ask.occurred_at + validity, *ends),
        lines=_list_lines(tray) if ask.offline else tray.lines,
    )


def decide(ask: Ask, holder: Holder, view: View, menu: Menu) -> Decision:
    """A request is approved at today's price and within its limits or not at all; an advice as signed."""
    found = tray_of(ask, menu, _buyer(holder))
    tray = found if isinstance(found, Tray) else None
    limits = standings(view, ask, holder, menu.day_of(ask.occurred_at), tray)
    if ask.kind is AskKind.ADVICE:
        return _Sale(ask, holder, view, menu, limits).as_signed(found)
    return _Sale(ask, holder, view, menu, limits).of_request(found)


@dataclass(frozen=True, slots=True)
class _Sale:
    """A sale, collection or serving that is decided."""

    ask: Ask
    holder: Holder
    view: View
    menu: Menu
    limits: tuple[Standing, ...]

    def of_request(self, found: Tray | Refusal) -> Decision:
        """Approved, or declined by the first objection."""
        if isinstance(found, Refusal):
            return self._declined(found, self._inputs(found))
        inputs = self._inputs(found)
        if (wrong := _wrong_price(self.ask, found)) is not None:
            return self._declined(wrong, inputs)
        if (missing := self._not_ordered(found)) is not None:
            return self._declined(missing, inputs)
        funding = self._funding(found.service, found.total_minor)
        against = [
            *objections(self.ask, self.holder, self.view, found, self.limits),
            *arrears_limit(self.view, found, funding),
        ]
        if self.ask.action == SERVE_ANYWAY:
            inputs["served_anyway"] = [objection.reason for objection in against]
            return self._approved(found, funding, inputs, (reasons.SERVED_ANYWAY,))
        if against:
            return self._declined(against[0], inputs)
        return self._approved(found, funding, inputs, ())

    def as_signed(self, found: Tray | Refusal) -> Decision:
        """The meal was eaten: what the card signed is owed and counted, and what is odd about it is a flag.

        In another currency nothing can be posted: the scheme's accounts do not have that unit.
        """
        amount_minor, flags = self.ask.amount_minor or 0, []
        tray = found if isinstance(found, Tray) else None
        if isinstance(found, Refusal):
            flags.append(found.reason)
            amount_minor = 0 if found.reason == reasons.CURRENCY_MISMATCH else amount_minor
        elif self.ask.amount_minor is None:
            flags.append(reasons.AMOUNT_MISSING)
        elif amount_minor not in (found.total_minor, found.list_minor):
            flags.append(reasons.PRICE_CHANGED)
        lines = self._lines_as_signed(tray, amount_minor, bool(flags))
        if tray is not None:
            flags += self._flags(tray)
        elif any(limit.is_passed for limit in self.limits) and amount_minor:
            flags.append(reasons.OVER_LIMIT)
        service = str(self.ask.details["service"])
        anyway = self.ask.action == SERVE_ANYWAY
        return Decision(
            approved=True,
            reason=APPROVED,
            message="Posted as it was signed." if flags else "Approved.",
            amount_minor=amount_minor,
            lines=lines,
            flags=(*flags, *((reasons.SERVED_ANYWAY,) if anyway else ())),
            counters=self._counted(tray, amount_minor),
            funding=self._funding(service, amount_minor),
            inputs=self._inputs(found),
        )

    def _lines_as_signed(self, tray: Tray | None, amount_minor: int, is_odd: bool) -> tuple[Line, ...]:
        if tray is None or is_odd:
            alone = tray is not None and tray.is_of_mains_alone
            return (Line(label="School meal", amount_minor=amount_minor, may_end_in_arrears=alone),)
        return tray.lines if amount_minor == tray.total_minor else _list_lines(tray)

    def _flags(self, tray: Tray) -> list[str]:
        """What would have declined a request, each once."""
        found = [each.reason for each in objections(self.ask, self.holder, self.view, tray, self.limits)]
        if (missing := self._not_ordered(tray)) is not None:
            found.append(missing.reason)
        flags = [reasons.OVER_LIMIT if reason == reasons.LIMIT_REACHED else reason for reason in found]
        return list(dict.fromkeys(flags))

    def _not_ordered(self, tray: Tray) -> Refusal | None:
        if self.ask.action != COLLECT:
            return None
        return not_ordered(self.view, self.holder, tray, self.menu.day_of(self.ask.occurred_at))

    def _funding(self, service: str, amount_minor: int) -> tuple[Funding, ...]:
        return funding_of(self.menu, self.ask, self.holder, self.view, service, amount_minor)

    def _approved(
        self, tray: Tray, funding: tuple[Funding, ...], inputs: dict[str, Any], flags: tuple[str, ...]
    ) -> Decision:
        lines = tray.lines
        if self.ask.action == SERVE_ANYWAY:
            lines = tuple(replace(line, may_end_in_arrears=True) for line in lines)
        return Decision(
            approved=True,
            reason=APPROVED,
            message="Approved.",
            amount_minor=tray.total_minor,
            lines=lines,
            flags=flags,
            counters=self._counted(tray, tray.total_minor),
            funding=funding,
            inputs=inputs,
        )

    def _declined(self, objection: Refusal, inputs: dict[str, Any]) -> Decision:
        return Decision(approved=False, reason=objection.reason, message=objection.message, inputs=inputs)

    def _counted(self, tray: Tray | None, amount_minor: int) -> tuple[CounterUse, ...]:
        """What is spent in a day is counted without a limit, too: one that is set at noon is for all of it.

        What is spent at a service, and which items are eaten, is counted where somebody limits it: of a child
        as little as is needed is kept.
        """
        day = self.menu.day_of(self.ask.occurred_at)
        wanted = {DAY_LIMIT: amount_minor} | {limit.rule: limit.wanted for limit in self.limits}
        wanted[DAY_LIMIT] = amount_minor
        uses = [CounterUse(rule=rule, period=day.isoformat(), amount=used) for rule, used in wanted.items()]
        if tray is not None:
            if self.menu.second_meal_warning:
                uses.append(CounterUse(rule=MAINS, period=mains_period(tray.service, day), amount=tray.mains))
            if self.ask.action == COLLECT:
                uses += collected(tray, day)
        return tuple(use for use in uses if use.amount)

    def _inputs(self, found: Tray | Refusal) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            "day": self.menu.day_of(self.ask.occurred_at).isoformat(),
            "limits": [limit.allowance.as_input(limit.rule) for limit in self.limits],
            "tariff_version": self.menu.version,
            "signed_tariff_version": self.ask.tariff_version,
        }
        if isinstance(found, Refusal):
            return inputs | {"refused": found.reason, **found.data}
        inputs["priced_minor"] = found.total_minor
        recipes = {each.item.key: each.item.recipe for each in found.portions if each.item.recipe}
        if recipes:
            inputs["recipes"] = recipes
        return inputs


def _wrong_price(ask: Ask, tray: Tray) -> Refusal | None:
    if ask.amount_minor is None:
        return Refusal(reason=reasons.AMOUNT_MISSING, message="A sale is priced before it is signed.")
    if ask.amount_minor != tray.total_minor:
        message = "The price has changed since it was quoted. Ask for the price again."
        return Refusal(reason=reasons.PRICE_CHANGED, message=message)
    return None


def _buyer(holder: Holder | None) -> str:
    return "" if holder is None else holder.category


def _list_lines(tray: Tray) -> tuple[Line, ...]:
    return replace(tray, at_list=True).lines
