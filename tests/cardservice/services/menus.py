"""A small menu of the tests' own, and ways to write it down with something changed."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cardservice.services import discover
from cardservice.services.seam import LoadedTariff, Service

# A term from 1 September to 18 December. Pasta goes up on 1 November; soup is not offered in October.
MENU: dict[str, Any] = {
    "timezone": "Europe/London",
    "currency": "GBP",
    "first_day": "2026-09-01",
    "last_day": "2026-12-18",
    "services": {"break": "Morning break", "lunch": "Lunch"},
    "items": [
        {
            "key": "pasta",
            "label": "Pasta bake",
            "category": "main",
            "price": "2.50",
            "contains": ["gluten", "milk"],
            "may_contain": ["celery"],
            "services": ["lunch"],
            "last_day": "2026-10-31",
        },
        {
            "key": "pasta",
            "label": "Pasta bake",
            "category": "main",
            "price": "2.60",
            "contains": ["gluten", "milk"],
            "may_contain": [],
            "services": ["lunch"],
            "first_day": "2026-11-01",
        },
        {
            "key": "soup",
            "label": "Soup of the day",
            "category": "main",
            "price": "1.50",
            "contains": ["celery"],
            "may_contain": [],
            "last_day": "2026-09-30",
        },
        {
            "key": "soup",
            "label": "Soup of the day",
            "category": "main",
            "price": "1.50",
            "contains": ["celery"],
            "may_contain": [],
            "first_day": "2026-11-01",
        },
        {
            "key": "flapjack",
            "label": "Flapjack",
            "category": "snack",
            "price": "0.80",
            "contains": ["gluten"],
            "may_contain": ["nuts"],
        },
        {
            "key": "milk",
            "label": "Milk",
            "category": "drink",
            "price": "0.35",
            "contains": ["milk"],
            "may_contain": [],
        },
        {
            "key": "water",
            "label": "Water",
            "category": "drink",
            "price": "0.00",
            "contains": [],
            "may_contain": [],
        },
    ],
}
Change = Callable[[dict[str, Any]], object]


def meals() -> Service:
    """The service under test, found as the card service finds it."""
    return discover()["meals"]


def written(folder: Path, change: Change | None = None) -> Path:
    """The menu as a file, changed."""
    menu = copy.deepcopy(MENU)
    if change is not None:
        change(menu)
    path = folder / "menu.json"
    path.write_text(json.dumps(menu), encoding="utf-8")
    return path


def load(folder: Path, change: Change | None = None, *, currency: str = "GBP") -> LoadedTariff:
    """The changed menu, loaded."""
    return meals().load([written(folder, change)], currency=currency)
