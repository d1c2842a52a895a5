"""From when somebody is older, as concessions have it, and for how long a proof of a concession counts.

In England an older person is one who has reached the pensionable age of a woman born on the same day, man or
woman (Transport Act 2000, section 146, as amended). That age is by the date of birth: Pensions Act 1995,
schedule 4, as amended by those of 2007, 2011 and 2014; published as the State Pension age timetables. Other
nations have an age of their own, so that it is a setting.
"""

import calendar
from dataclasses import dataclass
from datetime import date

from cardservice.errors import OrderInvalid

STATE_PENSION = "state-pension"
LONGEST_YEARS = 5  # a permit's, at most
# The proofs that give a concession.
OLDER, CONCESSIONS = "older", frozenset({"older", "disability", "companion"})
_MONTHS = 12


@dataclass(frozen=True, slots=True)
class _Phase:
    """Who is born from a day on, in months from the sixth to the fifth, reaches the age so.

    On a day, `step` months later for each month of birth; or at an age in months, `step` more for each.
    """

    born_from: date
    step: int
    first_reaches: date | None = None
    months: int = 0


# The last that begins by the date of birth counts.
_PHASES = (
    _Phase(date.min, 0, months=60 * _MONTHS),
    _Phase(date(1950, 4, 6), 2, first_reaches=date(2010, 5, 6)),  # the 1995 Act
    _Phase(date(1953, 4, 6), 4, first_reaches=date(2016, 7, 6)),  # the 2011 Act
    _Phase(date(1954, 1, 6), 2, first_reaches=date(2019, 5, 6)),
    _Phase(date(1954, 10, 6), 0, months=66 * _MONTHS),
    _Phase(date(1960, 4, 6), 1, months=66 * _MONTHS + 1),  # the 2014 Act
    _Phase(date(1961, 3, 6), 0, months=67 * _MONTHS),
    _Phase(date(1977, 4, 6), 2, first_reaches=date(2044, 5, 6)),  # the 2007 Act
    _Phase(date(1978, 4, 6), 0, months=68 * _MONTHS),
)


def pension_day(born_on: date) -> date:
    """The day on which somebody who was born on a day reaches the age of the state pension."""
    phase = next(each for each in reversed(_PHASES) if each.born_from <= born_on)
    place = _months_between(phase.born_from, born_on) if phase.step else 0
    if phase.first_reaches is not None:
        return months_after(phase.first_reaches, place * phase.step)
    return months_after(born_on, phase.months + place * phase.step)


def older_day(born_on: date, older_from: str) -> date:
    """From when somebody is older by the scheme's setting: STATE_PENSION, or an age in years."""
    if older_from == STATE_PENSION:
        return pension_day(born_on)
    return months_after(born_on, int(older_from) * _MONTHS)


def check_concession(
    kind: str, born_on: date | None, older_from: str, today: date, review_on: date | None
) -> None:
    """Raise OrderInvalid where a proof of a concession may not be noted: too early, or for too long."""
    if kind not in CONCESSIONS:
        return
    latest = months_after(today, LONGEST_YEARS * _MONTHS)
    if review_on is not None and review_on > latest:
        raise OrderInvalid(f"a concession is given for {LONGEST_YEARS} years at most: until {latest}")
    if kind != OLDER:
        return
    if born_on is None:
        raise OrderInvalid("no date of birth is noted: cardholder born, before a proof of being older")
    if (since := older_day(born_on, older_from)) > today:
        raise OrderInvalid(f"who was born then has a concession for age from {since} on")


def months_after(day: date, months: int) -> date:
    """The same day so many months on; of a month that has none, its last (1960-08-31 and so on)."""
    year, month = divmod(day.year * _MONTHS + day.month - 1 + months, _MONTHS)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _months_between(first: date, later: date) -> int:
    """Whole months that have gone by."""
    months = (later.year - first.year) * _MONTHS + later.month - first.month
    return months - (later.day < first.day)
