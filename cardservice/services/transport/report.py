"""What a person who loads a feed is told: what counts, what does not, and what looks odd."""

from collections.abc import Iterable, Iterator

from cardservice.services.transport.ambiguity import Coverage
from cardservice.services.transport.archive import printable
from cardservice.services.transport.feed import Feed
from cardservice.services.transport.mapping import CardMap
from cardservice.services.transport.tariff import Tariff

_MAX_NAMES = 20
_REASONS = {
    "fare_attributes.txt": "fares are read from the newer fare_products.txt and fare_leg_rules.txt",
    "fare_rules.txt": "fares are read from the newer fare_products.txt and fare_leg_rules.txt",
}


def report(feed: Feed, card_map: CardMap, tariff: Tariff, coverage: Coverage) -> Iterator[str]:
    """The report's lines."""
    yield (
        f"{len(tariff.places)} stops in {len(tariff.areas)} areas, {len(tariff.rules)} leg rules,"
        f" {len(tariff.products)} single fares in {tariff.currency};"
        f" valid from {feed.first_day} to {feed.last_day} ({feed.zone.key})"
    )
    yield from _several_legs(tariff)
    default, rider = card_map.default_category, tariff.default_rider
    if rider is not None:
        yield f"who is in no category listed pays as {_named(default)}: {_named(feed.riders[rider])}"
        if feed.default_rider not in (None, rider):
            yield f"the feed itself calls rider category {_named(feed.default_rider)} the default"
    yield from _not_payable(feed, tariff)
    if not coverage.checked:
        yield f"{coverage.legs} kinds of ride are too many to look for two prices: one that has is refused"
    elif coverage.without_fare:
        yield f"{coverage.without_fare} of {coverage.legs} kinds of ride have no fare and will be refused"
    for name in feed.passed_over:
        reason = _REASONS.get(name, "a single fare does not depend on it")
        yield f"{printable(name)}: passed over: {reason}"


def _several_legs(tariff: Tariff) -> Iterator[str]:
    changing = tariff.changing
    if changing:
        yield (
            f"{len(changing.transfers)} transfer rules and {len(changing.joins)} join rules, for who taps in"
            " and out; a single fare is one leg"
        )


def _not_payable(feed: Feed, tariff: Tariff) -> Iterator[str]:
    with_rule = {rule.product for rule in tariff.rules}
    others = sorted({price.product for price in feed.prices} - with_rule)
    if others:
        yield f"products without a leg rule, not sold as single fares: {_list(others)}"
    unsold = sorted(with_rule - set(tariff.products))
    if unsold:
        yield f"products of leg rules that the card cannot pay: {_list(unsold)}"


def _list(names: Iterable[str]) -> str:
    shown = [_named(name) for name in names]
    more = len(shown) - _MAX_NAMES
    return ", ".join(shown[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def _named(name: str | None) -> str:
    return printable(name or "")
