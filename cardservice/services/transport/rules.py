"""The rules of a single fare: pure functions of the ask, the person's category and the tariff."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cardservice.services.seam import APPROVED, Ask, AskKind, Decision, Holder, Line, Quote, Refusal
from cardservice.services.transport.ambiguity import Offer, offers
from cardservice.services.transport.reasons import (
    AMOUNT_MISSING,
    CURRENCY_MISMATCH,
    FARE_AMBIGUOUS,
    NO_FARE,
    PRICE_CHANGED,
    REASONS,
    ROUTE_REQUIRED,
    ROUTE_UNKNOWN,
    STOP_UNKNOWN,
    TARIFF_EXPIRED,
    TARIFF_NOT_YET_VALID,
)
from cardservice.services.transport.tariff import SINGLE_FARES, Leg, Place, Rule, Tariff

# Ours: long enough to present a card, and not longer than a statement's time may be off.
QUOTE_VALIDITY = timedelta(minutes=5)

__all__ = ["QUOTE_VALIDITY", "REASONS", "decide", "fare_between", "quote"]


@dataclass(frozen=True, slots=True)
class _Ride:
    origin: Place
    destination: Place
    leg: Leg


def quote(ask: Ask, holder: Holder | None, tariff: Tariff) -> Quote | Refusal:
    """The fare of a ride; without a holder, the default category's."""
    offer = _price(ask, holder, tariff)
    if isinstance(offer, Refusal):
        return offer
    validity = timedelta(hours=tariff.offline_quote_hours) if ask.offline else QUOTE_VALIDITY
    return Quote(
        amount_minor=offer.amount_minor,
        currency=tariff.currency,
        tariff_version=tariff.version,
        valid_until=min(ask.occurred_at + validity, _holds_until(ask.occurred_at, tariff)),
        lines=(_line(offer, None if holder is None else holder.category, tariff),),
    )


def _holds_until(moment: datetime, tariff: Tariff) -> datetime:
    """How long the fares of a moment hold: until the next timeframe, or the tariff's end."""
    change = tariff.timeframes.next_change(moment)
    return tariff.valid_until if change is None else min(change, tariff.valid_until)


def decide(ask: Ask, holder: Holder, tariff: Tariff) -> Decision:
    """A request is approved at today's fare or not at all; an advice as it was signed, with flags."""
    offer = _price(ask, holder, tariff)
    if isinstance(offer, Offer) and ask.amount_minor is None:
        offer = Refusal(reason=AMOUNT_MISSING, message="A single fare is priced before it is signed.")
    if isinstance(offer, Refusal):
        if ask.kind is AskKind.ADVICE:
            return _as_signed(
                ask, offer.reason, {"refused": offer.reason, **offer.data}, holder.category, tariff
            )
        return Decision(approved=False, reason=offer.reason, message=offer.message, inputs=offer.data)
    inputs = _inputs(ask, offer, tariff)
    if offer.amount_minor == ask.amount_minor:
        return Decision(
            approved=True,
            reason=APPROVED,
            message="Approved.",
            amount_minor=offer.amount_minor,
            lines=(_line(offer, holder.category, tariff),),
            inputs=inputs,
        )
    if ask.kind is AskKind.ADVICE:
        return _as_signed(ask, PRICE_CHANGED, inputs, holder.category, tariff)
    message = "The fare has changed since it was quoted. Ask for the price again."
    return Decision(approved=False, reason=PRICE_CHANGED, message=message, inputs=inputs)


def _price(ask: Ask, holder: Holder | None, tariff: Tariff) -> Offer | Refusal:
    if ask.currency != tariff.currency:
        return _currency_mismatch(ask, tariff)
    if ask.occurred_at >= tariff.valid_until:
        return Refusal(reason=TARIFF_EXPIRED, message="The fare table has expired. Load a newer one.")
    if ask.occurred_at < tariff.valid_from:
        return Refusal(reason=TARIFF_NOT_YET_VALID, message="The fare table is not in force yet.")
    ride = _ride(ask, tariff)
    if isinstance(ride, Refusal):
        return ride
    rider = tariff.default_rider
    if holder is not None:
        rider = tariff.rider_categories.get(holder.category, tariff.default_rider)
    return _single_offer(ride, rider, tariff)


def fare_between(
    tariff: Tariff,
    ends: tuple[str, str],
    route: str | None,
    category: str,
    times: tuple[datetime, datetime],
) -> Offer | Refusal:
    """The fare of a leg that was tapped, between two stops and moments, for a person of the category."""
    found = _ride_between(tariff, dict(zip(("from_stop", "to_stop"), ends, strict=True)), route, times)
    if isinstance(found, Refusal):
        return found
    rider = tariff.rider_categories.get(category, tariff.default_rider)
    return _single_offer(found, rider, tariff)


def _ride(ask: Ask, tariff: Tariff) -> _Ride | Refusal:
    stops = {field: str(ask.details[field]) for field in ("from_stop", "to_stop")}
    # It is paid on boarding, when nobody knows yet when it ends.
    return _ride_between(tariff, stops, ask.details.get("route"), (ask.occurred_at, ask.occurred_at))


def _ride_between(
    tariff: Tariff, stops: Mapping[str, str], route: object | None, times: tuple[datetime, datetime]
) -> _Ride | Refusal:
    ends = []
    for field, stop in stops.items():
        if stop not in tariff.places:
            message = f"The fare table has no stop {stop[:60]!r}."
            return Refusal(reason=STOP_UNKNOWN, message=message, data={"field": field})
        ends.append(tariff.places[stop])
    if route is not None and route not in tariff.routes:
        message = f"The fare table has no route {str(route)[:60]!r}."
        return Refusal(reason=ROUTE_UNKNOWN, message=message, data={"field": "route"})
    if route is None and tariff.needs_route:
        message = "The fare depends on the route. Send it with the stops."
        return Refusal(reason=ROUTE_REQUIRED, message=message, data={"field": "route"})
    network = tariff.route_networks.get(str(route)) if tariff.needs_route else None
    origin, destination = ends
    departs, arrives = (tariff.timeframes.at(moment) for moment in times)
    return _Ride(origin, destination, Leg(network, origin.areas, destination.areas, departs, arrives))


def _single_offer(ride: _Ride, rider: str | None, tariff: Tariff) -> Offer | Refusal:
    rules = tariff.match(ride.leg)
    found = offers(tariff, rules, rider)
    if not found:
        return _no_fare(ride, rules, tariff)
    for other in found[1:]:
        if other.amount_minor != found[0].amount_minor:
            labels = [found[0].rule.label, other.rule.label]
            message = f"The fare table has two prices for this ride, by {labels[0]} and {labels[1]}."
            return Refusal(reason=FARE_AMBIGUOUS, message=message, data={"rules": labels})
    return found[0]


def _no_fare(ride: _Ride, matched: tuple[Rule, ...], tariff: Tariff) -> Refusal:
    """Refused with the rule that was nearest, so that whoever keeps the feed sees what is missing."""
    start = f"The fare table has no fare from {_described(ride.origin, tariff)}"
    start += f" to {_described(ride.destination, tariff)}"
    if matched:
        rule, differs = matched[0], ["fare_product_id"]
        message = f"{start} that this card can pay: {rule.label} asks for {rule.product!r}."
    elif (near := tariff.nearest(ride.leg)) is not None:
        rule, differs = near
        message = f"{start}. The nearest rule is {rule.label}, which differs in {' and '.join(differs)}."
    else:
        return Refusal(reason=NO_FARE, message=f"{start}.")
    data = {"nearest_rule": rule.label, "line": rule.line, "differs": differs}
    return Refusal(reason=NO_FARE, message=message, data=data)


def _described(place: Place, tariff: Tariff) -> str:
    areas = ", ".join(tariff.areas[area] for area in place.areas)
    return f"{place.name} ({areas or 'no area'})"


def _currency_mismatch(ask: Ask, tariff: Tariff) -> Refusal:
    message = f"The amount is in {ask.currency[:10]}, the fares are in {tariff.currency}."
    return Refusal(reason=CURRENCY_MISMATCH, message=message)


def _as_signed(
    ask: Ask, flag: str, inputs: dict[str, object], category: str | None, tariff: Tariff
) -> Decision:
    """The ride was given: what the card signed is owed, and what is odd about it is for people to look at.

    In another currency nothing can be posted: the scheme's accounts do not have that unit.
    """
    amount_minor = 0 if flag == CURRENCY_MISMATCH else ask.amount_minor or 0
    line = Line(label="Single fare", amount_minor=amount_minor)
    return Decision(
        approved=True,
        reason=APPROVED,
        message="Posted as it was signed.",
        amount_minor=amount_minor,
        lines=(tariff.taxes.put_on(line, SINGLE_FARES, category),),
        flags=(flag,),
        inputs=inputs | {"signed_tariff_version": ask.tariff_version},
    )


def _inputs(ask: Ask, offer: Offer, tariff: Tariff) -> dict[str, object]:
    return {
        "rule": offer.rule.label,
        "product": offer.rule.product,
        "rider_category": offer.category,
        "priced_minor": offer.amount_minor,
        "tariff_version": tariff.version,
        "signed_tariff_version": ask.tariff_version,
    }


def _line(offer: Offer, category: str | None, tariff: Tariff) -> Line:
    name = tariff.products[offer.rule.product].name
    line = Line(label=name, amount_minor=offer.amount_minor, product=offer.rule.product)
    return tariff.taxes.put_on(line, SINGLE_FARES, category)
