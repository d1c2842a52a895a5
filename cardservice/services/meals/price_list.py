"""A menu as people compare it: what there is, at which services, for how much, and its allergens."""

from collections.abc import Collection, Iterator

from cardservice.money import format_minor
from cardservice.services.funded import Programme
from cardservice.services.meals.calendar import WEEKDAYS
from cardservice.services.meals.deals import Deal
from cardservice.services.meals.menu import Item, Menu
from cardservice.services.price_lists import Listed


def price_list(menu: Menu) -> tuple[Listed, ...]:
    """Everything that the menu says, a line each."""
    return tuple(_lines(menu))


def _lines(menu: Menu) -> Iterator[Listed]:
    yield Listed("the menu's days", f"{menu.first_day} to {menu.last_day} ({menu.zone.key})")
    yield Listed("prices without a connection hold for", f"{menu.offline_quote_hours} hours")
    yield from _calendar(menu)
    yield from _rules(menu)
    for key, label in menu.services.items():
        yield Listed(f"service {key}", label)
    for dated in menu.items.values():
        for item in dated:
            # One key can be two things, at two services or on two days.
            for service in sorted(item.services):
                yield from _item(menu, item, f"{item.key} at {service}, from {_when(item)}")
    for deal in menu.deals:
        yield from _deal(menu, deal)
    for number, tax in enumerate(menu.taxes, 1):
        whose, what = _or_all(tax.buyers), _or_all(tax.categories)
        said = f"{tax.code}, {tax.rate_bp / 100:g} % (sold as {tax.role} to {whose}: {what})"
        yield Listed(f"tax {number}", said)
    for programme in menu.programmes:
        yield from _programme(menu, programme)


def _calendar(menu: Menu) -> Iterator[Listed]:
    yield Listed("weeks of the cycle", str(menu.calendar.weeks))
    for term in menu.calendar.terms:
        said = f"until {term.last_day}, its first week is week {term.week}"
        yield Listed(f"term from {term.first_day}", said)
    for day in sorted(menu.calendar.closed):
        yield Listed(f"closed on {day}", "no school")


def _rules(menu: Menu) -> Iterator[Listed]:
    limit_minor = menu.arrears_limit_minor
    yield Listed("the most that may be owed", "any" if limit_minor is None else _money(menu, limit_minor))
    yield Listed("a second main meal", "is asked about" if menu.second_meal_warning else "is sold")
    yield Listed("allergens of a holder", "stop a sale" if menu.allergen_stop else "are the till's to show")
    until = menu.order_until
    yield Listed("orders for a day end", "when it begins" if until is None else f"at {until:%H:%M}")
    if menu.supplier_role:
        yield Listed("meals are sold as", menu.supplier_role)


def _when(item: Item) -> str:
    """From when on, and in which weeks on which days, where not in all."""
    weeks = f", in weeks {', '.join(map(str, sorted(item.weeks)))}" if item.weeks else ""
    days = f", on {', '.join(WEEKDAYS[day] for day in sorted(item.weekdays))}" if item.weekdays else ""
    return f"{item.first_day}{weeks}{days}"


def _deal(menu: Menu, deal: Deal) -> Iterator[Listed]:
    name = f"deal {deal.key}"
    parts = " and ".join(" or ".join(sorted(part.items | part.categories)) for part in deal.parts)
    yield Listed(name, f"{_money(menu, deal.price_minor)} for {parts}")
    yield Listed(f"{name}, is", f"{deal.label}, at {', '.join(sorted(deal.services))}")
    for buyer, price_minor in sorted(deal.prices.items()):
        yield Listed(f"{name}, for {buyer}", _money(menu, price_minor))


def _programme(menu: Menu, programme: Programme) -> Iterator[Listed]:
    name = f"programme {programme.key}, from {programme.first_day}"
    yield Listed(name, f"{_money(menu, programme.amount_minor)} a day, paid by {programme.funder}")
    adds = ", added to others" if programme.adds else ""
    yield Listed(f"{name}, precedence", f"{programme.precedence}{adds}")
    years = f"years {', '.join(sorted(programme.years))}" if programme.years else "all years"
    yield Listed(f"{name}, is for", f"{years} at {', '.join(sorted(programme.services))}")
    yield Listed(f"{name}, is", f"{programme.label} ({programme.nation}), until {programme.last_day}")


def _or_all(names: Collection[str]) -> str:
    return " or ".join(sorted(names)) or "all"


def _money(menu: Menu, amount_minor: int) -> str:
    return f"{format_minor(amount_minor, menu.currency)} {menu.currency}"


def _item(menu: Menu, item: Item, name: str) -> Iterator[Listed]:
    yield Listed(name, _money(menu, item.price_minor))
    for buyer, price_minor in sorted(item.prices.items()):
        yield Listed(f"{name}, for {buyer}", _money(menu, price_minor))
    yield Listed(f"{name}, is", f"{item.label} ({item.category}), until {item.last_day}")
    if item.recipe:
        yield Listed(f"{name}, recipe", item.recipe)
    if item.diets:
        yield Listed(f"{name}, suits", ", ".join(item.diets))
    yield Listed(f"{name}, contains", ", ".join(item.contains) or "no allergen")
    yield Listed(f"{name}, may contain", ", ".join(item.may_contain) or "no other allergen")
