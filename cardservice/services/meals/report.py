"""What a person should know of a menu that was loaded: what it holds, and what may be an oversight."""

from collections.abc import Iterator
from itertools import pairwise

from cardservice.services.meals.menu import Menu


def report_of(menu: Menu) -> Iterator[str]:
    """A sentence each."""
    items = [item for dated in menu.items.values() for item in dated]
    yield (
        f"{len(menu.items)} items for {', '.join(sorted(menu.services))} in {menu.currency};"
        f" valid from {menu.first_day} to {menu.last_day} ({menu.zone.key})"
    )
    if menu.programmes:
        yield f"programmes that pay: {', '.join(sorted({each.key for each in menu.programmes}))}"
    if not any(item.is_main for item in items):
        yield "no item is a main meal: nothing is given where the money does not reach"
    bare = sorted({item.key for item in items if not (item.contains or item.may_contain)})
    if bare:
        yield f"declared without any allergen: {', '.join(bare)}"
    for key, dated in sorted(menu.items.items()):
        for before, after in pairwise(sorted(dated, key=lambda item: item.first_day)):
            if (after.first_day - before.last_day).days > 1:
                yield f"{key}: not offered between {before.last_day} and {after.first_day}"
