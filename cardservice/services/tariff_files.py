"""What tariff files that people write have in common: keys, labels, days, counts, and the frame around them.

Shared by services whose files have `currency`, `first_day`, `last_day` and `timezone`.
"""

import re
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import ValidationError, fields, validate

from cardservice.services.json_files import Sheet

KEY = validate.Regexp(
    re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z"),
    error="is not a key of 1 to 64 small letters, digits and hyphens",
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
# Ours: beyond them lies a slip of the finger, and the ends of what a calendar can add to.
_YEARS = range(2000, 9000)


def is_label(value: str) -> None:
    """Raises ValidationError for what cannot stand on receipts and screens."""
    if not (1 <= len(value) <= 80 and value.isprintable() and value == value.strip()):
        raise ValidationError("is not a printable text of 1 to 80 characters without spaces around it")


class Day(fields.Field[date]):
    """A day, YYYY-MM-DD."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> date:
        if not (isinstance(value, str) and _DAY.fullmatch(value)):
            raise ValidationError("is not a day like 2026-12-31")
        try:
            day = date.fromisoformat(value)
        except ValueError as problem:
            raise ValidationError(f"{value} is not a day of the calendar") from problem
        if day.year not in _YEARS:
            raise ValidationError(f"{value} is too far away")
        return day


class WholeNumber(fields.Integer):
    """A whole number within bounds; `true` is none."""

    def __init__(self, least: int, most: int, **more: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(least, most), **more)

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        number: int = super()._validated(value)
        return number


def check_frame(sheet: Sheet, currency: str) -> ZoneInfo:
    """The file's time zone. Raises TariffError where its currency, days or zone are not right."""
    values = sheet.values
    if values["currency"] != currency:
        raise sheet.error("currency", f"is {values['currency']}, and the scheme's is {currency}")
    if values["last_day"] < values["first_day"]:
        raise sheet.error("last_day", "is before first_day")
    try:
        return ZoneInfo(values["timezone"])
    except (KeyError, ValueError, OSError) as problem:
        raise sheet.error("timezone", f"there is no time zone {values['timezone']!r}") from problem
