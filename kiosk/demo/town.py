"""Ashcombe, as data: who lives there, who serves them, and with which terminals."""

import json
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "demo_data"

CURRENCY, TIMEZONE = "GBP", "Europe/London"
# How long the menu is in force: the demonstration is made anew each time.
MENU_DAYS = 60
MENU_SERVICES = ("break", "lunch")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a card. `key` names them to scripts."""

    key: str
    name: str
    category: str
    # Children pay from one purse with the rest of their family.
    family: bool = False
    form: str | None = None
    allergens: tuple[str, ...] = ()
    # What is paid in for them, and the most that they may spend at school in a day
    paid_in: str | None = None
    day_limit: str | None = None


@dataclass(frozen=True, slots=True)
class Terminal:
    """A registered terminal with the one reader that it has."""

    id: str
    provider: str
    role: str
    reader: str
    # "contact" or "contactless": which face a card shows there
    face: str
    # The most for one sale while it cannot ask, in minor units
    offline_limit_minor: int | None = None


PROVIDERS = {
    "ashcombe-council": "Ashcombe Council",
    "ashcombe-school": "Ashcombe Primary School",
    "vale-buses": "Vale Buses",
}

DESK = Terminal("desk-1", "ashcombe-council", "issuer", "Issuing desk", "contact")
BUS = Terminal("bus-12", "vale-buses", "validator", "Bus validator", "contactless", 500)
TILL = Terminal("till-1", "ashcombe-school", "till", "School till", "contactless", 1000)
KIOSK = Terminal("kiosk-1", "ashcombe-council", "kiosk", "Kiosk", "contactless")
TERMINALS = (DESK, BUS, TILL, KIOSK)

MORGAN = Person("morgan", "Morgan Reed", "adult", paid_in="20.00")
AVA = Person(
    "ava", "Ava Reed", "young", family=True, form="5B", allergens=("nuts", "sesame"), paid_in="60.00"
)
# His limit is below the price of every snack but fruit, toast and milk.
NOAH = Person("noah", "Noah Reed", "young", family=True, form="2A", day_limit="0.50")
SAM = Person("sam", "Sam Okoro", "adult", paid_in="10.00")
PEOPLE = (MORGAN, AVA, NOAH, SAM)


def portrait(person: Person) -> Path:
    """Their picture, a JPEG."""
    return DATA / "portraits" / f"{person.key}.jpg"


def trip() -> dict[str, str]:
    """The ride that the bus's validator sells."""
    return {str(key): str(value) for key, value in _json("trip.json").items()}


def menu(today: date) -> dict[str, Any]:
    """The school's menu, in force from today: what it offers at break and lunch, at any hour."""
    whole = _json("menu.json")
    items = [
        item | {"services": [key for key in item["services"] if key in MENU_SERVICES]}
        if "services" in item
        else item
        for item in whole["items"]
    ]
    return {
        **whole,
        "first_day": today.isoformat(),
        "last_day": (today + timedelta(days=MENU_DAYS)).isoformat(),
        "services": {key: whole["services"][key] for key in MENU_SERVICES},
        "items": [item for item in items if item.get("services") != []],
    }


def _json(name: str) -> dict[str, Any]:
    value = json.loads((DATA / name).read_text(encoding="utf-8"))
    if not isinstance(value, dict):
        raise TypeError(f"{name}: expected a JSON object")
    return value
