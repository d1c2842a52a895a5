"""The rules of a sale at school: pure functions of the ask, the payer's limits and the menu.

Of the person they look at nothing but whose counter it is: a sale to a pupil whose meal somebody pays for
is decided, worded and answered like any other.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from cardservice.money import format_minor
from cardservice.services.limits import Allowance, allowances
from cardservice.services.meals.menu import Item, Menu
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

# Ours: long enough to present a card, and not longer than a statement's time may be off.
QUOTE_VALIDITY = timedelta(minutes=5)
# The limit that a payer can set, and the counter's rule; its period is the day by the school's clock.
DAY_LIMIT = "meals.day"

_TIMES = "\N{MULTIPLICATION SIGN}"

# The stable reasons of this service; docs/services/meals.md explains each.
CURRENCY_MISMATCH = "currency_mismatch"
TARIFF_EXPIRED = "tariff_expired"
TARIFF_NOT_YET_VALID = "tariff_not_yet_valid"
SERVICE_UNKNOWN = "service_unknown"
ITEM_UNKNOWN = "item_unknown"
ITEM_NOT_OFFERED = "item_not_offered"
AMOUNT_MISSING = "amount_missing"
PRICE_CHANGED = "price_changed"
LIMIT_REACHED = "limit_reached"
# Of an advice, in place of the last.
OVER_LIMIT = "over_limit"

REASONS = frozenset(
    {
        *(APPROVED, CURRENCY_MISMATCH, TARIFF_EXPIRED, TARIFF_NOT_YET_VALID, SERVICE_UNKNOWN, ITEM_UNKNOWN),
        *(ITEM_NOT_OFFERED, AMOUNT_MISSING, PRICE_CHANGED, LIMIT_REACHED, OVER_LIMIT),
    }
)


@dataclass(frozen=True, slots=True)
class _Tray:
    """What is sold: items with their quantities."""

    portions: tuple[tuple[Item, int], ...]

    @property
    def total_minor(self) -> int:
        return sum(item.price_minor * quantity for item, quantity in self.portions)

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(
            Line(
                label=item.label if quantity == 1 else f"{quantity} {_TIMES} {item.label}",
                amount_minor=item.price_minor * quantity,
                product=item.key,
                may_end_in_arrears=item.is_main,
            )
            for item, quantity in self.portions
        )


def quote(ask: Ask, menu: Menu) -> Quote | Refusal:
    """The price of a tray, the same for everybody."""
    tray = _tray(ask, menu)
    if isinstance(tray, Refusal):
        return tray
    validity = timedelta(hours=menu.offline_quote_hours) if ask.offline else QUOTE_VALIDITY
    return Quote(
        amount_minor=tray.total_minor,
        currency=menu.currency,
        tariff_version=menu.version,
        valid_until=min(ask.occurred_at + validity, *(menu.ends(item) for item, _ in tray.portions)),
        lines=tray.lines,
    )


def decide(ask: Ask, holder: Holder, view: View, menu: Menu) -> Decision:
    """A request is approved at today's price and within its limits or not at all; an advice as signed."""
    day = menu.day_of(ask.occurred_at)
    tray = _tray(ask, menu)
    limits = allowances(view, ask, holder, DAY_LIMIT, day.isoformat())
    inputs = _inputs(ask, tray, limits, day, menu)
    if ask.kind is AskKind.ADVICE:
        return _as_signed(ask, tray, limits, inputs)
    if isinstance(tray, Refusal):
        return _declined(tray, inputs)
    if (objection := _objection(ask, tray, limits, menu)) is not None:
        return _declined(objection, inputs)
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Approved.",
        amount_minor=tray.total_minor,
        lines=tray.lines,
        counters=_counted(tray.total_minor, inputs),
        inputs=inputs,
    )


def _declined(objection: Refusal, inputs: dict[str, Any]) -> Decision:
    return Decision(approved=False, reason=objection.reason, message=objection.message, inputs=inputs)


def _tray(ask: Ask, menu: Menu) -> _Tray | Refusal:
    if ask.currency != menu.currency:
        message = f"The amount is in {ask.currency[:10]}, the menu is in {menu.currency}."
        return Refusal(reason=CURRENCY_MISMATCH, message=message)
    if (closed := out_of_force(menu, ask.occurred_at)) is not None:
        return closed
    service = str(ask.details["service"])
    if service not in menu.services:
        message = f"The menu has no service {service[:60]!r}."
        return Refusal(reason=SERVICE_UNKNOWN, message=message, data={"service": service})
    return _portions(ask, service, menu)


def out_of_force(menu: Menu, moment: datetime) -> Refusal | None:
    """Why nothing of the menu is sold at a moment; None within its days."""
    if moment >= menu.valid_until:
        return Refusal(reason=TARIFF_EXPIRED, message="The menu is over. Load a newer one.")
    if moment < menu.valid_from:
        return Refusal(reason=TARIFF_NOT_YET_VALID, message="The menu is not in force yet.")
    return None


def _portions(ask: Ask, service: str, menu: Menu) -> _Tray | Refusal:
    day = menu.day_of(ask.occurred_at)
    portions: list[tuple[Item, int]] = []
    sold: Any = ask.details["items"]
    for part in sold:
        key = part["item"]
        item = menu.offered(key, service, day)
        if item is None and key in menu.items:
            label = menu.items[key][0].label
            message = f"{label} is not offered at {menu.services[service]} today."
            return Refusal(reason=ITEM_NOT_OFFERED, message=message, data={"item": key})
        if item is None:
            message = f"The menu has no item {key[:60]!r}."
            return Refusal(reason=ITEM_UNKNOWN, message=message, data={"item": key})
        portions.append((item, part["quantity"]))
    return _Tray(tuple(portions))


def _objection(ask: Ask, tray: _Tray, limits: tuple[Allowance, ...], menu: Menu) -> Refusal | None:
    """Why a request for what is on the menu is declined all the same."""
    if ask.amount_minor is None:
        return Refusal(reason=AMOUNT_MISSING, message="A sale is priced before it is signed.")
    if ask.amount_minor != tray.total_minor:
        message = "The price has changed since it was quoted. Ask for the price again."
        return Refusal(reason=PRICE_CHANGED, message=message)
    passed = _passed(tray.total_minor, limits)
    if passed is None:
        return None
    left = f"{format_minor(passed.left_minor, menu.currency)} {menu.currency}"
    whose = "The family's limit for today" if passed.shared else "Today's limit"
    message = f"{whose} does not allow this: {left} is left."
    return Refusal(reason=LIMIT_REACHED, message=message)


def _passed(amount_minor: int, limits: tuple[Allowance, ...]) -> Allowance | None:
    """The limit that an amount would pass, of several the one with least left; what is free passes none."""
    passed = [limit for limit in limits if amount_minor > limit.left_minor]
    return min(passed, key=lambda limit: limit.left_minor, default=None)


def _as_signed(
    ask: Ask, tray: _Tray | Refusal, limits: tuple[Allowance, ...], inputs: dict[str, Any]
) -> Decision:
    """The meal was eaten: what the card signed is owed and counted, and what is odd about it is a flag.

    In another currency nothing can be posted: the scheme's accounts do not have that unit.
    """
    amount_minor, flags = ask.amount_minor or 0, []
    if isinstance(tray, Refusal):
        flags.append(tray.reason)
        amount_minor = 0 if tray.reason == CURRENCY_MISMATCH else amount_minor
    elif ask.amount_minor is None:
        flags.append(AMOUNT_MISSING)
    elif ask.amount_minor != tray.total_minor:
        flags.append(PRICE_CHANGED)
    if isinstance(tray, _Tray) and not flags:
        lines = tray.lines
    else:
        mains_alone = isinstance(tray, _Tray) and all(item.is_main for item, _ in tray.portions)
        lines = (Line(label="School meal", amount_minor=amount_minor, may_end_in_arrears=mains_alone),)
    if _passed(amount_minor, limits) is not None:
        flags.append(OVER_LIMIT)
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed." if flags else "Approved.",
        amount_minor=amount_minor,
        lines=lines,
        flags=tuple(flags),
        counters=_counted(amount_minor, inputs),
        inputs=inputs,
    )


def _counted(amount_minor: int, inputs: dict[str, Any]) -> tuple[CounterUse, ...]:
    """Counted without a limit, too: one that is set at noon is for the whole day."""
    return (CounterUse(rule=DAY_LIMIT, period=inputs["day"], amount=amount_minor),) if amount_minor else ()


def _inputs(
    ask: Ask, tray: _Tray | Refusal, limits: tuple[Allowance, ...], day: date, menu: Menu
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "day": day.isoformat(),
        "limits": [limit.as_input(DAY_LIMIT) for limit in limits],
        "tariff_version": menu.version,
        "signed_tariff_version": ask.tariff_version,
    }
    if isinstance(tray, Refusal):
        return found | {"refused": tray.reason, **tray.data}
    return found | {"priced_minor": tray.total_minor}
