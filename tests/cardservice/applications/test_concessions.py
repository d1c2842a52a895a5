"""The published timetables of the State Pension age, row by row, and what a proof of a concession needs.

From "State Pension age timetables" (Department for Work and Pensions, 15 May 2014): tables 1 to 5; of table 1
the first row, the last, and one of each year.
"""

from datetime import date, timedelta

import pytest

from cardservice.applications.concessions import STATE_PENSION, check_concession, older_day, pension_day
from cardservice.errors import OrderInvalid

# Born from and to; the day on which everybody of them reaches it.
ON_A_DAY = [
    ("1950-04-06", "1950-05-05", "2010-05-06"),
    ("1950-12-06", "1951-01-05", "2011-09-06"),
    ("1951-12-06", "1952-01-05", "2013-09-06"),
    ("1952-12-06", "1953-01-05", "2015-09-06"),
    ("1953-03-06", "1953-04-05", "2016-03-06"),
    ("1953-04-06", "1953-05-05", "2016-07-06"),
    ("1953-05-06", "1953-06-05", "2016-11-06"),
    ("1953-06-06", "1953-07-05", "2017-03-06"),
    ("1953-07-06", "1953-08-05", "2017-07-06"),
    ("1953-08-06", "1953-09-05", "2017-11-06"),
    ("1953-09-06", "1953-10-05", "2018-03-06"),
    ("1953-10-06", "1953-11-05", "2018-07-06"),
    ("1953-11-06", "1953-12-05", "2018-11-06"),
    ("1953-12-06", "1954-01-05", "2019-03-06"),
    ("1954-01-06", "1954-02-05", "2019-05-06"),
    ("1954-02-06", "1954-03-05", "2019-07-06"),
    ("1954-03-06", "1954-04-05", "2019-09-06"),
    ("1954-04-06", "1954-05-05", "2019-11-06"),
    ("1954-05-06", "1954-06-05", "2020-01-06"),
    ("1954-06-06", "1954-07-05", "2020-03-06"),
    ("1954-07-06", "1954-08-05", "2020-05-06"),
    ("1954-08-06", "1954-09-05", "2020-07-06"),
    ("1954-09-06", "1954-10-05", "2020-09-06"),
    ("1977-04-06", "1977-05-05", "2044-05-06"),
    ("1977-05-06", "1977-06-05", "2044-07-06"),
    ("1977-12-06", "1978-01-05", "2045-09-06"),
    ("1978-03-06", "1978-04-05", "2046-03-06"),
]
# Born from and to; the age, in years and months.
AT_AN_AGE = [
    ("1930-01-01", "1950-04-05", (60, 0)),
    ("1954-10-06", "1960-04-05", (66, 0)),
    ("1960-04-06", "1960-05-05", (66, 1)),
    ("1960-05-06", "1960-06-05", (66, 2)),
    ("1960-06-06", "1960-07-05", (66, 3)),
    ("1960-07-06", "1960-08-05", (66, 4)),
    ("1960-08-06", "1960-09-05", (66, 5)),
    ("1960-09-06", "1960-10-05", (66, 6)),
    ("1960-10-06", "1960-11-05", (66, 7)),
    ("1960-11-06", "1960-12-05", (66, 8)),
    ("1960-12-06", "1961-01-05", (66, 9)),
    ("1961-01-06", "1961-02-05", (66, 10)),
    ("1961-02-06", "1961-03-05", (66, 11)),
    ("1961-03-06", "1977-04-05", (67, 0)),
    ("1978-04-06", "2026-01-01", (68, 0)),
]


def days(first: str, last: str) -> list[date]:
    begins, ends = date.fromisoformat(first), date.fromisoformat(last)
    return [begins + timedelta(days=number) for number in range((ends - begins).days + 1)]


@pytest.mark.parametrize(("first", "last", "reaches"), ON_A_DAY)
def test_who_reaches_it_on_a_day(first: str, last: str, reaches: str) -> None:
    assert {pension_day(born) for born in days(first, last)} == {date.fromisoformat(reaches)}


@pytest.mark.parametrize(("first", "last", "age"), AT_AN_AGE)
def test_who_reaches_it_at_an_age(first: str, last: str, age: tuple[int, int]) -> None:
    for born in days(first, last):
        reached = pension_day(born)
        months = (reached.year - born.year) * 12 + reached.month - born.month
        assert divmod(months, 12) == age
        assert reached.day == born.day or (reached + timedelta(days=1)).day == 1


@pytest.mark.parametrize(
    ("born", "reaches"),
    [
        # The timetables' own notes: a month without such a day ends earlier.
        ("1960-07-31", "2026-11-30"),
        ("1960-08-31", "2027-01-31"),
        ("1960-12-31", "2027-09-30"),
        ("1961-01-31", "2027-11-30"),
        ("1956-02-29", "2022-02-28"),
    ],
)
def test_the_ends_of_months(born: str, reaches: str) -> None:
    assert pension_day(date.fromisoformat(born)) == date.fromisoformat(reaches)


def test_who_is_born_later_never_reaches_it_earlier() -> None:
    reached = [pension_day(born) for born in days("1949-01-01", "1979-12-31")]
    assert reached == sorted(reached)


TODAY = date(2026, 11, 27)


@pytest.mark.parametrize(
    ("kind", "born", "older_from", "review_on", "refused"),
    [
        ("older", date(1960, 7, 21), STATE_PENSION, date(2031, 11, 27), None),
        ("older", date(1960, 7, 27), STATE_PENSION, date(2027, 1, 1), None),
        ("older", date(1960, 7, 28), STATE_PENSION, date(2027, 1, 1), "from 2026-11-28 on"),
        ("older", None, STATE_PENSION, date(2027, 1, 1), "no date of birth"),
        ("older", date(1966, 11, 27), "60", date(2027, 1, 1), None),
        ("older", date(1966, 11, 28), "60", date(2027, 1, 1), "from 2026-11-28 on"),
        ("older", date(1950, 1, 1), STATE_PENSION, date(2031, 11, 28), "5 years at most: until 2031-11-27"),
        ("disability", None, STATE_PENSION, date(2031, 11, 28), "5 years at most"),
        ("disability", None, STATE_PENSION, date(2031, 11, 27), None),
        ("companion", None, STATE_PENSION, date(2031, 11, 28), "5 years at most"),
        ("residence", None, STATE_PENSION, date(2036, 1, 1), None),
    ],
)
def test_a_proof_of_a_concession(
    kind: str, born: date | None, older_from: str, review_on: date, refused: str | None
) -> None:
    if refused is None:
        check_concession(kind, born, older_from, TODAY, review_on)
        return
    with pytest.raises(OrderInvalid) as said:
        check_concession(kind, born, older_from, TODAY, review_on)
    assert refused in str(said.value)


def test_an_age_of_the_schemes_own() -> None:
    assert older_day(date(1966, 2, 28), "60") == date(2026, 2, 28)
