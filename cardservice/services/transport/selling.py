"""Selling passes: a price from the feed, a length from the map, and a counter that holds it."""

from dataclasses import dataclass
from datetime import date

from cardservice.services.seam import APPROVED, Ask, AskKind, Decision, Holder, Line, Quote, Refusal
from cardservice.services.transport import reasons
from cardservice.services.transport.passes import HeldPass, pass_from
from cardservice.services.transport.rules import QUOTE_VALIDITY
from cardservice.services.transport.taps import in_force
from cardservice.services.transport.tariff import AHEAD, PASSES, Tariff

BUY_PASS = "buy-pass"  # noqa: S105 - a ticket for a month


@dataclass(frozen=True, slots=True)
class _Sale:
    amount_minor: int
    line: Line
    held: HeldPass


def quote(ask: Ask, holder: Holder | None, tariff: Tariff) -> Quote | Refusal:
    """What a pass costs."""
    sale = _sale(ask, holder, tariff)
    if isinstance(sale, Refusal):
        return sale
    return Quote(
        amount_minor=sale.amount_minor,
        currency=tariff.currency,
        tariff_version=tariff.version,
        valid_until=min(ask.occurred_at + QUOTE_VALIDITY, tariff.valid_until),
        lines=(sale.line,),
    )


def decide(ask: Ask, holder: Holder, tariff: Tariff) -> Decision:
    """A request is approved at the pass's price; an advice as it was signed, and the pass is the holder's."""
    sale = _sale(ask, holder, tariff)
    if isinstance(sale, _Sale) and ask.amount_minor == sale.amount_minor:
        return Decision(
            approved=True,
            reason=APPROVED,
            message=f"{sale.line.label}.",
            amount_minor=sale.amount_minor,
            lines=(sale.line,),
            counters=(sale.held.use,),
            inputs={"pass": sale.held.product, "last_day": sale.held.last_day.isoformat()},
        )
    refusal = sale if isinstance(sale, Refusal) else _wrong_amount(ask)
    if ask.kind is AskKind.REQUEST:
        return Decision(approved=False, reason=refusal.reason, message=refusal.message, inputs=refusal.data)
    amount_minor = 0 if refusal.reason == reasons.CURRENCY_MISMATCH else ask.amount_minor or 0
    line = Line(label="Pass", amount_minor=amount_minor)
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed.",
        amount_minor=amount_minor,
        lines=(tariff.taxes.put_on(line, PASSES, holder.category),),
        flags=(refusal.reason,),
        counters=(sale.held.use,) if isinstance(sale, _Sale) else (),
        inputs={"refused": refusal.reason, **refusal.data},
    )


def _wrong_amount(ask: Ask) -> Refusal:
    if ask.amount_minor is None:
        return Refusal(reason=reasons.AMOUNT_MISSING, message="A pass is priced before it is signed.")
    message = "The price has changed since it was quoted. Ask for it again."
    return Refusal(reason=reasons.PRICE_CHANGED, message=message)


def _sale(ask: Ask, holder: Holder | None, tariff: Tariff) -> _Sale | Refusal:
    travel = in_force(ask, tariff)
    if isinstance(travel, Refusal):
        return travel
    key, chosen = str(ask.details["product"]), ask.details.get("first_day")
    assert chosen is None or isinstance(chosen, date)  # noqa: S101 - its schema has loaded it
    sold = tariff.passes.get(key)
    rider = tariff.default_rider
    if holder is not None:
        rider = tariff.rider_categories.get(holder.category, tariff.default_rider)
    price = None if sold is None else tariff.price_of(sold.product, rider)
    if sold is None or price is None:
        return Refusal(reason=reasons.PASS_UNKNOWN, message=f"The fare table sells no pass {key[:60]!r}.")
    if chosen is not None:
        today = travel.rules.days.day_of(ask.occurred_at)
        if not sold.chosen or not today <= chosen <= today + AHEAD:
            message = f"{sold.product.name} begins when it is bought."
            if sold.chosen:
                message = f"{sold.product.name} begins today, or within {AHEAD.days} days."
            return Refusal(reason=reasons.PASS_DAY, message=message, data={"field": "first_day"})
    held = pass_from(key, sold, tariff, ask.occurred_at, chosen)
    by = held.first_ride
    ends = f"to {held.last_day}" if by is None else f"from its first ride, by {by.latest}"
    label = f"{sold.product.name}, {ends}"
    line = Line(label=label, amount_minor=price[1], product=key)
    line = tariff.taxes.put_on(line, PASSES, None if holder is None else holder.category)
    return _Sale(price[1], line, held)
