"""What a journey of several legs costs: legs that are joined to one, and changes that have a price.

A function of the legs, by fare_leg_join_rules.txt and fare_transfer_rules.txt, "To process the cost of a
multi-leg journey". Amounts are in minor units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cardservice.services.seam import Refusal
from cardservice.services.transport.ambiguity import Offer
from cardservice.services.transport.changing import Change, Cost, TransferRule
from cardservice.services.transport.journeys import LegFare
from cardservice.services.transport.rules import fare_between
from cardservice.services.transport.tariff import Tariff


@dataclass(frozen=True, slots=True)
class RiddenLeg:
    """From where to where somebody rode, on which route, and when."""

    start: str
    end: str
    route: str | None
    departs: datetime
    arrives: datetime

    @property
    def times(self) -> tuple[datetime, datetime]:
        """Its two ends."""
        return self.departs, self.arrives


@dataclass(frozen=True, slots=True)
class EffectiveLeg:
    """Legs that count as one, `count` of them."""

    ridden: RiddenLeg
    count: int


@dataclass(frozen=True, slots=True)
class PricedLeg:
    """An effective leg's own fare; None: the table has none. With the rule by which it was changed to."""

    leg: EffectiveLeg
    own: Offer | None
    transfer: TransferRule | None
    # Of this and the legs before it, since the last that was not changed to by a rule
    total_minor: int


def price_legs(tariff: Tariff, legs: Sequence[RiddenLeg], category: str) -> tuple[LegFare, ...]:
    """What each of a journey's legs adds to its price; all of them together cost what `priced` says.

    Where a later leg makes the journey cheaper than it was before, the earlier ones cost less: no leg costs
    less than nothing, and none is charged that another gives back.
    """
    found: list[LegFare] = []
    run: list[PricedLeg] = []
    for each in priced(tariff, legs, category):
        if each.transfer is None and run:
            found += _spread(run)
            run = []
        run.append(each)
    return (*found, *_spread(run))


def _spread(run: Sequence[PricedLeg]) -> Iterator[LegFare]:
    lowest_after = [min(each.total_minor for each in run[number:]) for number in range(len(run))]
    before_minor = 0
    for each, total_minor in zip(run, lowest_after, strict=True):
        amount_minor = None if each.own is None else total_minor - before_minor
        before_minor = total_minor
        changed = each.transfer is not None or each.leg.count > 1
        yield LegFare(amount_minor, changed)
        for _ in range(each.leg.count - 1):
            yield LegFare(0, changed)


def effective(tariff: Tariff, legs: Sequence[RiddenLeg]) -> Iterator[EffectiveLeg]:
    """The legs as fares know them: what a join rule joins begins with the first and ends with the last."""
    current: EffectiveLeg | None = None
    last: RiddenLeg | None = None
    for leg in legs:
        if current is None or last is None:
            current = EffectiveLeg(leg, 1)
        elif _joined(tariff, last, leg):
            whole = replace(current.ridden, end=leg.end, arrives=leg.arrives)
            current = EffectiveLeg(whole, current.count + 1)
        else:
            yield current
            current = EffectiveLeg(leg, 1)
        last = leg
    if current is not None:
        yield current


def _joined(tariff: Tariff, before: RiddenLeg, after: RiddenLeg) -> bool:
    one, other = (tariff.route_networks.get(str(leg.route)) for leg in (before, after))
    return any(rule.joins(one, before.end, other, after.start) for rule in tariff.changing.joins)


def priced(tariff: Tariff, legs: Sequence[RiddenLeg], category: str) -> Iterator[PricedLeg]:
    """Leg by leg, what it costs alone, how it was changed to, and what it costs with those before it."""
    rider = tariff.rider_categories.get(category, tariff.default_rider)
    before: PricedLeg | None = None
    changes = _Changes(tariff)
    for leg in effective(tariff, legs):
        ridden = leg.ridden
        found = fare_between(tariff, (ridden.start, ridden.end), ridden.route, category, ridden.times)
        own = None if isinstance(found, Refusal) else found
        rule = None if before is None else changes.rule(before, leg, own)
        total_minor = 0 if own is None else own.amount_minor
        if rule is not None and before is not None:
            first = before.transfer is None
            change_minor = _cost(tariff, rule, rider)
            total_minor = _total(rule.cost, before.total_minor, change_minor, total_minor, first=first)
        before = PricedLeg(leg, own, rule, total_minor)
        yield before


def _cost(tariff: Tariff, rule: TransferRule, rider: str | None) -> int:
    """fare_transfer_rules.txt, fare_product_id: where it is empty the change costs nothing."""
    if rule.product is None:
        return 0
    price = tariff.price_of(tariff.transfer_products[rule.product], rider)
    return 0 if price is None else price[1]


def _total(cost: Cost, before_minor: int, change_minor: int, own_minor: int, *, first: bool) -> int:
    """fare_transfer_rules.txt, fare_transfer_type: at the first change A, AB and B; then what there was, S.

    A reduction never makes it less than nothing; that is ours.
    """
    amounts = {
        Cost.WITHOUT_NEXT: before_minor + change_minor,
        Cost.WITH_BOTH: before_minor + change_minor + own_minor,
        Cost.ALONE: change_minor if first else before_minor + change_minor,
    }
    return max(0, amounts[cost])


class _Changes:
    """Which rule each change of a journey has: how often in a row it was of one kind, and since which leg."""

    def __init__(self, tariff: Tariff) -> None:
        self._changing = tariff.changing
        self._kind: Change | None = None
        self._number = 0
        self._first: RiddenLeg | None = None

    def rule(self, before: PricedLeg, leg: EffectiveLeg, own: Offer | None) -> TransferRule | None:
        kind = None
        if before.own is not None and own is not None:
            kind = self._changing.between(before.own.rule.group, own.rule.group)
        if kind is None or kind != self._kind or self._first is None:
            self._number, self._first = 0, before.leg.ridden
        self._kind = kind
        if kind is None:
            return None
        self._number += 1
        found = self._changing.rule(kind, self._number, self._first.times, leg.ridden.times)
        if found is None:
            # Not of that journey any more: the next change is the first again.
            self._kind = None
        return found
