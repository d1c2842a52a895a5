"""Orders beforehand: counted for the kitchen by day, service and item, and taken off when they are collected.

An order takes no money: it is paid for when it is collected, at the price of that day.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from cardservice.services.meals import reasons
from cardservice.services.meals.checks import allergen_stop
from cardservice.services.meals.menu import Menu
from cardservice.services.meals.periods import COLLECTED, ORDERED, order_period, used_of
from cardservice.services.meals.tray import Tray, portions_of
from cardservice.services.seam import (
    APPROVED,
    Ask,
    AskKind,
    CounterUse,
    Decision,
    Holder,
    Line,
    Quote,
    Refusal,
    View,
)

ORDER, CANCEL = "pre-order", "cancel-order"
# Ours: as for a sale.
QUOTE_VALIDITY = timedelta(minutes=5)


def not_ordered(view: View, holder: Holder, tray: Tray, day: date) -> Refusal | None:
    """Whether something of a tray was not ordered, or has been collected already."""
    for key, count in tray.counts.items():
        if count > open_orders(view, holder, order_period(day, tray.service, key)):
            label = tray.menu.items[key][0].label
            message = f"{label} was not ordered for today, or has been collected."
            return Refusal(reason=reasons.NOT_ORDERED, message=message, data={"item": key})
    return None


def open_orders(view: View, holder: Holder, period: str) -> int:
    """How many pieces have been ordered and not been collected yet."""
    return used_of(view, holder, ORDERED, period) - used_of(view, holder, COLLECTED, period)


def collected(tray: Tray, day: date) -> list[CounterUse]:
    """What a collection counts."""
    return [
        CounterUse(rule=COLLECTED, period=order_period(day, tray.service, key), amount=count)
        for key, count in tray.counts.items()
    ]


def decide_order(ask: Ask, holder: Holder, view: View, menu: Menu) -> Decision:
    """An order, or that one is cancelled, until the kitchen must know; nothing is paid.

    An advice of one is too late for the kitchen: it is kept, counts nothing, and says so by its flag.
    """
    inputs: dict[str, Any] = {"tariff_version": menu.version, "signed_tariff_version": ask.tariff_version}
    found = _ordered(ask, holder, menu)
    if not isinstance(found, Refusal) and ask.action == CANCEL:
        found = _cancelled(view, holder, found)
    if ask.kind is AskKind.ADVICE:
        flag = found.reason if isinstance(found, Refusal) else reasons.ORDER_CLOSED
        return _as_signed(ask, flag, inputs)
    if isinstance(found, Refusal):
        return Decision(approved=False, reason=found.reason, message=found.message, inputs=inputs)
    sign = -1 if ask.action == CANCEL else 1
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Cancelled." if ask.action == CANCEL else "Ordered.",
        counters=tuple(
            CounterUse(rule=ORDERED, period=period, amount=sign * count) for period, count in found.items()
        ),
        inputs=inputs,
    )


def quote_order(ask: Ask, holder: Holder | None, menu: Menu) -> Quote | Refusal:
    """That an order costs nothing until it is collected; or why it cannot be made."""
    found = _ordered(ask, holder, menu)
    if isinstance(found, Refusal):
        return found
    day = ask.details["day"]
    ends = menu.orders_end(day) if isinstance(day, date) else ask.occurred_at
    return Quote(
        amount_minor=0,
        currency=menu.currency,
        tariff_version=menu.version,
        valid_until=min(ask.occurred_at + QUOTE_VALIDITY, ends),
        lines=(),
    )


def _as_signed(ask: Ask, flag: str, inputs: Mapping[str, object]) -> Decision:
    amount_minor = 0 if flag == reasons.CURRENCY_MISMATCH else ask.amount_minor or 0
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Kept as it was signed.",
        amount_minor=amount_minor,
        lines=(Line(label="School meal", amount_minor=amount_minor),) if amount_minor else (),
        flags=(flag,),
        inputs=inputs,
    )


def _ordered(ask: Ask, holder: Holder | None, menu: Menu) -> dict[str, int] | Refusal:
    """How many of what is ordered, by its period."""
    if ask.currency != menu.currency:
        message = f"The amount is in {ask.currency[:10]}, the menu is in {menu.currency}."
        return Refusal(reason=reasons.CURRENCY_MISMATCH, message=message)
    if ask.amount_minor:
        return Refusal(reason=reasons.AMOUNT_UNEXPECTED, message="An order is paid when it is collected.")
    day, service = ask.details["day"], str(ask.details["service"])
    if not isinstance(day, date):
        raise TypeError(f"not a day: {day!r}")
    if not menu.first_day <= day <= menu.last_day:
        return Refusal(reason=reasons.TARIFF_EXPIRED, message="The menu has no such day.")
    if service not in menu.services:
        message = f"The menu has no service {service[:60]!r}."
        return Refusal(reason=reasons.SERVICE_UNKNOWN, message=message, data={"service": service})
    if ask.occurred_at >= menu.orders_end(day):
        return Refusal(reason=reasons.ORDER_CLOSED, message="It is too late to order or cancel for that day.")
    wanted: Any = ask.details["items"]
    portions = portions_of(menu, service, day, wanted)
    if isinstance(portions, Refusal):
        return portions
    tray = Tray(menu, service, "" if holder is None else holder.category, portions)
    if ask.action == ORDER and holder is not None:
        stop = next(allergen_stop(ask, holder, tray), None)
        if stop is not None:
            return stop
    return {order_period(day, service, key): count for key, count in tray.counts.items()}


def _cancelled(view: View, holder: Holder, found: dict[str, int]) -> dict[str, int] | Refusal:
    for period, count in found.items():
        if count > open_orders(view, holder, period):
            return Refusal(reason=reasons.NOT_ORDERED, message="That was not ordered, or has been collected.")
    return found
