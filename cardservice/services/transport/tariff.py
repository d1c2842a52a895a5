"""A compiled tariff: stops, areas and leg rules laid out so that one leg is priced by a few look-ups."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product as combinations
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from cardservice.services.taxes import Taxes, taxes_from
from cardservice.services.transport.changing import Changing, changing_from
from cardservice.services.transport.concessions import Boarding, Concession, concessions_from
from cardservice.services.transport.journeys import Rules
from cardservice.services.transport.timeframes import Timeframes, timeframes_from
from cardservice.services.transport.travel import rules_from

Ends = tuple[str | None, str | None, str | None]  # network, departure area, arrival area; None is empty
_COLUMNS = ("network_id", "from_area_id", "to_area_id")
_FRAME_COLUMNS = ("from_timeframe_group_id", "to_timeframe_group_id")
# Ours: of the stored content; the second has timeframes, joins or transfers, which a reader of the first
# would price wrongly without.
FORMAT, FORMAT_CHANGING = 1, 2

# What there is a tax on: a ride that is paid on boarding, a day of taps, a pass.
SINGLE_FARES, DAYS, PASSES = TAXED = ("single-fares", "days", "passes")

# Ours: a feed may have more kinds of ride than is worth remembering.
_MOST_COSTS = 50_000

Key = TypeVar("Key", bound=Hashable)


class _Unknown:
    """That nothing is known of a leg yet; None is that it has no fare."""


_UNKNOWN = _Unknown()


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of fare_leg_rules.txt; None is an empty field, and `line` says where the row is."""

    line: int
    group: str | None
    network: str | None
    from_area: str | None
    to_area: str | None
    product: str
    priority: int
    from_timeframe: str | None = None
    to_timeframe: str | None = None

    @property
    def label(self) -> str:
        """How people find it again: its group, and its line in the file."""
        where = f"fare_leg_rules.txt:{self.line}"
        return f"{self.group} ({where})" if self.group else where


@dataclass(frozen=True, slots=True)
class Product:
    """What the card can be charged: the price per rider category, under None the one for everybody."""

    name: str
    prices: Mapping[str | None, int]


# Ours: how far ahead a pass may begin, where its first day is chosen
AHEAD = timedelta(days=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What is bought once and holds for days or months; `zones` None: everywhere."""

    product: Product
    days: int | None
    months: int | None
    chosen: bool
    zones: frozenset[str] | None
    # It begins with its first ride, within so many days of its purchase; None: it does not.
    first_ride_days: int | None = None


@dataclass(frozen=True, slots=True)
class Travel:
    """What the map says of tapping in and out."""

    rules: Rules
    concessions: tuple[Concession, ...]

    def payer_for(self, boarding: Boarding) -> str | None:
        """The authority that pays for who boards so; None: it is no ride by a concession."""
        found = (each.payer_for(boarding) for each in self.concessions)
        return next((authority for authority in found if authority is not None), None)

    def payer_for_companion(self, boarding: Boarding) -> str | None:
        """The same for somebody who goes with the holder."""
        found = (each.payer_for_companion(boarding) for each in self.concessions)
        return next((authority for authority in found if authority is not None), None)


@dataclass(frozen=True, slots=True)
class Leg:
    """One ride: the areas of its two ends, and the network it is on, if that is known and counts.

    And the timeframes that it begins and ends in.
    """

    network: str | None
    from_areas: tuple[str, ...]
    to_areas: tuple[str, ...]
    from_timeframes: frozenset[str] = frozenset()
    to_timeframes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """A stop, as far as fares know it."""

    name: str
    areas: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tariff:
    """A stored tariff, prepared; immutable, and shared between threads.

    `listed` has, for networks, departure and arrival areas, what the rules name in that column.
    """

    version: str
    currency: str
    valid_from: datetime
    valid_until: datetime
    offline_quote_hours: int
    rider_categories: Mapping[str, str | None]
    default_rider: str | None
    places: Mapping[str, Place]
    areas: Mapping[str, str]
    routes: frozenset[str]
    route_networks: Mapping[str, str]
    products: Mapping[str, Product]
    rules: tuple[Rule, ...]
    has_priority: bool
    listed: tuple[frozenset[str], frozenset[str], frozenset[str]]
    # None where nobody taps in and out
    travel: Travel | None
    passes: Mapping[str, Pass]
    timeframes: Timeframes
    changing: Changing
    transfer_products: Mapping[str, Product]
    taxes: Taxes
    _by_ends: Mapping[Ends, tuple[Rule, ...]]
    _by_from: Mapping[str | None, tuple[Rule, ...]]
    _by_to: Mapping[str | None, tuple[Rule, ...]]
    # What legs were found to cost: a day's taps are the same few legs again and again.
    _costs: dict[Hashable, int | None] = field(default_factory=dict, compare=False, repr=False)

    def cost(self, leg: Hashable, find: Callable[[], int | None]) -> int | None:
        """What `find` says of a leg, which is always the same: it is mostly asked once."""
        known = self._costs.get(leg, _UNKNOWN)
        if not isinstance(known, _Unknown):
            return known
        if len(self._costs) >= _MOST_COSTS:
            self._costs.clear()
        found = self._costs[leg] = find()
        return found

    @property
    def needs_route(self) -> bool:
        """Whether a fare can depend on the route's network."""
        return bool(self.listed[0] or self.changing.joins)

    def match(self, leg: Leg) -> tuple[Rule, ...]:
        """The rules that apply to a leg, by fare_leg_rules.txt, "To process the cost of a leg".

        With a column `rule_priority`, an empty field does not count and the highest priority wins. Without,
        an empty field stands for what is not listed in its column; an empty timeframe never counts. There may
        be several rules left.
        """
        network, start, end = self._columns(leg)
        found = [
            rule
            for ends in combinations(network, start, end)
            for rule in self._by_ends.get(ends, ())
            if not _out_of_time(rule, leg)
        ]
        best = max((rule.priority for rule in found), default=0)
        return tuple(sorted((rule for rule in found if rule.priority == best), key=lambda rule: rule.line))

    def _choices(self, values: tuple[str, ...], listed: frozenset[str]) -> Iterator[str | None]:
        """What may stand in a rule's column for these values of the leg; None is the empty field."""
        named = [value for value in values if value in listed]
        yield from named
        if self.has_priority or not named:
            yield None

    def nearest(self, leg: Leg) -> tuple[Rule, list[str]] | None:
        """Of the rules that share an end with a leg (or of all) the one that differs least, and in what.

        Only for a leg that no rule matches. None where there are no rules.
        """
        _, starts, ends = self._columns(leg)
        near = [rule for area in starts for rule in self._by_from.get(area, ())]
        near += [rule for area in ends for rule in self._by_to.get(area, ())]
        ranked = [(len(self._differences(rule, leg)), rule.line, rule) for rule in near or self.rules[:1]]
        if not ranked:
            return None
        rule = min(ranked, key=lambda rank: rank[:2])[2]
        return rule, self._differences(rule, leg)

    def _differences(self, rule: Rule, leg: Leg) -> list[str]:
        wanted = (rule.network, rule.from_area, rule.to_area)
        columns = zip(_COLUMNS, wanted, self._columns(leg), strict=True)
        return [*(name for name, value, choices in columns if value not in choices), *_out_of_time(rule, leg)]

    def _columns(self, leg: Leg) -> tuple[tuple[str | None, ...], ...]:
        """For network, departure and arrival area: what a rule that matches the leg may have there."""
        networks = () if leg.network is None else (leg.network,)
        values = (networks, leg.from_areas, leg.to_areas)
        return tuple(tuple(self._choices(*column)) for column in zip(values, self.listed, strict=True))

    def price(self, product: str, rider: str | None) -> tuple[str | None, int] | None:
        """The price for a rider category, and for which category it is meant; None where it is not sold.

        The rider's own price comes before the price for everybody, and that before the default fare: a
        category that the feed has no price for pays what the default category pays.
        """
        return self.price_of(self.products.get(product), rider)

    def price_of(self, product: Product | None, rider: str | None) -> tuple[str | None, int] | None:
        """The same of a product itself."""
        prices = {} if product is None else product.prices
        for category in (rider, None, self.default_rider):
            if category in prices:
                return category, prices[category]
        return None


def _out_of_time(rule: Rule, leg: Leg) -> list[str]:
    """By which columns a rule is for another time than the leg's."""
    ends = (
        (_FRAME_COLUMNS[0], rule.from_timeframe, leg.from_timeframes),
        (_FRAME_COLUMNS[1], rule.to_timeframe, leg.to_timeframes),
    )
    return [name for name, wanted, groups in ends if wanted is not None and wanted not in groups]


def prepare(content: Mapping[str, Any]) -> Tariff:
    """The tariff of a stored content, as `compile.compile_tariff` wrote it; ValueError for another format."""
    if content["format"] not in (FORMAT, FORMAT_CHANGING):
        known = f"{FORMAT} and {FORMAT_CHANGING}"
        raise ValueError(f"the tariff is stored in format {content['format']}, and this reads {known}")
    rules = tuple(Rule(**rule) for rule in content["rules"])
    places = {stop: Place(place["name"], tuple(place["areas"])) for stop, place in content["stops"].items()}
    return Tariff(
        version=content["version"],
        currency=content["currency"],
        valid_from=datetime.fromisoformat(content["valid_from"]),
        valid_until=datetime.fromisoformat(content["valid_until"]),
        offline_quote_hours=content["offline_quote_hours"],
        rider_categories=dict(content["rider_categories"]),
        default_rider=content["default_rider"],
        places=places,
        areas=dict(content["areas"]),
        routes=frozenset(content["routes"]),
        route_networks=dict(content["route_networks"]),
        products={product: _product(entry) for product, entry in content["products"].items()},
        rules=rules,
        has_priority=content["has_priority"],
        travel=_travel(content.get("travel"), places),
        passes={name: _pass(entry) for name, entry in content.get("passes", {}).items()},
        timeframes=timeframes_from(content.get("timeframes"), ZoneInfo(content["timezone"])),
        changing=changing_from(content),
        transfer_products={
            product: _product(entry) for product, entry in content.get("transfer_products", {}).items()
        },
        taxes=taxes_from(content),
        _by_ends=_grouped(rules, lambda rule: (rule.network, rule.from_area, rule.to_area)),
        _by_from=_grouped(rules, lambda rule: rule.from_area),
        _by_to=_grouped(rules, lambda rule: rule.to_area),
        listed=(
            frozenset(rule.network for rule in rules if rule.network is not None),
            frozenset(rule.from_area for rule in rules if rule.from_area is not None),
            frozenset(rule.to_area for rule in rules if rule.to_area is not None),
        ),
    )


def _product(entry: Mapping[str, Any]) -> Product:
    return Product(entry["name"], {price["rider"]: price["minor"] for price in entry["prices"]})


def _pass(entry: Mapping[str, Any]) -> Pass:
    return Pass(
        product=_product(entry),
        days=entry["days"],
        months=entry["months"],
        chosen=entry["activation"] == "chosen",
        first_ride_days=entry.get("first_ride_days"),
        zones=None if entry["zones"] is None else frozenset(entry["zones"]),
    )


def _travel(stored: Mapping[str, Any] | None, places: Mapping[str, Place]) -> Travel | None:
    if stored is None:
        return None
    areas = {stop: place.areas for stop, place in places.items()}
    return Travel(rules_from(stored, areas), concessions_from(stored))


def _grouped(rules: tuple[Rule, ...], key: Callable[[Rule], Key]) -> dict[Key, tuple[Rule, ...]]:
    groups: dict[Key, list[Rule]] = {}
    for rule in rules:
        groups.setdefault(key(rule), []).append(rule)
    return {name: tuple(group) for name, group in groups.items()}
