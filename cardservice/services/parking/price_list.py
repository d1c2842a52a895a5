"""A parking tariff as people compare it: each place's hours, charges and terms, permits, bank holidays."""

from collections.abc import Iterator

from cardservice.money import format_minor
from cardservice.services.parking.tariff import Band, Permit, Place, Tariff
from cardservice.services.price_lists import Listed


def price_list(tariff: Tariff) -> tuple[Listed, ...]:
    """Everything that the tariff says, a line each."""
    return tuple(_lines(tariff))


def _lines(tariff: Tariff) -> Iterator[Listed]:
    yield Listed("the tariff's days", f"{tariff.first_day} to {tariff.last_day} ({tariff.zone.key})")
    yield Listed("bank holidays are known until", f"{tariff.calendar_until}")
    for day in sorted(tariff.holidays):
        yield Listed(f"bank holiday {day}", "kept")
    for permit in tariff.permits.values():
        yield from _permit(tariff, permit)
    for place in tariff.places.values():
        yield from _place(tariff, place)


def _permit(tariff: Tariff, permit: Permit) -> Iterator[Listed]:
    name = f"permit {permit.label} ({permit.key})"
    who = ", ".join(sorted(permit.categories)) or "everybody"
    yield Listed(name, f"{permit.months} months, for {who}")
    for number, price_minor in enumerate(permit.prices_minor, 1):
        yield Listed(f"{name}, number {number}", _money(tariff, price_minor))


def _place(tariff: Tariff, place: Place) -> Iterator[Listed]:
    name = f"{place.label} ({place.key})"
    yield Listed(name, _kind(place))
    for term, says in _terms(tariff, place):
        yield Listed(f"{name}, {term}", says)
    for band in place.bands:
        # By each of its days, so that one day more or less is one line.
        for day in sorted(band.days):
            hours = f"{name}, {day} {_clock(band.from_minute)} to {_clock(band.to_minute)}"
            yield from _charges(tariff, hours, band)


def _kind(place: Place) -> str:
    return ", ".join(
        (
            "on street" if place.on_street else "off street",
            "paid on exit" if place.pay_on_exit else "paid on arrival",
            f"{'closed' if place.closed_outside else 'free'} outside its hours",
            f"holidays {'as weekdays' if place.holidays_as_weekdays else 'by themselves'}",
        )
    )


def _terms(tariff: Tariff, place: Place) -> Iterator[tuple[str, str]]:
    yield "shortest and longest sold", f"{place.min_minutes} and {place.max_minutes} minutes"
    if place.free_minutes:
        yield "free", f"{place.free_minutes} minutes"
    if place.daily_maximum_minor is not None:
        yield "most for a day", _money(tariff, place.daily_maximum_minor)
    if place.max_stay_minutes is not None:
        yield "longest stay", f"{place.max_stay_minutes} minutes"
    if place.no_return_minutes is not None:
        yield "no return for", f"{place.no_return_minutes} minutes"
    for category, per_cent in sorted(place.discounts.items()):
        yield f"discount of {category}", f"{per_cent} %"
    for permit in sorted(place.permits):
        yield f"permit {permit}", "good here"
    yield "unused minutes", "are carried" if place.carries_unused else "are lost"
    if place.condition is not None:
        yield "vehicles", str(place.condition)
    if place.valid_from is not None or place.valid_until is not None:
        yield "order in force", f"{place.valid_from or '…'} to {place.valid_until or '…'}"


def _charges(tariff: Tariff, hours: str, band: Band) -> Iterator[Listed]:
    if band.step is not None:
        price = _money(tariff, band.step.price_minor)
        yield Listed(hours, f"{price} for each {_long(band.step.every_s)} begun")
    for tier in band.tiers:
        yield Listed(f"{hours}, up to {_long(tier.up_to_s)}", _money(tariff, tier.price_minor))


def _long(duration_s: int) -> str:
    minutes, seconds = divmod(duration_s, 60)
    return f"{minutes} minutes {seconds} seconds" if seconds else f"{minutes} minutes"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _money(tariff: Tariff, amount_minor: int) -> str:
    return f"{format_minor(amount_minor, tariff.currency)} {tariff.currency}"
