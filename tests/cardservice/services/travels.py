"""The tests' feed with a map that says how taps are charged, and what passes there are."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cardservice.services.seam import LoadedTariff
from tests.cardservice.services.feeds import FEED, load

# Bank holidays of England and Wales; the calendar ends with the feed's own year.
TRAVEL: dict[str, Any] = {
    "day_starts": "04:30",
    "incomplete": "3.00",
    "longest_minutes": 180,
    "passback_minutes": 5,
    "hopper_minutes": 0,
    "caps": [
        {"period": "day", "amount": "3.50"},
        {"period": "week", "amount": "9.00"},
        {"period": "day", "amount": "2.00", "operator": "trams"},
        {"period": "day", "amount": "1.60", "zones": ["a", "b"]},
    ],
    "single_maxima": [{"first_day": "2026-07-01", "last_day": "2026-12-31", "amount": "1.50"}],
    "concessions": [
        {
            "authority": "vale",
            "categories": ["older"],
            "starts": "09:30",
            "ends": "23:00",
            "bank_holidays": ["2026-05-04", "2026-05-25", "2026-08-31", "2026-12-25", "2026-12-28"],
            "calendar_until": "2026-11-30",
        }
    ],
}
PASSES: list[dict[str, Any]] = [
    {"product": "month", "months": 1},
    {"product": "week-a", "days": 7, "activation": "chosen", "zones": ["a"]},
    {"product": "three", "days": 3, "activation": "first-ride", "within_days": 14},
]
PRODUCTS = (
    FEED["fare_products.txt"]
    + "month,Month,adult,card,40.00,GBP\nmonth,Month,young,card,20.00,GBP\n"
    + "week-a,Week in Alder,,card,9.00,GBP\nthree,Three days,,card,8.00,GBP\n"
)


def travel(**changes: object) -> dict[str, Any]:
    """`travel` with some of it changed."""
    return {**copy.deepcopy(TRAVEL), **changes}


def load_travel(
    folder: Path,
    *,
    feed: Mapping[str, str | bytes | None] | None = None,
    card_map: Mapping[str, object] | None = None,
) -> LoadedTariff:
    """The feed with passes, and the map with `travel`, some of either changed."""
    files = {"fare_products.txt": PRODUCTS, **(feed or {})}
    return load(folder, files, card_map={"travel": travel(), "passes": PASSES, **(card_map or {})})
