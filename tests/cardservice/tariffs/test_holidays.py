"""Bank holidays for tariffs' files: by part of the country, within what is known, with what is proclaimed."""

import json
from datetime import date

import pytest
from click.testing import CliRunner

from cardservice.cli import main
from cardservice.errors import OrderInvalid
from cardservice.tariffs.holidays import DIVISIONS, holidays
from tests.cardservice.services.parking_tariffs import TARIFF
from tests.cardservice.services.test_transport_decisions import NATIONS

YEARS = date(2026, 1, 1), date(2028, 12, 31)


@pytest.mark.parametrize(
    ("day", "kept_in"),
    [
        ("2026-04-06", {"england-and-wales", "northern-ireland"}),  # Easter Monday
        ("2026-01-02", {"scotland"}),
        ("2026-03-17", {"northern-ireland"}),  # St Patrick
        ("2026-07-13", {"northern-ireland"}),  # the Boyne, a Monday for a Sunday
        ("2026-11-30", {"scotland"}),  # St Andrew
        ("2026-12-28", set(DIVISIONS)),  # for Boxing Day, a Saturday
        ("2028-12-26", set(DIVISIONS)),
        ("2026-12-27", set()),
    ],
)
def test_each_part_of_the_country_has_its_own(day: str, kept_in: set[str]) -> None:
    found = {each for each in DIVISIONS if date.fromisoformat(day) in holidays(each, *YEARS).days}
    assert found == kept_in


def test_the_days_of_our_own_tables_are_those_that_are_published() -> None:
    of = {division: {f"{day}" for day in holidays(division, *YEARS).days} for division in DIVISIONS}
    assert set(TARIFF["calendar"]["holidays"]) <= of["england-and-wales"]
    england, scotland, ireland = NATIONS
    assert set(england["bank_holidays"]) <= of["england-and-wales"]
    assert {"2026-11-30", "2026-01-02"} <= of["scotland"] & set(scotland["bank_holidays"])
    assert {"2026-07-13", "2026-04-06"} <= of["northern-ireland"] & set(ireland["bank_holidays"])


def test_what_is_not_known_is_not_guessed_at() -> None:
    found = holidays("scotland", date(2026, 5, 1), date(2026, 5, 31), [date(2026, 5, 8)])
    assert [f"{day}" for day in found.days] == ["2026-05-04", "2026-05-08", "2026-05-25"]
    for first, last, added, reason in (
        (date(2028, 12, 1), date(2029, 1, 1), (), "are known from 2012-01-01 to 2028-12-31"),
        (date(2011, 12, 31), date(2012, 1, 1), (), "are known from"),
        (date(2026, 5, 2), date(2026, 5, 1), (), "is before"),
        (date(2026, 5, 1), date(2026, 5, 2), (date(2026, 5, 3),), "is not between"),
    ):
        with pytest.raises(OrderInvalid, match=reason):
            holidays("scotland", first, last, added)


def test_they_are_printed_as_a_file_has_them() -> None:
    arguments = ["tariff", "holidays", "england-and-wales", "2026-05-01", "2026-05-31", "--add", "2026-05-08"]
    said = CliRunner().invoke(main, arguments)
    assert json.loads(said.stdout) == {
        "division": "england-and-wales",
        "until": "2026-05-31",
        "holidays": ["2026-05-04", "2026-05-08", "2026-05-25"],
    }
