"""What a terminal is told that it can sell: in the documented shape, to the roles that sell it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cardservice.api.fields import to_rfc3339
from tests.support.council import DEMO_DATA, Council, Terminal

URL = "/v1/catalogues/meals"
Menu = dict[str, Any]
Load = Callable[..., None]
JUNE = {"first_day": "2026-06-01", "last_day": "2026-06-30"}


@pytest.fixture
def till(council: Council) -> Terminal:
    """A till of a school, which may give away 10.00 offline."""
    council.provider("school-kitchen")
    return council.terminal("till-1", "till", provider="school-kitchen", offline_limit_minor=1000)


@pytest.fixture
def load(council: Council, tmp_path: Path) -> Load:
    """Load the demonstration's menu with something changed, a second after the one before."""

    def load(**changes: Any) -> None:
        menu = json.loads((DEMO_DATA / "menu.json").read_text(encoding="utf-8"))
        path = tmp_path / "menu.json"
        path.write_text(json.dumps({**menu, **changes}), encoding="utf-8")
        council.clock.advance(seconds=1)
        council.load_menu(path)

    return load


def test_a_catalogue(council: Council, till: Terminal) -> None:
    """Its frame, and an item with all that stands on a key."""
    council.load_menu()
    reply = till.get(URL)
    assert reply.status == 200
    [period] = reply.json.pop("periods")
    assert reply.json == {
        "service": "meals",
        "tariff_version": reply.json["tariff_version"],
        "currency": "GBP",
        "action": "sale",
        "valid_until": "2026-06-16T10:00:00.000Z",
        "offline_limit_minor": 1000,
    }
    assert (period["from"], period["until"]) == ("2026-06-15T10:00:00.000Z", "2026-06-16T10:00:00.000Z")
    sections = {section["key"]: section for section in period["sections"]}
    assert {key: section["label"] for key, section in sections.items()} == {
        "break": "Morning break",
        "breakfast": "Breakfast club",
        "lunch": "Lunch",
    }
    assert sections["lunch"]["items"][0] == {
        "key": "meal-pasta",
        "label": "Tomato pasta bake",
        "category": "main",
        "amount_minor": 260,
        "contains": ["gluten", "milk"],
        "may_contain": ["celery", "eggs"],
    }


def test_it_is_the_quotes_tariff(council: Council, till: Terminal) -> None:
    """What is asked for one by one has the same price and version."""
    council.load_menu()
    told = till.get(URL).json
    [lunch] = [section for section in told["periods"][0]["sections"] if section["key"] == "lunch"]
    for item in lunch["items"]:
        details = {"service": "lunch", "items": [{"item": item["key"], "quantity": 3}]}
        asked = {"service": "meals", "action": told["action"], "card": None, "details": details}
        quote = till.post("/v1/quotes", asked).json
        assert quote["amount_minor"] == 3 * item["amount_minor"]
        assert quote["tariff_version"] == told["tariff_version"]


@pytest.mark.parametrize("limit_minor", [None, 0, 500])
def test_the_limit_is_the_terminals(council: Council, till: Terminal, limit_minor: int | None) -> None:
    """Null: it may not serve offline."""
    council.load_menu()
    other = council.terminal("till-2", "till", provider="school-kitchen", offline_limit_minor=limit_minor)
    assert other.get(URL).json["offline_limit_minor"] == limit_minor


def test_hours_are_the_tariffs(council: Council, till: Terminal, load: Load) -> None:
    """Two hours, if the menu says so."""
    load(offline_quote_hours=2)
    assert till.get(URL).json["valid_until"] == "2026-06-15T12:00:01.000Z"


def test_another_menu_that_is_known_already_ends_it(council: Council, till: Terminal, load: Load) -> None:
    """From midnight on recipes may be others: what was told before says nothing of them."""
    load(**JUNE)
    load(**{**JUNE, "first_day": "2026-06-16"}, items=[_only_milk()])
    told = till.get(URL).json
    midnight = "2026-06-15T23:00:00.000Z"
    assert told["valid_until"] == midnight
    assert [(period["from"], period["until"]) for period in told["periods"]] == [
        (to_rfc3339(council.clock()), midnight)
    ]
    council.clock.advance(hours=13)
    after = till.get(URL).json
    assert after["tariff_version"] != told["tariff_version"]
    assert [[item["key"] for item in s["items"]] for s in after["periods"][0]["sections"]] == [["milk"]] * 3


def test_a_menu_that_begins_later_takes_nothing_away(council: Council, till: Terminal, load: Load) -> None:
    """Beyond the hours of the one in force it does not matter."""
    load(**JUNE)
    load(**{**JUNE, "first_day": "2026-06-17"})
    assert till.get(URL).json["valid_until"] == to_rfc3339(council.clock().replace(day=16))


def test_without_a_menu(council: Council, till: Terminal) -> None:
    """Not yet loaded."""
    assert till.get(URL).outcome == (422, "tariff_missing")


def test_a_menu_that_is_over(council: Council, till: Terminal, load: Load) -> None:
    """The service's own reason is the problem's code."""
    load(first_day="2026-05-01", last_day="2026-06-14")
    assert till.get(URL).outcome == (422, "tariff_expired")


def test_a_menu_that_has_not_begun(council: Council, till: Terminal, load: Load) -> None:
    """It is not in force, so there is none."""
    load(first_day="2026-06-16", last_day="2026-06-30")
    assert till.get(URL).outcome == (422, "tariff_missing")


def test_who_may_ask(council: Council, till: Terminal) -> None:
    """Roles of an action of the service; others learn nothing of what there is."""
    council.load_menu()
    bus, desk = council.terminal("bus-12"), council.terminal("desk-1", "issuer")
    assert bus.get(URL).outcome == (403, "role_not_allowed")
    assert desk.get(URL).outcome == (403, "role_not_allowed")
    assert till.get("/v1/catalogues/transport").outcome == (403, "role_not_allowed")
    assert till.get("/v1/catalogues/ferry").outcome == (403, "role_not_allowed")
    assert till.get("/v1/catalogues/").outcome == (404, "not_found")


def test_a_service_without_a_catalogue(council: Council) -> None:
    """A ride is asked for from stop to stop; that there are fares does not matter."""
    assert council.terminal("bus-12").get("/v1/catalogues/transport").outcome == (404, "catalogue_missing")


def _only_milk() -> Menu:
    return {
        "key": "milk",
        "label": "Carton of milk",
        "category": "drink",
        "price": "0.40",
        "contains": ["milk"],
        "may_contain": [],
    }
