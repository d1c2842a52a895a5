"""What a whole menu and a file of programmes can say wrongly, each refused with its line and place."""

from pathlib import Path
from typing import Any

import pytest

from cardservice.services.meals.menu import Menu
from cardservice.services.price_lists import PriceListed
from cardservice.services.seam import TariffError
from tests.cardservice.services.meal_tariffs import Change, load, meals, written


def of_menu(**changes: object) -> Change:
    """Some of the menu's fields are changed."""
    return lambda menu: menu.update(changes)


def of_item(number: int, **changes: object) -> Change:
    """Some of an item's fields are changed."""
    return lambda menu: menu["items"][number].update(changes)


def of_deal(**changes: object) -> Change:
    """Some of the deal's fields are changed."""
    return lambda menu: menu["deals"][0].update(changes)


def of_programme(number: int, **changes: object) -> Change:
    """Some of a programme's fields are changed."""
    return lambda file: file["programmes"][number].update(changes)


def taxes(*rows: dict[str, Any]) -> Change:
    """Other rows of tax."""
    return of_menu(taxes=[{"code": "x", "rate": "20", "role": "authority", **row} for row in rows])


MENUS: dict[str, tuple[Change, str]] = {
    "a cycle of nothing": (of_menu(cycle_weeks=0), "cycle_weeks: "),
    "a cycle of a year": (of_menu(cycle_weeks=52), "cycle_weeks: "),
    "true weeks": (of_menu(cycle_weeks=True), "cycle_weeks: "),
    "a week beyond the cycle": (of_item(0, weeks=[3]), "items[0] (pasta): weeks: the cycle has 2 weeks"),
    "a week twice": (of_item(0, weeks=[1, 1]), "items[0] (pasta): weeks: names one twice"),
    "no such weekday": (of_item(0, weekdays=["monday"]), "items[0].weekdays[0]: 'monday' is none of"),
    "no such diet": (of_item(0, diets=["keto"]), "items[0].diets[0]: 'keto' is none of"),
    "a price of one's own of words": (
        of_item(0, prices={"staff": "much"}),
        "items[0] (pasta): prices: staff: 'much' is not a decimal",
    ),
    "terms that overlap": (
        of_menu(
            terms=[
                {"first_day": "2026-09-07", "last_day": "2026-10-23"},
                {"first_day": "2026-10-23", "last_day": "2026-12-18"},
            ]
        ),
        "terms[1]: begins before terms[0] is over",
    ),
    "a term the other way round": (
        of_menu(terms=[{"first_day": "2026-10-23", "last_day": "2026-09-07"}]),
        "terms[0]: last_day: is before first_day",
    ),
    "a term beyond the menu": (
        of_menu(terms=[{"first_day": "2026-09-07", "last_day": "2026-12-19"}]),
        "terms[0]: has days that are not the menu's",
    ),
    "a term's week beyond the cycle": (
        of_menu(terms=[{"first_day": "2026-09-07", "last_day": "2026-12-18", "week": 3}]),
        "terms[0]: week: the cycle has 2 weeks",
    ),
    "one dish on one day twice": (
        lambda menu: menu["items"].append({**menu["items"][0], "weekdays": ["mon", "tue"]}),
        "items[7] (pasta): key: the same as of items[0] (pasta), at one service on one day",
    ),
    "a deal of one": (of_deal(parts=[{"categories": ["main"]}]), "deals[0].parts: "),
    "a deal of what is not there": (
        of_deal(parts=[{"items": ["pizza"]}, {"categories": ["main"]}]),
        "deals[0] (two): parts[0]: the menu has no item 'pizza'",
    ),
    "a deal of nothing": (
        of_deal(parts=[{}, {"categories": ["main"]}]),
        "deals[0] (two): parts[0]: names neither",
    ),
    "a deal at no service": (
        of_deal(services=["tea"]),
        "deals[0] (two): services: the menu has no service 'tea'",
    ),
    "two deals of one name": (
        lambda menu: menu["deals"].append(menu["deals"][0]),
        "deals[1] (two): key: another deal has it, too",
    ),
    "arrears of words": (of_menu(arrears_limit="any"), "arrears_limit: 'any' is not a decimal"),
    "a check of words": (of_menu(allergen_stop="yes"), "allergen_stop: "),
    "a time of words": (of_menu(order_until="noon"), "order_until: is not like 09:30"),
    "taxes without a role": (of_menu(supplier_role=None), "supplier_role: "),
    "a role without taxes": (of_menu(taxes=[]), "taxes: is missing"),
    "a tax of words": (taxes({"rate": "much"}), "taxes[0].rate: 'much' is no rate"),
    "a tax of too many places": (taxes({"rate": "17.505"}), "taxes[0].rate: '17.505' is no rate"),
    "a tax beyond all": (taxes({"rate": "101"}), "taxes[0].rate: '101' is no rate"),
    "a tax of infinity": (taxes({"rate": "Infinity"}), "taxes[0].rate: 'Infinity' is no rate"),
    "nothing for the others": (
        taxes({"buyers": ["staff"]}),
        "taxes: has no row of the role authority for all",
    ),
    "a tax that never counts": (taxes({}, {"buyers": ["staff"]}), "taxes[1]: never counts: taxes[0] matches"),
}
PROGRAMMES: dict[str, tuple[Change, str]] = {
    "no such nation": (of_programme(0, nation="france"), "programmes[0].nation: is none of england"),
    "no such year": (of_programme(1, years=["R", "99"]), "programmes[1].years[1]: '99' is none of"),
    "a year twice": (of_programme(1, years=["R", "R"]), "programmes[1] (infant): years: names one twice"),
    "no such service": (
        of_programme(0, services=["tea"]),
        "programmes[0] (targeted): services: the menu has no",
    ),
    "nothing": (
        of_programme(0, amount="0.00"),
        "programmes[0] (targeted): amount: a programme that pays nothing",
    ),
    "an amount of words": (
        of_programme(0, amount="all"),
        "programmes[0] (targeted): amount: 'all' is not a decimal",
    ),
    "it ends before it begins": (
        of_programme(0, last_day="2026-08-31"),
        "programmes[0] (targeted): last_day: is before",
    ),
    "two of one precedence": (
        of_programme(1, precedence=10),
        "programmes[1] (infant): precedence: the same as of programmes[0] (targeted) (line 3), on one day",
    ),
    "two of one key": (
        of_programme(1, key="targeted"),
        "programmes[1] (targeted): key: the same as of programmes[0] (targeted) (line 3), on one day",
    ),
    "no funder": (lambda file: file["programmes"][2].pop("funder"), "programmes[2].funder: Missing data"),
}


@pytest.mark.parametrize("name", MENUS)
def test_a_menu_is_refused_with_the_place(name: str, tmp_path: Path) -> None:
    change, reason = MENUS[name]
    with pytest.raises(TariffError) as refused:
        load(tmp_path, change)
    assert refused.value.file == "menu.json"
    assert refused.value.line is not None
    assert refused.value.reason.startswith(reason)


@pytest.mark.parametrize("name", PROGRAMMES)
def test_programmes_are_refused_with_the_place(name: str, tmp_path: Path) -> None:
    change, reason = PROGRAMMES[name]
    with pytest.raises(TariffError) as refused:
        load(tmp_path, programmes=change)
    assert refused.value.file == "programmes.json"
    assert refused.value.line is not None
    assert refused.value.reason.startswith(reason)


def test_which_file_is_which_is_seen_from_what_they_say(tmp_path: Path) -> None:
    menu, programmes = written(tmp_path)
    one = meals().load([menu, programmes], currency="GBP")
    assert one.version == meals().load([programmes, menu], currency="GBP").version
    assert one.version != meals().load([menu], currency="GBP").version
    assert "programmes that pay: extra, infant, targeted" in one.report
    for files in ([menu, menu], [programmes, programmes], [menu, programmes, menu], []):
        with pytest.raises(TariffError):
            meals().load(files, currency="GBP")


@pytest.mark.parametrize(
    "change",
    [
        of_item(1, weekdays=["tue"]),
        of_item(1, weeks=[1]),
        lambda menu: menu["items"].append({**menu["items"][0], "weeks": [2]}),
        lambda menu: menu["items"].append({**menu["items"][0], "weekdays": ["fri"], "price": "9.00"}),
        lambda menu: menu["items"].append(
            {**menu["items"][0], "first_day": "2026-09-25", "last_day": "2026-09-25"}
        ),
        of_menu(terms=[], closed_days=[]),
        of_menu(arrears_limit="0.00"),
    ],
)
def test_what_is_just_allowed_is_loaded(change: Change, tmp_path: Path) -> None:
    assert isinstance(meals().prepare(load(tmp_path, change).content), Menu)


def test_a_change_of_anything_shows_in_the_price_list(tmp_path: Path) -> None:
    """Who approves a draft sees what it would change."""
    service = meals()
    assert isinstance(service, PriceListed)
    before = service.price_list(service.prepare(load(tmp_path).content))
    assert len({each.what for each in before}) == len(before)
    changes: list[tuple[Change | None, Change | None]] = [
        *((change, None) for change in (
            of_item(0, prices={"staff": "4.30"}), of_item(0, diets=[]), of_item(0, recipe="2026-2"),
            of_item(0, weekdays=["tue"]), of_item(0, weeks=[2]), of_deal(price="2.90"),
            of_deal(services=["lunch"]),
            of_menu(closed_days=[]), of_menu(terms=[]), of_menu(arrears_limit=None),
            of_menu(allergen_stop=False),
            of_menu(second_meal_warning=False), of_menu(order_until=None), of_menu(supplier_role="principal"),
            lambda menu: menu["taxes"][0].update(rate="5"),
        )),
        *((None, change) for change in (
            of_programme(0, amount="2.70"), of_programme(0, precedence=11), of_programme(0, funder="council"),
            of_programme(1, years=["R"]), of_programme(2, adds=False), of_programme(0, last_day="2027-07-30"),
            of_programme(0, services=["break"]), of_programme(0, nation="wales"),
        )),
    ]  # fmt: skip
    for change, programmes in changes:
        assert service.price_list(service.prepare(load(tmp_path, change, programmes).content)) != before
