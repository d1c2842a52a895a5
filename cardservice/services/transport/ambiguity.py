"""Whether every ride has one price: a tariff with two is refused when it is loaded, with both lines named."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import product as combinations

from cardservice.services.seam import TariffError
from cardservice.services.transport.tariff import Leg, Rule, Tariff

MAX_LEGS = 1_000_000  # ours: six seconds on two cores of 2026, where one rule matches each


@dataclass(frozen=True, slots=True)
class Offer:
    """A rule that applies, and what its product costs the rider; `category` is the one it is priced for."""

    rule: Rule
    category: str | None
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many kinds of ride there are, and how many of them have no fare; `checked` is False if too many."""

    legs: int
    without_fare: int
    checked: bool


def offers(tariff: Tariff, rules: tuple[Rule, ...], rider: str | None) -> tuple[Offer, ...]:
    """What the card can be charged for a ride by the rules that apply to it."""
    found = []
    for rule in rules:
        price = tariff.price(rule.product, rider)
        if price is not None:
            found.append(Offer(rule, *price))
    return tuple(found)


def check_unambiguous(tariff: Tariff) -> Coverage:
    """Look at every kind of ride that the feed's stops make possible; raises TariffError for two prices."""
    ends = sorted({place.areas for place in tariff.places.values()})
    networks = sorted(set(tariff.route_networks.values())) if tariff.needs_route else []
    departing, arriving = _times(tariff)
    count = len(ends) ** 2 * (len(networks) + 1) * len(departing) * len(arriving)
    if count > MAX_LEGS:
        return Coverage(count, 0, checked=False)
    riders = sorted({*tariff.rider_categories.values(), tariff.default_rider}, key=str)
    legs = (
        Leg(network, a, b, departs, arrives)
        for network, a, b, departs, arrives in combinations(
            (None, *networks), ends, ends, departing, arriving
        )
    )
    return Coverage(count, sum(_unpriced(tariff, riders, legs)), checked=True)


def _times(tariff: Tariff) -> tuple[tuple[frozenset[str], ...], tuple[frozenset[str], ...]]:
    """Which timeframes a ride can begin in, and end in, as far as rules name any."""
    ever = (frozenset[str](),)
    days = [
        moment.astimezone(tariff.timeframes.zone).date()
        for moment in (tariff.valid_from, tariff.valid_until - timedelta(seconds=1))
    ]
    held = tariff.timeframes.together(days[0], days[1])
    return (
        held if any(rule.from_timeframe for rule in tariff.rules) else ever,
        held if any(rule.to_timeframe for rule in tariff.rules) else ever,
    )


def _unpriced(tariff: Tariff, riders: list[str | None], legs: Iterator[Leg]) -> Iterator[bool]:
    for leg in legs:
        rules = tariff.match(leg)
        for rider in riders if len(rules) > 1 else ():
            found = offers(tariff, rules, rider)
            for other in found[1:]:
                if other.amount_minor != found[0].amount_minor:
                    raise _clash(found[0].rule, other.rule)
                if tariff.changing.transfers and other.rule.group != found[0].rule.group:
                    raise _two_groups(found[0].rule, other.rule)
        yield not offers(tariff, rules, tariff.default_rider)


def _clash(one: Rule, other: Rule) -> TariffError:
    reason = (
        f"gives another price than line {one.line} for the same ride ({other.product!r} and {one.product!r});"
        " if one of them is not a single fare, name those that are in the map's single_fare_products"
    )
    return TariffError("fare_leg_rules.txt", other.line, reason)


def _two_groups(one: Rule, other: Rule) -> TariffError:
    reason = f"is in another leg group than line {one.line} for the same ride: changing has two prices"
    return TariffError("fare_leg_rules.txt", other.line, reason)
