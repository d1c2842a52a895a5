"""Bank holidays of a part of the United Kingdom, for the files of tariffs: which days, and until when known.

From the package govuk-bank-holidays, which carries what GOV.UK has published; nothing is downloaded. A tariff
has its days as data, so that it is the same for ever: nobody looks here when a fare is decided.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from govuk_bank_holidays.bank_holidays import BankHolidays

from cardservice.errors import OrderInvalid

DIVISIONS: tuple[str, ...] = BankHolidays.ALL_DIVISIONS


@dataclass(frozen=True, slots=True)
class Holidays:
    """The bank holidays from one day to another, both included; `until` is the last that is known."""

    division: str
    days: tuple[date, ...]
    until: date


def holidays(division: str, first: date, last: date, proclaimed: Collection[date] = ()) -> Holidays:
    """The days of a division, with those that a council adds. Raises OrderInvalid beyond what is known."""
    if last < first:
        raise OrderInvalid(f"{last} is before {first}; turn them")
    # Always one division: without it, what all have in common is told, and Easter Monday is none.
    known = [
        holiday["date"] for holiday in BankHolidays(use_cached_holidays=True).get_holidays(division=division)
    ]
    # Whole years are published.
    begins, ends = date(known[0].year, 1, 1), date(known[-1].year, 12, 31)
    if first < begins or last > ends:
        raise OrderInvalid(
            f"bank holidays of {division} are known from {begins} to {ends}; ask for days between them"
        )
    if outside := [day for day in proclaimed if not first <= day <= last]:
        raise OrderInvalid(f"{outside[0]} is not between {first} and {last}")
    days = {day for day in known if first <= day <= last} | set(proclaimed)
    return Holidays(division, tuple(sorted(days)), last)
