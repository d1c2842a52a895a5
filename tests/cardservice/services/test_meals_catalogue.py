"""What a till may put on its keys, at the boundaries of days; and that it is what the rules sell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardservice.services import discover
from cardservice.services.catalogued import Catalogue, Catalogued, CataloguePeriod
from cardservice.services.seam import Ask, AskKind, Quote, Refusal
from tests.cardservice.services.menus import Change, load, meals

HOUR, MS = timedelta(hours=1), timedelta(milliseconds=1)


def utc(month: int, day: int, hour: int = 0, minute: int = 0, year: int = 2026) -> datetime:
    """A moment in UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


# The menu of `menus.py`, in London: 1 September to 18 December 2026.
START, END = utc(8, 31, 23), utc(12, 19)
SEPTEMBER_ENDS = utc(9, 30, 23)  # midnight in summer; soup is not offered in October
DEARER = utc(11, 1)  # midnight in winter: pasta goes up, soup is back


def hours(number: int) -> Change:
    """The menu with so many hours for which a till may go on."""
    return lambda menu: menu.update(offline_quote_hours=number)


def days(first_day: str, last_day: str, **more: Any) -> Change:
    """A menu of these days, which offers milk on all of them."""

    def change(menu: dict[str, Any]) -> None:
        [milk] = [item for item in menu["items"] if item["key"] == "milk"]
        menu.update(first_day=first_day, last_day=last_day, items=[milk], **more)

    return change


def only_on(day: str) -> Change:
    """A menu that offers water on one day alone."""
    water = {"key": "water", "label": "Water", "category": "drink", "price": "0.00"}
    alone = {**water, "contains": [], "may_contain": [], "first_day": day, "last_day": day}

    def change(menu: dict[str, Any]) -> None:
        menu["items"] = [item for item in menu["items"] if item["key"] != "water"] + [alone]

    return change


def all_of(*changes: Change) -> Change:
    """One change after the other."""
    return lambda menu: [change(menu) for change in changes]


def prepared(folder: Path, change: Change | None = None) -> object:
    """The changed menu, prepared."""
    return meals().prepare(load(folder, change).content)


def ask_catalogue(menu: object, moment: datetime) -> Catalogue | Refusal:
    """What the service offers from a moment on."""
    service = meals()
    assert isinstance(service, Catalogued)
    return service.catalogue(menu, moment)


def offered(menu: object, moment: datetime) -> Catalogue:
    """The same, where something is offered."""
    found = ask_catalogue(menu, moment)
    assert isinstance(found, Catalogue)
    return found


def keys(period: CataloguePeriod, section: str = "lunch") -> list[str]:
    """What is on the keys of a section in a period."""
    [found] = [offered for offered in period.sections if offered.key == section]
    return [item.key for item in found.items]


@dataclass(frozen=True)
class Case:
    """One row: when it is asked for, and at which moments it ends, and what is offered between."""

    name: str
    at: datetime
    ends: Sequence[datetime]
    change: Change | None = None


# Unless said otherwise a till may go on for 24 hours. Moments are in UTC.
CASES = [
    Case("days that offer the same are one", utc(9, 7, 11), [utc(9, 8, 11)]),
    Case("the menu's first moment", START, [START + 24 * HOUR]),
    Case("a day's last moment", SEPTEMBER_ENDS - MS, [SEPTEMBER_ENDS, SEPTEMBER_ENDS + 24 * HOUR - MS]),
    Case("a day's first moment", SEPTEMBER_ENDS, [SEPTEMBER_ENDS + 24 * HOUR]),
    Case("a price that changes at midnight", utc(10, 31, 12), [DEARER, utc(11, 1, 12)]),
    Case("a change just beyond", DEARER - 24 * HOUR, [DEARER]),
    Case("a change just within", DEARER - 24 * HOUR + MS, [DEARER, DEARER + MS]),
    Case("the menu's end", utc(12, 18, 12), [END], hours(168)),
    Case("the menu's last moment", END - MS, [END]),
    Case("an hour", utc(9, 7, 11), [utc(9, 7, 12)], hours(1)),
    Case("a week over a change", utc(9, 28, 11), [SEPTEMBER_ENDS, utc(10, 5, 11)], hours(168)),
    # Clocks go back on 25 October 2026 at 01:00 UTC: that day has 25 hours, and no hour is lost.
    Case(
        "into a day of 25 hours",
        utc(10, 24, 22),
        [utc(10, 24, 23), utc(10, 26), utc(10, 26, 22)],
        all_of(hours(48), only_on("2026-10-25")),
    ),
    # And on 28 March 2027 forward, at 01:00 UTC: 23 hours.
    Case(
        "into a day of 23 hours",
        utc(3, 27, 23, year=2027),
        [utc(3, 28, year=2027), utc(3, 28, 23, year=2027), utc(3, 29, 23, year=2027)],
        all_of(days("2027-03-01", "2027-03-31", offline_quote_hours=48), only_on("2027-03-28")),
    ),
    # Havana's clocks go back at 01:00 to 00:00 on 1 November 2026: that midnight comes twice, the day begins
    # with the first, at 04:00 UTC, and has 25 hours.
    Case(
        "a midnight that comes twice",
        utc(11, 1, 3),
        [utc(11, 1, 4), utc(11, 2, 5), utc(11, 3, 3)],
        all_of(
            days("2026-10-01", "2026-11-30", offline_quote_hours=48, timezone="America/Havana"),
            only_on("2026-11-01"),
        ),
    ),
    # Cairo's go forward at 00:00 to 01:00 on 24 April 2026: a midnight that never comes.
    Case(
        "a midnight that never comes",
        utc(4, 23, 21),
        [utc(4, 23, 22), utc(4, 24, 21), utc(4, 25, 21)],
        all_of(
            days("2026-04-01", "2026-04-30", offline_quote_hours=48, timezone="Africa/Cairo"),
            only_on("2026-04-24"),
        ),
    ),
    # Samoa left 30 December 2011 out: after the 29th came the 31st, at 10:00 UTC.
    Case(
        "a day that never comes",
        utc(12, 30, 9, year=2011),
        [utc(12, 31, 9, year=2011)],
        all_of(days("2011-12-01", "2011-12-31", timezone="Pacific/Apia"), only_on("2011-12-30")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_periods(case: Case, tmp_path: Path) -> None:
    menu = prepared(tmp_path, case.change)
    found = offered(menu, case.at)
    assert [period.ends for period in found.periods] == list(case.ends)
    assert [period.begins for period in found.periods] == [case.at, *case.ends[:-1]]
    assert found.valid_until == case.ends[-1]
    for before, after in zip(found.periods, found.periods[1:], strict=False):
        assert before.sections != after.sections


def test_a_day_alone_is_offered_on_that_day(tmp_path: Path) -> None:
    [before, alone, after] = offered(
        prepared(tmp_path, all_of(hours(48), only_on("2026-10-25"))), utc(10, 24, 22)
    ).periods
    assert ["water" in keys(period) for period in (before, alone, after)] == [False, True, False]


@pytest.mark.parametrize(
    ("at", "reason"),
    [(START - MS, "tariff_not_yet_valid"), (END, "tariff_expired"), (utc(9, 7, year=9998), "tariff_expired")],
)
def test_outside_the_menus_days_nothing_is_offered(at: datetime, reason: str, tmp_path: Path) -> None:
    found = ask_catalogue(prepared(tmp_path), at)
    assert isinstance(found, Refusal)
    assert found.reason == reason


def test_an_item_stands_where_it_is_sold_and_in_the_menus_order(tmp_path: Path) -> None:
    [period] = offered(prepared(tmp_path), utc(9, 7, 11)).periods
    assert [(section.key, section.label) for section in period.sections] == [
        ("break", "Morning break"),
        ("lunch", "Lunch"),
    ]
    assert keys(period, "lunch") == ["pasta", "soup", "flapjack", "milk", "water"]
    assert keys(period, "break") == ["soup", "flapjack", "milk", "water"]


def test_a_day_on_which_nothing_is_offered_is_a_period_too(tmp_path: Path) -> None:
    def change(menu: dict[str, Any]) -> None:
        days("2026-09-01", "2026-09-30", offline_quote_hours=48)(menu)
        menu["items"][0]["first_day"] = "2026-09-08"

    [nothing, milk] = offered(prepared(tmp_path, change), utc(9, 7, 11)).periods
    assert [keys(nothing, "break"), keys(nothing), keys(milk, "break"), keys(milk)] == [
        [],
        [],
        ["milk"],
        ["milk"],
    ]


def test_what_stands_on_a_key(tmp_path: Path) -> None:
    found = offered(prepared(tmp_path), utc(10, 31, 12))
    assert (found.action, found.currency) == ("sale", "GBP")
    pasta = [period.sections[1].items[0] for period in found.periods]
    assert [(item.label, item.category, item.amount_minor) for item in pasta] == [
        ("Pasta bake", "main", 250),
        ("Pasta bake", "main", 260),
    ]
    assert [(item.contains, item.may_contain) for item in pasta] == [
        (("gluten", "milk"), ("celery",)),
        (("gluten", "milk"), ()),
    ]


def test_a_service_whose_goods_stand_on_no_keys_has_none() -> None:
    assert [name for name, service in discover().items() if isinstance(service, Catalogued)] == ["meals"]


def test_a_tariff_of_another_service_is_a_fault_of_the_program() -> None:
    with pytest.raises(TypeError, match="not a prepared menu"):
        ask_catalogue(object(), utc(9, 7))


@pytest.fixture(scope="module")
def long_menu(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The menu, for a till that may go on for a week."""
    return prepared(tmp_path_factory.mktemp("menu"), hours(168))


TERM_MINUTES = int((END - START) / timedelta(minutes=1))
NEAR_BOUNDARIES = st.builds(
    lambda boundary, off: boundary + off * MS,
    st.sampled_from([SEPTEMBER_ENDS, DEARER, utc(10, 24, 23), utc(10, 25, 1), utc(10, 26)]),
    st.integers(-2, 2),
)
WITHIN_THE_TERM = st.one_of(
    st.integers(0, TERM_MINUTES - 1).map(lambda minutes: START + minutes * timedelta(minutes=1)),
    NEAR_BOUNDARIES,
)
BASKETS = st.dictionaries(
    st.sampled_from(["pasta", "soup", "flapjack", "milk", "water", "caviar"]),
    st.integers(1, 20),
    min_size=1,
    max_size=4,
)


@given(
    asked=WITHIN_THE_TERM,
    later=st.floats(0, 1, exclude_max=True),
    section=st.sampled_from(["break", "lunch", "supper"]),
    basket=BASKETS,
    offline=st.booleans(),
)
def test_what_is_in_the_catalogue_has_its_price_and_nothing_else_has_one(
    long_menu: object, asked: datetime, later: float, section: str, basket: dict[str, int], offline: bool
) -> None:
    """At every moment until its end: a quote is the sum of the catalogue's amounts, or there is none."""
    found = offered(long_menu, asked)
    moment = min(asked + (found.valid_until - asked) * later, found.valid_until - MS)
    [period] = [period for period in found.periods if period.begins <= moment < period.ends]
    amounts = {
        item.key: item.amount_minor
        for offered_here in period.sections
        if offered_here.key == section
        for item in offered_here.items
    }
    details = {
        "service": section,
        "items": [{"item": item, "quantity": quantity} for item, quantity in basket.items()],
    }
    ask = Ask(
        service="meals",
        action=found.action,
        kind=AskKind.REQUEST,
        currency=found.currency,
        details=meals().details_schema(found.action)().load(details),
        occurred_at=moment,
        offline=offline,
    )
    price = meals().quote(ask, None, long_menu)
    if basket.keys() <= amounts.keys():
        assert isinstance(price, Quote)
        assert price.amount_minor == sum(amounts[item] * quantity for item, quantity in basket.items())
        assert price.tariff_version == found.tariff_version
    else:
        assert isinstance(price, Refusal)
