"""The rules: a quote from the tariff alone, and a decision that also looks at the payer's stays and permits.

An action is priced by `actions.priced`, which sees no payer; what it needs of the payer is a test that goes
with the price. So the price that a card signs is the one it was told, and the tests come after.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from cardservice.money import format_minor
from cardservice.services.holds import holds_of
from cardservice.services.limits import Allowance, allowances
from cardservice.services.parking import reasons
from cardservice.services.parking.actions import priced
from cardservice.services.parking.case import Priced
from cardservice.services.parking.plates import Vehicles
from cardservice.services.parking.stays import DAY_LIMIT, SERVICE, counted
from cardservice.services.parking.tariff import Tariff
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
QUOTE_MINUTES = 5
REASONS = reasons.REASONS
_MINUTE = timedelta(minutes=1)


def quote(ask: Ask, holder: Holder | None, tariff: Tariff, vehicles: Vehicles) -> Quote | Refusal:
    """The price, and for how many minutes it stays that; without a connection for no longer."""
    found = priced(ask, holder, tariff, vehicles)
    if isinstance(found, Refusal):
        return found
    minutes = next(
        (
            later
            for later in range(1, QUOTE_MINUTES)
            if _later(ask, holder, tariff, vehicles, later) != found.amount_minor
        ),
        QUOTE_MINUTES,
    )
    begun = ask.occurred_at.replace(second=0, microsecond=0)
    until = (
        ask.occurred_at + timedelta(minutes=QUOTE_MINUTES)
        if minutes == QUOTE_MINUTES
        else begun + minutes * _MINUTE
    )
    return Quote(
        amount_minor=found.amount_minor,
        currency=tariff.currency,
        tariff_version=tariff.version,
        valid_until=min(until, tariff.valid_until),
        lines=(found.line,),
    )


def _later(ask: Ask, holder: Holder | None, tariff: Tariff, vehicles: Vehicles, minutes: int) -> int | None:
    later = replace(ask, occurred_at=ask.occurred_at + minutes * _MINUTE)
    found = priced(later, holder, tariff, vehicles)
    return found.amount_minor if isinstance(found, Priced) else None


def decide(ask: Ask, holder: Holder, view: View, tariff: Tariff, vehicles: Vehicles) -> Decision:
    """A request is approved at today's price and by the payer's state or not at all; an advice as signed."""
    found = priced(ask, holder, tariff, vehicles)
    day = tariff.day_of(ask.occurred_at).isoformat()
    limits = allowances(view, ask, holder, DAY_LIMIT, day)
    inputs = _inputs(ask, found, limits, day, tariff) | _released(found, view)
    objections = _objections(ask, found, view, limits, tariff)
    if ask.kind is AskKind.ADVICE:
        return _as_signed(ask, found, objections, inputs, view)
    if objections:
        said = objections[0]
        return Decision(
            approved=False,
            reason=said.reason,
            message=said.message,
            inputs=inputs | {"refused": dict(said.data)},
        )
    assert isinstance(found, Priced)  # noqa: S101 - what is refused is an objection
    return Decision(
        approved=True,
        reason=APPROVED,
        message=found.tell(view),
        amount_minor=found.amount_minor,
        lines=(found.line,),
        counters=(*found.counters, *found.more(view), *_spent(day, found.amount_minor, found.line)),
        resources=found.resources,
        if_taken=found.if_taken,
        inputs=inputs,
        hold=found.hold,
        releases=found.releases,
    )


def _spent(day: str, amount_minor: int, line: Line) -> tuple[CounterUse, ...]:
    """What is counted as spent in a day: not what is only set aside."""
    return () if line.held else counted(DAY_LIMIT, day, amount_minor)


def _released(found: Priced | Refusal, view: View) -> dict[str, Any]:
    """How much of what was reserved goes back."""
    keys = () if isinstance(found, Refusal) else found.releases
    released_minor = sum(held.amount_minor for key in keys for held in holds_of(view.counters, SERVICE, key))
    return {"released_minor": released_minor} if released_minor else {}


def _objections(
    ask: Ask, found: Priced | Refusal, view: View, limits: tuple[Allowance, ...], tariff: Tariff
) -> list[Refusal]:
    """All that speaks against it, in the order in which it is asked."""
    if isinstance(found, Refusal):
        return [found]
    said = []
    if ask.amount_minor is None:
        said.append(Refusal(reason=reasons.AMOUNT_MISSING, message="This is priced before it is signed."))
    elif ask.amount_minor != found.amount_minor:
        message = "The price has changed since it was quoted. Ask for the price again."
        said.append(Refusal(reason=reasons.PRICE_CHANGED, message=message))
    if (objection := found.test(view)) is not None:
        said.append(objection)
    passed = [limit for limit in limits if found.amount_minor > limit.left_minor]
    if passed:
        left_minor = min(limit.left_minor for limit in passed)
        left = f"{format_minor(left_minor, tariff.currency)} {tariff.currency}"
        message = f"Today's limit for parking does not allow this: {left} is left."
        said.append(Refusal(reason=reasons.LIMIT_REACHED, message=message))
    return said


def _as_signed(
    ask: Ask, found: Priced | Refusal, objections: list[Refusal], inputs: dict[str, Any], view: View
) -> Decision:
    """The vehicle stood there: what the card signed is owed, and what is odd about it is a flag.

    In another currency nothing can be posted: the scheme's accounts do not have that unit.
    """
    flags = [
        reasons.OVER_LIMIT if each.reason == reasons.LIMIT_REACHED else each.reason for each in objections
    ]
    amount_minor = 0 if reasons.CURRENCY_MISMATCH in flags else ask.amount_minor or 0
    line = Line(label="Parking", amount_minor=amount_minor)
    if isinstance(found, Priced):
        line = replace(line, tax_code=found.line.tax_code, tax_rate_bp=found.line.tax_rate_bp)
        if found.amount_minor == amount_minor or found.line.held:
            line = replace(found.line, amount_minor=amount_minor)
    stays = isinstance(found, Priced) and found.is_kept_in_spite_of(flags)
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed.",
        amount_minor=amount_minor,
        lines=(line,),
        flags=tuple(flags),
        counters=(
            *((*found.counters, *found.more(view)) if isinstance(found, Priced) and stays else ()),
            *_spent(inputs["day"], amount_minor, line),
        ),
        resources=found.resources if isinstance(found, Priced) and stays else (),
        inputs=inputs,
        hold=found.hold if isinstance(found, Priced) else None,
        releases=found.releases if isinstance(found, Priced) else (),
    )


def _inputs(
    ask: Ask, found: Priced | Refusal, limits: tuple[Allowance, ...], day: str, tariff: Tariff
) -> dict[str, Any]:
    inputs: dict[str, Any] = {
        "day": day,
        "limits": [limit.as_input(DAY_LIMIT) for limit in limits],
        "tariff_version": tariff.version,
        "signed_tariff_version": ask.tariff_version,
    }
    if isinstance(found, Refusal):
        return inputs
    return inputs | {"priced_minor": found.amount_minor, **found.inputs}
