"""A small leisure tariff of the tests' own, and ways to write it down with something changed."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cardservice.services import discover
from cardservice.services.seam import LoadedTariff, Service

# June to December. The pool goes up on 1 October; it has sessions on 15 June, the gym has none.
TARIFF: dict[str, Any] = {
    "timezone": "Europe/London",
    "currency": "GBP",
    "first_day": "2026-06-01",
    "last_day": "2026-12-31",
    "groups": {"resident": ["adult"], "concession": ["young", "older"]},
    "activities": {"swim": "Swimming", "gym": "Gym"},
    "prices": [
        {"activity": "gym", "group": "standard", "price": "7.00"},
        {"activity": "gym", "group": "resident", "price": "5.00", "last_day": "2026-09-30"},
        {"activity": "gym", "group": "resident", "price": "5.50", "first_day": "2026-10-01"},
        {"activity": "gym", "group": "concession", "price": "0.00"},
        {"activity": "swim", "group": "standard", "price": "6.20"},
        {"activity": "swim", "group": "resident", "price": "4.20"},
        {"activity": "swim", "group": "concession", "price": "2.10"},
    ],
    "passes": [
        {
            "key": "gym-club",
            "label": "Gym club",
            "categories": ["member"],
            "activities": ["gym"],
            "first_day": "2026-01-01",
            "last_day": "2026-09-30",
            "visits": 2,
            "per": "day",
        },
        {
            "key": "visitor",
            "label": "Visitor card",
            "card_kinds": ["visitor"],
            "activities": ["swim"],
            "first_day": "2026-06-10",
            "last_day": "2026-06-20",
            "visits": 3,
            "per": "pass",
        },
    ],
    "products": [
        {
            "key": "ten-gyms",
            "label": "Ten gym visits",
            "activities": ["gym"],
            "visits": 10,
            "valid_days": 90,
            "price": "40.00",
            "last_day": "2026-09-30",
        }
    ],
    "sessions": [
        {
            "key": "early",
            "activity": "swim",
            "day": "2026-06-15",
            "starts": "11:00",
            "ends": "12:00",
            "places": 1,
        },
        {
            "key": "late",
            "activity": "swim",
            "day": "2026-06-15",
            "starts": "20:00",
            "ends": "21:00",
            "places": 2,
        },
    ],
}
Change = Callable[[dict[str, Any]], object]


def leisure() -> Service:
    """The service under test, found as the card service finds it."""
    return discover()["leisure"]


def written(folder: Path, change: Change | None = None) -> Path:
    """The tariff as a file, changed."""
    tariff = copy.deepcopy(TARIFF)
    if change is not None:
        change(tariff)
    path = folder / "leisure.json"
    path.write_text(json.dumps(tariff, indent=1), encoding="utf-8")
    return path


def load(folder: Path, change: Change | None = None) -> LoadedTariff:
    """The changed tariff, loaded."""
    return leisure().load([written(folder, change)], currency="GBP")
