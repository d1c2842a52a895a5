"""Tapping in and out: what a tap is decided on, and what it keeps so that its day can be priced.

A tap has no amount. It is refused where it could never be priced, such as at a stop that the tariff does not
know; everything else is for the day's rating.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cardservice.services.seam import (
    APPROVED,
    Ask,
    AskKind,
    CounterUse,
    Decision,
    Holder,
    Line,
    Refusal,
    View,
)
from cardservice.services.transport import reasons
from cardservice.services.transport.concessions import Boarding
from cardservice.services.transport.passes import BOARDED, RIDDEN, covering, held
from cardservice.services.transport.tariff import Tariff, Travel

TAP_IN, TAP_OUT = "tap-in", "tap-out"
ALIGHTED = "transport.alighted"


@dataclass(frozen=True, slots=True)
class Free:
    """Something that costs nothing now, with what it counts and keeps."""

    message: str
    counters: tuple[CounterUse, ...] = ()
    inputs: Mapping[str, object] | None = None


def in_force(ask: Ask, tariff: Tariff) -> Travel | Refusal:
    """What the map says of tapping, at a moment at which the tariff holds."""
    if ask.currency != tariff.currency:
        message = f"The amount is in {ask.currency[:10]}, the fares are in {tariff.currency}."
        return Refusal(reason=reasons.CURRENCY_MISMATCH, message=message)
    if ask.occurred_at >= tariff.valid_until:
        return Refusal(reason=reasons.TARIFF_EXPIRED, message="The fare table has expired. Load a newer one.")
    if ask.occurred_at < tariff.valid_from:
        return Refusal(reason=reasons.TARIFF_NOT_YET_VALID, message="The fare table is not in force yet.")
    if tariff.travel is None:
        return Refusal(reason=reasons.NO_TAPPING, message="The fare table does not say how taps are charged.")
    return tariff.travel


def offered(ask: Ask, holder: Holder | None, tariff: Tariff) -> Free | Refusal:
    """That something that costs nothing can be asked for at all; whether it is granted is decided then."""
    del holder
    travel = in_force(ask, tariff)
    return travel if isinstance(travel, Refusal) else Free("Costs nothing.")


def tap(ask: Ask, holder: Holder | None, tariff: Tariff) -> Free | Refusal:
    """A tap in or out."""
    travel = in_force(ask, tariff)
    if isinstance(travel, Refusal):
        return travel
    stop, route = str(ask.details["stop"]), ask.details.get("route")
    if stop not in tariff.places:
        message = f"The fare table has no stop {stop[:60]!r}."
        return Refusal(reason=reasons.STOP_UNKNOWN, message=message, data={"field": "stop"})
    if route is not None and route not in tariff.routes:
        message = f"The fare table has no route {str(route)[:60]!r}."
        return Refusal(reason=reasons.ROUTE_UNKNOWN, message=message, data={"field": "route"})
    if route is None and tariff.needs_route and ask.action == TAP_IN:
        message = "The fare depends on the route. Send it with the stop."
        return Refusal(reason=reasons.ROUTE_REQUIRED, message=message, data={"field": "route"})
    category = "" if holder is None else holder.category
    objection = None
    if ask.action == TAP_IN:
        objection = _calendar(ask, category, travel) or _companion(ask, category, tariff, travel)
    if objection is not None:
        return objection
    day = travel.rules.days.day_of(ask.occurred_at)
    rule = BOARDED if ask.action == TAP_IN else ALIGHTED
    counted = CounterUse(rule=rule, period=day.isoformat(), amount=1)
    inputs = kept(ask, category, tariff)
    if not ask.details.get("companion"):
        return Free("Tapped.", (counted,), inputs)
    return Free("Tapped, with a companion.", (counted,), inputs | {"companion": True})


def kept(ask: Ask, category: str, tariff: Tariff) -> dict[str, object]:
    """What the day's rating prices a tap by."""
    inputs: dict[str, object] = {
        "stop": ask.details["stop"],
        "category": category,
        "tariff_version": tariff.version,
    }
    if "route" in ask.details:
        inputs["route"] = ask.details["route"]
    return inputs


def _calendar(ask: Ask, category: str, travel: Travel) -> Refusal | None:
    """A holder of a concession is not let on where nobody knows whether the day is a bank holiday."""
    for concession in travel.concessions:
        if category in concession.categories:
            covers = concession.hours.cover(ask.occurred_at)
            return covers if isinstance(covers, Refusal) else None
    return None


def _companion(ask: Ask, category: str, tariff: Tariff, travel: Travel) -> Refusal | None:
    """Why nobody goes with the holder for nothing; the other passenger pays, or has a card."""
    if not ask.details.get("companion"):
        return None
    route = ask.details.get("route")
    boarding = Boarding(
        ask.occurred_at,
        category,
        None if route is None else str(route),
        tariff.places[str(ask.details["stop"])].areas,
    )
    if travel.payer_for_companion(boarding) is not None:
        return None
    message = "With this card nobody goes along for nothing here and now. Tap it again without a companion."
    return Refusal(reason=reasons.NO_COMPANION, message=message, data={"field": "companion"})


def inspect(ask: Ask, holder: Holder, view: View, tariff: Tariff) -> Free | Refusal:
    """Whether somebody has a pass that is good now, or has boarded today more often than alighted."""
    travel = in_force(ask, tariff)
    if isinstance(travel, Refusal):
        return travel
    own = [each for each in view.counters if each.cardholder_id == holder.cardholder_id]
    stops = [str(ask.details["stop"])] if "stop" in ask.details else []
    found = covering(held(own), tariff, ask.occurred_at, stops)
    # One that waits for its first ride has to be used for it.
    if found is not None and (found.first_ride is None or found.first_ride.day is not None):
        name = tariff.passes[found.product].product.name
        return Free(f"{name}, to {found.last_day}.", inputs={"pass": found.product})
    day = travel.rules.days.day_of(ask.occurred_at).isoformat()
    used = {each.rule: each.used for each in own if each.period == day}
    if used.get(BOARDED, 0) > used.get(ALIGHTED, 0):
        return Free("Tapped in.", inputs={"boarded": used[BOARDED], "alighted": used.get(ALIGHTED, 0)})
    return Refusal(reason=reasons.NO_TICKET, message="With this card nobody has boarded, and it has no pass.")


def use_pass(ask: Ask, holder: Holder, view: View, tariff: Tariff) -> Free | Refusal:
    """A ride with a pass, where nobody taps out."""
    travel = in_force(ask, tariff)
    if isinstance(travel, Refusal):
        return travel
    stops = [str(ask.details[field]) for field in ("from_stop", "to_stop") if field in ask.details]
    own = [each for each in view.counters if each.cardholder_id == holder.cardholder_id]
    found = covering(held(own), tariff, ask.occurred_at, stops)
    if found is None:
        return Refusal(reason=reasons.NO_PASS, message="With this card nobody has a pass for this ride.")
    name = tariff.passes[found.product].product.name
    counters: tuple[CounterUse, ...] = ()
    if found.first_ride is not None:
        day = travel.rules.days.day_of(ask.occurred_at)
        counters = (CounterUse(rule=RIDDEN, period=day.isoformat(), amount=1),)
        first = min(found.first_ride.day or day, day)
        found = replace(found, last_day=replace(found.first_ride, day=first).last_day)
    return Free(f"{name}, to {found.last_day}.", counters, {"pass": found.product})


def decided(ask: Ask, found: Free | Refusal, holder: Holder, tariff: Tariff) -> Decision:
    """What costs nothing as a decision; an advice is always approved, and a refusal becomes its flag."""
    if isinstance(found, Free) and ask.amount_minor:
        found = Refusal(reason=reasons.AMOUNT_UNEXPECTED, message="A tap has no amount: its day has one.")
    if isinstance(found, Free):
        return Decision(
            approved=True,
            reason=APPROVED,
            message=found.message,
            counters=found.counters,
            inputs=dict(found.inputs or {}),
        )
    if ask.kind is AskKind.REQUEST:
        return Decision(approved=False, reason=found.reason, message=found.message, inputs=found.data)
    return as_told(ask, found, holder, tariff)


def as_told(ask: Ask, found: Refusal, holder: Holder, tariff: Tariff) -> Decision:
    """An advice that would have been refused: posted as signed, and rated if it is a tap of this tariff."""
    amount_minor = 0 if found.reason == reasons.CURRENCY_MISMATCH else ask.amount_minor or 0
    inputs: dict[str, object] = {"refused": found.reason, **found.data}
    if ask.action in (TAP_IN, TAP_OUT):
        # Somebody was carried: the day is priced with it, at the maximum where it leads nowhere.
        inputs |= kept(ask, holder.category, tariff)
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed.",
        amount_minor=amount_minor,
        lines=(Line(label=ask.action, amount_minor=amount_minor),) if amount_minor else (),
        flags=(found.reason,),
        inputs=inputs,
    )
