"""From a feed and a map to the content that is stored: only what a fare depends on, and nothing ambiguous."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from cardservice.services.seam import LoadedTariff
from cardservice.services.taxes import stored_taxes
from cardservice.services.transport.ambiguity import check_unambiguous
from cardservice.services.transport.changing import stored_joins, stored_transfers
from cardservice.services.transport.feed import Feed, Price
from cardservice.services.transport.mapping import CardMap
from cardservice.services.transport.report import report
from cardservice.services.transport.rows import Row
from cardservice.services.transport.tariff import FORMAT, FORMAT_CHANGING, TAXED, prepare
from cardservice.services.transport.timeframes import stored_timeframes
from cardservice.services.transport.travel import stored_passes, stored_travel

_TIMEFRAMES = ("from_timeframe_group_id", "to_timeframe_group_id")


def compile_tariff(feed: Feed, card_map: CardMap, currency: str) -> LoadedTariff:
    """The tariff to store; raises TariffError where the map does not fit the feed or a leg has two prices."""
    _check_map(feed, card_map)
    products = _products(feed, card_map)
    content: dict[str, Any] = {
        "format": FORMAT,
        "currency": currency,
        "timezone": feed.zone.key,
        "valid_from": feed.valid_from.isoformat(),
        "valid_until": feed.valid_until.isoformat(),
        "offline_quote_hours": card_map.offline_quote_hours,
        "rider_categories": dict(card_map.rider_categories),
        "default_rider": card_map.rider_categories[card_map.default_category],
        "stops": {
            stop: {"name": place.name, "areas": list(place.areas)}
            for stop, place in feed.places.stops.items()
        },
        "areas": dict(feed.places.areas),
        "routes": sorted(feed.places.routes),
        "route_networks": dict(feed.places.route_networks),
        "products": products,
        "rules": [_rule(row) for row in feed.rules],
        "has_priority": feed.has_priority,
    }
    # Only where the map says them: a feed and map that do not are the version that they always were.
    if (travel := stored_travel(card_map.sheet, feed, currency)) is not None:
        content["travel"] = travel
    if passes := stored_passes(card_map.sheet, feed, card_map.fare_medium):
        content["passes"] = passes
    content |= _changing(feed, card_map)
    content |= stored_taxes(card_map.sheet, TAXED, None)
    content["version"] = _version(feed, content)
    tariff = prepare(content)
    check = check_unambiguous(tariff)
    return LoadedTariff(
        version=content["version"],
        valid_from=feed.valid_from,
        content=content,
        report=tuple(report(feed, card_map, tariff, check)),
    )


def _check_map(feed: Feed, card_map: CardMap) -> None:
    medium = card_map.fare_medium
    if medium is not None and medium not in feed.media:
        raise card_map.error(f"fare_medium: the feed has no fare medium {medium!r}")
    for category, rider in card_map.rider_categories.items():
        if rider is None and feed.riders:
            raise card_map.error(f"rider_categories: {category!r} needs one of the feed's rider categories")
        if rider is not None and rider not in feed.riders:
            reason = f"rider_categories: the feed has no rider category {rider!r}, which {category!r} names"
            raise card_map.error(reason)
    with_rule = {row.values["fare_product_id"] for row in feed.rules}
    for product in sorted(card_map.single_fare_products or ()):
        if product not in with_rule:
            raise card_map.error(f"single_fare_products: no leg rule of the feed names {product!r}")


def _products(feed: Feed, card_map: CardMap) -> dict[str, Any]:
    products: dict[str, Any] = {}
    for price in _sold(feed, card_map):
        if price.amount_minor < 0:
            raise price.row.error("amount: is below zero, and a leg rule names it as the fare of a ride")
        entry = products.setdefault(price.product, {"name": price.name, "prices": []})
        entry["prices"].append({"rider": price.rider_category, "minor": price.amount_minor})
    if not products:
        medium = card_map.fare_medium
        on = "without a fare medium" if medium is None else f"on fare medium {medium!r}"
        raise card_map.error(f"fare_medium: no product of a leg rule is sold {on}")
    return products


def _changing(feed: Feed, card_map: CardMap) -> dict[str, Any]:
    """What several legs and times of the day need; nothing where the feed says nothing of them."""
    content: dict[str, Any] = {}
    if any(row.values.get(column) for row in feed.rules for column in _TIMEFRAMES):
        content["timeframes"] = stored_timeframes(feed.timeframes)
    if feed.joins:
        content["joins"] = stored_joins(feed.joins)
    if feed.transfers:
        content["transfers"] = stored_transfers(tuple(rule for _, rule in feed.transfers))
        content["transfer_products"] = _transfer_products(feed, card_map)
    return content | {"format": FORMAT_CHANGING} if content else content


def _transfer_products(feed: Feed, card_map: CardMap) -> dict[str, Any]:
    """What changing costs; it may be below zero, as a reduction (fare_products.txt, amount)."""
    products: dict[str, Any] = {}
    for row, rule in feed.transfers:
        if rule.product is None or rule.product in products:
            continue
        prices = [
            price
            for price in feed.prices
            if (price.product, price.medium) == (rule.product, card_map.fare_medium)
        ]
        if not prices:
            raise row.error(
                f"fare_product_id: the card cannot pay {rule.product!r}, by the map's fare_medium"
            )
        products[rule.product] = {
            "name": prices[0].name,
            "prices": [{"rider": price.rider_category, "minor": price.amount_minor} for price in prices],
        }
    return products


def _sold(feed: Feed, card_map: CardMap) -> Iterator[Price]:
    """The prices that the card can pay for a single ride."""
    with_rule = {row.values["fare_product_id"] for row in feed.rules}
    allowed = with_rule if card_map.single_fare_products is None else card_map.single_fare_products
    return (
        price for price in feed.prices if price.medium == card_map.fare_medium and price.product in allowed
    )


def _rule(row: Row) -> dict[str, Any]:
    values = row.values
    rule = {
        "line": row.line,
        "group": values.get("leg_group_id"),
        "network": values.get("network_id"),
        "from_area": values.get("from_area_id"),
        "to_area": values.get("to_area_id"),
        "product": values["fare_product_id"],
        "priority": values["rule_priority"],
    }
    # A rule for any time is stored as it always was.
    for name, column in zip(("from_timeframe", "to_timeframe"), _TIMEFRAMES, strict=True):
        if column in values:
            rule[name] = values[column]
    return rule


def _version(feed: Feed, content: Mapping[str, Any]) -> str:
    """First day and a hash of the content: the same wherever, whenever and however it is read."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    return f"{feed.first_day:%Y%m%d}-{hashlib.sha256(canonical).hexdigest()[:24]}"
