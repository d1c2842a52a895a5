"""What a stay costs: each band of each day by itself, a day at most its maximum; longer is never cheaper."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from cardservice.services.parking.tariff import Band, Place, Tariff
from cardservice.services.seam import Refusal

TOO_LONG = "too_long"
CLOSED = "closed"
CALENDAR_ENDED = "calendar_ended"
MAX_STAY = "max_stay"

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Charge:
    """What a stay costs, and how much of it lies in the hours of charge, in seconds."""

    amount_minor: int
    within_s: int


def charge(
    tariff: Tariff, place: Place, begins: datetime, ends: datetime, category: str | None
) -> Charge | Refusal:
    """The price of a stay for a person of this category, or why there is none."""
    total_minor, within_s, too_long = 0, 0, False
    day, last = tariff.day_of(begins), tariff.day_of(ends)
    while day <= last:
        if tariff.at(day, 0) < ends and day > tariff.calendar_until:
            message = f"The calendar of bank holidays ends on {tariff.calendar_until}. Load a newer tariff."
            return Refusal(reason=CALENDAR_ENDED, message=message)
        day_minor = 0
        for band, stay_s in _stays(tariff, place, day, begins, ends):
            price_minor = band.price(stay_s)
            too_long = too_long or price_minor is None
            day_minor, within_s = day_minor + (price_minor or 0), within_s + stay_s
        most_minor = place.daily_maximum_minor
        total_minor += day_minor if most_minor is None else min(day_minor, most_minor)
        day += _DAY
    if place.closed_outside and within_s < (ends - begins).total_seconds():
        return Refusal(reason=CLOSED, message=f"{place.label} is closed for part of that time.")
    if place.max_stay_minutes is not None and within_s > place.max_stay_minutes * 60:
        message = f"At {place.label} nobody may stay longer than {place.max_stay_minutes} minutes."
        return Refusal(reason=MAX_STAY, message=message, data={"max_stay_minutes": place.max_stay_minutes})
    if too_long:
        return Refusal(reason=TOO_LONG, message=f"Nobody can pay for so long at {place.label}.")
    if within_s <= place.free_minutes * 60:
        return Charge(0, within_s)
    percent = 0 if category is None else place.discounts.get(category, 0)
    # Rounded down: to the holder's good.
    return Charge(total_minor * (100 - percent) // 100, within_s)


def _stays(
    tariff: Tariff, place: Place, day: date, begins: datetime, ends: datetime
) -> Iterator[tuple[Band, int]]:
    """How long a stay lies in each band of a day, in real seconds: days have 23, 24 or 25 hours."""
    kind = tariff.kind_of(day, place)
    for band in place.bands:
        if kind in band.days:
            first = max(begins, tariff.at(day, band.from_minute))
            last = min(ends, tariff.at(day, band.to_minute))
            if first < last:
                yield band, int((last - first).total_seconds())
