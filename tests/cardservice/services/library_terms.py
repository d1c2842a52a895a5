"""Small terms of the tests' own, and ways to write them down with something changed."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cardservice.services import discover
from cardservice.services.library.terms import Terms
from cardservice.services.seam import LoadedTariff, Service

# June to December. Closed on Sundays and on the bank holiday of 31 August.
TERMS: dict[str, Any] = {
    "timezone": "Europe/London",
    "currency": "GBP",
    "first_day": "2026-06-01",
    "last_day": "2026-12-31",
    "hold_shelf_days": 7,
    "members": [
        {
            "key": "adult",
            "label": "Adult",
            "categories": ["adult", "older"],
            "loans": 3,
            "holds": 2,
            "overdue": 2,
            "blocked_from": "10.00",
            "pc_minutes": 120,
        },
        {
            "key": "young",
            "label": "Young reader",
            "categories": ["child", "pupil", "young"],
            "loans": 2,
            "holds": 1,
            "overdue": 2,
            "pc_minutes": 60,
        },
    ],
    "items": {"book": "Books", "film": "Films"},
    "lending": [
        {
            "members": "adult",
            "items": "book",
            "loans": 3,
            "days": 21,
            "renewals": 1,
            "fine_per_day": "0.25",
            "fine_cap": "2.00",
            "grace_days": 1,
        },
        {
            "members": "adult",
            "items": "film",
            "loans": 1,
            "days": 7,
            "fine_per_day": "1.00",
            "fine_cap": "5.00",
        },
        {"members": "young", "items": "book", "loans": 2, "days": 21, "renewals": 2},
        {"members": "young", "items": "film", "loans": 0, "days": 7},
    ],
    "closed_weekdays": ["sunday"],
    "closed_days": ["2026-08-31"],
}
Change = Callable[[dict[str, Any]], object]


def library() -> Service:
    """The service under test, found as the card service finds it."""
    return discover()["library"]


def written(folder: Path, change: Change | None = None) -> Path:
    """The terms as a file, changed."""
    terms = copy.deepcopy(TERMS)
    if change is not None:
        change(terms)
    path = folder / "library.json"
    path.write_text(json.dumps(terms, indent=1), encoding="utf-8")
    return path


def load(folder: Path, change: Change | None = None) -> LoadedTariff:
    """The changed terms, loaded."""
    return library().load([written(folder, change)], currency="GBP")


def prepared(folder: Path, change: Change | None = None) -> Terms:
    """The changed terms, prepared."""
    terms = library().prepare(load(folder, change).content)
    assert isinstance(terms, Terms)
    return terms
