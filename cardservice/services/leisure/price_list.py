"""A leisure tariff as people compare it: prices by group and day, passes, products, sessions."""

from collections.abc import Iterable, Iterator

from cardservice.money import format_minor
from cardservice.services.leisure.tariff import Dated, Tariff
from cardservice.services.price_lists import Listed
from cardservice.services.taxes import listed_taxes


def price_list(tariff: Tariff) -> tuple[Listed, ...]:
    """Everything that the tariff says, a line each."""
    return tuple(_lines(tariff))


def _lines(tariff: Tariff) -> Iterator[Listed]:
    yield Listed("the tariff's days", f"{_days(tariff)} ({tariff.zone.key})")
    yield Listed("prices without a connection hold for", f"{tariff.offline_quote_hours} hours")
    for category, group in tariff.groups.items():
        yield Listed(f"who is {category} pays", f"the {group} price")
    yield from listed_taxes(tariff.taxes)
    for key, label in tariff.activities.items():
        yield Listed(f"activity {key}", label)
    for (activity, group), prices in tariff.prices.items():
        for price in prices:
            what = f"{tariff.activities[activity]} ({activity}), {group}, from {price.first_day}"
            yield Listed(what, f"{_money(tariff, price.price_minor)} until {price.last_day}")
    yield from _passes(tariff)
    yield from _products(tariff)
    for session in tariff.sessions.values():
        times = f"{session.starts.astimezone(tariff.zone):%Y-%m-%d %H:%M} to"
        times = f"{times} {session.ends.astimezone(tariff.zone):%H:%M}"
        opens = f"{session.opens.astimezone(tariff.zone):%H:%M}"
        yield Listed(f"session {session.key}", f"{session.activity}, {times}, doors open at {opens}")
        yield Listed(f"session {session.key}, has", f"{session.places} places")


def _passes(tariff: Tariff) -> Iterator[Listed]:
    for one in tariff.passes:
        name = f"pass {one.label} ({one.key}), from {one.first_day}"
        yield Listed(name, f"{one.visits} visits by {one.per}, until {one.last_day}")
        yield Listed(f"{name}, for", _listed([*one.categories, *one.card_kinds]))
        yield Listed(f"{name}, good for", _listed(one.activities))


def _products(tariff: Tariff) -> Iterator[Listed]:
    for one in tariff.products.values():
        name = f"{one.label} ({one.key})"
        yield Listed(name, _money(tariff, one.price_minor))
        visits = f"{one.visits} visits within {one.valid_days} days"
        yield Listed(f"{name}, gives", f"{visits}, for {_listed(one.activities)}")
        yield Listed(f"{name}, sold", _days(one))


def _days(dated: Dated | Tariff) -> str:
    return f"{dated.first_day} to {dated.last_day}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "everybody"


def _money(tariff: Tariff, amount_minor: int) -> str:
    return f"{format_minor(amount_minor, tariff.currency)} {tariff.currency}"
