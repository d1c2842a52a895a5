"""A menu as people compare it: what there is, at which services, for how much, and its allergens."""

from collections.abc import Iterator

from cardservice.money import format_minor
from cardservice.services.meals.menu import Item, Menu
from cardservice.services.price_lists import Listed


def price_list(menu: Menu) -> tuple[Listed, ...]:
    """Everything that the menu says, a line each."""
    return tuple(_lines(menu))


def _lines(menu: Menu) -> Iterator[Listed]:
    yield Listed("the menu's days", f"{menu.first_day} to {menu.last_day} ({menu.zone.key})")
    yield Listed("prices without a connection hold for", f"{menu.offline_quote_hours} hours")
    for key, label in menu.services.items():
        yield Listed(f"service {key}", label)
    for dated in menu.items.values():
        for item in dated:
            # One key can be two things, at two services or on two days.
            for service in sorted(item.services):
                yield from _item(menu, item, f"{item.key} at {service}, from {item.first_day}")


def _item(menu: Menu, item: Item, name: str) -> Iterator[Listed]:
    yield Listed(name, f"{format_minor(item.price_minor, menu.currency)} {menu.currency}")
    yield Listed(f"{name}, is", f"{item.label} ({item.category}), until {item.last_day}")
    yield Listed(f"{name}, contains", ", ".join(item.contains) or "no allergen")
    yield Listed(f"{name}, may contain", ", ".join(item.may_contain) or "no other allergen")
